"""`forward`: which upstream is asked when and how, and what becomes of the reply."""
import contextlib
import re
import signal
import socket
import statistics
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from scripted_upstream import Reply, Upstream
from vigie_process import PATIENCE, Vigie, addresses, free_port, records, wait_for

NAME = "www.example.com."
GOOD = Reply(f"{NAME} 60 IN A 192.0.2.80")
OTHER = Reply(f"{NAME} 60 IN A 192.0.2.81")
CLIENT_WAIT = 1.9  # seconds: VIGIE_CLIENT_WAIT_MS


@pytest.fixture
def upstreams():
    """Two of them."""
    with Upstream() as first, Upstream() as second:
        yield first, second


@pytest.fixture
def serve(start):
    def with_upstreams(*upstreams: str | Upstream, options: str = "", more: str = "") -> Vigie:
        to = " ".join(each if isinstance(each, str) else each.text for each in upstreams)
        return start(f""".:PORT {{
	bind 127.0.0.1
	errors
	forward . {to} {{
		{options}
	}}
	{more}
}}
""")
    return with_upstreams


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_plain_answer(serve, upstream, tcp):
    """What came from upstream goes to the client, and the flags that belong to it."""
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(upstream)
    reply = vigie.ask("wWw.ExAmPlE.cOm.", tcp=tcp)
    assert records(reply.answer) == ["wWw.ExAmPlE.cOm. A 192.0.2.80"] or records(reply.answer) == [f"{NAME} A 192.0.2.80"]
    assert reply.flags & dns.flags.RA and not reply.flags & dns.flags.AA
    assert reply.question[0].name.to_text() == "wWw.ExAmPlE.cOm."
    assert upstream.asked(NAME) == ["tcp" if tcp else "udp"]


def test_a_reply_counts_that_came_while_the_process_had_to_wait(serve, upstream):
    """A pod that has used up its CPU stands still: then the time-out is over as well as the reply there."""
    for number in range(5):
        name, vigie = f"{number}.{NAME}", serve(upstream)
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.80", delay=0.1)
        client = threading.Thread(target=vigie.ask, args=(name,))
        client.start()
        wait_for(lambda: upstream.asked(name), "the question")
        vigie.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: name in upstream.answered, "the answer")
        stopped_in_time = len(upstream.asked(name)) == 1
        time.sleep(0.6)  # longer than the first time-out
        vigie.process.send_signal(signal.SIGCONT)
        client.join()
        if stopped_in_time:
            break
    assert vigie.ask(name).answer
    assert len(upstream.asked(name)) == 2  # one each


def test_negative_answers_pass(serve, upstream):
    vigie = serve(upstream)
    reply = vigie.ask("absent.example.com.")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype for rrset in reply.authority] == [dns.rdatatype.SOA]
    upstream.answers["empty.example.com.", "A"] = Reply(authority=("example.com. 60 IN SOA a. b. 1 2 3 4 60",))
    reply = vigie.ask("empty.example.com.")
    assert reply.rcode() == dns.rcode.NOERROR and reply.authority and not reply.answer


@pytest.mark.parametrize("rdtype, rdclass", [("AXFR", "IN"), ("IXFR", "IN"), ("TXT", "CH"), ("A", "ANY")])
def test_what_stays_here(serve, upstream, rdtype, rdclass):
    """Transfers, and what is asked of a server about itself."""
    vigie = serve(upstream)
    query = dns.message.make_query("version.bind.", "TXT", rdclass)
    query.question[0].rdtype = dns.rdatatype.from_text(rdtype)
    assert vigie.exchange_wire(query.to_wire(), tcp=True)[3] & 15 == dns.rcode.REFUSED
    assert not upstream.log


def test_edns_ends_at_each_hop(serve, upstream):
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(upstream)
    query = dns.message.make_query(NAME, "A", use_edns=0, payload=4096, want_dnssec=True,
                                   options=[dns.edns.GenericOption(65001, b"private")])
    query.flags |= dns.flags.CD
    reply = vigie.exchange(query)
    assert (reply.edns, reply.payload, reply.options) == (0, 1232, ())
    [(_, _, _, seen)] = upstream.log
    assert seen.edns == 0 and seen.ednsflags & dns.flags.DO and seen.flags & dns.flags.CD
    assert seen.options == (), "a client's options are its own affair"
    assert seen.id != query.id or seen.question[0].name == query.question[0].name


