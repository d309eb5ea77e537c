"""What an upstream says passes through `forward` and `cache` byte for byte, whatever shape it has (shapes.py).

Each shape is asked for by UDP and then from the cache by UDP and TCP; under a second server by TCP first. Compared are
the bytes of all records, from the end of the question on. What may differ, and is checked to be what it should be:

- id, RD, CD and the letters of the question, which are the client's, and RA, which is the server's own; owners that point at the question follow it;
- TTLs, which age: each is what the upstream said less the seconds since then, the least of a set's for all of it
  (RFC 2181 section 5.2); those of a denial that is kept are the least of them and of the SOA's MINIMUM at first (RFC 2308
  section 5), so that no cache behind keeps it for longer;
- the OPT record, which belongs to each hop (RFC 6891 section 6.1.1): an upstream's options do not come through, but for
  its extended error, and records behind its OPT, which are additional, are left out;
- AD, for a client that did not ask for it (RFC 6840 section 5.8);
- at the end of a UDP answer, whole records that have no room, with TC."""
import itertools
import random
import re
import struct
import time
import urllib.request

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest

from scripted_upstream import Reply, Upstream
from shapes import META_TYPES, Shape, all_shapes, known_types
from vigie_process import PATIENCE, free_port

UDP_MOST = 1232
SHAPES = all_shapes()


def records_of(wire: bytes) -> list[tuple[int, int, int, int, int]]:
    """Of each record: section, where it begins, where its TTL is, where it ends, type. Read with nothing but RFC 1035."""
    def skip(at: int) -> int:
        while wire[at]:
            if wire[at] >= 0xC0:
                return at + 2
            at += 1 + wire[at]
        return at + 1

    at, found = skip(12) + 4, []
    for section, count in enumerate(struct.unpack("!3H", wire[6:12])):
        for _ in range(count):
            fixed = skip(at)
            number, _, _, length = struct.unpack_from("!HHIH", wire, fixed)
            found.append((section, at, fixed + 4, fixed + 10 + length, number))
            at = found[-1][3]
    assert at == len(wire)
    return found


def before_opt(records: list) -> list:
    kinds = [record[4] for record in records]
    return records[:kinds.index(41)] if 41 in kinds else records


def without_ttls(wire: bytes, records: list) -> bytes:
    """The bytes of records one behind another, their TTLs zero."""
    bytes_ = bytearray(wire)
    for _, _, ttl, _, _ in records:
        bytes_[ttl:ttl + 4] = bytes(4)
    return bytes(bytes_[records[0][1]:records[-1][3]]) if records else b""


def owner_of(wire: bytes, at: int) -> bytes:
    """The owner of a record, in lower case and spelled out: dnspython follows no pointers as deep as these."""
    name = b""
    while wire[at]:
        if wire[at] >= 0xC0:
            at = struct.unpack_from("!H", wire, at)[0] & 0x3FFF
        else:
            name += wire[at:at + 1 + wire[at]]
            at += 1 + wire[at]
    return name.lower()


def told_ttls(wire: bytes, records: list) -> list[int]:
    """The TTLs with which records that stand side by side are to be sent on."""
    def set_of(record: tuple) -> tuple:
        section, at, ttl, _, kind = record
        alone = at if kind == dns.rdatatype.RRSIG else 0  # it has the TTL of what it signs (RFC 4034 section 3)
        return section, owner_of(wire, at), kind, wire[ttl - 2:ttl], alone

    told = []
    for _, group in itertools.groupby(records, set_of):
        ttls = [struct.unpack_from("!I", wire, ttl)[0] for _, _, ttl, _, _ in group]
        told += [min(ttls)] * len(ttls)
    return told


def denial_ttl(shape: Shape, records: list) -> int:
    if not shape.what.startswith(("denial", "chain")) or not shape.kept or not any(record[4] == 6 for record in records):
        return 1 << 31
    minimum, = [struct.unpack_from("!I", shape.wire, end - 4)[0] for _, _, _, end, kind in records if kind == 6]
    return min(minimum, *(struct.unpack_from("!I", shape.wire, record[2])[0] for record in records))


