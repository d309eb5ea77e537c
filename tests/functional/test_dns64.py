"""`dns64`: AAAA records made of A records (RFC 6147)."""
import dns.flags
import dns.message
import dns.rcode
import pytest

from scripted_upstream import Reply
from test_metrics import Page
from vigie_process import Vigie, addresses, free_port, records, refused_configuration

SOA = "example.org. 30 IN SOA a. b. 1 2 3 4 60"
NODATA = Reply(authority=(SOA,))


@pytest.fixture
def serve(start, upstream, snapshot):
    upstream.answers["v4.example.org.", "A"] = Reply(
        "v4.example.org. 60 IN CNAME web.example.org.", "web.example.org. 20 IN A 192.0.2.33",
        "web.example.org. 60 IN A 192.0.2.34", authority=("example.org. 60 IN NS ns.example.org.",),
        additional=("ns.example.org. 60 IN A 192.0.2.9",))
    upstream.answers["v4.example.org.", "AAAA"] = NODATA
    upstream.answers["both.example.org.", "A"] = Reply("both.example.org. 60 IN A 192.0.2.1")
    upstream.answers["both.example.org.", "AAAA"] = Reply("both.example.org. 60 IN AAAA 2001:db8::1")

    def make(line: str = "dns64", more: str = "") -> Vigie:
        return start(f""".:PORT {{
	bind ::1 127.0.0.1
	{line}
	{more}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	forward . {upstream.text}
}}
""")
    return make


def ask(vigie: Vigie, name: str, rdtype: str = "AAAA", **options) -> dns.message.Message:
    return vigie.ask(name, rdtype, address=options.pop("address", "::1"), **options)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_synthesis(serve, tcp):
    """TTLs are at most the SOA's; the other records stay as they are."""
    reply = ask(serve(), "v4.example.org.", tcp=tcp)
    assert records(reply.answer) == ["v4.example.org. CNAME web.example.org.", "web.example.org. AAAA 64:ff9b::c000:221",
                                     "web.example.org. AAAA 64:ff9b::c000:222"]
    assert sorted(rrset.ttl for rrset in reply.answer) == [20, 60], "dnspython keeps the least of a set"
    assert records(reply.additional) == ["ns.example.org. A 192.0.2.9"], "only the answer section is translated"


@pytest.mark.parametrize("soa, ttl", [(None, 600), (SOA.replace("30", "1000", 1), 1000), (SOA.replace("30", "5", 1), 5)])
def test_ttls(serve, upstream, soa, ttl):
    upstream.answers["long.example.org.", "A"] = Reply("long.example.org. 5000 IN A 192.0.2.1")
    upstream.answers["long.example.org.", "AAAA"] = Reply(authority=(soa,) if soa else ())
    assert ask(serve(), "long.example.org.").answer[0].ttl == ttl


def test_what_has_aaaa_records(serve):
    assert addresses(ask(serve(), "both.example.org.")) == ["2001:db8::1"]
    assert addresses(ask(serve("dns64 {\n\t\ttranslate_all\n\t}"), "both.example.org.")) == ["64:ff9b::c000:201"]


def test_clients_by_ipv4(serve):
    assert ask(serve(), "v4.example.org.", address="127.0.0.1").answer == []
    assert len(ask(serve("dns64 {\n\t\tallow_ipv4\n\t}"), "v4.example.org.", address="127.0.0.1").answer) == 2


def test_other_questions(serve, upstream):
    vigie = serve()
    assert addresses(ask(vigie, "v4.example.org.", "A")) == ["192.0.2.33", "192.0.2.34"]
    upstream.answers["v4.example.org.", "MX"] = NODATA
    assert ask(vigie, "v4.example.org.", "MX").answer == []
    assert upstream.asked("v4.example.org.") == ["udp", "udp"]


@pytest.mark.parametrize("line, expected", [
    ("dns64 64:1337::/96", "64:1337::c000:201"), ("dns64 {\n\t\tprefix 64:1337::/96\n\t}", "64:1337::c000:201"),
    ("dns64 2001:db8::/32", "2001:db8:c000:201::"), ("dns64 2001:db8:100::/40", "2001:db8:1c0:2:1::"),
    ("dns64 2001:db8:122::/48", "2001:db8:122:c000:2:100::"),
    ("dns64 2001:db8:122:300::/56", "2001:db8:122:3c0:0:201::"),
    ("dns64 2001:db8:122:344::/64", "2001:db8:122:344:c0:2:100:0")])
