"""The Kubernetes DNS specification as a table: one named case for each rule, asked of a vigie that reads a saved cluster
and of one that watches an API server; by UDP and by TCP.

The rows follow "Kubernetes DNS-Based Service Discovery" 1.1.0 where it says something, and CoreDNS' kubernetes plugin where
it does not; docs/differences.md lists where vigie decides otherwise. The letters: V version, A addresses of ClusterIP
services, S their SRV, P their PTR and other reverse names, H headless services, N endpoint names, R SRV of headless
services, Q PTR of endpoints, E ExternalName, D pods, Z the zone itself. The objects are in cluster_objects.py.
"""
import contextlib
import dataclasses
import ipaddress
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from cluster_objects import CLUSTER
from scripted_upstream import Reply, Upstream
from sources import SOURCES, Source
from vigie_process import Vigie, addresses, free_port, records

ZONE = "cluster.local."
TTL = 30
UPSTREAM_ANSWERS = {
    ("www.example.com.", "A"): Reply("www.example.com. 60 IN A 192.0.2.80"),
    ("www.example.com.", "AAAA"): Reply("www.example.com. 60 IN AAAA 2001:db8::80"),
    ("www.example.com.", "MX"): Reply("www.example.com. 60 IN MX 10 mx.example.com."),
    ("fat.example.com.", "A"): Reply(*[f"fat.example.com. 60 IN A 192.0.2.{number}" for number in range(1, 101)]),
    ("silent.example.com.", "A"): Reply(drop=True),
    ("broken.example.com.", "A"): Reply(rcode="SERVFAIL"),
}

# The options of `kubernetes` that the rows are asked under.
CONFIGURATIONS = {
    "plain": "",
    "insecure": "pods insecure",
    "verified": "pods verified",
    "ignore": "ignore empty_service",
    "exposed": "namespaces default",
    "podnames": "endpoint_pod_names",
    "fallthrough": "fallthrough in-addr.arpa ip6.arpa",
}


def absolute(name: str) -> str:
    """Names in the table are relative to the cluster's zone; "@" is the zone itself."""
    return ZONE if name == "@" else name if name.endswith(".") else f"{name}.{ZONE}"


def reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer + "."


@dataclasses.dataclass
class Ask:
    """One question and what must come back."""
    name: str
    rdtype: str
    answer: list[str] = dataclasses.field(default_factory=list)  # "owner TYPE rdata", or the rdata alone
    rcode: str = "NOERROR"
    soa: str | None = None        # the zone whose SOA stands in the authority section
    additional: list[str] | None = None
    ttl: int | None = TTL
    config: str = "plain"
    rdclass: str = "IN"
    authoritative: bool = True
    check: Callable[[dns.message.Message], None] | None = None

    def wanted(self) -> list[str]:
        owner = absolute(self.name)
        return sorted(text if re.match(r"\S+\. [A-Z]+ ", text) else f"{owner} {self.rdtype} {text}"
                      for text in self.answer)


def zone_of(name: str) -> str:
    name = absolute(name).lower()
    return next((zone for zone in ("in-addr.arpa.", "ip6.arpa.") if name.endswith(zone)), ZONE)


def has(name: str, rdtype: str, *answer: str, **rest) -> Ask:
    return Ask(name, rdtype, list(answer), **rest)


def nodata(name: str, rdtype: str, **rest) -> Ask:
    return Ask(name, rdtype, soa=zone_of(name), **rest)


def nxdomain(name: str, rdtype: str, **rest) -> Ask:
    return Ask(name, rdtype, rcode="NXDOMAIN", soa=zone_of(name), **rest)


def refused(name: str, rdtype: str, **rest) -> Ask:
    return Ask(name, rdtype, rcode="REFUSED", authoritative=False, **rest)


def no_cname_twice(message: dns.message.Message) -> None:
    owners = [rrset.name for rrset in message.answer]
    assert len(owners) == len(set(owners)), owners


