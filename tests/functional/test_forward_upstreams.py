"""`forward` and upstreams that misbehave, by real packets: what clients see, and what upstreams get."""
import collections
import contextlib
import re
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import PATIENCE, addresses, free_port, reload, wait_for

NAME = "www.example.com."
GOOD = Reply(f"{NAME} 60 IN A 192.0.2.80")


def good(name: str, **fields) -> Reply:
    return Reply(f"{name} 60 IN A 192.0.2.80", **fields)


@pytest.fixture
def serve(start):
    def with_upstreams(*upstreams: str | Upstream, options: str = "", more: str = ""):
        to = " ".join(each if isinstance(each, str) else each.text for each in upstreams)
        return start(f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tforward . {to} {{\n\t\t{options}\n\t}}\n\t{more}\n}}\n")
    return with_upstreams


@pytest.fixture
def upstreams():
    with Upstream() as first, Upstream() as second:
        yield first, second


def ask_all(vigie, queries: list[bytes], clients: int) -> list[bytes]:
    """Sends all as fast as they are read, from as many client addresses, and waits for all replies."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for number in range(clients):
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            client.bind((f"127.0.1.{number + 1}", 0))
            client.connect((vigie.address, vigie.port))
            client.settimeout(PATIENCE)
            sockets.append(client)
        for number, query in enumerate(queries):
            sockets[number % clients].send(query)
            if number % 50 == 49:  # what a socket holds is little where net.core.rmem_max is
                wait_for(lambda: vigie.unread() == 0, "queries to be read")
        return [sockets[number % clients].recv(4096) for number in range(len(queries))]


@pytest.mark.parametrize("count", [1000, 10000])
def test_identical_questions_are_one(serve, upstream, count):
    """Whatever worker, case, cookie or client subnet; DO makes two."""
    delay = 1  # seconds: less than a client waits
    upstream.answers[NAME, "A"] = good(NAME, delay=delay)
    vigie = serve(upstream, options="max_connect_attempts 1", more="workers 4")  # a retry would be a second packet
    queries = []
    for number in range(count):
        name = "".join(letter.upper() if number >> index % 12 & 1 else letter for index, letter in enumerate(NAME))
        options = [dns.edns.GenericOption(10, number.to_bytes(8, "big"))] if number % 2 else [dns.edns.ECSOption(f"10.0.{number % 256}.0", 24)]
        queries.append(dns.message.make_query(name, "A", id=number, use_edns=0, options=options, want_dnssec=number % 5 == 0).to_wire())
    began = time.monotonic()
    replies = ask_all(vigie, queries, 100)
    rounds = max(1, int((time.monotonic() - began) / delay))  # those who come when an answer has gone out begin another one
    assert sorted(int.from_bytes(reply[:2], "big") for reply in replies) == list(range(count))
    assert all(dns.message.from_wire(reply).answer for reply in replies[::97])
    assert set(upstream.asked(NAME)) == {"udp"} and 2 <= len(upstream.asked(NAME)) <= 2 * rounds


def test_one_client_cannot_take_all_places(serve, upstream):
    """1,000 questions of an address wait at most; others have room."""
    upstream.default = Reply(drop=True)
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(upstream, options="max_fails 0")
    with contextlib.ExitStack() as stack:
        greedy = stack.enter_context(vigie.udp_socket())
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for number in range(1200):
            greedy.send(dns.message.make_query(f"{number}.slow.example.", "A", id=number, use_edns=0).to_wire())
            if number % 50 == 49:
                wait_for(lambda: vigie.unread() == 0, "queries to be read")
        refused = 0
        while refused < 100:
            reply = dns.message.from_wire(greedy.recv(4096))
            assert reply.rcode() == dns.rcode.SERVFAIL
            refused += any("too many questions of this client" in option.text for option in reply.options)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.1.77", 0))
            other.connect((vigie.address, vigie.port))
            other.settimeout(PATIENCE)
            other.send(dns.message.make_query(NAME, "A").to_wire())
            assert addresses(dns.message.from_wire(other.recv(512))) == ["192.0.2.80"]


def test_a_client_gets_one_answer_in_time_and_no_late_one(serve, upstream):
    """SERVFAIL before 2 s; the reply that comes later is for those who ask again (CVE-2024-33655)."""
    upstream.answers[NAME, "A"] = good(NAME, delay=3)
    vigie = serve(upstream)
    with vigie.udp_socket() as client:
        client.send(dns.message.make_query(NAME, "A", id=1).to_wire())
        assert dns.message.from_wire(client.recv(512)).rcode() == dns.rcode.SERVFAIL
        client.send(dns.message.make_query(NAME, "A", id=2).to_wire())
        again = dns.message.from_wire(client.recv(512))
        assert again.id == 2 and addresses(again) == ["192.0.2.80"]
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(512)


def test_an_upstream_that_stops_and_comes_back(serve, upstream):
    """It gets a probe a second and nothing else; with its first reply all is well again."""
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(upstream)
    assert vigie.ask(NAME).answer
    upstream.answers[NAME, "A"] = upstream.default = Reply(drop=True)
    for number in range(100):
        vigie.ask(f"{number}.example.com.")
        if "does not answer" in vigie.log():
            break
    vigie.wait_for_log("upstream .* does not answer: it is probed until it does")
    upstream.log.clear()
    began = time.monotonic()
    reply = vigie.ask(NAME, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and "being probed" in str(reply.options[0])
    while time.monotonic() - began < 4:
        assert vigie.ask(NAME).rcode() == dns.rcode.SERVFAIL
        time.sleep(0.01)
    probes = [name for _, name, _, _ in upstream.log]
    assert set(probes) == {"."} and len(probes) <= time.monotonic() - began + 1.5
    upstream.answers[NAME, "A"], upstream.default = GOOD, Reply(rcode="REFUSED")  # any reply will do
    vigie.wait_until(lambda: vigie.ask(NAME).answer, "a fresh answer")
    vigie.wait_for_log("upstream .* answers again")


def test_a_reload_leaves_what_is_known_of_upstreams(serve, upstreams):
    """One that is given up gets probes only, from then on by the new configuration, until it answers."""
    gone, fast = upstreams
    fast.answers[NAME, "A"] = GOOD
    http = free_port()
    vigie = serve(gone, options="policy sequential", more=f"prometheus 127.0.0.1:{http}")
    gone.answers[NAME, "A"] = GOOD
    assert vigie.ask(NAME).answer
    gone.answers[NAME, "A"] = gone.default = Reply(drop=True)
    vigie.wait_until(lambda: vigie.ask(NAME) and "does not answer" in vigie.log(), "the breaker to open")
    before = Page(f"127.0.0.1:{http}")
    srtt = "vigie_forward_rtt_seconds"
    assert before.value(srtt, to=gone.text) > 0
    gone.log.clear()
    text = vigie.corefile.read_text()
    reload(vigie, text.replace("policy sequential", "max_concurrent 100"))
    assert "being probed" in str(vigie.ask(NAME, size=1232).options[0])
    after = Page(f"127.0.0.1:{http}")
    assert after.value(srtt, to=gone.text) == before.value(srtt, to=gone.text)
    assert after.value("vigie_forward_queries_total", to=gone.text) >= before.value("vigie_forward_queries_total", to=gone.text)
    reload(vigie, text.replace(f"forward . {gone.text}", f"forward . {gone.text} {fast.text}"))
    for _ in range(50):
        assert vigie.ask(NAME).answer
    wait_for(lambda: len(gone.log) > 2, "probes of the new configuration")
    assert {name for _, name, _, _ in gone.log} == {"."}
    gone.answers[NAME, "A"], gone.default = GOOD, Reply(rcode="REFUSED")
    vigie.wait_for_log(f"upstream {gone.text} answers again")


def test_health_check_options(serve, upstream):
    upstream.default = Reply(drop=True)
    vigie = serve(upstream, options="health_check 100ms no_rec domain probe.example\n\t\tmax_fails 1")
    vigie.wait_until(lambda: vigie.ask(NAME) and len(upstream.asked("probe.example.", "NS")) > 5, "probes")
    assert not any(query.flags & dns.flags.RD for _, name, _, query in upstream.log if name == "probe.example.")


def test_tc_on_every_reply(serve, upstream):
    """Everything is answered, by one connection with many queries at once."""
    upstream.default = Reply("big.example. 60 IN TXT x", truncated=True)
    vigie = serve(upstream, more="workers 1")
    names = [f"{number}.big.example." for number in range(1000)]
    for name in names:
        upstream.answers[name, "A"] = good(name, truncated=True, delay=0.3)
    for begin in range(0, 1000, 100):
        queries = [dns.message.make_query(name, "A", id=number).to_wire() for number, name in enumerate(names[begin:begin + 100])]
        for reply in map(dns.message.from_wire, ask_all(vigie, queries, 4)):
            assert addresses(reply) == ["192.0.2.80"] and not reply.flags & dns.flags.TC
    assert upstream.connections["tcp"] <= 1 + 2  # age recycles them on a slow machine
    assert upstream.deepest >= 64


@pytest.mark.parametrize("fault", [dict(reset=True), dict(drop=True)], ids=["RST", "FIN"])
def test_a_connection_that_ends_is_made_anew(serve, upstream, fault):
    """Servers close connections when they like: the query is asked again on another one."""
    upstream.answers["first.example.", "A"] = good("first.example.")
    upstream.answers[NAME, "A"] = [Reply(**fault), GOOD]
    vigie = serve(upstream, options="force_tcp\n\t\tmax_connect_attempts 2", more="workers 1")
    assert vigie.ask("first.example.").answer
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert upstream.asked(NAME) == ["tcp", "tcp"] and upstream.connections["tcp"] > 1


def test_an_answer_that_drips(serve, upstream):
    upstream.answers[NAME, "A"] = good(NAME, drip=0.01)
    assert addresses(serve(upstream, options="force_tcp").ask(NAME, tcp=True)) == ["192.0.2.80"]


@pytest.mark.parametrize("fault", [dict(wrong_id=True), dict(wrong_question=True), dict(copies=3), dict(raw=b"\x81\x80" + bytes(8))],
                         ids=["another id", "another question", "three times", "no question"])
def test_faults_by_tcp(serve, upstreams, fault):
    """The connection is not trusted any more; the other upstream answers."""
    first, second = upstreams
    first.answers[NAME, "A"] = good(NAME, **fault)
    second.answers[NAME, "A"] = GOOD
    vigie = serve(first, second, options="force_tcp\n\t\tpolicy sequential")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


@pytest.mark.parametrize("fault", [dict(wrong_port=True), dict(wrong_question=True), dict(drop=True)],
                         ids=["another port", "another question", "silence"])
def test_faults_by_udp(serve, upstreams, fault):
    first, second = upstreams
    first.answers[NAME, "A"] = good(NAME, **fault)
    second.answers[NAME, "A"] = GOOD
    vigie = serve(first, second, options="policy sequential")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert second.asked(NAME) == ["udp"]


def test_spurious_datagrams_end_nothing(serve, upstream):
    """Thirty kinds of what is no reply, each before the genuine one (TuDoor, CVE-2023-28452); counted by reason."""
    genuine = dns.message.make_response(dns.message.make_query(NAME, "A")).to_wire()[2:]
    kinds = [b"", b"I", b"ID", b"ID" + bytes(10), b"ID\x01\x00" + genuine[2:], b"ID\x91\x80" + genuine[2:], b"\x00\x00" + genuine,
             b"ID" + genuine + b"\x00", b"ID" + genuine[:4] + b"\x00\x01" + genuine[6:]]
    kinds += [b"ID" + genuine[:length] for length in range(0, len(genuine), 2)]
    for number, kind in enumerate(kinds):
        upstream.answers[f"{number}.tudoor.example.", "A"] = good(f"{number}.tudoor.example.", before=(kind,))
    upstream.answers["all.tudoor.example.", "A"] = good("all.tudoor.example.", before=tuple(kinds))
    vigie = serve(upstream)
    for name in [*(f"{number}.tudoor.example." for number in range(len(kinds))), "all.tudoor.example."]:
        assert addresses(vigie.ask(name)) == ["192.0.2.80"], name
    assert len(kinds) > 20


def test_an_upstream_in_lower_case(serve, upstream):
    """0x20 is given up where it does not work."""
    upstream.default = Reply(lower=True, rcode="NXDOMAIN")
    upstream.answers[NAME, "A"] = good(NAME, lower=True)
    vigie = serve(upstream, more="workers 1")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    upstream.log.clear()
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    [(transport, _, _, query)] = upstream.log
    assert transport == "udp" and query.question[0].name.to_text() == NAME


@pytest.mark.parametrize("no_question", [False, True])
def test_an_upstream_without_edns(serve, upstream, no_question):
    upstream.default = Reply(no_edns=True, no_question=no_question)
    upstream.answers[NAME, "A"] = good(NAME, no_edns=True, no_question=no_question)
    vigie = serve(upstream, more="workers 1")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


def test_letters_are_mixed_and_the_answer_is_the_clients(serve, upstream):
    upstream.default = Reply()
    vigie = serve(upstream)
    seen = set()
    for _ in range(8):
        reply = vigie.ask("a-long-name-with-many-letters.example.com.")
        assert reply.question[0].name.to_text() == "a-long-name-with-many-letters.example.com."
        seen.add(upstream.log[-1][3].question[0].name.to_text())
    assert len(seen) > 6


def test_a_server_that_asks_itself(serve):
    """The question waits for itself: a few packets, and SERVFAIL."""
    port, http = free_port(), free_port()
    vigie = serve(f"127.0.0.1:{port}", more=f"workers 2\n\tprometheus 127.0.0.1:{http}")
    vigie.stop()
    vigie.port = port
    vigie.corefile.write_text(vigie.corefile.read_text().replace(vigie.corefile.read_text().split()[0], f".:{port}"))
    vigie.start()
    assert vigie.ask(NAME).rcode() == dns.rcode.SERVFAIL
    assert 0 < Page(f"127.0.0.1:{http}").value("vigie_forward_queries_total", to=f"127.0.0.1:{port}") <= 12


def test_the_longest_zone_is_asked(start, upstreams):
    """Whatever the order in the file: names of a stub domain never reach the upstream of `.`, not even with
    the stub's own upstream down; those that it excepts do."""
    first, second = upstreams
    first.default = second.default = Reply(rcode="NXDOMAIN")
    second.answers["www.stub.example.", "A"] = good("www.stub.example.")
    second.answers["dead.stub.example.", "A"] = Reply(drop=True)
    for name in ("not.stub.example.", NAME):
        first.answers[name, "A"] = good(name)
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	forward . {first.text}
	forward stub.example {second.text} {{
		except not.stub.example
		max_fails 0
	}}
	forward deep.stub.example {first.text}
}}
""")
    assert addresses(vigie.ask("www.stub.example.")) == ["192.0.2.80"]
    assert vigie.ask("dead.stub.example.").rcode() == dns.rcode.SERVFAIL
    assert vigie.ask("absent.stub.example.").rcode() == dns.rcode.NXDOMAIN
    assert addresses(vigie.ask("not.stub.example.")) == ["192.0.2.80"] and addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    vigie.ask("a.deep.stub.example.")
    asked = {name for _, name, _, _ in first.log if name != "."}
    assert asked == {"not.stub.example.", NAME, "a.deep.stub.example."}


@pytest.mark.parametrize("first_rd", [True, False])
def test_recursion_desired_or_not_is_another_question(serve, upstream, first_rd):
    """Without RD an upstream may answer with a referral: nothing for those who want the answer, and the reverse."""
    upstream.default = good(NAME)
    vigie = serve(upstream, more="cache")
    for rd in (first_rd, not first_rd, first_rd, not first_rd):
        query = dns.message.make_query(NAME, "A", flags=dns.flags.RD if rd else 0)
        assert vigie.exchange(query).answer
    assert [bool(query.flags & dns.flags.RD) for _, _, _, query in upstream.log] == [first_rd, not first_rd]


def test_rd_and_cd_make_other_questions(serve, upstream):
    """Also while they are under way: who wants no validation does not get others an answer without."""
    upstream.default = good(NAME, delay=0.5)
    vigie = serve(upstream, more="workers 1")
    kinds = [0, dns.flags.RD, dns.flags.CD, dns.flags.RD | dns.flags.CD]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(vigie.udp_socket()) for _ in kinds]
        for client, kind in zip(clients, kinds):
            client.send(dns.message.make_query(NAME, "A", flags=kind).to_wire())
        for client in clients:
            client.recv(512)
    assert {query.flags & kinds[-1] for _, _, _, query in upstream.log} == set(kinds)


def test_truncated_by_tcp_is_no_reply(serve, upstreams):
    first, second = upstreams
    first.default = Reply(raw=struct.pack("!5H", 0x8380, 1, 0, 0, 0) + dns.message.make_query(NAME, "A").to_wire()[12:])
    second.default = GOOD
    vigie = serve(first, second, options="policy sequential")
    assert addresses(vigie.ask(NAME, tcp=True)) == ["192.0.2.80"]
    assert first.asked(NAME)[0] == "tcp"


def test_next_and_next_on_nodata(start, upstreams):
    """The next one is that of the next shorter zone; with zones of one length, the next in the file."""
    first, second = upstreams
    for name in (NAME, "empty.example.com."):
        second.answers[name, "A"] = good(name)
    first.answers["empty.example.com.", "A"] = Reply()
    first.answers["refused.example.com.", "A"] = Reply(rcode="REFUSED")
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	forward . {second.text} {{
		next nxdomain
	}}
	forward example.com {first.text} {{
		next NXDOMAIN
		next_on_nodata
	}}
	forward example.com {second.text} {{
		next nxdomain
	}}
}}
""")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert addresses(vigie.ask("empty.example.com.")) == ["192.0.2.80"]
    assert vigie.ask("refused.example.com.").rcode() == dns.rcode.REFUSED
    assert vigie.ask("absent.example.com.").rcode() == dns.rcode.NXDOMAIN, "the last one's answer"
    assert first.asked("absent.example.com.") == ["udp"] and second.asked("absent.example.com.") == ["udp"] * 2
    assert vigie.ask("absent.example.net.").rcode() == dns.rcode.NXDOMAIN, "there is no next one for it"
    assert first.asked("absent.example.net.") == [] and second.asked("refused.example.com.") == []


