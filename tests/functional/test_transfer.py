"""The `transfer` directive: zones from files and of the cluster by AXFR and IXFR, to whom they may go, and NOTIFY."""
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.xfr
import dns.zone
import pytest

from test_file import replace, zone
from test_tcp import connect, frame, number_of, resident
from test_tls import certificates, context  # noqa: F401 (a fixture)
from vigie_process import PATIENCE, Vigie, free_port, read_frame, records, refused_configuration, wait_for

SVC = "default.svc.cluster.local."
WEB = f"web.{SVC}"
PATIENT = "timeouts {\n\t\twrite 60s\n\t}"  # with who does not read for a while


@pytest.fixture
def serve(start, tmp_path):
    def with_transfer(lines: str = "transfer {\n\t\tto *\n\t}", text: str | None = None, more: str = "") -> Vigie:
        (tmp_path / "db").write_text(text or zone())
        return start(f""".:PORT {{
	bind 127.0.0.1
	workers 1
	file {tmp_path}/db example.org {{
		reload 100ms
	}}
	{lines}
	{more}
}}
""")
    return with_transfer


def transfer(vigie: Vigie, origin: str = "example.org.", address: str = "127.0.0.1") -> dns.zone.Zone:
    made = dns.zone.Zone(origin, relativize=False)
    dns.query.inbound_xfr("127.0.0.1", made, port=vigie.port, timeout=PATIENCE, lifetime=PATIENCE, source=address)
    return made


def contents(made: dns.zone.Zone) -> set[str]:
    return {f"{name} {rdataset.ttl} {dns.rdatatype.to_text(rdata.rdtype)} {rdata}"
            for name, rdataset in made.iterate_rdatasets() for rdata in rdataset}


def messages(vigie: Vigie, query: dns.message.Message) -> list[dns.message.Message]:
    """All that comes until the SOA comes again, or until it is alone."""
    got = []
    with connect(vigie) as connection:
        wire = query.to_wire()
        connection.sendall(len(wire).to_bytes(2, "big") + wire)
        soas = 0
        while soas < 2:
            got.append(dns.message.from_wire(read_frame(connection), xfr=True, one_rr_per_rrset=True))
            soas += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in got[-1].answer)
            if got[-1].rcode() != dns.rcode.NOERROR or len(got[-1].answer) == 1 and len(got) == 1:
                break
    return got


def ixfr(serial: int, origin: str = "example.org.") -> dns.message.Message:
    query = dns.message.make_query(origin, "IXFR")
    query.authority.append(dns.rrset.from_text(origin, 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
    return query


def test_axfr_of_a_file(serve):
    """All of the file comes, and nothing else."""
    vigie = serve()
    expected = dns.zone.from_text("\n".join(line for line in zone().splitlines() if not line.startswith("svc")),
                                  origin="example.org.", relativize=False)
    got = transfer(vigie)
    got.delete_node("svc.example.org.")  # dnspython and ldns write its parameters in another form
    for line in contents(expected) - contents(got):
        assert line.startswith(("two.example.org. ", "mixed.example.org.", "Mixed.example.org.")), line
    assert len(contents(got)) == len(contents(expected))
    vigie.wait_for_log(r"\[INFO\] plugin/transfer: Outgoing transfer of \d+ records of zone example.org. to 127.0.0.1 "
                       "for 2017042745 SOA serial$")


def test_dig(serve):
    vigie = serve()
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(vigie.port), "+noall", "+answer", "+onesoa", "example.org",
                           "AXFR"], capture_output=True, text=True, timeout=PATIENCE)
    assert "www.example.org.\t" in done.stdout and "192.0.2.80" in done.stdout, done


def test_many_messages(serve):
    """A zone that takes many, in order, AA set, the question in each, the SOA first and last."""
    count = 6000
    vigie = serve(text=zone("\n".join(f"h{number} A 10.0.{number >> 8}.{number & 255}" for number in range(count))))
    got = messages(vigie, dns.message.make_query("example.org.", "AXFR"))
    assert len(got) > 10
    assert all(message.flags & dns.flags.AA and message.question for message in got)
    answers = [rrset for message in got for rrset in message.answer]
    assert answers[0] == answers[-1] and answers[0].rdtype == dns.rdatatype.SOA
    assert len([rrset for rrset in answers if rrset.name.to_text().startswith("h")]) == count


