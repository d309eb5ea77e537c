"""RFC matrix: what goes upstream, by which transport, and which replies are taken (RFC 5452, 7766, 8914, 9715)."""
import collections
import contextlib
import socket
import struct
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from rfc_matrix import rfc
from scripted_upstream import Reply, Upstream
from vigie_process import PATIENCE, addresses, free_port, read_frame, wait_for

NAME = "www.example.com."
GOOD = Reply(f"{NAME} 60 IN A 192.0.2.80")


@pytest.fixture
def serve(start):
    def with_upstream(upstream: Upstream | str, options: str = "", more: str = ""):
        to = upstream if isinstance(upstream, str) else upstream.text
        return start(f".:PORT {{\n bind 127.0.0.1\n errors\n {more}\n forward . {to} {{\n {options}\n }}\n}}\n")
    return with_upstream


def error_of(message: dns.message.Message) -> tuple[int, str] | None:
    errors = [option for option in message.options if option.otype == dns.edns.OptionType.EDE]
    return (int(errors[0].code), errors[0].text or "") if errors else None


# Forged answers


def asked_for(rdtype: str, rdclass: str) -> dict:
    """A reply to another type or class."""
    reply = dns.message.make_response(dns.message.make_query(NAME, rdtype, rdclass))
    reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "A", "203.0.113.66"))
    return dict(raw=reply.to_wire()[2:])


MISMATCHES = [pytest.param(dict(wrong_id=True), id="id"), pytest.param(dict(wrong_question=True), id="name"),
              pytest.param(asked_for("AAAA", "IN"), id="type"), pytest.param(asked_for("A", "CH"), id="class")]


@rfc(5452, "9.1", "a reply is taken only with the name, type, class, id, address and port of what was asked")
@pytest.mark.parametrize("fault", [*MISMATCHES, pytest.param(dict(wrong_port=True), id="port")])
def test_replies_match(serve, upstream, fault):
    upstream.answers[NAME, "A"] = [Reply(f"{NAME} 60 IN A 203.0.113.66", **fault), GOOD]
    assert addresses(serve(upstream).ask(NAME)) == ["192.0.2.80"]


@rfc(7766, "7", "a reply by TCP belongs to the query with its id on that connection, and only if it has its name, type and class")
@pytest.mark.parametrize("fault", MISMATCHES)
def test_replies_match_by_tcp(serve, upstream, fault):
    upstream.answers[NAME, "A"] = [Reply(f"{NAME} 60 IN A 203.0.113.66", **fault), GOOD]
    assert addresses(serve(upstream, "force_tcp").ask(NAME)) == ["192.0.2.80"]


@rfc(5452, "9.1", "also the address: a reply from another host with the right port is not taken")
def test_replies_from_another_address(serve):
    with (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger):
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        stranger.bind(("127.0.0.2", server.getsockname()[1]))
        vigie = serve(f"127.0.0.1:{server.getsockname()[1]}")

        def answer() -> None:
            packet, client = server.recvfrom(512)
            for sender, address in ((stranger, "203.0.113.66"), (server, "192.0.2.80")):
                reply = dns.message.make_response(dns.message.from_wire(packet))
                reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "A", address))
                sender.sendto(reply.to_wire(), client)
        thread = threading.Thread(target=answer)
        thread.start()
        assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
        thread.join()


@rfc(5452, "9.2", "ids come from the whole range, ports from all that there are, unpredictably; each query has its own")
@rfc(5452, "9.2", "and several ports are in use at the same time")
def test_ids_and_ports(serve):
    with Upstream() as upstream:
        upstream.default = Reply(delay=0.3)
        vigie = serve(upstream, "max_connect_attempts 1")
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(vigie.udp_socket()) for _ in range(200)]
            for number, client in enumerate(clients):
                client.send(dns.message.make_query(f"{number}.example.com.", "A", id=1).to_wire())
            for client in clients:
                client.recv(512)
        ids, ports = [query.id for *_, query in upstream.log], [port for _, port in upstream.sources]
    assert len(ids) == len(ports) == 200 and len(set(ports)) > 190 and len(set(ids)) > 190
    for values, top in ((ids, 65536), (ports, 65536)):
        assert min(values) < top / 8 and max(values) > top * 7 / 8
        assert max(collections.Counter(value >> 12 for value in values).values()) < 40
    assert len({(later - earlier) % 65536 for earlier, later in zip(ids, ids[1:])}) > 190, "no sequence"