def test_the_zone_itself_is_not_excepted(start, upstream):
    upstream.answers["example.com.", "A"] = good("example.com.")
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tforward example.com {upstream.text} {{\n\t\texcept example.com\n\t}}\n}}\n")
    assert addresses(vigie.ask("example.com.")) == ["192.0.2.80"]
    assert vigie.ask(NAME).rcode() == dns.rcode.REFUSED and upstream.asked(NAME) == []


def test_metadata_names_the_upstream(start, upstream):
    """In the log, where the block has `metadata`; what the cache gives comes from nobody."""
    upstream.answers[NAME, "A"] = GOOD
    for more, first in (("metadata", re.escape(upstream.text)), ("", "-")):
        vigie = start(f'.:PORT {{\n\tbind 127.0.0.1\n\tworkers 1\n\t{more}\n\tlog . "from {{/forward/upstream}}."\n\tcache\n\tforward . {upstream.text}\n}}\n')
        for _ in range(2):
            assert vigie.ask(NAME).answer
        vigie.wait_for_log(rf"^\[INFO\] from {first}\.\n\[INFO\] from -\.$")


@pytest.mark.parametrize("policy, order", [("round_robin", "121212"), ("sequential", "111111")])
def test_policies(serve, upstreams, policy, order):
    """Upstreams with equal round trips. `random` draws: see the next."""
    for number, each in enumerate(upstreams, 1):
        each.default = Reply(f"{NAME} 60 IN A 192.0.2.{number}")
    vigie = serve(*upstreams, options=f"policy {policy}\n\t\tmax_connect_attempts 1", more="workers 1")  # nobody is asked for another
    assert "".join(addresses(vigie.ask(NAME))[0][-1] for _ in range(6)) in (order, order[1:] + order[0])