def at_most_ten_links(message: dns.message.Message) -> None:
    no_cname_twice(message)
    assert len(message.answer) == 10, message


SVC = "svc.cluster.local."
WEB = f"web.default.{SVC}"
DB = [f"0 33 5432 db-{number}.db.default.{SVC}" for number in range(3)]

ROWS: dict[str, list[Ask]] = {
    "V1": [has("dns-version", "TXT", '"1.1.0"', ttl=28800)],
    "V2": [nodata("dns-version", "A")],
    "V3": [nxdomain("other", "TXT"), nodata("web.default.svc", "TXT")],

    "A1": [has("web.default.svc", "A", "10.96.0.10"), has("web.prod.svc", "A", "10.96.1.10"),
           has("old.default.svc", "A", "10.96.0.22")],
    "A2": [has("six.default.svc", "AAAA", "fd00:96::10"), nodata("six.default.svc", "A")],
    "A3": [nodata("web.default.svc", "AAAA")],
    "A4": [has("dual.default.svc", "A", "10.96.0.20"), has("dual.default.svc", "AAAA", "fd00:96::20"),
           has("dual6.default.svc", "A", "10.96.0.21"), has("dual6.default.svc", "AAAA", "fd00:96::21")],
    "A5": [has("idle.default.svc", "A", "10.96.0.30"), has("unready.default.svc", "A", "10.96.0.31"),
           nxdomain("idle.default.svc", "A", config="ignore"),
           nxdomain("unready.default.svc", "A", config="ignore"),
           has("web.default.svc", "A", "10.96.0.10", config="ignore")],
    "A6": [has("portless.default.svc", "A", "10.96.0.32"), nodata("portless.default.svc", "SRV"),
           nxdomain("_http._tcp.portless.default.svc", "SRV")],
    "A7": [has("WeB.DEFAULT.sVc.ClusteR.Local.", "A", "10.96.0.10")],
    "A8": [has("balanced.default.svc", "A", "10.96.0.40"), has("node-port.default.svc", "A", "10.96.0.41")],
    "A9": [has("1st.default.svc", "A", "10.96.0.42")],

    "S1": [has("_https._tcp.web.default.svc", "SRV", f"0 100 443 {WEB}", additional=[f"{WEB} A 10.96.0.10"]),
           has("_dns._udp.dns.default.svc", "SRV", f"0 100 53 dns.default.{SVC}")],
    "S2": [nxdomain("_anything._tcp.unnamed.default.svc", "SRV")],
    "S3": [nxdomain("_https._udp.web.default.svc", "SRV"), nxdomain("_dns._tcp.dns.default.svc", "SRV")],
    "S4": [has("web.default.svc", "SRV", f"0 50 80 {WEB}", f"0 50 443 {WEB}"),
           has("unnamed.default.svc", "SRV", f"0 100 80 unnamed.default.{SVC}")],
    "S5": [has("_sig._sctp.sctp.default.svc", "SRV", f"0 100 3868 sctp.default.{SVC}")],
    "S6": [has("_http._tcp.dual.default.svc", "SRV", f"0 50 80 dual.default.{SVC}",
               additional=[f"dual.default.{SVC} A 10.96.0.20", f"dual.default.{SVC} AAAA fd00:96::20"])],
    "S7": [nodata("_https._tcp.web.default.svc", "A"), nxdomain("_bogus._tcp.web.default.svc", "A")],
    "S8": [has("https.tcp.web.default.svc", "SRV", f"0 100 443 {WEB}")],
    "S9 empty non-terminals": [
        nodata("_tcp.web.default.svc", "SRV"), nodata("_tcp.web.default.svc", "A"),
        nodata("_tcp.headless.default.svc", "A"), nxdomain("_udp.web.default.svc", "A"),
        nxdomain("_tcp.unnamed.default.svc", "A")],

    "P1": [has(reverse("10.96.0.10"), "PTR", WEB)],
    "P2": [has(reverse("fd00:96::10"), "PTR", f"six.default.{SVC}")],
    "P3": [nxdomain(reverse("10.99.99.99"), "PTR"), nxdomain(reverse("fd00::99"), "PTR"),
           Ask(reverse("10.99.99.99"), "PTR", ["upstream.example."], config="fallthrough", ttl=60,
               authoritative=False),
           has(reverse("10.96.0.10"), "PTR", WEB, config="fallthrough"),
           nxdomain("absent.default.svc", "A", config="fallthrough")],
    "P4": [nxdomain(reverse("10.96.1.10"), "PTR", config="exposed"),
           nxdomain(reverse("10.244.1.10"), "PTR", config="exposed"),
           has(reverse("10.96.0.10"), "PTR", WEB, config="exposed"),
           nxdomain("web.prod.svc", "A", config="exposed"), nxdomain("prod.svc", "A", config="exposed")],
    "P5": [nodata("96.10.in-addr.arpa.", "PTR"), nodata("in-addr.arpa.", "PTR"),
           nodata("9.6.0.0.0.0.d.f.ip6.arpa.", "PTR"),
           nxdomain("x.96.10.in-addr.arpa.", "PTR"), nxdomain("256.0.96.10.in-addr.arpa.", "PTR"),
           nxdomain("1.10.0.96.10.in-addr.arpa.", "PTR"), nxdomain("010.0.96.10.in-addr.arpa.", "PTR"),
           nxdomain("g.9.6.0.0.0.0.d.f.ip6.arpa.", "PTR"), nxdomain("10.9.6.0.0.0.0.d.f.ip6.arpa.", "PTR"),
           nxdomain("0." + reverse("fd00:96::10"), "PTR")],
    "P6": [nodata("web.default.svc", "PTR")],
    "P7": [nodata(reverse("10.96.0.10"), "A"), nxdomain(reverse("10.99.99.99"), "A")],

    "H1": [has("headless.default.svc", "A", "10.244.2.1", "10.244.2.2", "10.244.2.3")],
    "H2": [has("headless6.default.svc", "AAAA", "fd00:244::2:1", "fd00:244::2:2")],
    "H3": [has("headless46.default.svc", "A", "10.244.2.11"),
           has("headless46.default.svc", "AAAA", "fd00:244::2:11", "fd00:244::2:12")],
    "H4": [nodata("headless.default.svc", "AAAA"), nodata("headless6.default.svc", "A")],
    "H5": [nxdomain("none.default.svc", "A"), nxdomain("none.default.svc", "AAAA"),
           nxdomain("none-ready.default.svc", "A")],
    "H6": [has("not-ready-too.default.svc", "A", "10.244.2.22")],
    "H7": [has("leaving.default.svc", "A", "10.244.2.23"), has("nil-ready.default.svc", "A", "10.244.2.25")],
    "H8": [has("by-hand.default.svc", "A", "192.0.2.1", "192.0.2.2")],

    "N1": [has("one.headless.default.svc", "A", "10.244.2.1"),
           has("one.headless6.default.svc", "AAAA", "fd00:244::2:1"),
           has("one.headless46.default.svc", "A", "10.244.2.11"),
           has("one.headless46.default.svc", "AAAA", "fd00:244::2:11")],
    "N2": [has("same.shared.default.svc", "A", "10.244.2.31", "10.244.2.32")],
    "N3": [has("10-244-2-3.headless.default.svc", "A", "10.244.2.3"),
           has("fd00-244--2-2.headless6.default.svc", "AAAA", "fd00:244::2:2"),
           nxdomain("10-244-2-1.headless.default.svc", "A")],
    "N4": [has("podnames-0.podnames.default.svc", "A", "10.244.2.41", config="podnames"),
           has("host.podnames.default.svc", "A", "10.244.2.42", config="podnames"),
           nxdomain("podnames-1.podnames.default.svc", "A", config="podnames"),
           has("10-244-2-43.podnames.default.svc", "A", "10.244.2.43", config="podnames"),
           nxdomain("podnames-0.podnames.default.svc", "A")],
    "N5": [nxdomain("bogus.headless.default.svc", "A"), nxdomain("one.none-ready.default.svc", "A")],
    "N6": [has("alpha.named.default.svc", "A", "10.244.0.53"),
           has("10-244-0-54.named.default.svc", "A", "10.244.0.54")],
    "N7": [nodata("two.headless46.default.svc", "A")],
    "N8": [has("two.headless.default.svc", "A", "10.244.2.2")],
    "N9": [has("db-0.db.default.svc", "A", "10.244.2.51"), nxdomain("db-3.db.default.svc", "A")],

    "R1": [has("_sql._tcp.db.default.svc", "SRV", *DB,
               additional=[f"db-{number}.db.default.{SVC} A 10.244.2.{51 + number}" for number in range(3)]),
           has("_http._tcp.headless.default.svc", "SRV", f"0 33 8080 one.headless.default.{SVC}",
               f"0 33 8080 two.headless.default.{SVC}", f"0 33 8080 10-244-2-3.headless.default.{SVC}")],
    "R2": [nxdomain("_x._tcp.nameless.default.svc", "SRV")],
    "R3": [has("_http._tcp.differing.default.svc", "SRV", f"0 50 8081 a.differing.default.{SVC}",
               f"0 50 8082 b.differing.default.{SVC}")],
    "R4": [has("no-port.default.svc", "A", "10.244.2.91"), nodata("no-port.default.svc", "SRV"),
           nxdomain("_x._tcp.no-port.default.svc", "SRV")],
    "R5": [has("ports.default.svc", "SRV", *[f"0 25 {port} {host}.ports.default.{SVC}"
                                             for port in (8080, 9090) for host in "ab"])],

    "Q1": [has(reverse("10.244.2.1"), "PTR", f"one.headless.default.{SVC}"),
           has(reverse("fd00:244::2:1"), "PTR", f"one.headless6.default.{SVC}")],
    "Q2": [has(reverse("10.244.2.3"), "PTR", f"10-244-2-3.headless.default.{SVC}")],
    "Q3": [has(reverse("10.244.0.10"), "PTR", f"10-244-0-10.web.default.{SVC}")],
    "Q4": [has(reverse("10.244.2.101"), "PTR", f"t.twin-a.default.{SVC}", f"t.twin-b.default.{SVC}")],
    "Q5": [has(reverse("10.96.0.10"), "PTR", WEB)],

    "E1": [has("outside.default.svc", "CNAME", "www.example.com.")],
    "E2": [has("outside.default.svc", "A", f"outside.default.{SVC} CNAME www.example.com.",
               "www.example.com. A 192.0.2.80", ttl=None),
           has("outside.default.svc", "AAAA", f"outside.default.{SVC} CNAME www.example.com.",
               "www.example.com. AAAA 2001:db8::80", ttl=None)],
    "E3": [has("broken.default.svc", "A", f"broken.default.{SVC} CNAME broken.example.com."),
           has("silent.default.svc", "A", f"silent.default.{SVC} CNAME silent.example.com.")],
    "E4": [has("inside.default.svc", "A", f"inside.default.{SVC} CNAME web.prod.{SVC}", f"web.prod.{SVC} A 10.96.1.10"),
           has("inside-twice.default.svc", "A", f"inside-twice.default.{SVC} CNAME inside.default.{SVC}",
               f"inside.default.{SVC} CNAME web.prod.{SVC}", f"web.prod.{SVC} A 10.96.1.10"),
           nxdomain("dangling.default.svc", "A", answer=[f"dangling.default.{SVC} CNAME nothing.default.{SVC}"])],
    "E5": [has("loop-a.default.svc", "A", f"loop-a.default.{SVC} CNAME loop-b.default.{SVC}",
               f"loop-b.default.{SVC} CNAME loop-a.default.{SVC}", check=no_cname_twice),
           has("myself.default.svc", "A", f"myself.default.{SVC} CNAME myself.default.{SVC}", check=no_cname_twice),
           has("chain-00.default.svc", "A", *[f"chain-{number:02}.default.{SVC} CNAME chain-{number + 1:02}.default.{SVC}"
                                              for number in range(10)], check=at_most_ten_links)],
    "E6": [nxdomain("literal.default.svc", "A"), nxdomain("literal.default.svc", "CNAME")],
    "E7": [nxdomain("_http._tcp.outside.default.svc", "SRV")],
    "E8": [nxdomain("h.outside.default.svc", "A")],
    "E9": [has("flipped.default.svc", "A", "10.96.0.60"), nodata("flipped.default.svc", "CNAME")],
    "E10": [has("outside.default.svc", "MX", f"outside.default.{SVC} CNAME www.example.com.",
                "www.example.com. MX 10 mx.example.com.", ttl=None)],

    "D1": [has("10-20-0-101.default.pod", "A", "10.20.0.101", config="insecure"),
           has("10-20-0-199.prod.pod", "A", "10.20.0.199", config="insecure")],
    "D2": [nxdomain("10-20-0-101.absent.pod", "A", config="insecure")],
    "D3": [nxdomain("10-20-0-101.default.pod", "A")],
    "D4": [has("10-20-0-101.default.pod", "A", "10.20.0.101", config="verified"),
           has("2001-db8--1.default.pod", "AAAA", "2001:db8::1", config="verified"),
           nxdomain("10-20-0-102.default.pod", "A", config="verified"),
           has("10-20-0-102.prod.pod", "A", "10.20.0.102", config="verified"),
           nxdomain("10-20-0-103.default.pod", "A", config="verified")],
    "D5": [has("2001-db8--1.default.pod", "AAAA", "2001:db8::1", config="insecure"),
           nodata("2001-db8--1.default.pod", "A", config="insecure"),
           nodata("10-20-0-101.default.pod", "AAAA", config="insecure")],
    "D6": [nxdomain(f"{label}.default.pod", "A", config="insecure")
           for label in ("garbage", "1-2-3", "1-2-3-256", "1-2-3-4-5", "a-b-c-d")],

    "Z1": [],  # below: the serial varies
    "Z2": [has("@", "NS", "ns.dns.cluster.local.", additional=["ns.dns.cluster.local. A 127.0.0.1"])],
    "Z3": [nodata("@", "A"), nodata("svc", "A"), nodata("default.svc", "A"), nodata("empty.svc", "A"),
           nxdomain("absent.svc", "A"), nodata("pod", "A", config="insecure"),
           nodata("default.pod", "A", config="insecure"), nxdomain("absent.pod", "A", config="insecure")],
    "Z4": [nxdomain("too.many.labels.web.default.svc", "A"), nxdomain("a.b.c.headless.default.svc", "A"),
           nxdomain("west.pin._zone.db.default.svc", "A")],
    "Z5": [nxdomain("foo", "A"), nxdomain("www.example.com.cluster.local.", "A"), nxdomain("*.default.svc", "A"),
           nxdomain("any.default.svc", "A"), nxdomain("absent.default.svc", "A")],
    "Z6": [],  # below: it needs an API server that does not answer yet
    "Z7": [],  # below: dnspython wants a zone transfer to be asked otherwise
    "Z8": [nodata("web.default.svc", "ANY"), nxdomain("absent.default.svc", "ANY")],
    "Z9": [nodata("web.default.svc", kind) for kind in ("HTTPS", "SVCB", "TYPE999", "MX", "CNAME")]
          + [nodata("headless.default.svc", "HTTPS"), nodata("one.headless.default.svc", "HTTPS"),
             nxdomain("absent.default.svc", "HTTPS")],
    "Z10": [refused("version.bind.", "TXT", rdclass="CH"), refused("hostname.bind.", "TXT", rdclass="CH")],
}


