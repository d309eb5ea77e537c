"""Directives of a few lines: any, bufsize, chaos, header, minimal, nsid, whoami."""
import socket

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from scripted_upstream import Reply
from vigie_process import Vigie, addresses, records, refused_configuration

NAME = "www.example.org."


@pytest.fixture
def serve(start):
    def make(*lines: str) -> Vigie:
        return start(".:PORT {\n\tbind 127.0.0.1 ::1\n" + "".join(f"\t{line}\n" for line in lines) + "}\n")
    return make


# any


def test_any(serve):
    vigie = serve("any", "whoami")
    reply = vigie.ask(NAME, "ANY")
    assert records(reply.answer) == [f'{NAME} HINFO "ANY obsoleted" "See RFC 8482"'] and reply.answer[0].ttl == 8482
    assert vigie.ask(NAME, "A").answer == []


# whoami


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("address, rdtype", [("127.0.0.1", "A"), ("::1", "AAAA")])
def test_whoami(serve, tcp, address, rdtype):
    reply = serve("whoami").ask(NAME, "MX", tcp=tcp, address=address)
    owner = f"_{'tcp' if tcp else 'udp'}.{NAME}"
    assert reply.answer == [] and reply.flags & dns.flags.AA
    [host, port] = reply.additional
    assert records([host]) == [f"{NAME} {rdtype} {address}"] and host.ttl == 0
    assert port.name.to_text() == owner and port[0].target.to_text() == "."
    assert (port[0].priority, port[0].weight) == (0, 0) and port[0].port > 1023


def test_whoami_tells_the_clients_port(serve):
    vigie = serve("whoami")
    with vigie.udp_socket() as client:
        client.send(dns.message.make_query(".", "A").to_wire())
        reply = dns.message.from_wire(client.recv(512))
        assert reply.additional[1][0].port == client.getsockname()[1]
        assert reply.additional[1].name.to_text() == "_udp."


def test_whoami_of_a_name_without_room(serve):
    name = ".".join(["a" * 63] * 3 + ["a" * 61]) + "."
    assert [rrset.rdtype for rrset in serve("whoami").ask(name).additional] == [1]


# chaos


def text(vigie: Vigie, name: str) -> list[str]:
    reply = vigie.ask(name, "TXT", "CH")
    assert all(rrset.rdclass == 3 and rrset.ttl == 0 for rrset in reply.answer)
    return sorted(rdata.strings[0].decode() for rrset in reply.answer for rdata in rrset)


def test_chaos(serve):
    vigie = serve("chaos CoreDNS-001 info@coredns.io someone@example.org", "whoami")
    assert text(vigie, "version.bind.") == text(vigie, "VERSION.server.") == ["CoreDNS-001"]
    assert text(vigie, "authors.bind.") == ["info@coredns.io", "someone@example.org"]
    assert text(vigie, "hostname.bind.") == text(vigie, "id.server.") == [socket.gethostname()]
    assert vigie.ask("version.bind.", "TXT").answer == [], "class IN is another question"
    assert vigie.ask("version.bind.", "A", "CH").rcode() == dns.rcode.REFUSED
    assert vigie.ask("other.bind.", "TXT", "CH").rcode() == dns.rcode.REFUSED


def test_chaos_by_itself(serve):
    vigie = serve("chaos")
    assert text(vigie, "version.bind.")[0].startswith("vigie-") and text(vigie, "authors.bind.") == []


def test_chaos_with_a_long_version(serve):
    assert text(serve("chaos " + "v" * 300), "version.bind.") == ["v" * 255]


def test_nothing_is_told_unasked(serve):
    assert serve("whoami").ask("version.bind.", "TXT", "CH").rcode() == dns.rcode.REFUSED


# nsid


def nsid(vigie: Vigie, ask: bool = True) -> list[bytes]:
    query = dns.message.make_query(NAME, "A", use_edns=0, options=[dns.edns.GenericOption(3, b"")] if ask else [])
    return [option.to_wire() for option in vigie.exchange(query).options if option.otype == 3]


def test_nsid(serve):
    vigie = serve("nsid Use The Force", "whoami")
    assert nsid(vigie) == [b"Use The Force"]
    assert nsid(vigie, ask=False) == []
    assert nsid(serve("nsid", "whoami")) == [socket.gethostname().encode()]
    assert nsid(serve("whoami")) == []


# minimal


def test_minimal(serve, upstream):
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN CNAME web.example.org.", "web.example.org. 60 IN A 192.0.2.1",
                                        authority=("example.org. 60 IN NS ns.example.org.",),
                                        additional=("ns.example.org. 60 IN A 192.0.2.2",))
    upstream.answers["empty.example.org.", "A"] = Reply(authority=("example.org. 60 IN SOA a. b. 1 2 3 4 60",))
    upstream.answers["sub.example.org.", "A"] = Reply(authority=("sub.example.org. 60 IN NS ns.sub.example.org.",),
                                                      additional=("ns.sub.example.org. 60 IN A 192.0.2.3",))
    full, small = (serve(*lines, f"forward . {upstream.text}") for lines in ([], ["minimal"]))
    reply = full.ask(NAME, size=1232)
    assert reply.authority and reply.additional
    reply = small.ask(NAME, size=1232)
    assert addresses(reply) == ["192.0.2.1"] and not reply.authority and not reply.additional
    assert len(small.ask("empty.example.org.").authority) == 1
    assert small.ask("absent.example.org.").rcode() == dns.rcode.NXDOMAIN and small.ask("absent.example.org.").authority
    reply = small.ask("sub.example.org.")
    assert reply.authority and reply.additional, "a delegation is useless without its servers"
    assert serve("minimal", "whoami").ask(NAME).additional == []