@rfc(5452, "5", "one question is under way once, whoever asks it: there is one reply to guess")
def test_identical_questions_are_one(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, delay=1)
    vigie = serve(upstream, "max_connect_attempts 1")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(vigie.udp_socket()) for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(dns.message.make_query(NAME.upper() if number % 2 else NAME, "A").to_wire())
        for client in clients:
            assert addresses(dns.message.from_wire(client.recv(512))) == ["192.0.2.80"]
    assert 1 <= len(upstream.asked(NAME)) <= max(1, int(time.monotonic() - began)), "or, where clients are late, one each second"


# TCP


@rfc(7766, "5", "UDP and TCP are both there, for clients and towards upstreams; TC leads to TCP")
def test_both_transports(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, truncated=True)
    vigie = serve(upstream)
    for tcp in (False, True):
        assert addresses(vigie.ask(NAME, tcp=tcp)) == ["192.0.2.80"]
    assert "tcp" in upstream.asked(NAME)


@rfc(7766, "5", "what is too large for UDP reaches clients whole by TCP")
def test_large_answers(serve, upstream):
    full = dns.message.make_response(dns.message.make_query(NAME, "A"))
    full.answer.append(dns.rrset.from_text(NAME, 60, "IN", "A", *(f"192.0.{number >> 8}.{number & 255}" for number in range(4000))))
    upstream.answers[NAME, "A"] = Reply(wire=full.to_wire(max_size=65535))  # to write it takes longer than vigie waits
    vigie = serve(upstream)
    assert vigie.ask(NAME, size=4096).flags & dns.flags.TC
    assert len(addresses(vigie.ask(NAME, tcp=True))) == 4000


@rfc(7766, "5", "an answer goes the way that its query came: by UDP, or on the same connection")
def test_answers_come_the_same_way(serve, upstream):
    names = [f"{number}.example.com." for number in range(3)]
    for number, name in enumerate(names):
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.{number}", delay=0.3 - number / 10)
    vigie = serve(upstream)
    address = vigie.address, vigie.port
    with socket.create_connection(address, PATIENCE) as one, socket.create_connection(address, PATIENCE) as two, vigie.udp_socket() as client:
        for way, name in zip((one, two, client), names):
            wire = dns.message.make_query(name, "A", id=7).to_wire()
            way.sendall(wire if way is client else struct.pack("!H", len(wire)) + wire)
        replies = [dns.message.from_wire(wire) for wire in (read_frame(one), read_frame(two), client.recv(512))]
        assert [addresses(reply) for reply in replies] == [[f"192.0.2.{number}"] for number in range(3)]
        one.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one.recv(1)


@rfc(7766, "6.2.1.1", "a client may send many queries on a connection without waiting; answers come when they are ready, in any order")
@rfc(7766, "7", "and each is told by its id")
def test_pipelined_clients(serve, upstream):
    for number in range(20):
        name = f"{number}.example.com."
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.{number}", delay=2 if number == 0 else 0)
    vigie = serve(upstream)
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as connection:
        for number in range(20):
            wire = dns.message.make_query(f"{number}.example.com.", "A", id=number).to_wire()
            connection.sendall(struct.pack("!H", len(wire)) + wire)
        replies = [dns.message.from_wire(read_frame(connection)) for _ in range(20)]
    assert sorted(reply.id for reply in replies) == list(range(20)) and replies[-1].id == 0
    assert all(addresses(reply) == [f"192.0.2.{reply.id}"] for reply in replies)


@rfc(7766, "6.2.1", "queries to an upstream share a connection, many at a time, with ids that differ while they wait")
@rfc(7766, "7", "an upstream's replies are taken in any order")
@rfc(7766, "6.2.2", "and one connection is enough")
def test_pipelined_upstreams(serve, upstream):
    for number in range(64):
        name = f"{number}.example.com."
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.{number}", delay=0.4 + (number * 7 % 64) / 200)
    vigie = serve(upstream, "force_tcp\n max_connect_attempts 1", "workers 1")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(vigie.udp_socket()) for _ in range(64)]
        for number, client in enumerate(clients):
            client.send(dns.message.make_query(f"{number}.example.com.", "A").to_wire())
        for number, client in enumerate(clients):
            assert addresses(dns.message.from_wire(client.recv(512))) == [f"192.0.2.{number}"]
    assert upstream.connections["tcp"] == 1 and upstream.deepest > 32
    assert len({query.id for *_, query in upstream.log}) == 64