def compare(shape: Shape, query: dns.message.Message, reply: bytes, tcp: bool, age: float) -> None:
    asked = query.to_wire()
    question = 12 + len(shape.name.to_wire()) + 4
    assert reply[:2] == asked[:2] and reply[12:question] == asked[12:question]
    sent, got = before_opt(records_of(shape.wire)), records_of(reply)
    options = [record for record in got if record[4] == 41]
    got = before_opt(got)

    room = (65535 if tcp else UDP_MOST if query.edns >= 0 else 512) - (11 if query.edns >= 0 else 0)
    whole = not sent or sent[-1][3] <= room
    fitting = [record for record in sent if record[3] <= room]
    assert without_ttls(reply, got) == without_ttls(shape.wire, fitting)
    assert [record[0] for record in got] == [record[0] for record in fitting]
    least = denial_ttl(shape, sent)
    for ours, told in zip(got, told_ttls(shape.wire, sent)):
        given, = struct.unpack_from("!I", reply, ours[2])
        assert min(told, least) - age - 1 <= given <= min(told, least)

    flags, = struct.unpack("!H", reply[2:4])
    expected = struct.unpack("!H", shape.wire[2:4])[0] & (dns.flags.AA | dns.flags.AD | 0x0F)
    expected |= dns.flags.QR | dns.flags.RA | query.flags & (dns.flags.RD | dns.flags.CD)
    if not query.flags & dns.flags.AD and not query.ednsflags & dns.flags.DO:
        expected &= ~dns.flags.AD
    left_out = any(record[0] < 2 for record in sent[len(fitting):])
    assert flags == expected | (dns.flags.TC if left_out else 0) and whole + left_out < 2
    assert len(options) == (query.edns >= 0)
    if options:
        _, _, ttl, end, _ = options[0]
        assert end == len(reply) and struct.unpack_from("!H", reply, ttl - 2) == (UDP_MOST,)
        assert struct.unpack_from("!I", reply, ttl)[0] & 0xFFFF == query.ednsflags & dns.flags.DO


def make_query(shape: Shape, dice: random.Random) -> dns.message.Message:
    labels = [bytes(dice.choice((byte, ord(chr(byte).upper()))) if chr(byte).isascii() else byte for byte in label) for label in shape.name.labels]
    query = dns.message.make_query(dns.name.Name(labels), shape.rdtype, use_edns=dice.choice((False, 0)), payload=4096)
    if extended(shape):  # such an rcode has no place in an answer without EDNS
        query.use_edns(0, payload=4096)
    if dice.random() < 0.3:
        query.flags |= dns.flags.AD
    return query


def extended(shape: Shape) -> bool:
    return dns.message.from_wire(shape.wire).rcode() > 15 if shape.what.startswith("rcode") else False


def cache_hits(http: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=PATIENCE) as page:
        return sum(int(float(value)) for value in re.findall(r"^coredns_cache_hits_total\{.*\} (\S+)$", page.read().decode(), re.MULTILINE))


@pytest.fixture(scope="module")
def upstream():
    with Upstream(answers={(shape.name.to_text().lower(), dns.rdatatype.to_text(shape.rdtype)): Reply(wire=shape.wire)
                           for shape in SHAPES}) as upstream:
        yield upstream


@pytest.mark.parametrize("transports", [("udp", "udp", "tcp"), ("tcp", "tcp", "udp")], ids=["udp first", "tcp first"])
def test_every_shape_passes_unchanged(start, upstream, transports):
    http = free_port()
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n prometheus 127.0.0.1:{http}\n"
                  f" cache {{\n success 9984 604800 1\n denial 9984 604800 1\n servfail 0\n }}\n forward . {upstream.text}\n}}\n")
    dice = random.Random(9000)
    hits = 0
    for shape in SHAPES:
        began = time.monotonic()
        for place, transport in enumerate(transports):
            query = make_query(shape, dice)
            reply = vigie.exchange_wire(query.to_wire(), tcp=transport == "tcp")
            try:
                compare(shape, query, reply, transport == "tcp", time.monotonic() - began)
            except AssertionError as error:
                raise AssertionError(f"{shape.what}, {shape.name} {shape.rdtype}, asked the {place + 1}. time, by {transport}, "
                                     f"EDNS {query.edns}\n{shape.wire.hex()[:2000]}\n{reply.hex()[:2000]}") from error
        hits += 2 * shape.kept
        assert cache_hits(http) == hits, f"{shape.what}, {shape.name}: kept when it should not be, or the other way round"


def test_all_types_are_among_the_shapes():
    assert len(SHAPES) >= 500
    assert {shape.rdtype for shape in SHAPES} >= set(known_types()) and len(known_types()) > 85
    assert not META_TYPES & set(known_types())