# bufsize


@pytest.fixture
def large(upstream):
    upstream.answers[NAME, "A"] = Reply(*[f"{NAME} 60 IN A 192.0.2.{number}" for number in range(1, 60)])
    return upstream


@pytest.mark.parametrize("line, asked, limit", [
    ("bufsize 600", 4096, 600), ("bufsize 600", 520, 520), ("bufsize 600", None, 512), ("bufsize", 4096, 1232),
    ("bufsize 4096", 4096, 1232)])
def test_bufsize(serve, large, line, asked, limit):
    """59 records of 16 bytes are 944: with what else is in the answer they need 988 bytes."""
    reply = serve(line, f"forward . {large.text}").ask(NAME, size=asked)
    count = min(59, (limit - 12 - len(NAME) - 1 - 4 - (11 if asked else 0)) // 16)
    assert len(addresses(reply)) == count
    assert bool(reply.flags & dns.flags.TC) == (count < 59)


@pytest.mark.parametrize("line, told", [("", 1232), ("bufsize", 1232), ("bufsize 600", 600), ("bufsize 4096", 1232)])
def test_upstreams_are_told_the_size(serve, large, line, told):
    """Never more than usual, and the same by every transport."""
    forward = f"forward . {large.text} {{\n max_connect_attempts 1\n }}"
    assert len(addresses(serve(line, forward).ask(NAME, tcp=True))) == 59
    serve(line, forward).ask(NAME, size=4096)
    assert {query.payload for *_, query in large.log} == {told}
    assert large.asked(NAME) == ["tcp", "udp"]


def test_bufsize_is_for_udp(serve, large):
    assert len(addresses(serve("bufsize 512", f"forward . {large.text}").ask(NAME, size=4096, tcp=True))) == 59


# header


def flags(reply: dns.message.Message) -> set[str]:
    return {name for name in ("AA", "RA", "RD") if reply.flags & dns.flags.Flag[name]}


def block(*lines: str) -> list[str]:
    return ["header {", *(f"\t{line}" for line in lines), "}"]


@pytest.mark.parametrize("lines, expected", [
    ([], {"AA", "RD"}),
    (["response set ra"], {"AA", "RA", "RD"}),
    (["response set ra aa", "response clear rd"], {"AA", "RA"}),
    (["response clear AA RD"], set()),
    (["Response Set RA", "response clear ra"], {"AA", "RD"}),
    (["response clear ra", "response set ra"], {"AA", "RA", "RD"}),
    (["query clear rd"], {"AA"})])
def test_header(serve, lines, expected):
    header = block(*lines) if lines else []
    assert flags(serve(*header, "whoami").ask(NAME)) == expected


@pytest.mark.parametrize("line, asked, seen", [("query set rd", False, True), ("query clear rd", True, False),
                                               ("response clear rd", True, True)])
def test_header_of_queries(serve, upstream, line, asked, seen):
    """The directives behind it see the change: so does the upstream."""
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.1")
    vigie = serve(*block(line), f"forward . {upstream.text}")
    query = dns.message.make_query(NAME, "A", flags=dns.flags.RD if asked else 0)
    reply = vigie.exchange(query)
    assert addresses(reply) == ["192.0.2.1"]
    [(_, _, _, got)] = upstream.log
    assert bool(got.flags & dns.flags.RD) == seen
    assert bool(reply.flags & dns.flags.RD) == (seen and "response" not in line)


# Mistakes


@pytest.mark.parametrize("lines, sentence", [
    ("any now", "Corefile:2: 'now' is one argument too many for 'any'"),
    ("any {\nnow\n}", "Corefile:2: 'any' takes no block of options"),
    ("any\nany", "Corefile:3: 'any' stands in this block already, at"),
    ("whoami me", "Corefile:2: 'me' is one argument too many for 'whoami'"),
    ("minimal 1", "Corefile:2: '1' is one argument too many for 'minimal'"),
    ("chaos {\nversion 1\n}", "Corefile:2: 'chaos' takes no block of options"),
    ("nsid a\nnsid b", "Corefile:3: 'nsid' stands in this block already, at"),
    ("nsid " + "x" * 256, "an NSID has at most 255 bytes"),
    ("bufsize 511", "Corefile:2: '511' is not a number from 512 to 4096"),
    ("bufsize 4097", "Corefile:2: '4097' is not a number from 512 to 4096"),
    ("bufsize 1232 1232", "Corefile:2: '1232' is one argument too many for 'bufsize'"),
    ("header", "Corefile:2: 'header' needs a block with a line such as 'response set ra'"),
    ("header {\n}", "Corefile:2: 'header' needs a block with a line such as 'response set ra'"),
    ("header {\nrepsonse set ra\n}", "Corefile:3: unknown option 'repsonse' of 'header': did you mean 'response'?"),
    ("header {\nresponse set\n}", "Corefile:3: 'response' needs at least 2 arguments, not 1"),
    ("header {\nquery unset rd\n}", "Corefile:3: 'query' takes set or clear, not 'unset'"),
    ("header {\nresponse set ad\n}", "Corefile:3: 'header' changes the flags aa, ra and rd, not 'ad'"),
])
def test_mistakes(tmp_path, lines, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n{lines}\n}}\n")