def test_the_random_policy(serve, upstreams):
    for number, each in enumerate(upstreams, 1):
        each.default = Reply(f"{NAME} 60 IN A 192.0.2.{number}")
    vigie = serve(*upstreams, more="workers 1")

    def both_are_asked() -> bool:
        """Unless one was late: that is asked seldom for a while."""
        counts = collections.Counter(addresses(vigie.ask(NAME))[0] for _ in range(100))
        return min(counts[f"192.0.2.{number}"] for number in (1, 2)) > 20  # 10^-9 by chance

    wait_for(both_are_asked, "both to be asked alike")


def test_failover(serve, upstreams):
    """A reply with one of these codes is not taken while another upstream may be asked; the last one's is."""
    first, second = upstreams
    first.default = second.default = Reply(rcode="NXDOMAIN")
    second.answers[NAME, "A"] = GOOD
    vigie = serve(first, second, options="policy sequential\n\t\tfailover NXDOMAIN")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert vigie.ask("absent.example.").rcode() == dns.rcode.NXDOMAIN
    assert [each.asked("absent.example.") for each in upstreams] == [["udp"], ["udp"]]
    without = serve(first, second, options="policy sequential")
    assert without.ask(NAME).rcode() == dns.rcode.NXDOMAIN


def test_prefer_udp_and_force_tcp(serve, upstream):
    """A client by TCP is asked for by TCP, unless `prefer_udp` says else; `force_tcp` is the stronger word."""
    upstream.default = good(NAME)
    for options, way in (("", "tcp"), ("prefer_udp", "udp"), ("prefer_udp\n\t\tforce_tcp", "tcp")):
        before = len(upstream.log)
        assert serve(upstream, options=f"{options}\n\t\tmax_connect_attempts 1").ask(NAME, tcp=True).answer
        assert [transport for transport, *_ in upstream.log[before:]] == [way]