class Servers:
    """One vigie for each source and configuration, started when first asked for."""

    def __init__(self, folder, stack: contextlib.ExitStack):
        self._folder = folder
        self._stack = stack
        self._running: dict[tuple[str, str], Vigie] = {}
        self._sources: dict[str, Source] = {}
        self.upstream = stack.enter_context(Upstream(answers={
            **UPSTREAM_ANSWERS,
            (reverse("10.99.99.99"), "PTR"): Reply(f"{reverse('10.99.99.99')} 60 IN PTR upstream.example.")}))

    def get(self, source: str, config: str) -> Vigie:
        if (source, config) not in self._running:
            if source not in self._sources:
                folder = self._folder / source
                folder.mkdir()
                self._sources[source] = self._stack.enter_context(SOURCES[source](folder, CLUSTER))
            corefile = f""".:PORT {{
	bind 127.0.0.1
	errors
	kubernetes cluster.local in-addr.arpa ip6.arpa {{
		{self._sources[source].option}
		ttl {TTL}
		{CONFIGURATIONS[config]}
	}}
	forward . {self.upstream.text}
}}
"""
            vigie = Vigie(self._folder / f"{source}-{config}", corefile)
            self._running[source, config] = self._stack.enter_context(vigie)
        return self._running[source, config]


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("specification"), stack)


