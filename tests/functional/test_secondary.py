"""The `secondary` directive: zones from a primary, kept up to date by timers and NOTIFY, and primaries that do what they
should not."""
import re
import socket
import struct
import threading
import time

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from test_file import replace, zone
from vigie_process import PATIENCE, Vigie, free_port, read_frame, records, refused_configuration, reload, wait_for

ORIGIN = "example.org."


def small(serial: int, extra: str = "", refresh: int = 3600, retry: int = 3600, expire: int = 7200) -> str:
    return (f"$TTL 300\n@ SOA ns host {serial} {refresh} {retry} {expire} 60\n@ NS ns\nns A 192.0.2.1\n"
            f"serial TXT {serial}\n{extra}\n")


@pytest.fixture
def primary(start, tmp_path):
    """A function that starts a vigie that gives a zone away, and notifies the port."""
    def make(text: str, to: str = "*") -> Vigie:
        (tmp_path / "db").write_text(text)
        return start(f"""example.org:PORT {{
	bind 127.0.0.1
	file {tmp_path}/db {{
		reload 100ms
	}}
	transfer {{
		to * {to}
	}}
}}
""")
    return make


@pytest.fixture
def secondary(start):
    def make(*primaries: str, options: str = "", more: str = "") -> Vigie:
        return start(f"""example.org:PORT {{
	bind 127.0.0.1
	secondary {{
		transfer from {" ".join(primaries)}
		{options}
	}}
	{more}
}}
""")
    return make


def serial(vigie: Vigie) -> int | str:
    reply = vigie.ask(ORIGIN, "SOA")
    return reply.answer[0][0].serial if reply.answer else dns.rcode.to_text(reply.rcode())


def wait_for_serial(vigie: Vigie, number: int) -> None:
    wait_for(lambda: serial(vigie) == number, f"serial {number}\n{vigie.log()}")