def test_prefixes(serve, upstream, line, expected):
    """RFC 6052 section 2.4, with other addresses."""
    upstream.answers["one.example.org.", "A"] = Reply("one.example.org. 60 IN A 192.0.2.1")
    upstream.answers["one.example.org.", "AAAA"] = NODATA
    assert addresses(ask(serve(line), "one.example.org.")) == [expected]


def test_a_name_that_does_not_exist(serve, upstream):
    reply = ask(serve(), "absent.example.org.")
    assert reply.rcode() == dns.rcode.NXDOMAIN and upstream.asked("absent.example.org.") == ["udp"]


def test_nothing_to_translate(serve, upstream):
    """The answer to AAAA goes to the client, SOA and all."""
    for trouble in (NODATA, Reply(rcode="SERVFAIL"), Reply(rcode="NXDOMAIN"), Reply(drop=True)):
        name = f"none{len(upstream.log)}.example.org."
        upstream.answers[name, "AAAA"] = NODATA
        upstream.answers[name, "A"] = trouble
        reply = ask(vigie := serve(), name)
        assert reply.rcode() == dns.rcode.NOERROR and records(reply.authority) == ["example.org. SOA a. b. 1 2 3 4 60"]
        vigie.stop()


def test_an_error_counts_as_no_address(serve, upstream):
    upstream.answers["half.example.org.", "AAAA"] = Reply(rcode="SERVFAIL")
    upstream.answers["half.example.org.", "A"] = Reply("half.example.org. 60 IN A 192.0.2.1")
    assert addresses(ask(serve(), "half.example.org.")) == ["64:ff9b::c000:201"]


def test_mapped_addresses_are_none(serve, upstream):
    upstream.answers["mapped.example.org.", "AAAA"] = Reply("mapped.example.org. 60 IN AAAA ::ffff:192.0.2.1")
    upstream.answers["mapped.example.org.", "A"] = Reply("mapped.example.org. 60 IN A 192.0.2.1")
    assert addresses(ask(serve(), "mapped.example.org.")) == ["64:ff9b::c000:201"]


def test_a_client_that_validates(serve):
    vigie = serve()
    query = dns.message.make_query("v4.example.org.", "AAAA", want_dnssec=True)
    query.flags |= dns.flags.CD
    assert vigie.exchange(query, address="::1").answer == []


def test_names_of_the_cluster(serve):
    """At once, without anything that waits."""
    reply = ask(serve(), "web.default.svc.cluster.local.")
    assert addresses(reply) == ["64:ff9b::a60:a"] and reply.flags & dns.flags.AA


def test_metrics(serve):
    address = f"127.0.0.1:{free_port()}"
    vigie = serve(more=f"prometheus {address}")
    for name in ("v4.example.org.", "v4.example.org.", "both.example.org."):
        ask(vigie, name)
    assert Page(address).value("coredns_dns64_requests_translated_total") == 2


@pytest.mark.parametrize("line, sentence", [
    ("dns64 10.0.0.0/8", "Corefile:2: '10.0.0.0/8' is no IPv6 prefix of 32 to 96 bits"),
    ("dns64 64:ff9b::/97", "'64:ff9b::/97' is no IPv6 prefix"), ("dns64 64:ff9b::/36", "'64:ff9b::/36' is no IPv6 prefix"),
    ("dns64 64:ff9b::", "'64:ff9b::' is no IPv6 prefix"), ("dns64 a b", "'b' is one argument too many for 'dns64'"),
    ("dns64 {\ntranslate\n}", "Corefile:3: unknown option 'translate' of 'dns64'"),
    ("dns64 {\nprefix\n}", "Corefile:3: 'prefix' needs 1 argument, not 0"),
    ("dns64 {\nallow_ipv4 yes\n}", "Corefile:3: 'yes' is one argument too many for 'allow_ipv4'"),
])
def test_mistakes(tmp_path, line, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n{line}\n}}\n")
