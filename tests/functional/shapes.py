"""Some 500 replies of all shapes that the format has, the same ones each time: every type of RR that ldns or dnspython
knows and some that nobody knows, records of DNSSEC, chains, denials, names and pointers at their limits, up to 64 KiB."""
import dataclasses
import random
import re
import struct
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

LDNS_TYPES = Path("/usr/include/ldns/rr.h")
META_TYPES = {0, 41, *range(128, 129), *range(249, 256)}  # no data has these
SOA = "example. 900 IN SOA ns.example. host.example. 1 7200 900 1209600 900"
KEY = "AwEAAag/8TvTxz4hCyJOXO8Iv4rQwWZfQyZZsVUqkJq0bJ3w"
SIGNATURE = "8 2 900 20300101000000 20200101000000 12345 example. " + KEY

# RDATA in zone file form. What is not here is made of random bytes.
RDATA = {
    "A": ["192.0.2.1", "192.0.2.2"], "NS": ["ns1.example.", "ns2.sub.example."], "CNAME": ["target.example."],
    "SOA": ["ns.example. host.example. 1 2 3 4 5"], "WKS": ["192.0.2.1 TCP 25 53"], "PTR": ["host.example."],
    "HINFO": ['"PC" "Linux"', '"" ""'], "MX": ["10 mail.example.", "20 mail.other.test."],
    "TXT": ['"text"', '""', '"a" "b" "\\000\\255"', '"' + "x" * 255 + '" "y"'], "RP": ["admin.example. text.example."],
    "AFSDB": ["1 afs.example."], "X25": ['"311061700956"'], "ISDN": ['"150862028003217" "004"'], "RT": ["10 relay.example."],
    "NSAP": ["0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00"], "NSAP-PTR": ["host.example."], "SIG": ["A " + SIGNATURE],
    "KEY": ["256 3 8 " + KEY], "PX": ["10 map.example. x400.example."], "GPOS": ["-32.6882 116.8652 10.0"],
    "AAAA": ["2001:db8::1", "::ffff:192.0.2.1"], "LOC": ["52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"],
    "SRV": ["0 5 5060 sip.example.", "1 0 5061 sip.other.test."], "NAPTR": ['100 10 "u" "E2U+sip" "!^.*$!sip:info@example.test!" .',
                                                                        '100 20 "s" "" "" _sip._udp.example.'],
    "KX": ["10 kx.example."], "CERT": ["PGP 0 0 " + KEY], "DNAME": ["target.example."], "APL": ["1:192.168.32.0/21 !1:192.168.38.0/28", ""],
    "DS": ["60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"], "SSHFP": ["2 1 123456789abcdef67890123456789abcdef67890"],
    "IPSECKEY": ["10 3 2 gateway.example. " + KEY, "10 1 2 192.0.2.38 " + KEY, "10 0 2 . " + KEY],
    "RRSIG": ["TYPE65400 " + SIGNATURE], "NSEC": ["next.example. A MX RRSIG NSEC TYPE1234"],
    "DNSKEY": ["257 3 8 " + KEY], "DHCID": ["AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="],
    "NSEC3": ["1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr"],
    "NSEC3PARAM": ["1 0 12 aabbccdd", "1 0 0 -"], "TLSA": ["3 1 1 " + "ab" * 32], "SMIMEA": ["3 1 1 " + "cd" * 32],
    "HIP": ["2 200100107B1A74DF365639CC39F1D578 " + KEY, "2 200100107B1A74DF365639CC39F1D578 " + KEY + " rvs1.example. rvs2.example."],
    "NINFO": ['"status"'], "CDS": ["60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "0 0 0 00"], "CDNSKEY": ["257 3 8 " + KEY],
    "OPENPGPKEY": [KEY], "CSYNC": ["66 3 A NS AAAA"], "ZONEMD": ["2018031900 1 1 " + "ab" * 48],
    "SVCB": ["0 service.example.", '1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1" key65333="x"'],
    "HTTPS": ['1 . alpn="h2" no-default-alpn ipv6hint="2001:db8::1"', "16 service.example. mandatory=alpn alpn=h3"],
    "DSYNC": ["CDS NOTIFY 5359 endpoint.example."], "SPF": ['"v=spf1 -all"'], "NID": ["10 0014:4fff:ff20:ee64"], "L32": ["10 10.1.2.0"],
    "L64": ["10 2001:0db8:1140:1000"], "LP": ["10 l64.example."], "EUI48": ["00-00-5e-00-53-2a"], "EUI64": ["00-00-5e-ef-10-00-00-2a"],
    "URI": ['10 1 "ftp://ftp.example.test/public"'], "CAA": ['0 issue "ca.example.test"', '128 tbs "Unknown"'], "AVC": ['"app-name:x"'],
    "AMTRELAY": ["10 0 1 203.0.113.15", "128 1 3 relay.example."], "RESINFO": ['"qnamemin" "exterr=15-17"'], "WALLET": ['"BTC" "x"'],
    **dict.fromkeys(("MD", "MF", "MB", "MG", "MR"), ["\\# 14 04686f7374076578616d706c6500"]),
    "MINFO": ["\\# 6 016100016200"],
    "DLV": ["60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"],
}


@dataclasses.dataclass
class Shape:
    """A whole message with id 0 under the question of this name and type; the question's name is in lower case."""
    what: str
    name: dns.name.Name
    rdtype: int
    wire: bytes
    kept: bool  # the cache holds it


def known_types() -> dict[int, str]:
    """All types that ldns or dnspython has a name for, but for those of queries alone."""
    types = {int(number): name for name, number in re.findall(r"LDNS_RR_TYPE_(\w+) = (\d+)", LDNS_TYPES.read_text())}
    types = {number: name for number, name in types.items() if name not in ("FIRST", "LAST")}
    types.update({int(kind): dns.rdatatype.to_text(kind) for kind in dns.rdatatype.RdataType})
    return {number: name for number, name in sorted(types.items()) if number not in META_TYPES}


class Maker:
    def __init__(self, seed: int):
        self.dice = random.Random(seed)
        self.shapes: list[Shape] = []

    def name(self, under: str = "example.") -> dns.name.Name:
        """Each shape has a name of its own."""
        return dns.name.from_text(f"s{len(self.shapes)}.{under}")

    def ttl(self) -> int:
        return self.dice.choice((60, 61, 300, 3600, 86400, 604800))

    def rdatas(self, number: int) -> list[dns.rdata.Rdata]:
        texts = RDATA.get(dns.rdatatype.to_text(number))
        if texts:
            return [dns.rdata.from_text("IN", number, text) for text in texts]
        return [dns.rdata.GenericRdata(dns.rdataclass.IN, number, self.dice.randbytes(self.dice.choice((0, 1, 20, 300))))]

    def rrset(self, owner: dns.name.Name | str, number: int) -> dns.rrset.RRset:
        return dns.rrset.from_rdata_list(owner, self.ttl(), self.rdatas(number))

    def message(self, name: dns.name.Name, number: int, flags: int = dns.flags.RA) -> dns.message.Message:
        message = dns.message.QueryMessage(id=0)
        message.flags = dns.flags.QR | dns.flags.RD | flags
        message.question.append(dns.rrset.RRset(name, dns.rdataclass.IN, number))
        return message

    def add(self, what: str, message: dns.message.Message, kept: bool = True) -> None:
        question = message.question[0]
        self.shapes.append(Shape(what, question.name, question.rdtype, message.to_wire(max_size=65535), kept))

    def add_raw(self, what: str, name: dns.name.Name, number: int, answers: bytes, count: int, kept: bool = True,
                behind: bytes = b"", additional: int = 0) -> None:
        """A message with records that are bytes already."""
        header = struct.pack("!6H", 0, 0x8180, 1, count, 0, additional)
        wire = header + name.to_wire() + struct.pack("!HH", number, 1) + answers + behind
        assert len(wire) <= 65535
        self.shapes.append(Shape(what, name, number, wire, kept))


def record(owner: bytes, number: int, rdata: bytes, ttl: int = 300, rdclass: int = 1) -> bytes:
    return owner + struct.pack("!HHIH", number, rdclass, ttl, len(rdata)) + rdata


QUESTION_NAME = b"\xc0\x0c"


def add_types(make: Maker) -> None:
    for number, text in known_types().items():
        message = make.message(make.name(), number)
        message.answer.append(make.rrset(message.question[0].name, number))
        make.add(f"type {text}", message)
        # The same signed, with name servers and addresses behind.
        name = make.name("Signed.EXAMPLE.")
        message = make.message(dns.name.from_text(name.to_text().lower()), number, dns.flags.AD)
        message.answer += [make.rrset(name, number), make.rrset(name, 46)]
        message.authority += [make.rrset("eXample.", 2), make.rrset("example.", 46)]
        message.additional += [make.rrset("ns1.example.", 1), make.rrset("NS2.sub.example.", 28)]
        make.add(f"type {text}, signed", message)
    for number in make.dice.sample(range(262, 32768), 30) + [65280, 65534, 65535]:
        for length in (0, make.dice.randrange(1, 1000)):
            name = make.name()
            make.add_raw(f"unknown type {number}", name, number, record(QUESTION_NAME, number, make.dice.randbytes(length)), 1)


def add_chains_and_denials(make: Maker) -> None:
    for links in (1, 2, 5, 16):
        message = make.message(make.name(), 1)
        owner = message.question[0].name
        for link in range(links):
            target = dns.name.from_text(f"l{link}.chain{links}.example.")
            message.answer.append(dns.rrset.from_text(owner, make.ttl(), "IN", "CNAME", target.to_text()))
            owner = target
        message.answer.append(make.rrset(owner, 1))
        make.add(f"chain of {links}", message)
        message = dns.message.from_wire(make.shapes[-1].wire)
        message.question[0].name = make.name()
        message.answer[0].name = message.question[0].name
        del message.answer[-1]
        message.authority.append(dns.rrset.from_text(*SOA.split(maxsplit=4)))
        message.set_rcode(3)
        make.add(f"chain of {links} to nowhere", message)
    message = make.message(make.name("sub.example."), 28)
    message.answer += [dns.rrset.from_text("sub.example.", 300, "IN", "DNAME", "other.test."), make.rrset("sub.example.", 46),
                       dns.rrset.from_text(message.question[0].name, 300, "IN", "CNAME", "x.other.test."), make.rrset("x.other.test.", 28)]
    make.add("DNAME", message)
    for rcode in (0, 3):
        for proofs in ([], [47, 46], [50, 46, 50, 46]):
            message = make.message(make.name(), 1, dns.flags.AA)
            message.set_rcode(rcode)
            message.authority.append(dns.rrset.from_text(*SOA.split(maxsplit=4)))
            message.authority += [make.rrset(f"p{place}.example.", kind) for place, kind in enumerate(proofs)]
            make.add(f"denial {rcode} with {proofs}", message)
        message = make.message(make.name(), 1)
        message.set_rcode(rcode)
        make.add(f"denial {rcode} without SOA", message, kept=False)
    message = make.message(make.name(), 1)
    message.authority.append(make.rrset("example.", 2))
    message.additional.append(make.rrset("ns1.example.", 1))
    make.add("referral", message, kept=False)


def add_headers(make: Maker) -> None:
    for flags in range(16):
        message = make.message(make.name(), 1, sum(flag for bit, flag in enumerate((dns.flags.AA, dns.flags.AD, dns.flags.RA, dns.flags.CD))
                                                   if flags >> bit & 1))
        message.answer.append(make.rrset(message.question[0].name, 1))
        make.add(f"flags {flags:04b}", message)
    for rcode in (2, 4, 5, 6, 7, 8, 9, 10, 11, 15, 17, 22, 23, 4095):
        message = make.message(make.name(), 1)
        message.use_edns(0)
        message.set_rcode(rcode)
        make.add(f"rcode {rcode}", message, kept=False)
    for option in (dns.edns.GenericOption(3, b"server"), dns.edns.GenericOption(10, bytes(24)), dns.edns.ECSOption("192.0.2.0", 24, 24),
                   dns.edns.GenericOption(12, bytes(300)), dns.edns.GenericOption(65001, b""), dns.edns.GenericOption(11, b"\0\x10")):
        message = make.message(make.name(), 1)
        message.use_edns(0, options=[option] * make.dice.choice((1, 3)))
        message.answer.append(make.rrset(message.question[0].name, 1))
        make.add(f"OPT with {int(option.otype)}", message)


def add_sizes(make: Maker) -> None:
    for count in (2, 10, 31, 32, 74, 75, 76, 100, 500, 1000, 1024, 1025, 4000):
        name = make.name()
        records = b"".join(record(QUESTION_NAME, 1, struct.pack("!I", 0xC0000000 + number)) for number in range(count))
        make.add_raw(f"{count} addresses", name, 1, records, count, kept=count <= 500)
    for size in (500, 511, 512, 513, 1220, 1221, 1222, 1231, 1232, 1233, 4096, 8192, 16000, 20000, 32767, 32768, 65534, 65535):
        name = make.name()
        left = size - 12 - len(name.to_wire()) - 4 - 12
        make.add_raw(f"{size} bytes", name, 10, record(QUESTION_NAME, 10, make.dice.randbytes(left)), 1, kept=size <= 16000)
    name = make.name()
    left = 65535 - 12 - len(name.to_wire()) - 4 - 11
    texts = b""
    while len(texts) + 12 + 256 <= left:
        texts += record(QUESTION_NAME, 16, b"\xff" + make.dice.randbytes(255))
    make.add_raw("64 KiB of TXT and OPT", name, 16, texts, len(texts) // 268, kept=False, behind=struct.pack("!BHHIH", 0, 41, 1232, 0, 0), additional=1)


def add_names(make: Maker) -> None:
    for pointers in (1, 2, 10, 100):  # each record's owner is a pointer to the owner before
        name = make.name()
        at, owner, records = 12 + len(name.to_wire()) + 4, 12, b""
        for number in range(pointers):
            step = record(struct.pack("!H", 0xC000 | owner), 16, b"\1%c" % number)
            owner, at, records = at, at + len(step), records + step
        make.add_raw(f"{pointers} pointers deep", name, 16, records + record(QUESTION_NAME, 16, b"\1y"), pointers + 1)
    for labels in (10, 60, 120):
        name = dns.name.Name([b"%c" % (97 + number % 26) for number in range(labels - 1)] + [f"s{len(make.shapes)}".encode(), b""])
        message = make.message(name, 2)
        message.answer.append(dns.rrset.from_text(name, 300, "IN", "NS", *(f"n{number}.{name}" for number in range(2))))
        make.add(f"{labels} labels", message)
    longest = dns.name.Name([b"a" * 63, b"b" * 63, b"c" * 63, f"s{len(make.shapes)}".encode().rjust(61, b"d"), b""])
    message = make.message(longest, 5)
    message.answer.append(dns.rrset.from_text(longest, 300, "IN", "CNAME", longest.parent().to_text()))
    make.add("the longest name", message)
    for odd in (bytes(range(1, 60)), bytes(range(200, 256)), b"\0", b"a.b", b"*", b"_tcp", b"A\\\"", b"xn--bcher-kva"):
        name = dns.name.Name([odd.lower(), f"s{len(make.shapes)}".encode(), b"example", b""])
        message = make.message(name, 12)
        message.answer.append(dns.rrset.from_rdata(name, 300, dns.rdata.from_text("IN", "PTR", "x.example.").replace(target=dns.name.Name([odd, b"t", b""]))))
        make.add(f"label {odd!r}", message)
    # What compression of old allowed, and nobody writes any more: pointers within SRV, RP, AFSDB, unknown positions.
    for number, rdata in ((33, struct.pack("!3H", 1, 2, 3)), (18, b"\0\1"), (36, b"\0\1"), (39, b""), (2, b""), (12, b""), (15, b"\0\1")):
        name = make.name()
        make.add_raw(f"pointer within type {number}", name, number, record(QUESTION_NAME, number, rdata + b"\3sub" + QUESTION_NAME), 1)
    name = make.name()
    whole = name.to_wire()
    make.add_raw("no compression", name, 15, b"".join(record(whole, 15, bytes([0, n]) + b"\4Mail" + whole) for n in range(4)), 4)
    name = make.name()
    make.add_raw("in capitals", name, 1, record(name.to_wire().upper(), 1, b"\xc0\0\2\1"), 1)
    name = make.name()
    make.add_raw("a record twice, and another class", name, 1, record(QUESTION_NAME, 1, b"\xc0\0\2\1") * 2 + record(QUESTION_NAME, 16, b"\1c", rdclass=3), 3)


def add_mixtures(make: Maker, count: int) -> None:
    """Random records in all sections, until there are so many shapes."""
    types = [number for number in known_types() if number not in (5, 39)]
    while len(make.shapes) < count:
        number = make.dice.choice(types)
        message = make.message(make.name(make.dice.choice(("example.", "EXAMPLE.test.".lower(), "deep.down.below.example."))), number)
        name = message.question[0].name
        message.answer.append(make.rrset(name, number))
        message.authority.append(make.rrset(name.parent(), 2))
        for section, owners in ((message.answer, [name]), (message.authority, [name, name.parent(), "TEST." if b"test" in name else "EXAMPLE.", "."]),
                                (message.additional, [name, "ns1.example.", "NS2.Sub.example."])):
            for _ in range(make.dice.randrange(6)):
                section.append(make.rrset(make.dice.choice(owners), make.dice.choice(types)))
        if make.dice.random() < 0.5:
            message.use_edns(0, payload=make.dice.choice((512, 1232, 4096)))
        make.add("mixture", message)


def all_shapes(count: int = 500, seed: int = 1035) -> list[Shape]:
    make = Maker(seed)
    add_types(make)
    add_chains_and_denials(make)
    add_headers(make)
    add_sizes(make)
    add_names(make)
    add_mixtures(make, count)
    return make.shapes