def test_queries_during_a_transfer_are_answered_behind_it(serve):
    vigie = serve(text=zone("\n".join(f"h{number} A 10.0.0.{number & 255}" for number in range(6000))))
    with connect(vigie) as connection:
        connection.sendall(frame("example.org.", "AXFR", 1))
        numbers = [number_of(read_frame(connection))]
        connection.sendall(frame("www.example.org.", "A", 2))
        while 2 not in numbers:
            numbers.append(number_of(read_frame(connection)))
    assert numbers.index(2) == len(numbers) - 1 and len(numbers) > 10


def test_ixfr(serve):
    vigie = serve()
    for serial in (2017042745, 2017042746, 2017042745 + 2**31 - 1):  # as new, or newer
        got = messages(vigie, ixfr(serial))
        assert len(got) == 1 and [rrset.rdtype for rrset in got[0].answer] == [dns.rdatatype.SOA]
    assert sum(len(message.answer) for message in messages(vigie, ixfr(2017042744))) > 30
    assert messages(vigie, dns.message.make_query("example.org.", "IXFR"))[0].rcode() == dns.rcode.FORMERR
    made = transfer(vigie)
    dns.query.inbound_xfr("127.0.0.1", made, port=vigie.port, timeout=PATIENCE)  # dnspython's own IXFR


def test_refused(serve):
    """To others, by UDP, and of what is no zone here."""
    vigie = serve("transfer {\n\t\tto 127.0.0.2 127.0.0.3:5300\n\t}")
    query = dns.message.make_query("example.org.", "AXFR", use_edns=True)
    reply = messages(vigie, query)[0]
    assert reply.rcode() == dns.rcode.REFUSED
    assert "this client may not have the zone" in str(reply.options[0])
    for address in ("127.0.0.2", "127.0.0.3"):
        assert contents(transfer(vigie, address=address))
    vigie = serve()
    assert vigie.ask("example.org.", "AXFR").rcode() == dns.rcode.REFUSED
    for name in ("www.example.org.", "example.net."):
        assert messages(vigie, dns.message.make_query(name, "AXFR"))[0].rcode() == dns.rcode.REFUSED


def test_only_the_zones_that_are_named(serve):
    vigie = serve("transfer example.net {\n\t\tto *\n\t}")
    assert messages(vigie, dns.message.make_query("example.org.", "AXFR"))[0].rcode() == dns.rcode.REFUSED
    vigie = serve("transfer example.net example.org {\n\t\tto 127.0.0.9\n\t}\n\ttransfer org {\n\t\tto *\n\t}")
    assert messages(vigie, dns.message.make_query("example.org.", "AXFR"))[0].rcode() == dns.rcode.REFUSED


def test_by_tls(tmp_path, start, certificates):  # noqa: F811
    (tmp_path / "db").write_text(zone("\n".join(f"h{number} A 10.0.0.{number & 255}" for number in range(6000))))
    port = free_port()
    start(f"""tls://example.org:{port} example.org:PORT {{
	bind 127.0.0.1
	root {tmp_path}
	file db
	tls {certificates}/server.pem {certificates}/server.key
	transfer {{
		to *
	}}
}}
""")
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    with context(certificates).wrap_socket(plain, server_hostname="dns.example") as connection:
        connection.sendall(frame("example.org.", "AXFR"))
        soas = 0
        while soas < 2:
            message = dns.message.from_wire(read_frame(connection), xfr=True, one_rr_per_rrset=True)
            soas += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in message.answer)


def test_a_slow_reader_gets_no_more_memory_and_is_cut_off(serve):
    text = zone("\n".join(f"h{number} TXT {'x' * 200} {'y' * 200}" for number in range(15000)))
    vigie = serve(text=text, more="timeouts {\n\t\twrite 2s\n\t}")
    assert vigie.ask("www.example.org.").answer
    before = resident(vigie)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", vigie.port))
        slow.sendall(frame("example.org.", "AXFR"))
        vigie.wait_for_log(r"\[WARNING\] plugin/transfer: .* SOA serial broke off")
        assert resident(vigie) - before < 4 << 20
    assert vigie.ask("www.example.org.").answer