def test_ids_and_ports_are_new_each_time(serve):
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(20)
        vigie = serve(f"127.0.0.1:{silent.getsockname()[1]}")
        with vigie.udp_socket() as client:
            for number in range(30):
                client.send(dns.message.make_query(f"{number}.{NAME}", "A", id=number).to_wire())
            while len(seen) < 30:
                packet, source = silent.recvfrom(512)
                seen.append((packet[:2], source[1]))
    assert len({number for number, _ in seen}) > 25 and len({port for _, port in seen}) > 25


@pytest.mark.parametrize("trouble", [Reply(rcode="SERVFAIL"), Reply(rcode="REFUSED"), Reply(rcode="NOTIMP")],
                         ids=["servfail", "refused", "notimp"])
def test_an_upstreams_error_is_an_answer(serve, upstreams, trouble):
    first, second = upstreams
    first.answers[NAME, "A"] = second.answers[NAME, "A"] = trouble
    assert dns.rcode.to_text(serve(first, second).ask(NAME).rcode()) == trouble.rcode


def test_the_next_upstream_when_nobody_listens(serve, upstream):
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(f"127.0.0.1:{free_port()}", upstream)
    took = []
    for _ in range(7):
        began = time.monotonic()
        assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 1, "a closed port is noticed at once"


@pytest.mark.parametrize("trouble", [Reply(drop=True), Reply(*GOOD.records, wrong_id=True), Reply(raw=b"\x81\x80"),
                                     Reply(raw=b"\x01\x00" + bytes(8))],
                         ids=["silence", "wrong id", "short", "a query"])
def test_the_next_upstream_when_nothing_good_comes(serve, upstreams, trouble):
    first, second = upstreams
    first.answers[NAME, "A"] = trouble
    second.answers[NAME, "A"] = GOOD
    vigie = serve(first, second, options="policy sequential")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert first.asked(NAME) and second.asked(NAME) == ["udp"]


def test_a_forged_reply_is_passed_over(serve):
    """A datagram with another id, or for another question, is counted and the wait goes on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        vigie = serve(f"127.0.0.1:{server.getsockname()[1]}")

        def answer() -> None:
            packet, source = server.recvfrom(512)
            query = dns.message.from_wire(packet)
            right = dns.message.make_response(query)
            right.answer.append(dns.rrset.from_text(NAME, 60, "IN", "A", "192.0.2.80"))
            wrong = dns.message.make_response(dns.message.make_query("www.example.org.", "A", id=query.id))
            server.sendto(bytes([packet[0] ^ 1]) + right.to_wire()[1:], source)
            server.sendto(wrong.to_wire(), source)
            server.sendto(right.to_wire()[:20], source)
            server.sendto(right.to_wire(), source)
        thread = threading.Thread(target=answer)
        thread.start()
        assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
        thread.join()


def test_truncated_replies_are_asked_again_by_tcp(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*[f"{NAME} 60 IN A 192.0.2.{number}" for number in range(1, 60)], truncated=True)
    vigie = serve(upstream)
    reply = vigie.ask(NAME, size=1232)
    assert upstream.asked(NAME) == ["udp", "tcp"]
    assert len(addresses(reply)) == 59 and not reply.flags & dns.flags.TC
    reply = vigie.ask(NAME)  # a client that takes 512 bytes
    assert reply.flags & dns.flags.TC and 0 < len(addresses(reply)) < 59


def test_truncated_and_no_tcp(serve, upstream):
    """The client hears that there is more, and can try itself."""
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, truncated=True, only="udp")
    reply = serve(upstream).ask(NAME)
    assert reply.flags & dns.flags.TC and reply.rcode() == dns.rcode.NOERROR
    assert upstream.asked(NAME) == ["udp", "tcp", "tcp", "tcp"]


def test_nobody_answers(serve, upstreams):
    """SERVFAIL, soon enough for the client, and a line in the log that says why."""
    for each in upstreams:
        each.answers[NAME, "A"] = Reply(drop=True)
    vigie = serve(*upstreams)
    began = time.monotonic()
    assert vigie.ask(NAME).rcode() == dns.rcode.SERVFAIL
    assert CLIENT_WAIT - 0.1 < time.monotonic() - began < CLIENT_WAIT + PATIENCE
    assert all(each.asked(NAME) for each in upstreams)
    vigie.wait_for_log(rf"^.*\[ERROR\] plugin/errors: 2 {re.escape(NAME)} A: .+")


def extended_error(reply: dns.message.Message) -> tuple[int, str] | None:
    [found] = [option for option in reply.options if option.otype == dns.edns.OptionType.EDE] or [None]
    return found and (int(found.code), found.text or "")


def test_an_error_names_the_upstream_and_the_reason(serve, upstreams):
    """RFC 8914, for clients with EDNS: nobody listens, nobody answers, the upstream's own error and its words."""
    first, _ = upstreams
    closed = free_port()
    code, text = extended_error(serve(f"127.0.0.1:{closed}").ask(NAME, size=1232))
    assert code in (22, 23) and text.startswith(f"127.0.0.1:{closed}: ")
    first.answers[NAME, "A"] = Reply(drop=True)
    code, text = extended_error(serve(first).ask(NAME, size=1232))
    assert code == 22 and text.startswith(f"{first.text}: ")
    first.answers[NAME, "A"] = Reply(rcode="SERVFAIL")
    assert extended_error(serve(first).ask(NAME, size=1232)) == (0, f"{first.text}: answered with rcode 2")
    first.answers[NAME, "A"] = Reply(rcode="SERVFAIL", error=(6, "bogus"))
    assert extended_error(serve(first).ask(NAME, size=1232)) == (6, f"{first.text}: rcode 2, bogus")
    first.answers[NAME, "A"] = GOOD
    assert extended_error(serve(first).ask(NAME, size=1232)) is None