def verify(ask: Ask, reply: dns.message.Message) -> None:
    """Compares a reply with the table, record for record."""
    assert dns.rcode.to_text(reply.rcode()) == ask.rcode, reply
    assert records(reply.answer) == ask.wanted(), reply
    assert bool(reply.flags & dns.flags.AA) == ask.authoritative, reply
    assert not reply.flags & dns.flags.TC, reply
    assert reply.question[0].name.to_text() == absolute(ask.name), "the question's case is kept"
    if ask.ttl is not None:
        assert {rrset.ttl for rrset in reply.answer} <= {ask.ttl}, reply
    if ask.soa is None:
        assert reply.authority == [], reply
    else:
        [rrset] = reply.authority
        assert (rrset.name.to_text().lower(), rrset.rdtype, rrset.ttl) == (ask.soa, dns.rdatatype.SOA, TTL), reply
        assert rrset[0].minimum == TTL, reply
    if ask.additional is not None:
        assert records(reply.additional) == sorted(ask.additional), reply
    if ask.check is not None:
        ask.check(reply)


CASES = [pytest.param(source, row, id=f"{row}-{source}") for row in ROWS if ROWS[row] for source in SOURCES]


@pytest.mark.parametrize("source, row", CASES)
def test_row(servers: Servers, source: str, row: str):
    for ask in ROWS[row]:
        vigie = servers.get(source, ask.config)
        for tcp in (False, True):
            print(f"{'TCP' if tcp else 'UDP'} {absolute(ask.name)} {ask.rdtype} ({ask.config})")
            verify(ask, vigie.ask(absolute(ask.name), ask.rdtype, ask.rdclass, tcp=tcp, size=1232))


