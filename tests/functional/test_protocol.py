"""What the server says to packets: well-formed ones, odd ones and broken ones, by UDP and TCP alike (RFC 1035, 6891,
9619)."""
import random
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from vigie_process import Vigie, records, source_of

WEB = "web.default.svc.cluster.local."
IN_A = struct.pack("!HH", 1, 1)
OPT = struct.pack("!BHHIH", 0, 41, 1232, 0, 0)


@pytest.fixture(scope="module")
def vigie(tmp_path_factory, snapshot):
    with Vigie(tmp_path_factory.mktemp("protocol"), f""".:PORT {{
	bind 127.0.0.1
	kubernetes cluster.local in-addr.arpa {{
		snapshot {snapshot}
	}}
}}
""") as vigie:
        yield vigie


@pytest.fixture(params=["udp", "tcp"])
def tcp(request) -> bool:
    return request.param == "tcp"


def name_to_wire(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def packet(*sections: bytes, number: int = 0x1234, flags: int = 0x0100, counts=(1, 0, 0, 0)) -> bytes:
    return struct.pack("!6H", number, flags, *counts) + b"".join(sections)


QUESTION = name_to_wire(WEB) + IN_A
QUERY = packet(QUESTION)
QUERY_EDNS = packet(QUESTION, OPT, counts=(1, 0, 0, 1))


def header(wire: bytes) -> tuple[int, int, int, tuple[int, ...]]:
    """id, opcode, rcode and the four counts."""
    number, flags, *counts = struct.unpack("!6H", wire[:12])
    assert flags & dns.flags.QR
    return number, flags >> 11 & 15, flags & 15, tuple(counts)


def expect_rcode(vigie: Vigie, wire: bytes, rcode: int, tcp: bool = False) -> bytes:
    """Sends bytes and returns the answer, which must have this rcode and no records."""
    answer = vigie.exchange_wire(wire, tcp=tcp)
    number, _, answer_rcode, counts = header(answer)
    assert (number, answer_rcode) == (struct.unpack("!H", wire[:2])[0], rcode), answer.hex()
    assert counts[1:3] == (0, 0)
    return answer


def expect_silence(vigie: Vigie, wire: bytes) -> None:
    """Sends bytes that get no answer: a query behind them is answered first."""
    with vigie.udp_socket() as client:
        client.send(wire)
        client.send(packet(QUESTION, number=0x7777))
        assert header(client.recv(65535))[0] == 0x7777
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(65535)


# EDNS


def test_no_opt_unless_asked(vigie, tcp):
    assert vigie.ask(WEB, tcp=tcp).edns == -1


def test_opt(vigie, tcp):
    reply = vigie.ask(WEB, tcp=tcp, size=4096)
    assert (reply.edns, reply.payload, reply.ednsflags, reply.options) == (0, 1232, 0, ())


def test_do_is_echoed(vigie, tcp):
    query = dns.message.make_query(WEB, "A", want_dnssec=True)
    reply = vigie.exchange(query, tcp=tcp)
    assert reply.ednsflags == dns.flags.DO


def test_flags(vigie):
    """RD and CD come back; AA is ours; RA only where somebody forwards; AD is not claimed."""
    query = dns.message.make_query(WEB, "A")
    query.flags = dns.flags.RD | dns.flags.CD | dns.flags.AD
    assert vigie.exchange(query).flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.CD
    query.flags = 0
    assert vigie.exchange(query).flags == dns.flags.QR | dns.flags.AA


def test_badvers(vigie, tcp):
    reply = vigie.exchange(dns.message.make_query(WEB, "A", use_edns=1), tcp=tcp)
    assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])


@pytest.mark.parametrize("option", [
    dns.edns.GenericOption(10, bytes(8)),                 # a client's cookie
    dns.edns.GenericOption(10, bytes(40)),                # with a server's
    dns.edns.GenericOption(3, b""),                       # NSID
    dns.edns.GenericOption(12, bytes(100)),               # padding
    dns.edns.ECSOption("192.0.2.0", 24),
    dns.edns.GenericOption(65001, b"anything"),
], ids=lambda option: f"{int(option.otype)}-{len(option.to_wire())}")
def test_options_are_tolerated(vigie, tcp, option):
    reply = vigie.exchange(dns.message.make_query(WEB, "A", use_edns=0, options=[option]), tcp=tcp)
    assert records(reply.answer) == [f"{WEB} A 10.96.0.10"]
    assert (reply.edns, reply.options) == (0, ())


