"""RFC matrix: messages. What clients and upstreams are sent, and what is taken from them (RFC 1035, 2181, 6891, 7873, 8482,
9619)."""
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from rfc_matrix import own_name, rfc
from scripted_upstream import Reply, Upstream
from vigie_process import PATIENCE, Vigie, addresses, records, source_of

OPT = struct.pack("!BHHIH", 0, 41, 1232, 0, 0)
Z = 0x0040


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def vigie(tmp_path_factory, upstream):
    with Vigie(tmp_path_factory.mktemp("messages"), f".:PORT {{\n bind 127.0.0.1\n errors\n cache\n forward . {upstream.text}\n}}\n") as vigie:
        yield vigie


@pytest.fixture
def name(request) -> str:
    return own_name(request)


@pytest.fixture
def good(upstream, name) -> str:
    """The same, and it has an address."""
    upstream.answers[name.lower(), "A"] = Reply(f"{name} 60 IN A 192.0.2.80")
    return name


def packet(query: dns.message.Message, behind: bytes = b"", **counts: int) -> bytes:
    """A query without EDNS as bytes, with other counts and more bytes behind."""
    wire = query.to_wire()
    numbers = dict(zip(("qd", "an", "ns", "ar"), struct.unpack("!4H", wire[4:12]))) | counts
    return wire[:4] + struct.pack("!4H", *numbers.values()) + wire[12:] + behind


def options(*wire: tuple[int, bytes]) -> bytes:
    """An OPT record."""
    rdata = b"".join(struct.pack("!HH", code, len(data)) + data for code, data in wire)
    return OPT[:9] + struct.pack("!H", len(rdata)) + rdata


def rcode_of(wire: bytes) -> int:
    return wire[3] & 15


@rfc(1035, "4.1.1", "the id, the opcode, RD and the question come back as they were sent; QR is set")
def test_header_is_echoed(vigie, good):
    for flags in (0, dns.flags.RD):
        query = dns.message.make_query(good, "A", id=0xBEEF, flags=flags)
        reply = vigie.exchange(query)
        assert (reply.id, reply.opcode(), reply.flags & dns.flags.RD) == (0xBEEF, 0, flags)
        assert reply.flags & dns.flags.QR and reply.question == query.question


@rfc(1035, "4.1.1", "RA says that recursion is available, whatever an upstream says of itself")
def test_recursion_is_available(vigie, upstream, name):
    wire = dns.message.make_response(dns.message.make_query(name, "A"))
    wire.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
    upstream.answers[name.lower(), "A"] = Reply(wire=wire.to_wire())
    assert vigie.ask(name).flags & dns.flags.RA


@rfc(1035, "4.1.1", "the reserved bit Z is zero in queries and responses, whatever others put there")
def test_reserved_bit_is_zero(vigie, upstream, name):
    reply = dns.message.make_response(dns.message.make_query(name, "A"))
    reply.flags |= Z
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
    upstream.answers[name.lower(), "A"] = Reply(wire=reply.to_wire())
    query = dns.message.make_query(name, "A")
    query.flags |= Z
    for _ in range(2):  # from the upstream, from the cache
        answer = vigie.exchange(query)
        assert answer.answer and not answer.flags & Z
    [seen] = [query for _, asked, _, query in upstream.log if asked == name.lower()]
    assert not seen.flags & Z


@rfc(1035, "4.1.1", "a kind of query that this server does not support is NOTIMP, and goes nowhere")
@rfc(1035, "6.4", "whoever does not answer inverse queries says so")
def test_other_kinds_of_query(vigie, upstream, good):
    query = dns.message.make_query(good, "A")
    inverse = packet(query, qd=0, an=1)[:12] + b"\0" + struct.pack("!HHIH", 1, 1, 0, 4) + bytes([192, 0, 2, 80])
    for opcode, wire in ((1, inverse), *((opcode, query.to_wire()) for opcode in (1, 2, 3, 5, 6, 15))):  # updates among them
        wire = b"\xbe\xef" + bytes([wire[2] | opcode << 3]) + wire[3:]
        for tcp in (False, True):
            reply = vigie.exchange_wire(wire, tcp=tcp)
            assert (reply[:2], reply[2] >> 3 & 15, rcode_of(reply)) == (b"\xbe\xef", opcode, dns.rcode.NOTIMP)
    assert upstream.asked(good) == []