@pytest.fixture(params=SOURCES)
def plain(request, servers: Servers) -> Vigie:
    return servers.get(request.param, "plain")


def test_row_z1(plain: Vigie):
    for name in (ZONE, "in-addr.arpa.", "ip6.arpa."):
        reply = plain.ask(name, "SOA")
        assert reply.flags & dns.flags.AA
        [rrset] = reply.answer
        assert (rrset.name.to_text(), rrset.ttl) == (name, TTL)
        [soa] = rrset
        assert (soa.mname.to_text(), soa.rname.to_text()) == (f"ns.dns.{name}", f"hostmaster.{name}")
        assert (soa.refresh, soa.retry, soa.expire, soa.minimum) == (7200, 1800, 86400, TTL)
        assert soa.serial > 0


def test_row_z2_the_name_server_has_an_address(plain: Vigie):
    assert records(plain.ask("ns.dns.cluster.local.", "A").answer) == ["ns.dns.cluster.local. A 127.0.0.1"]


def test_row_z7(plain: Vigie):
    for name in (ZONE, WEB):
        for rdtype in ("AXFR", "IXFR"):
            for tcp in (False, True):
                query = dns.message.make_query(name, "A")
                query.question[0].rdtype = dns.rdatatype.from_text(rdtype)
                wire = query.to_wire()
                reply = plain.exchange_wire(wire, tcp=tcp)
                assert reply[3] & 0x0f == dns.rcode.REFUSED
                assert reply[6:12] == bytes(6), "no records"