def notify(vigie: Vigie, origin: str = ORIGIN, source: str = "127.0.0.1", tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(origin, "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    where = {"where": "127.0.0.1", "port": vigie.port, "timeout": PATIENCE, "source": source}
    return dns.query.tcp(query, **where) if tcp else dns.query.udp(query, **where, ignore_unexpected=True)


def test_the_zone_comes(primary, secondary):
    first = primary(zone())
    second = secondary(f"127.0.0.1:{first.port}")
    wait_for_serial(second, 2017042745)
    for name, rdtype in (("www", "A"), ("any.wild", "TXT"), ("far", "A"), ("mail", "MX"), ("child", "A"), ("svc", "HTTPS"),
                         ("missing", "A"), ("unknown", "TYPE65280"), ("_sip._tcp", "SRV")):
        replies = [vigie.ask(f"{name}.{ORIGIN}", rdtype) for vigie in (first, second)]
        assert replies[0].rcode() == replies[1].rcode()
        for section in ("answer", "authority", "additional"):
            assert records(getattr(replies[0], section)) == records(getattr(replies[1], section)), name
    second.wait_for_log(rf"\[INFO\] plugin/secondary: Transferred: example.org. from 127.0.0.1:{first.port} with "
                        r"2017042745 SOA serial")


def test_a_large_zone(primary, secondary):
    first = primary(small(1, "\n".join(f"h{number} A 10.0.{number >> 8}.{number & 255}" for number in range(20000))))
    second = secondary(f"127.0.0.1:{first.port}")
    wait_for_serial(second, 1)
    assert records(second.ask(f"h19999.{ORIGIN}").answer) == [f"h19999.{ORIGIN} A 10.0.78.31"]


def test_servfail_until_it_comes(secondary, primary):
    second = secondary("127.0.0.1:1")
    assert serial(second) == "SERVFAIL"
    second.wait_for_log(r"\[ERROR\] plugin/secondary: Failed to transfer \"example.org.\" from 127.0.0.1:1: connection refused")


def test_the_next_primary(primary, secondary):
    """One that cannot be reached, one that refuses, one that has it."""
    first = primary(small(1))
    refusing = Primary(lambda query: [error(query, "REFUSED")])
    second = secondary("127.0.0.1:1", f"127.0.0.1:{refusing.port}", f"127.0.0.1:{first.port}")
    wait_for_serial(second, 1)
    second.wait_for_log(f"from 127.0.0.1:{refusing.port}: the primary answers REFUSED")


def test_notify(primary, secondary, tmp_path):
    """Only what a primary says counts, by UDP and TCP."""
    first = primary(small(1))
    second = secondary(f"127.0.0.1:{first.port}")
    wait_for_serial(second, 1)
    for number, tcp in ((2, False), (3, True)):
        replace(tmp_path / "db", small(number))
        wait_for_serial(first, number)
        time.sleep(0.3)
        assert serial(second) == number - 1
        reply = notify(second, tcp=tcp)
        assert reply.rcode() == dns.rcode.NOERROR and reply.flags & dns.flags.AA
        assert reply.opcode() == dns.opcode.NOTIFY
        wait_for_serial(second, number)
    assert notify(second, source="127.0.0.2").rcode() == dns.rcode.REFUSED
    assert notify(second, "example.net.").rcode() == dns.rcode.REFUSED
    assert notify(second, "www.example.org.").rcode() == dns.rcode.REFUSED


def test_notify_without_a_secondary(primary):
    assert notify(primary(small(1))).rcode() == dns.rcode.NOTIMP


def test_a_chain(primary, secondary, start, tmp_path):
    """Primary, secondary, and a secondary of that: NOTIFY passes a change on."""
    ports = [free_port(), free_port()]
    first = primary(small(1), f"127.0.0.1:{ports[1]}")

    def make(port: int, source: int, to: str) -> Vigie:
        return start(f"""example.org:PORT {{
	bind 127.0.0.1
	secondary {{
		transfer from 127.0.0.1:{source}
	}}
	transfer {{
		to * {to}
	}}
}}
""", port=port)
    middle = make(ports[1], first.port, f"127.0.0.1:{ports[0]}")
    wait_for_serial(middle, 1)
    last = make(ports[0], middle.port, "")
    wait_for_serial(last, 1)
    replace(tmp_path / "db", small(2))
    for vigie in (middle, last):
        wait_for_serial(vigie, 2)


def test_refresh(primary, secondary, tmp_path):
    first = primary(small(1, refresh=1))
    second = secondary(f"127.0.0.1:{first.port}")
    wait_for_serial(second, 1)
    replace(tmp_path / "db", small(2, refresh=1))
    wait_for_serial(second, 2)


def test_retry_and_expire(primary, secondary):
    """Without its primary a zone is served until it expires; then it is SERVFAIL, until the primary is back."""
    serving = True
    source = Primary(lambda query: zone_of(query, 1, refresh=1, retry=1, expire=4) if serving else None)
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 1)
    serving = False
    asked = len(source.asked)
    wait_for(lambda: len(source.asked) > asked + 1, "a retry")
    wait_for(lambda: serial(second) == "SERVFAIL", f"the end of the zone\n{second.log()}")
    second.wait_for_log(r'\[ERROR\] plugin/secondary: Zone "example.org." has expired: no primary was reached')
    reply = second.exchange(dns.message.make_query(ORIGIN, "SOA", use_edns=True))
    assert "the zone has expired" in str(reply.options[0])
    serving = True
    wait_for_serial(second, 1)


def test_fallthrough(primary, secondary, upstream):
    from scripted_upstream import Reply
    upstream.answers[f"missing.{ORIGIN}", "A"] = Reply(f"missing.{ORIGIN} 60 IN A 192.0.2.101")
    first = primary(small(1))
    second = secondary(f"127.0.0.1:{first.port}", options="fallthrough", more=f"forward . {upstream.text}")
    wait_for_serial(second, 1)
    assert records(second.ask(f"missing.{ORIGIN}").answer) == [f"missing.{ORIGIN} A 192.0.2.101"]
    assert second.ask(f"ns.{ORIGIN}", "TXT").rcode() == dns.rcode.NOERROR


class Primary:
    """A primary that does as it is told: `answer` makes the messages for a query; None: the connection ends."""

    def __init__(self, answer):
        self.answer = answer
        self.asked: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    query = dns.message.from_wire(read_frame(connection))
                    self.asked.append(dns.rdatatype.to_text(query.question[0].rdtype))
                    messages = self.answer(query)
                    if messages is None:
                        return
                    for message in messages:
                        wire = message if isinstance(message, bytes) else message.to_wire()
                        connection.sendall(struct.pack("!H", len(wire)) + wire)
            except (EOFError, OSError):
                pass


def error(query: dns.message.Message, rcode: str) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.from_text(rcode))
    return reply