def test_transfers_at_a_time(serve):
    """TRANSFERS_MAX clients that do not read, then one more; when one goes there is room again."""
    vigie = serve(text=zone("\n".join(f"h{number} TXT {'x' * 250} {'x' * 250}" for number in range(12000))), more=PATIENT)
    slow = [socket.socket() for _ in range(32)]
    try:
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.settimeout(PATIENCE)
            connection.connect(("127.0.0.1", vigie.port))
            connection.sendall(frame("example.org.", "AXFR"))
            assert connection.recv(2)
        query = dns.message.make_query("example.org.", "AXFR")
        assert messages(vigie, query)[0].rcode() == dns.rcode.REFUSED
        slow.pop().close()
        wait_for(lambda: transfer_begins(vigie), "room for another transfer")
    finally:
        for connection in slow:
            connection.close()


def transfer_begins(vigie: Vigie) -> bool:
    with connect(vigie) as connection:
        connection.sendall(frame("example.org.", "AXFR"))
        return dns.message.from_wire(read_frame(connection), xfr=True).rcode() == dns.rcode.NOERROR


def test_one_state_of_the_zone(serve, tmp_path):
    """A transfer that goes on while the zone is replaced gives all of the old one."""
    hosts = "\n".join(f"h{number} TXT {'x' * 250} {'x' * 250} {'x' * 250}" for number in range(8000))
    vigie = serve(text=zone(hosts), more=PATIENT)
    with connect(vigie) as connection:  # more than the buffers of both sides hold
        connection.sendall(frame("example.org.", "AXFR"))
        got = [read_frame(connection)]
        replace(tmp_path / "db", zone(hosts.replace("x", "y"), serial=2017042746))
        vigie.wait_for_log("Successfully reloaded")
        while struct.pack("!I", 2017042745) not in got[-1][-20:]:  # the serial in the SOA at the end
            got.append(read_frame(connection))
    assert sum(wire.count(b"x" * 250) for wire in got) == 24000
    assert not any(b"y" * 250 in wire for wire in got)


def test_a_transfer_outlives_its_configuration(serve, tmp_path):
    """The configuration is replaced, and what it held freed, while a client reads on."""
    vigie = serve(text=zone("\n".join(f"h{number} TXT {'x' * 250} {'x' * 250} {'x' * 250}" for number in range(8000))),
                  more=PATIENT)
    with connect(vigie) as connection:
        connection.sendall(frame("example.org.", "AXFR"))
        got = [read_frame(connection)]
        for corefile in (vigie.corefile.read_text().replace("transfer {", "errors\n\ttransfer {"),
                         f"example.net:{vigie.port} {{\n\tbind 127.0.0.1\n\tforward . 127.0.0.1:1\n\t{PATIENT}\n}}\n"):
            complete = vigie.log().count("Reloading complete")
            vigie.corefile.write_text(corefile)
            vigie.process.send_signal(signal.SIGUSR1)
            vigie.wait_for_log("Reloading complete", complete + 1)
        while struct.pack("!I", 2017042745) not in got[-1][-20:]:
            got.append(read_frame(connection))
    assert sum(wire.count(b"x" * 250) for wire in got) == 24000
    assert vigie.ask("www.example.org.").rcode() == dns.rcode.REFUSED


@pytest.fixture
def cluster(start, snapshot):
    return start(f"""cluster.local:PORT in-addr.arpa:PORT {{
	bind 127.0.0.1
	kubernetes cluster.local in-addr.arpa {{
		snapshot {snapshot}
	}}
	transfer {{
		to *
	}}
}}
""")


def test_axfr_of_the_cluster(cluster):
    """What comes is what queries get."""
    made = transfer(cluster, "cluster.local.")
    kinds = set()
    endpoints = 0
    for name, rdataset in made.iterate_rdatasets():
        if name.is_subdomain(dns.name.from_text(f"five-thousand.{SVC}")):
            endpoints += 1
            if endpoints > 30:
                continue  # the others are alike
        kinds.add(dns.rdatatype.to_text(rdataset.rdtype))
        asked = cluster.ask(name.to_text(), dns.rdatatype.to_text(rdataset.rdtype), tcp=True)
        assert asked.answer and asked.answer[0].name == name, name
        if asked.flags & dns.flags.TC:  # more than an answer holds, but not more than a zone
            assert set(map(str, asked.answer[0])) < set(map(str, rdataset)), name
        else:
            assert set(map(str, asked.answer[0])) == set(map(str, rdataset)), name
        assert asked.answer[0].ttl == rdataset.ttl
    assert kinds >= {"SOA", "NS", "A", "AAAA", "SRV", "CNAME", "TXT"}
    assert made.get_rdataset(WEB, "A") and made.get_rdataset(f"_http._tcp.{WEB}", "SRV")
    # A headless service is larger than a message may be.
    assert len(made.get_rdataset(f"five-thousand.{SVC}", "A")) == 5000