def ready(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("source", SOURCES)
def test_row_z6(tmp_path, source: str):
    """Before the first sync: SERVFAIL for what is not found, and not ready. After it: the truth."""
    http = free_port()
    with SOURCES[source](tmp_path, CLUSTER, held=True) as held:
        corefile = f""".:PORT {{
	bind 127.0.0.1
	ready 127.0.0.1:{http}
	kubernetes cluster.local in-addr.arpa {{
		{held.option}
		startup_timeout 100ms
		fallthrough
	}}
}}
"""
        with Vigie(tmp_path / "vigie", corefile) as vigie:
            if held.holds:
                for name, rdtype in ((WEB, "A"), (f"absent.default.{SVC}", "A"), (f"foo.{ZONE}", "A"),
                                     (reverse("10.96.0.10"), "PTR"), (f"default.{SVC}", "A")):
                    for tcp in (False, True):
                        reply = vigie.ask(name, rdtype, tcp=tcp)
                        assert reply.rcode() == dns.rcode.SERVFAIL, reply
                        assert not reply.answer
                assert ready(http) == 503
                held.release()
            vigie.wait_until(lambda: ready(http) == 200, "ready")
            assert records(vigie.ask(WEB, "A").answer) == [f"{WEB} A 10.96.0.10"]
            # `fallthrough` with nobody behind it: the block has no answer.
            assert vigie.ask(f"absent.default.{SVC}", "A").rcode() == dns.rcode.REFUSED


# 1.2: order, size, truncation


def test_order_is_stable_without_loadbalance(plain: Vigie):
    orders = {tuple(addresses(plain.ask(f"headless.default.{SVC}", "A"))) for _ in range(20)}
    assert len(orders) == 1


@pytest.mark.parametrize("source", SOURCES)
def test_order_rotates_with_loadbalance(tmp_path, source: str):
    with SOURCES[source](tmp_path, CLUSTER) as objects:
        with Vigie(tmp_path / "vigie", f""".:PORT {{
	bind 127.0.0.1
	kubernetes cluster.local {{
		{objects.option}
	}}
	loadbalance
}}
""") as vigie:
            everyone = {"10.244.2.1", "10.244.2.2", "10.244.2.3"}
            orders = [addresses(vigie.ask(f"headless.default.{SVC}", "A")) for _ in range(60)]
            assert all(set(order) == everyone and len(order) == 3 for order in orders)
            assert {order[0] for order in orders} == everyone, "each address comes first now and then"
            reply = vigie.ask(f"inside.default.{SVC}", "A")
            assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.CNAME, dns.rdatatype.A], "CNAMEs first"