@rfc(1035, "2.3.3", "names are compared without regard to case; the case of a name is kept")
def test_case_is_kept_and_ignored(vigie, upstream, name):
    upstream.answers[name.lower(), "CNAME"] = Reply(f"{name} 60 IN CNAME MiXed.Example.ORG.")
    for spelled in (name, name.upper(), name.title()):
        reply = vigie.ask(spelled, "CNAME")
        assert reply.question[0].name.to_text() == spelled
        assert [str(rdata) for rrset in reply.answer for rdata in rrset] == ["MiXed.Example.ORG."]
    assert len(upstream.asked(name)) == 1


@rfc(1035, "2.3.4", "labels of 63 bytes and names of 255 pass; longer ones are a format error")
def test_name_limits(vigie, upstream):
    longest = b"".join(b"\x3f" + bytes([letter]) * 63 for letter in b"abc") + b"\x3d" + b"d" * 61 + b"\0"
    header, tail = struct.pack("!6H", 1, 0x100, 1, 0, 0, 0), struct.pack("!HH", 1, 1)
    assert len(longest) == 255
    assert rcode_of(vigie.exchange_wire(header + longest + tail)) == dns.rcode.NXDOMAIN  # the upstream's word
    assert rcode_of(vigie.exchange_wire(header + longest[:-1] + b"\1x\0" + tail)) == dns.rcode.FORMERR
    assert rcode_of(vigie.exchange_wire(header + b"\x40" + b"a" * 64 + b"\0" + tail)) == dns.rcode.FORMERR


@rfc(1035, "4.1.4", "names in replies may be compressed, in the data of records as well; so may those of queries")
def test_compressed_names(vigie, upstream, name):
    reply = dns.message.make_response(dns.message.make_query(name, "MX"))
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", f"1 a.{name}", f"2 b.{name}"))
    reply.additional.append(dns.rrset.from_text(f"a.{name}", 60, "IN", "A", "192.0.2.1"))
    assert len(reply.to_wire()) < 4 * len(name) + 60
    upstream.answers[name.lower(), "MX"] = Reply(wire=reply.to_wire())
    for tcp in (False, True, False):
        again = vigie.ask(name, "MX", tcp=tcp)
        assert records(again.answer) == records(reply.answer) and records(again.additional) == records(reply.additional)
    behind = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + bytes(4)
    assert rcode_of(vigie.exchange_wire(packet(dns.message.make_query(name, "MX"), behind, ar=1))) == dns.rcode.NOERROR