@rfc(7766, "6.2.4", "what was not answered when a connection closed is asked again on another one")
@pytest.mark.parametrize("fault", [dict(reset=True), dict(drop=True)], ids=["RST", "FIN"])
def test_unanswered_is_asked_again(serve, upstream, fault):
    upstream.answers["first.example.", "A"] = GOOD
    upstream.answers[NAME, "A"] = [Reply(**fault), GOOD]
    vigie = serve(upstream, "force_tcp", "workers 1")
    vigie.ask("first.example.")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"] and upstream.connections["tcp"] > 1


@rfc(7766, "6.2.3", "a connection to an upstream is closed when it is idle")
def test_idle_upstreams(serve):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        vigie = serve(f"127.0.0.1:{server.getsockname()[1]}", "force_tcp\n expire 500ms")
        with vigie.udp_socket() as client:
            client.send(dns.message.make_query(NAME, "A").to_wire())
            with server.accept()[0] as connection:
                connection.settimeout(PATIENCE)
                reply = dns.message.make_response(dns.message.from_wire(read_frame(connection))).to_wire()
                connection.sendall(struct.pack("!H", len(reply)) + reply)
                assert client.recv(512) and connection.recv(1) == b""


@rfc(7766, "6.2.4", "who has closed a connection is sent nothing more on it")
def test_nothing_for_a_closed_connection(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, delay=0.3)
    vigie = serve(upstream, "max_connect_attempts 1", "cache")
    wire = dns.message.make_query(NAME, "A").to_wire()
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as connection:
        connection.sendall(struct.pack("!H", len(wire)) + wire)
        wait_for(lambda: upstream.asked(NAME), "the question upstream")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"] and len(upstream.asked(NAME)) == 1, "the answer is held nevertheless"


@rfc(7766, "6.2.3", "connections stay open between queries, and a server closes them when they are idle")
def test_idle_clients(start, upstream):
    upstream.answers[NAME, "A"] = GOOD
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n timeouts {{\n idle 1s\n }}\n forward . {upstream.text}\n}}\n")
    wire = dns.message.make_query(NAME, "A").to_wire()
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as connection:
        for _ in range(3):
            connection.sendall(struct.pack("!H", len(wire)) + wire)
            assert addresses(dns.message.from_wire(read_frame(connection))) == ["192.0.2.80"]
        assert connection.recv(1) == b""


@rfc(7766, "8", "a message may come in several segments, and several messages in one")
@pytest.mark.parametrize("pieces", ["split", "together"])
def test_segments(serve, upstream, pieces):
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, drip=0.005)
    vigie = serve(upstream, "force_tcp")
    wire = dns.message.make_query(NAME, "A").to_wire()
    frame = struct.pack("!H", len(wire)) + wire
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in ([frame[:1], frame[1:5], frame[5:]] if pieces == "split" else [frame * 3]):
            connection.sendall(part)
        for _ in range(1 if pieces == "split" else 3):
            assert addresses(dns.message.from_wire(read_frame(connection))) == ["192.0.2.80"]


# Extended errors