def test_eighty_endpoints(plain: Vigie):
    name = f"eighty.default.{SVC}"
    everyone = {f"10.245.0.{number}" for number in range(1, 81)}
    for size, limit in ((None, 512), (512, 512), (600, 600), (1232, 1232), (4096, 1232), (65535, 1232), (100, 512)):
        wire = plain.exchange_wire(dns.message.make_query(name, "A", use_edns=size is not None,
                                                          payload=size or 0).to_wire())
        reply = dns.message.from_wire(wire)
        assert limit - 16 < len(wire) <= limit, (size, len(wire))
        assert reply.flags & dns.flags.TC
        assert set(addresses(reply)) < everyone
        assert (reply.edns == 0) == (size is not None)
    reply = plain.ask(name, "A", tcp=True)
    assert set(addresses(reply)) == everyone and not reply.flags & dns.flags.TC


def test_five_thousand_endpoints(plain: Vigie):
    """More than a DNS message holds: whole records up to 65,535 bytes, and TC says that it is not all."""
    name = f"five-thousand.default.{SVC}"
    for tcp, limit in ((False, 1232), (True, 65535)):
        wire = plain.exchange_wire(dns.message.make_query(name, "A", use_edns=0, payload=1232).to_wire(), tcp=tcp)
        assert limit - 16 < len(wire) <= limit
        reply = dns.message.from_wire(wire)
        assert reply.flags & dns.flags.TC
        answer = addresses(reply)
        assert len(set(answer)) == len(answer) > limit // 16 - 10
    assert len(answer) > 4000
    for tcp in (False, True):
        wire = plain.exchange_wire(dns.message.make_query(f"_http._tcp.{name}", "SRV", use_edns=0,
                                                          payload=1232).to_wire(), tcp=tcp)
        reply = dns.message.from_wire(wire)
        assert reply.flags & dns.flags.TC and records(reply.answer)
    # The endpoints themselves are all there.
    assert records(plain.ask(f"10-246-19-136.{name}", "A").answer) == [f"10-246-19-136.{name} A 10.246.19.136"]
    assert records(plain.ask(reverse("10.246.19.136"), "PTR").answer) == [
        f"{reverse('10.246.19.136')} PTR 10-246-19-136.{name}"]