@rfc(1035, "4.1.4", "a pointer leads to a prior name: a reply with one that does not is no reply")
@pytest.mark.parametrize("owner", [b"\xc0\xff", b"\xff\xff", b"SELF"], ids=["forward", "outside", "itself"])
def test_pointers_lead_back(vigie, upstream, name, owner):
    query = dns.message.make_query(name, "A")
    end = len(query.to_wire())
    if owner == b"SELF":
        owner = struct.pack("!H", 0xC000 | end)
    wire = query.to_wire()[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query.to_wire()[12:] + owner + struct.pack("!HHIHI", 1, 1, 60, 4, 0xC0000201)
    upstream.answers[name.lower(), "A"] = [Reply(wire=wire), Reply(f"{name} 60 IN A 192.0.2.80")]
    assert addresses(vigie.ask(name)) == ["192.0.2.80"] and len(upstream.asked(name)) > 1


@rfc(1035, "4.2.1", "what is lost by UDP is sent again")
def test_lost_datagrams(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = [Reply(drop=True), Reply(f"{name} 60 IN A 192.0.2.80", only="udp")]
    assert addresses(vigie.ask(name)) == ["192.0.2.80"] and upstream.asked(name).count("udp") > 1


@rfc(1035, "4.2.1", "an answer by UDP has at most 512 bytes where the client says nothing else; TC tells that it was cut")
@rfc(2181, "5.1", "a set that does not fit whole is marked as truncated")
def test_512_bytes_by_udp(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = Reply(*(f"{name} 60 IN A 192.0.2.{number}" for number in range(60)))
    wire = vigie.exchange_wire(dns.message.make_query(name, "A").to_wire())
    assert len(wire) <= 512 and wire[2] & 2
    whole = vigie.ask(name, tcp=True)
    assert len(addresses(whole)) == 60 and not whole.flags & dns.flags.TC


@rfc(1035, "4.2.2", "by TCP a message follows its length in two bytes, in as many pieces as may be")
def test_tcp_in_pieces(vigie, good):
    query = dns.message.make_query(good, "A").to_wire()
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in struct.pack("!H", len(query)) + query:
            connection.send(bytes([byte]))
        length, = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        assert addresses(dns.message.from_wire(connection.recv(length, socket.MSG_WAITALL))) == ["192.0.2.80"]


@rfc(1035, "6.1.1", "UDP is served while data by TCP is waited for, and questions that go upstream are under way side by side")
def test_nobody_waits_for_another(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n workers 1\n forward . 127.0.0.1:{server.getsockname()[1]} {{\n max_connect_attempts 1\n }}\n}}\n")

        def asked(name: str) -> tuple[bytes, tuple]:
            while True:
                packet, sender = server.recvfrom(512)
                if dns.message.from_wire(packet).question[0].name.to_text().lower() == name:
                    return packet, sender

        def reply(packet: bytes, sender: tuple, address: str) -> None:
            answer = dns.message.make_response(dns.message.from_wire(packet))
            answer.answer.append(dns.rrset.from_text(answer.question[0].name, 60, "IN", "A", address))
            server.sendto(answer.to_wire(), sender)

        wire = dns.message.make_query("fast.example.", "A").to_wire()
        with (socket.create_connection((vigie.address, vigie.port), PATIENCE) as half, vigie.udp_socket() as slow, vigie.udp_socket() as fast):
            half.sendall(struct.pack("!H", len(wire)) + wire[:20])
            slow.send(dns.message.make_query("slow.example.", "A").to_wire())
            held = asked("slow.example.")
            fast.send(wire)
            reply(*asked("fast.example."), "192.0.2.2")
            assert addresses(dns.message.from_wire(fast.recv(512))) == ["192.0.2.2"]
            reply(*held, "192.0.2.1")  # too late when it was not asked for while the other one was under way
            assert addresses(dns.message.from_wire(slow.recv(512))) == ["192.0.2.1"]


@rfc(1035, "7.3", "what is no response to the question under way is ignored")
def test_only_responses_to_the_question(vigie, upstream, good):
    query = struct.pack("!6H", 0, 0x0100, 1, 0, 0, 0) + dns.name.from_text(good).to_wire() + struct.pack("!HH", 1, 1)
    upstream.answers[good.lower(), "A"].before = (b"ID" + query[2:], b"ID" + bytes(10), b"", b"ID\x81\x80")
    assert addresses(vigie.ask(good)) == ["192.0.2.80"]


@rfc(1035, "7.1", "the work for one question is bounded, whatever upstreams do")
def test_bounded_work(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = [Reply(rcode="SERVFAIL"), Reply(truncated=True), Reply(drop=True)]
    vigie.ask(name)
    assert len(upstream.asked(name)) <= 6


@rfc(2181, "4.1", "a response comes from the address that the query was sent to")
@rfc(2181, "4.2", "and from the port; it goes to the port that the query came from")
def test_source_of_a_response(start, upstream, good):
    vigie = start(f".:PORT {{\n forward . {upstream.text}\n}}\n")
    for address in ("127.0.0.1", "127.9.8.7"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:  # not connected: it hears any source
            client.settimeout(PATIENCE)
            client.bind(("127.0.0.1", 0))
            query = dns.message.make_query(good, "A").to_wire()
            client.sendto(query, (address, vigie.port))
            assert source_of(client, query) == (address, vigie.port)


@rfc(2181, "9", "TC is set only when something that was required is left out: not for additional records")
def test_tc_is_for_what_is_required(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = Reply(f"{name} 60 IN A 192.0.2.1", additional=tuple(f"{name} 60 IN AAAA 2001:db8::{number}" for number in range(90)))
    reply = vigie.ask(name)
    [addresses] = reply.additional
    assert reply.answer and not reply.flags & dns.flags.TC and 0 < len(addresses) < 90


@rfc(2181, "9", "a response with TC is ignored and asked again by TCP")
def test_truncated_replies_are_not_used(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = Reply(f"{name} 60 IN A 192.0.2.1", f"{name} 60 IN A 192.0.2.2", truncated=True)
    for _ in range(2):
        reply = vigie.ask(name)
        assert len(addresses(reply)) == 2 and not reply.flags & dns.flags.TC
    assert "tcp" in upstream.asked(name)


@rfc(2181, "11", "a label may hold any byte; names are not refused for what is in them")
def test_any_byte_in_a_label(vigie, upstream):
    for label in (bytes(range(0, 60)), bytes(range(128, 190)), b"a.b", b"\\", b"_", b"-"):
        name = dns.name.Name([label, b"bytes", b"example", b"com", b""])
        upstream.answers[name.to_text().lower(), "A"] = Reply(wire=shape_of(name))
        for tcp in (False, True):
            assert len(addresses(vigie.exchange(dns.message.make_query(name, "A"), tcp=tcp))) == 1


def shape_of(name: dns.name.Name) -> bytes:
    reply = dns.message.make_response(dns.message.make_query(name, "A"))
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
    return reply.to_wire()


@rfc(6891, "6.1.1", "OPT is in the response if and only if it is in the query")
@rfc(6891, "7", "the response's OPT says what this server takes, not what its upstream does")
def test_opt_answers_opt(vigie, upstream, good):
    for _ in range(2):
        assert vigie.ask(good).edns == -1
        reply = vigie.ask(good, size=4000)
        assert (reply.edns, reply.payload) == (0, 1232)


@rfc(6891, "6.1.1", "a query with more than one OPT is a format error")
@rfc(6891, "6.1.2", "OPT has the root as its name: with another one it is a format error")
@rfc(6891, "7", "an option that is badly formatted is a format error; the response to an OPT with a fault has an OPT, and the question")
@pytest.mark.parametrize("behind, counts", [(OPT + OPT, dict(ar=2)), (b"\1a" + OPT, dict(ar=1)), (OPT, dict(ns=1)), (options((10, b""))[:-2] + b"\0\1", dict(ar=1)),
                                            (OPT[:9] + b"\0\3abc", dict(ar=1))], ids=["two", "name", "section", "length", "header"])
def test_malformed_opt(vigie, good, behind, counts):
    query = dns.message.make_query(good, "A")
    for tcp in (False, True):
        reply = dns.message.from_wire(vigie.exchange_wire(packet(query, behind, **counts), tcp=tcp))
        assert (reply.rcode(), reply.edns, reply.question) == (dns.rcode.FORMERR, 0, query.question)


@rfc(6891, "6.1.1", "what is refused has an OPT when it came with one: no question, two of them, another kind of query")
def test_refusals_have_opt(vigie, good):
    query = dns.message.make_query(good, "A")
    question = query.to_wire()[12:]
    notify = packet(query, OPT, ar=1)[:2] + b"\x20" + packet(query, OPT, ar=1)[3:]
    for wire in (packet(query, question + OPT, qd=2, ar=1), struct.pack("!6H", 1, 0x100, 0, 0, 0, 1) + OPT, notify):
        for tcp in (False, True):
            reply = vigie.exchange_wire(wire, tcp=tcp)
            assert reply[10:] == b"\0\1" + OPT and rcode_of(reply) in (dns.rcode.FORMERR, dns.rcode.NOTIMP)
            assert len(vigie.exchange_wire(wire[:10] + b"\0\0" + wire[12:-len(OPT)], tcp=tcp)) == 12


@rfc(6891, "7", "a response that was cut has the question and an OPT at the least")
def test_cut_responses_have_opt(vigie, upstream, name):
    upstream.answers[name.lower(), "TXT"] = Reply(f"{name} 60 IN TXT " + " ".join(['"' + "x" * 250 + '"'] * 8))
    for _ in range(2):
        reply = vigie.ask(name, "TXT", size=512)
        assert reply.flags & dns.flags.TC and reply.answer == [] and reply.edns == 0 and len(reply.question) == 1
        assert vigie.ask(name, "TXT").edns == -1


@rfc(6891, "5", "binary labels are neither taken nor passed on")
def test_binary_labels(vigie, upstream, good):
    label = b"\x41\x08\xff\0"  # eight bits
    assert rcode_of(vigie.exchange_wire(struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + label + struct.pack("!HH", 1, 1))) == dns.rcode.FORMERR
    reply = shape_of(dns.name.from_text(good))
    upstream.answers[good.lower(), "A"] = [Reply(raw=reply[2:10] + b"\0\1" + reply[12:] + label + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)),
                                           Reply(f"{good} 60 IN A 192.0.2.80")]
    answer = vigie.ask(good)
    assert addresses(answer) == ["192.0.2.80"] and answer.additional == []


@rfc(6891, "6.1.1", "OPT is for one hop: a client's options do not go upstream, an upstream's do not come to clients, also not from the cache")
@rfc(6891, "6.2.6", "what a client asks and what is asked upstream are transactions of their own")
def test_opt_is_for_one_hop(vigie, upstream, name):
    reply = dns.message.from_wire(shape_of(dns.name.from_text(name)))
    reply.use_edns(0, payload=512, options=[dns.edns.GenericOption(65001, b"theirs"), dns.edns.GenericOption(3, b"nsid")])
    upstream.answers[name.lower(), "A"] = Reply(wire=reply.to_wire())
    for _ in range(2):
        answer = vigie.exchange(dns.message.make_query(name, "A", use_edns=0, payload=1400, options=[dns.edns.GenericOption(65002, b"mine")]))
        assert answer.answer and answer.options == ()
    [seen] = [query for _, asked, _, query in upstream.log if asked == name.lower()]
    assert (seen.edns, seen.payload, seen.options) == (0, 1232, ())


@rfc(6891, "6.1.2", "options that are not known are ignored, whatever their bytes")
def test_unknown_options(vigie, good):
    for code in (0, 4, 20, 65001, 65535):
        answer = dns.message.from_wire(vigie.exchange_wire(packet(dns.message.make_query(good, "A"), options((code, b"data")), ar=1)))
        assert answer.answer and answer.options == ()


@rfc(6891, "6.1.3", "a version that is not known gets BADVERS and the highest that is")
def test_version(vigie, good):
    for version in (1, 255):
        reply = vigie.exchange(dns.message.make_query(good, "A", use_edns=version))
        assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])


@rfc(6891, "6.1.4", "flags that are not known are ignored, and zero in the response; DO is repeated")
def test_edns_flags(vigie, good):
    for flags in (0x7FFF, 0xFFFF, 0x8000):
        query = dns.message.make_query(good, "A", use_edns=0, ednsflags=flags)
        reply = vigie.exchange(query)
        assert reply.answer and reply.ednsflags == flags & 0x8000


@rfc(6891, "6.2.3", "a size below 512 counts as 512")
@rfc(6891, "6.2.3", "a size is for the query that says it: it is not remembered")
@rfc(6891, "6.2.5", "no answer is longer than the client takes")
@rfc(6891, "6.2.6", "who takes more than 512 bytes gets more")
def test_payload_sizes(vigie, upstream, name):
    upstream.answers[name.lower(), "A"] = Reply(*(f"{name} 60 IN A 192.0.2.{number}" for number in range(100)))
    with vigie.udp_socket() as client:  # one address and port
        def length(size: int | None) -> int:
            client.send(dns.message.make_query(name, "A", use_edns=size is not None, payload=size or 0).to_wire())
            wire = client.recv(65535)
            assert len(wire) <= min(max(size or 0, 512), 1232) and wire[2] & 2
            return len(wire)

        sizes = (None, 0, 100, 511, 512, 700, 1232, 4096)
        lengths = {size: length(size) for size in sizes}
        assert lengths[None] <= 512 and lengths[0] == lengths[511] == lengths[512] < lengths[700] < lengths[1232] == lengths[4096]
        assert {size: length(size) for size in reversed(sizes)} == lengths


@rfc(6891, "6.2.2", "an upstream that answers FORMERR or NOTIMP without OPT is asked again without EDNS")
@pytest.mark.parametrize("bare", [False, True], ids=["with question", "header alone"])
def test_upstreams_without_edns(start, name, bare):
    with Upstream() as old:
        old.default = Reply(f"{name} 60 IN A 192.0.2.80", no_edns=True, no_question=bare)
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n forward . {old.text}\n}}\n")
        reply = vigie.ask(name, size=1232)
        assert addresses(reply) == ["192.0.2.80"] and reply.edns == 0


@rfc(7873, "5.2", "a client's cookie is no reason to refuse a query; whoever has no cookies ignores it")
@rfc(7873, "5.2.2", "nor is one of a wrong length, for a server without cookies")
def test_cookies_of_clients(vigie, upstream, good):
    for cookie in (bytes(8), bytes(16), bytes(24), bytes(40), b"", bytes(3), bytes(41)):
        answer = dns.message.from_wire(vigie.exchange_wire(packet(dns.message.make_query(good, "A"), options((10, cookie)), ar=1)))
        assert addresses(answer) == ["192.0.2.80"] and answer.options == ()
    assert all(query.options == () for _, asked, _, query in upstream.log if asked == good.lower()), "cookies are between two neighbours"


@rfc(7873, "5.3", "an upstream's cookie that nobody asked for does no harm and does not reach clients")
def test_cookies_of_upstreams(vigie, upstream, name):
    reply = dns.message.from_wire(shape_of(dns.name.from_text(name)))
    reply.use_edns(0, options=[dns.edns.GenericOption(10, bytes(24))])
    upstream.answers[name.lower(), "A"] = Reply(wire=reply.to_wire())
    answer = vigie.ask(name, size=1232)
    assert answer.answer and answer.options == ()


@rfc(7873, "5.4", "a query of a cookie alone, without a question, is not understood by a server without cookies: a format error")
def test_cookie_without_question(vigie):
    assert rcode_of(vigie.exchange_wire(struct.pack("!6H", 1, 0, 0, 0, 0, 1) + options((10, bytes(8))))) == dns.rcode.FORMERR


@rfc(8482, "4", "ANY may be answered with a part of what there is: the upstream's part passes, and is kept as ANY alone")
def test_any_of_upstreams(vigie, upstream, name):
    upstream.answers[name.lower(), "ANY"] = Reply(f"{name} 60 IN A 192.0.2.1", f"{name} 60 IN TXT x")
    upstream.answers[name.lower(), "A"] = Reply(f"{name} 60 IN A 192.0.2.1", f"{name} 60 IN A 192.0.2.2")
    for _ in range(2):
        assert len(vigie.ask(name, "ANY").answer) == 2
        assert len(addresses(vigie.ask(name))) == 2
    assert len(upstream.asked(name, "ANY")) == len(upstream.asked(name, "A")) == 1


@rfc(8482, "4", "for all other types answers are made as ever, also with `any`")
@rfc(8482, "4.2", "with `any` the answer is one HINFO that names the RFC")
def test_any_by_hinfo(start, upstream, name):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n any\n forward . {upstream.text}\n}}\n")
    reply = vigie.ask(name, "ANY")
    assert records(reply.answer) == [f'{name} HINFO "ANY obsoleted" "See RFC 8482"']
    assert upstream.asked(name) == []
    upstream.answers[name.lower(), "HINFO"] = Reply(f'{name} 60 IN HINFO "cpu" "os"')
    for tcp in (False, True):
        assert records(vigie.ask(name, "HINFO", tcp=tcp).answer) == [f'{name} HINFO "cpu" "os"']


@rfc(9619, "4", "a query with more than one question is a format error; so is one with none")
def test_one_question(vigie, upstream, good):
    query = dns.message.make_query(good, "A")
    question = query.to_wire()[12:]
    for count, wire in ((2, question), (0, b""), (65535, question), (2, b"")):
        assert rcode_of(vigie.exchange_wire(packet(query, wire, qd=count))) == dns.rcode.FORMERR
    assert upstream.asked(good) == []


@rfc(9619, "4", "a reply with more than one question is no reply")
def test_replies_with_two_questions(vigie, upstream, good):
    reply = shape_of(dns.name.from_text(good))
    end = 12 + len(dns.name.from_text(good).to_wire()) + 4
    two = reply[:4] + b"\0\2" + reply[6:end] + reply[12:end] + reply[end:]
    upstream.answers[good.lower(), "A"].before = (b"ID" + two[2:],)
    assert addresses(vigie.ask(good)) == ["192.0.2.80"]
    assert all(len(query.question) == 1 for *_, query in upstream.log), "and queries have one"