def test_ixfr_of_the_cluster(cluster):
    serial = cluster.ask("cluster.local.", "SOA").answer[0][0].serial
    assert len(messages(cluster, ixfr(serial, "cluster.local."))[0].answer) == 1
    assert len(messages(cluster, ixfr(serial - 1, "cluster.local."))) > 1


def test_reverse_zones_of_the_cluster_are_not_transferred(cluster):
    assert messages(cluster, dns.message.make_query("in-addr.arpa.", "AXFR"))[0].rcode() == dns.rcode.REFUSED


class Secondary:
    """Hears NOTIFY by UDP and answers as told."""

    def __init__(self, rcode: int = dns.rcode.NOERROR, deaf: int = 0):
        self.heard: list[tuple[dns.message.Message, str]] = []
        self.rcode, self.deaf = rcode, deaf
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                wire, sender = self.socket.recvfrom(512)
            except OSError:
                return
            query = dns.message.from_wire(wire)
            self.heard.append((query, sender[0]))
            if len(self.heard) > self.deaf:
                reply = dns.message.make_response(query)
                reply.set_rcode(self.rcode)
                self.socket.sendto(reply.to_wire(), sender)


def test_notify(serve, tmp_path):
    """At the start and with each new zone, to the addresses that are named, from the one that is named."""
    secondary = Secondary()
    vigie = serve(f"transfer {{\n\t\tto * 127.0.0.1:{secondary.port}\n\t\tsource 127.0.0.7\n\t}}")
    wait_for(lambda: len(secondary.heard) == 1, "the first notify")
    query, sender = secondary.heard[0]
    assert query.opcode() == dns.opcode.NOTIFY and query.flags & dns.flags.AA
    assert records(query.question) == [] and query.question[0].to_text() == "example.org. IN SOA"
    assert sender == "127.0.0.7"
    replace(tmp_path / "db", zone(serial=2017042746))
    wait_for(lambda: len(secondary.heard) == 2, "the second notify")
    time.sleep(0.5)
    assert len(secondary.heard) == 2 and "not accepted" not in vigie.log()


def test_notify_again_until_it_is_heard(serve):
    secondary = Secondary(deaf=1)
    serve(f"transfer {{\n\t\tto 127.0.0.1:{secondary.port}\n\t}}")
    wait_for(lambda: len(secondary.heard) == 2, "the second try")
    refusing = Secondary(rcode=dns.rcode.REFUSED)
    vigie = serve(f"transfer {{\n\t\tto 127.0.0.1:{refusing.port}\n\t}}")
    vigie.wait_for_log(rf'\[WARNING\] plugin/transfer: Notify for zone "example.org." was not accepted by '
                       rf"127.0.0.1:{refusing.port}: it refused")


@pytest.mark.parametrize("lines, complaint", [
    ("transfer", "Corefile:2: 'transfer' needs 'to': the addresses that may have the zone, or *"),
    ("transfer {\n to\n}", "Corefile:3: 'to' needs at least 1 argument, not 0"),
    ("transfer {\n to dns.example\n}", "Corefile:3: 'dns.example' is no IP address, nor one with a port"),
    ("transfer {\n to 10.0.0.1:0\n}", "Corefile:3: '10.0.0.1:0' is no IP address"),
    ("transfer {\n to [fd00::1\n}", r"Corefile:3: '\[fd00::1' is no IP address"),
    ("transfer {\n to *\n source\n}", "Corefile:4: 'source' needs 1 argument, not 0"),
    ("transfer {\n to *\n source 10.0.0.1:53\n}", "Corefile:4: '10.0.0.1:53': 'source' takes no port"),
    ("transfer {\n to *\n source 10.0.0.1\n source 10.0.0.2\n}", "Corefile:5: 'source' stands here already"),
    ("transfer a..b {\n to *\n}", "Corefile:2: 'a..b' is not a zone"),
    ("transfer {\n to *\n wrong\n}", "Corefile:4: unknown option 'wrong' of 'transfer'"),
])
def test_mistakes(tmp_path, lines, complaint):
    log = refused_configuration(tmp_path, f".:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint, log), log