def test_additional_records_go_first_and_without_tc(plain: Vigie):
    name = f"_http._tcp.srv-fits.default.{SVC}"
    everyone = sorted(f"{name} SRV 0 6 8080 host-{number:02}.srv-fits.default.{SVC}" for number in range(16))
    reply = plain.ask(name, "SRV", size=1232)
    assert records(reply.answer) == everyone
    assert not reply.flags & dns.flags.TC
    assert 0 < len(records(reply.additional)) < 16
    assert len(records(plain.ask(name, "SRV", tcp=True).additional)) == 16


def test_a_chased_answer_that_does_not_fit_is_truncated(plain: Vigie):
    name = f"fat.default.{SVC}"
    for size, limit in ((None, 512), (1232, 1232)):
        wire = plain.exchange_wire(dns.message.make_query(name, "A", use_edns=size is not None,
                                                          payload=size or 0).to_wire())
        reply = dns.message.from_wire(wire)
        assert len(wire) <= limit and reply.flags & dns.flags.TC
        assert reply.answer[0].rdtype == dns.rdatatype.CNAME
    reply = plain.ask(name, "A", tcp=True)
    assert len(addresses(reply)) == 100 and not reply.flags & dns.flags.TC


def test_the_table_is_complete():
    """Each row of the checklist has its case."""
    expected = ([f"V{n}" for n in range(1, 4)] + [f"A{n}" for n in range(1, 10)] + [f"S{n}" for n in range(1, 9)]
                + [f"P{n}" for n in range(1, 8)] + [f"H{n}" for n in range(1, 9)] + [f"N{n}" for n in range(1, 10)]
                + [f"R{n}" for n in range(1, 6)] + [f"Q{n}" for n in range(1, 6)] + [f"E{n}" for n in range(1, 11)]
                + [f"D{n}" for n in range(1, 7)] + [f"Z{n}" for n in range(1, 11)])
    assert set(expected) <= set(ROWS)
    alone = [name for name in expected if not ROWS[name]]
    assert [name for name in alone if f"test_row_{name.lower()}" not in globals()] == []