def test_rotation_of_forwarded_answers(serve, upstream):
    everyone = [f"192.0.2.{number}" for number in range(1, 5)]
    upstream.answers[NAME, "A"] = Reply(*[f"{NAME} 60 IN A {address}" for address in everyone])
    assert all(addresses(serve(upstream).ask(NAME)) == everyone for _ in range(5)), "in order without loadbalance"
    orders = [addresses(vigie.ask(NAME)) for vigie in [serve(upstream, more="loadbalance")] for _ in range(60)]
    assert all(sorted(order) == everyone for order in orders)
    assert {order[0] for order in orders} == set(everyone)


def test_max_concurrent(serve, upstream):
    """Beyond it queries are refused at once, and there is room again later."""
    names = [f"{number}.example.com." for number in range(3)]
    for name in names:
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1", delay=3)
    upstream.answers[NAME, "A"] = GOOD
    vigie = serve(upstream, options="max_concurrent 3", more="workers 1")
    with contextlib.ExitStack() as stack:  # by TCP a client waits as long as it takes
        slow = [stack.enter_context(socket.create_connection((vigie.address, vigie.port), PATIENCE)) for _ in range(3)]
        for client, name in zip(slow, names):
            dns.query.send_tcp(client, dns.message.make_query(name, "A"))
        vigie.wait_until(lambda: all(map(upstream.asked, names)), "three queries upstream")
        refused = vigie.ask(NAME, size=1232)
        assert refused.rcode() == dns.rcode.REFUSED
        assert [option.text for option in refused.options] == ["forward: max_concurrent queries wait already"]
        assert upstream.asked(NAME) == []
        assert all(addresses(dns.query.receive_tcp(client)[0]) == ["192.0.2.1"] for client in slow)
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


def test_only_names_of_its_zone(start, upstream):
    upstream.answers[NAME, "A"] = GOOD
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tforward example.com {upstream.text}\n}}\n")
    assert vigie.ask(NAME).answer
    assert vigie.ask("www.example.org.").rcode() == dns.rcode.REFUSED
    assert upstream.asked("www.example.org.") == []


def test_upstreams_from_resolv_conf(start, tmp_path, upstream):
    """The file's name servers listen on port 53: this one does not exist, but is what gets asked."""
    (tmp_path / "resolv.conf").write_text("search example.com\n# nameserver 192.0.2.9\nnameserver 127.255.0.53\n")
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tforward . {tmp_path}/resolv.conf {upstream.text}\n}}\n")
    upstream.answers[NAME, "A"] = GOOD
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


def test_ipv6_upstream(serve):
    with Upstream("::1", {(NAME, "A"): GOOD}) as upstream:
        assert addresses(serve(upstream).ask(NAME)) == ["192.0.2.80"]


def test_many_at_once(serve, upstream):
    """Identical questions are one upstream; each client gets its own answer."""
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, delay=0.2)
    vigie = serve(upstream)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(vigie.udp_socket()) for _ in range(200)]
        for number, client in enumerate(clients):
            client.send(dns.message.make_query(NAME, "A", id=number).to_wire())
        for number, client in enumerate(clients):
            reply = dns.message.from_wire(client.recv(512))
            assert reply.id == number and addresses(reply) == ["192.0.2.80"]
    assert len(upstream.asked(NAME)) <= 3