def reply_of(query: dns.message.Message, *lines: str) -> dns.message.Message:
    """A message with these records, in this order, one RRset each."""
    reply = dns.message.make_response(query)
    for line in lines:
        name, ttl, rdclass, rdtype, rdata = line.split(" ", 4)
        reply.answer.append(dns.rrset.from_text(name, int(ttl), rdclass, rdtype, rdata))
    return reply


def soa(number: int, refresh: int = 3600, retry: int = 3600, expire: int = 7200) -> str:
    return f"{ORIGIN} 60 IN SOA ns.{ORIGIN} host.{ORIGIN} {number} {refresh} {retry} {expire} 60"


A = f"www.{ORIGIN} 60 IN A 192.0.2.1"


def zone_of(query: dns.message.Message, number: int, **times) -> list[dns.message.Message]:
    if query.question[0].rdtype == dns.rdatatype.SOA:
        return [reply_of(query, soa(number, **times))]
    return [reply_of(query, soa(number, **times), A), reply_of(query, soa(number, **times))]


def other_id(query: dns.message.Message) -> list[dns.message.Message]:
    message = reply_of(query, soa(1), A, soa(1))
    message.id = (query.id + 1) & 0xffff
    return [message]


def truncated(query: dns.message.Message) -> list[dns.message.Message]:
    message = reply_of(query, soa(1), A, soa(1))
    message.flags |= dns.flags.TC
    return [message]


@pytest.mark.parametrize("answer, complaint", [
    (lambda query: None, "it closed the connection"),
    (lambda query: [b"short"], "a message is too short"),
    (other_id, "a message is not an answer to the question"),
    (lambda query: [query.to_wire()], "a message is not an answer to the question"),
    (truncated, "a message is truncated"),
    (lambda query: [error(query, "NOTAUTH")], "the primary answers NOTAUTH"),
    (lambda query: [reply_of(query)], "the primary's answer is empty"),
    (lambda query: [reply_of(query, A, soa(1))], "the transfer does not begin with the SOA"),
    (lambda query: [reply_of(query, soa(1), A), reply_of(query, soa(2))], "the zone changed during the transfer"),
    (lambda query: [reply_of(query, soa(1), A, soa(1), A)], "there are records behind the last SOA"),
    (lambda query: [reply_of(query, soa(1), f"www.{ORIGIN} 60 CH TXT x", soa(1))], "a record is not of class IN"),
    (lambda query: [reply_of(query, soa(1), A).to_wire()[:-3]], "a record is malformed"),
    (lambda query: [reply_of(query, soa(1), f"{ORIGIN} 60 IN NSEC3PARAM 1 0 0 -", soa(1))], "NSEC3, which is not supported"),
])
def test_bad_transfers(secondary, answer, complaint):
    """Each is said, nothing is served, and a good transfer is taken afterwards."""
    good = False
    source = Primary(lambda query: zone_of(query, 7) if good else answer(query))
    second = secondary(f"127.0.0.1:{source.port}")
    second.wait_for_log(rf'\[ERROR\] plugin/secondary: Failed to transfer "example.org." from .*: .*{complaint}')
    assert serial(second) == "SERVFAIL"
    good = True
    notify(second)
    wait_for_serial(second, 7)


def test_a_bad_transfer_leaves_the_zone(secondary):
    good = True

    def answer(query):
        if good:
            return zone_of(query, 1)
        if query.question[0].rdtype == dns.rdatatype.SOA:
            return [reply_of(query, soa(2))]
        return [reply_of(query, soa(2), A)]  # and no end

    source = Primary(lambda query: answer(query))
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 1)
    good = False
    notify(second)
    wait_for(lambda: source.asked[-1] == "AXFR" and len(source.asked) > 2, "the second transfer")
    assert serial(second) == 1
    second.wait_for_log("no answer in time")
    assert serial(second) == 1