def test_many_options(vigie):
    """32 are looked at (VIGIE_EDNS_OPTIONS_MAX); a list longer than that is a format error."""
    for count, rcode in ((32, 0), (33, 1)):
        options = struct.pack("!HH", 65001, 0) * count
        opt = struct.pack("!BHHIH", 0, 41, 1232, 0, len(options)) + options
        assert header(vigie.exchange_wire(packet(QUESTION, opt, counts=(1, 0, 0, 1))))[2] == rcode


@pytest.mark.parametrize("name, wire", [
    ("two OPT records", packet(QUESTION, OPT, OPT, counts=(1, 0, 0, 2))),
    ("an OPT record with a name", packet(QUESTION, b"\1a", OPT, counts=(1, 0, 0, 1))),
    ("an option that is cut", packet(QUESTION, struct.pack("!BHHIHHH", 0, 41, 1232, 0, 4, 10, 8), counts=(1, 0, 0, 1))),
    ("half an option", packet(QUESTION, struct.pack("!BHHIHH", 0, 41, 1232, 0, 2, 10), counts=(1, 0, 0, 1))),
], ids=lambda value: value if isinstance(value, str) else "")
def test_malformed_opt(vigie, tcp, name, wire):
    expect_rcode(vigie, wire, dns.rcode.FORMERR, tcp)


# The gate


def test_no_question(vigie, tcp):
    expect_rcode(vigie, packet(counts=(0, 0, 0, 0)), dns.rcode.FORMERR, tcp)
    expect_rcode(vigie, packet(OPT, counts=(0, 0, 0, 1)), dns.rcode.FORMERR, tcp)


def test_two_questions(vigie, tcp):
    expect_rcode(vigie, packet(QUESTION, QUESTION, counts=(2, 0, 0, 0)), dns.rcode.FORMERR, tcp)


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_opcodes(vigie, tcp, opcode):
    answer = vigie.exchange_wire(packet(QUESTION, flags=opcode << 11), tcp=tcp)
    assert header(answer)[:3] == (0x1234, opcode, dns.rcode.NOTIMP)


def test_responses_get_silence(vigie):
    expect_silence(vigie, packet(QUESTION, flags=0x8000))
    expect_silence(vigie, packet(QUESTION, flags=0x8580))


def test_short_packets_get_silence(vigie):
    for length in range(12):
        expect_silence(vigie, QUERY[:length])


def test_cut_packets(vigie):
    for whole in (QUERY, QUERY_EDNS):
        for length in range(12, len(whole)):
            expect_rcode(vigie, whole[:length], dns.rcode.FORMERR)


def test_trailing_bytes(vigie, tcp):
    for whole in (QUERY, QUERY_EDNS):
        for trail in (b"\0", b"\0" * 12, QUESTION):
            expect_rcode(vigie, whole + trail, dns.rcode.FORMERR, tcp)


def test_counts_without_records(vigie, tcp):
    for counts in ((1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 0, 0, 65535)):
        expect_rcode(vigie, packet(QUESTION, counts=counts), dns.rcode.FORMERR, tcp)


@pytest.mark.parametrize("name", [
    b"\xc0\x0c",                      # a pointer to itself
    b"\xc0\x0e\x00",                  # forward
    b"\1a\xc0\x0c",                   # a circle
    b"\x40abc\0",                     # label types of old
    b"\x80abc\0",
    b"\x3f" + b"a" * 10,              # a label that is cut
    (b"\x3f" + b"a" * 63) * 4 + b"\0",  # 257 bytes
    (b"\1a" * 127) + b"\1a\0",        # 257 bytes in small pieces
], ids=lambda name: name.hex()[:12])
def test_malformed_names(vigie, tcp, name):
    expect_rcode(vigie, packet(name + IN_A), dns.rcode.FORMERR, tcp)


def test_the_longest_name(vigie, tcp):
    name = (b"\x3f" + b"a" * 63) * 3 + b"\x2f" + b"b" * 47 + name_to_wire("cluster.local")[:-1]
    assert len(name) == 255 - 1
    assert header(vigie.exchange_wire(packet(name + b"\0" + IN_A), tcp=tcp))[2] == dns.rcode.NXDOMAIN


def test_odd_bytes_in_names(vigie, tcp):
    """Any byte may stand in a label; only the case of letters is folded."""
    label = bytes(byte for byte in range(256))
    for start in range(0, 256, 50):
        part = label[start:start + 50]
        wire = packet(bytes([len(part)]) + part + name_to_wire("cluster.local") + IN_A)
        answer = vigie.exchange_wire(wire, tcp=tcp)
        assert header(answer)[2] == dns.rcode.NXDOMAIN
        assert answer[12:12 + len(wire) - 12] == wire[12:], "the question is echoed as it was"