@rfc(8914, "2", "an extended error comes only to clients with EDNS, changes neither rcode nor records, and its text has no end mark")
@rfc(8914, "4.23", "EDE 22: No Reachable Authority")
def test_extended_errors(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(drop=True)
    vigie = serve(upstream)
    assert vigie.ask(NAME).edns == -1
    message = vigie.ask(NAME, size=1232)
    code, text = error_of(message)
    assert (message.rcode(), code) == (dns.rcode.SERVFAIL, 22) and text.startswith(upstream.text) and "\0" not in text


@rfc(8914, "4.24", "EDE 23: Network Error")
def test_network_error(serve):
    closed = free_port()
    code, text = error_of(serve(f"127.0.0.1:{closed}").ask(NAME, size=1232))
    assert code in (22, 23) and f"127.0.0.1:{closed}" in text


@rfc(8914, "3", "an upstream's extended error is passed on, with its source")
def test_errors_of_upstreams(serve, upstream):
    for code in (0, 6, 18, 24, 4711):
        name = f"e{code}.example.com."
        upstream.answers[name, "A"] = Reply(rcode="SERVFAIL", error=(code, "because"))
        message = serve(upstream).ask(name, size=1232)
        assert message.rcode() == dns.rcode.SERVFAIL
        assert error_of(message) == (code, f"{upstream.text}: rcode 2, because")


@rfc(8914, "2", "where a text ends is told by the option's length; an end mark is not needed, nor passed on")
@rfc(8914, "3", "any number of errors, with any rcode, whatever they are, change nothing else of a reply")
@rfc(8914, "6", "a reply with an error is processed as one without: it is held, if it would be")
@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN", "SERVFAIL"])
@pytest.mark.parametrize("text, passed", [(b"why", "why"), (b"why\0", "why"), (b"", "")], ids=["plain", "end-mark", "none"])
def test_errors_are_taken(serve, upstream, rcode, text, passed):
    reply = dns.message.make_response(dns.message.make_query(NAME, "A", use_edns=0))
    reply.set_rcode(dns.rcode.from_text(rcode))
    if rcode == "NOERROR":
        reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "A", "192.0.2.80"))
    reply.use_edns(0, options=[dns.edns.GenericOption(15, bytes(code) + text) for code in ((0, 6), (0, 24), (255, 255))])
    upstream.answers[NAME, "A"] = Reply(wire=reply.to_wire())
    vigie = serve(upstream, more="cache")
    answer = vigie.ask(NAME, size=1232)
    assert (dns.rcode.to_text(answer.rcode()), addresses(answer)) == (rcode, ["192.0.2.80"] if rcode == "NOERROR" else [])
    again = vigie.ask(NAME, size=1232)
    assert (again.rcode(), addresses(again)) == (answer.rcode(), addresses(answer))
    assert rcode != "NOERROR" or len(upstream.asked(NAME)) == 1
    code, said = error_of(answer)
    assert code == 6 and said == f"{upstream.text}: rcode {int(reply.rcode())}" + (f", {passed}" if passed else "")


@rfc(8914, "3", "where there is no room for the text it is left out before anything that the answer needs")
def test_no_room_for_a_text(start, upstream):
    full = [f"{NAME} 60 IN A 192.0.2.{number}" for number in range(100)]
    upstream.answers[NAME, "A"] = Reply(*[record.replace(" 60 ", " 1 ") for record in full])
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache {{\n success 9984 3600 0\n }}\n forward . {upstream.text}\n}}\n")
    vigie.ask(NAME, size=512)
    upstream.answers[NAME, "A"] = Reply(rcode="SERVFAIL")
    stale = []
    vigie.wait_until(lambda: stale.append(vigie.ask(NAME, size=512)) or stale[-1].answer[0].ttl == 30, "a stale answer")
    assert len(stale[-1].to_wire()) <= 512 and len(addresses(stale[-1])) == (512 - 12 - 21 - 11) // 16


# Fragments


@rfc(9715, "3.2", "upstreams are told a size that needs no fragments: 1232, whatever a client says")
@rfc(9715, "3.1", "and answers have no more than that")
def test_sizes_without_fragments(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*(f"{NAME} 60 IN A 192.0.2.{number}" for number in range(250)), truncated=True)
    vigie = serve(upstream)
    for size in (512, 1232, 1400, 4096, 65535):
        wire = vigie.exchange_wire(dns.message.make_query(NAME, "A", use_edns=0, payload=size).to_wire())
        assert len(wire) <= min(size, 1232) and wire[2] & 2
    assert {query.payload for *_, query in upstream.log} == {1232}


@rfc(9715, "3.2", "where UDP brings no reply, TCP is tried")
def test_tcp_where_udp_is_silent(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(*GOOD.records, only="tcp")
    vigie = serve(upstream, "max_fails 0")
    vigie.wait_until(lambda: addresses(vigie.ask(NAME)) == ["192.0.2.80"], "an answer by TCP")
    assert "udp" in upstream.asked(NAME) and "tcp" in upstream.asked(NAME)