def test_records_outside_of_the_zone_are_left_out(secondary):
    source = Primary(lambda query: [reply_of(query, soa(1), A, "www.example.net. 60 IN A 192.0.2.66", soa(1))])
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 1)
    assert records(second.ask(f"www.{ORIGIN}").answer) == [f"www.{ORIGIN} A 192.0.2.1"]


def test_an_older_zone_is_not_taken(secondary):
    number = 5
    source = Primary(lambda query: zone_of(query, number))
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 5)
    number = 4
    notify(second)
    wait_for(lambda: source.asked[-1] == "SOA", "the question for the serial")
    time.sleep(0.3)
    assert serial(second) == 5 and source.asked == ["AXFR", "SOA"]


def test_a_reload_keeps_the_zone(secondary):
    """It is served at once, while the primary says nothing, and taken anew when it says that it has a newer one."""
    number, talks = 1, threading.Event()
    talks.set()

    def answer(query):
        talks.wait(PATIENCE)
        return zone_of(query, number)

    source, other = Primary(answer), Primary(answer)
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 1)
    text = second.corefile.read_text()
    talks.clear()
    for more in ("nsid", "chaos"):  # what was taken over is passed on
        source.asked.clear()
        reload(second, text.replace("secondary", f"{more}\n\tsecondary"))
        assert serial(second) == 1
        wait_for(lambda: source.asked == ["SOA"], "the question for the serial")
    number = 2
    talks.set()
    wait_for_serial(second, 2)
    talks.clear()
    reload(second, text.replace(str(source.port), str(other.port)))
    assert serial(second) == "SERVFAIL"  # another primary's zone may be another one
    talks.set()
    wait_for_serial(second, 2)
    assert other.asked == ["AXFR"]


def test_a_zone_expires_over_a_reload(secondary):
    serving = True
    source = Primary(lambda query: zone_of(query, 1, retry=1, expire=3) if serving else None)
    second = secondary(f"127.0.0.1:{source.port}")
    wait_for_serial(second, 1)
    serving = False
    text = second.corefile.read_text()
    reload(second, text.replace("secondary", "nsid\n\tsecondary"))
    wait_for_serial(second, "SERVFAIL")
    second.wait_for_log('Zone "example.org." has expired')
    reload(second, text)
    assert serial(second) == "SERVFAIL"
    reply = second.exchange(dns.message.make_query(ORIGIN, "SOA", use_edns=True))
    assert "the zone has expired" in str(reply.options[0])
    serving = True
    wait_for_serial(second, 1)


@pytest.mark.parametrize("lines, complaint", [
    ("secondary", "Corefile:2: 'secondary' needs 'transfer from ADDRESS': the primary server"),
    ("secondary {\n transfer\n}", "Corefile:3: 'transfer' needs at least 2 arguments, not 0"),
    ("secondary {\n transfer to 10.0.0.1\n}", "Corefile:3: 'transfer' goes on with from, not 'to'"),
    ("secondary {\n transfer from dns.example\n}", "Corefile:3: 'dns.example' is no IP address"),
    ("secondary a..b {\n transfer from 10.0.0.1\n}", "Corefile:2: 'a..b' is not a zone"),
    ("secondary {\n transfer from 10.0.0.1\n catalog a..b\n}", "Corefile:4: 'a..b' is not a zone"),
    ("secondary {\n transfer from 10.0.0.1\n wrong\n}", "Corefile:4: unknown option 'wrong' of 'secondary'"),
    ("secondary {\n transfer from 10.0.0.1\n}\n secondary {\n transfer from 10.0.0.1\n}",
     "Corefile:5: 'secondary': zone 'example.org.' stands in this block already"),
])
def test_mistakes(tmp_path, lines, complaint):
    log = refused_configuration(tmp_path, f"example.org:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint, log), log