def test_too_long_by_udp(vigie):
    """A query of more than 1,536 bytes (VIGIE_UDP_QUERY_MAX) is cut, and so a format error; by TCP it is fine."""
    padding = struct.pack("!HH", 12, 1600) + bytes(1600)
    long = packet(QUESTION, struct.pack("!BHHIH", 0, 41, 1232, 0, len(padding)) + padding, counts=(1, 0, 0, 1))
    expect_rcode(vigie, long, dns.rcode.FORMERR)
    assert header(vigie.exchange_wire(long, tcp=True))[2:] == (0, (1, 1, 0, 1))


def test_the_question_keeps_its_case(vigie, tcp):
    dice = random.Random(1)
    for _ in range(20):
        name = "".join(dice.choice((letter.upper(), letter)) for letter in WEB)
        reply = vigie.ask(name, tcp=tcp)
        assert reply.question[0].name.to_text() == name
        assert records(reply.answer) == [f"{name} A 10.96.0.10"]


def test_other_classes(vigie, tcp):
    for rdclass in ("CH", "HS", "CLASS42"):
        assert vigie.ask(WEB, "A", rdclass, tcp=tcp).rcode() == dns.rcode.REFUSED


def test_names_of_nobody(vigie, tcp):
    assert vigie.ask("www.example.com.", tcp=tcp).rcode() == dns.rcode.REFUSED


# UDP


def test_many_clients_at_once(vigie):
    """Batches: each client gets its own answer."""
    clients = [vigie.udp_socket() for _ in range(200)]
    try:
        for number, client in enumerate(clients):
            for turn in range(3):
                client.send(packet(QUESTION, number=number * 8 + turn))
        for number, client in enumerate(clients):
            assert sorted(header(client.recv(512))[0] for _ in range(3)) == [number * 8 + turn for turn in range(3)]
    finally:
        for client in clients:
            client.close()


def test_random_damage(vigie):
    """Whatever comes, the server lives and answers the next one."""
    dice = random.Random(2)
    with vigie.udp_socket() as client:
        client.setblocking(False)
        for _ in range(3000):
            wire = bytearray(QUERY_EDNS)
            for _ in range(dice.randint(1, 6)):
                wire[dice.randrange(len(wire))] = dice.randrange(256)
            try:
                client.send(bytes(wire[:dice.choice((len(wire), dice.randrange(len(wire))))]))
                client.recv(65535)
            except (BlockingIOError, ConnectionRefusedError):
                pass
    assert records(vigie.ask(WEB).answer) == [f"{WEB} A 10.96.0.10"]


# Addresses


@pytest.mark.parametrize("bind", ["", "bind 0.0.0.0", "bind 127.0.0.1 127.0.0.2 127.8.9.10"])
def test_the_answer_comes_from_the_address_asked(start, snapshot, bind):
    vigie = start(f".:PORT {{\n\t{bind}\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n")
    for address in ("127.0.0.1", "127.0.0.2", "127.8.9.10"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:  # not connected: it hears any source
            client.settimeout(20)
            client.bind(("127.0.0.1", 0))
            client.sendto(QUERY, (address, vigie.port))
            assert source_of(client, QUERY) == (address, vigie.port)
        assert vigie.ask(WEB, tcp=True, address=address).answer


@pytest.mark.parametrize("bind", ["", "bind ::1", "bind 127.0.0.1 ::1"])
def test_ipv6(start, snapshot, bind):
    vigie = start(f".:PORT {{\n\t{bind}\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n", address="::1")
    for tcp in (False, True):
        assert records(vigie.ask(WEB, tcp=tcp).answer) == [f"{WEB} A 10.96.0.10"]
        if bind != "bind ::1":
            assert vigie.ask(WEB, tcp=tcp, address="127.0.0.1").answer


def test_several_workers(start, snapshot):
    """Each has sockets of its own; the kernel spreads the clients over them."""
    vigie = start(f"""(workers) {{
	workers 4
}}
.:PORT {{
	bind 127.0.0.1
	import workers
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
""")
    sockets = open(f"/proc/{vigie.process.pid}/net/udp").read().count(f":{vigie.port:04X} 00000000:0000 ")
    assert sockets == 4
    for _ in range(100):  # a new source port each time
        for tcp in (False, True):
            assert vigie.ask(WEB, tcp=tcp).answer