@pytest.mark.parametrize("kept", [1, 0], ids=["1", "all"])
def test_max_idle_conns(serve, upstream, kept):
    """Of the connections that nobody needs any more so many are kept: the next burst makes the others anew."""
    vigie = serve(upstream, options=f"force_tcp\n\t\tmax_connect_attempts 1\n\t\tmax_age 1h\n\t\texpire 1h\n\t\tmax_idle_conns {kept}", more="workers 1")
    for burst in range(2):
        names = [f"{number}.{burst}.example." for number in range(300)]  # more than one connection takes
        for name in names:
            upstream.answers[name, "A"] = good(name, delay=1)
        ask_all(vigie, [dns.message.make_query(name, "A").to_wire() for name in names], 4)
        time.sleep(0.6)  # a connection is looked at every 250 ms
        wait_for(lambda: upstream.open == (kept or 2), "the others to be closed")
    assert upstream.connections["tcp"] == 2 + kept


def test_source_address(serve, upstream):
    upstream.default = Reply()
    vigie = serve(upstream, options="source_address 127.0.3.3")
    vigie.ask(NAME)
    assert {address for address, _ in upstream.sources} == {"127.0.3.3"}


def test_source_ports_are_spread(serve, upstream):
    """All of the pool, by all workers: not the 28,232 of the kernel."""
    upstream.default = Reply()
    vigie = serve(upstream, more="workers 2")
    for number in range(100):
        with vigie.udp_socket() as client:  # another port each time: both workers are asked
            client.send(dns.message.make_query(f"{number}.example.", "A").to_wire())
            client.recv(512)
    ports = [port for _, port in upstream.sources]
    assert len(set(ports)) > 90 and all(1024 <= port < 30000 or port > 32767 for port in ports)
    assert sum(port < 30000 for port in ports) > 10


def test_max_connect_attempts(serve, upstream):
    upstream.default = Reply(drop=True)
    vigie = serve(upstream, options="max_connect_attempts 2\n\t\tread_timeout 500ms\n\t\tmax_fails 0")
    assert vigie.ask(NAME).rcode() == dns.rcode.SERVFAIL
    assert len(upstream.asked(NAME)) == 2


def test_attempts_are_bounded(serve, upstreams):
    """Six packets for one question, three to one upstream by one transport, whatever happens (RFC 9520)."""
    for each in upstreams:
        each.default = Reply(drop=True)
    vigie = serve(*upstreams, options="max_fails 0")
    assert vigie.ask(NAME, tcp=False).rcode() == dns.rcode.SERVFAIL
    time.sleep(3.5)  # the exchange goes on without the client
    sent = [each.asked(NAME) for each in upstreams]
    assert sum(map(len, sent)) <= 6 and all(each.count(way) <= 3 for each in sent for way in ("udp", "tcp"))
