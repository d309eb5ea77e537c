"""`rewrite`: queries changed for the directives behind it, answers changed on their way back."""
import concurrent.futures

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from scripted_upstream import Reply
from vigie_process import PATIENCE, Vigie, addresses, records, refused_configuration


@pytest.fixture
def serve(start, upstream, snapshot):
    """Rules in front of the test cluster and an upstream."""
    def make(*rules: str, more: str = "") -> Vigie:
        return start(".:PORT {\n\tbind 127.0.0.1\n\terrors\n" + "".join(f"\trewrite {rule}\n" for rule in rules) + f"""
	{more}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	forward . {upstream.text}
}}
""")
    return make


def answers(upstream, name: str, address: str = "192.0.2.1", ttl: int = 60) -> None:
    upstream.answers[name, "A"] = Reply(f"{name} {ttl} IN A {address}")


# Names


@pytest.mark.parametrize("rule, asked, seen", [
    ("name a.example.org b.example.net", "a.example.org.", "b.example.net."),
    ("name exact A.example.org. B.example.net.", "a.EXAMPLE.org.", "b.example.net."),
    ("stop name exact a.example.org b.example.net", "x.a.example.org.", "x.a.example.org."),
    ("name prefix foo bar", "foo.example.com.", "bar.example.com."),
    ("name prefix foo. bar.", "foo.example.com.", "bar.example.com."),
    ("name prefix foo bar", "foobar.example.com.", "foobar.example.com."),
    ("name suffix .schmoogle.com. .google.com.", "x.schmoogle.com.", "x.google.com."),
    ("name suffix com org", "example.com.", "example.org."),
    ("name suffix .com .org", "com.", "com."),
    ("name substring service.us-west-1.example.org service.us-west-1.consul", "ftp.service.us-west-1.example.org.",
     "ftp.service.us-west-1.consul."),
    ("name substring a. bb.", "a.a.example.", "bb.bb.example."),
    (r"name regex (.*)-(us-west-1)\.example\.org {1}.service.{2}.consul", "ftp-us-west-1.example.org.",
     "ftp.service.us-west-1.consul."),
    (r'name regex "^(?P<host>[a-z]+)(?:-v\d{1,2})?\.(?i:EXAMPLE)\.org\.$" {1}.new.example', "web-v12.example.org.",
     "web.new.example."),
    (r"name regex ^(a)(b)?\.example\.$ {1}x{2}.example", "a.example.", "ax.example."),
])
def test_what_a_name_becomes(serve, upstream, rule, asked, seen):
    answers(upstream, seen)
    vigie = serve(rule)
    reply = vigie.ask(asked)
    assert reply.question[0].name.to_text() == asked, "rewrites are invisible in the question"
    assert upstream.asked(seen) == ["udp"] and addresses(reply) == ["192.0.2.1"]


@pytest.mark.parametrize("rule, asked, upstream_name, owner", [
    ("name a.example.org b.example.net", "A.example.org.", "b.example.net.", "A.example.org."),
    ("name suffix .org .net", "a.example.org.", "a.example.net.", "a.example.net."),
    ("name suffix .org .net answer auto", "a.example.org.", "a.example.net.", "a.example.org."),
    ("name prefix foo bar answer auto", "foo.example.", "bar.example.", "foo.example."),
    ("name substring middle center answer auto", "a.middle.", "a.center.", "a.middle."),
    (r"name regex (.*)\.one\.$ {1}.two answer auto", "a.one.", "a.two.", "a.one."),
    (r"name regex (.*)\.one {1}.two", "a.one.", "a.two.", "a.two."),
    (r"stop {" "\n" r"name regex (.*)\.one\. {1}.two" "\n" r"answer name (.*)\.two\. {1}.one" "\n}", "a.one.", "a.two.",
     "a.one."),
])
def test_owners_of_answers(serve, upstream, rule, asked, upstream_name, owner):
    answers(upstream, upstream_name)
    reply = serve(rule).ask(asked)
    assert records(reply.answer) == [f"{owner} A 192.0.2.1"]


def test_a_service_by_another_name(serve):
    """The commonest use of all: the cluster's records, at once, in one worker."""
    vigie = serve("name exact shop.example.com web.default.svc.cluster.local",
                  r"stop name regex (.*)\.cluster\.example\.$ {1}.svc.cluster.local answer auto")
    for tcp in (False, True):
        reply = vigie.ask("Shop.Example.Com.", tcp=tcp)
        assert records(reply.answer) == ["Shop.Example.Com. A 10.96.0.10"] and reply.flags & dns.flags.AA
    reply = vigie.ask("web.default.cluster.example.")
    assert records(reply.answer) == ["web.default.cluster.example. A 10.96.0.10"]
    assert vigie.ask("absent.default.cluster.example.").rcode() == dns.rcode.NXDOMAIN
    assert records(vigie.ask("web.default.svc.cluster.local.").answer) == ["web.default.svc.cluster.local. A 10.96.0.10"]


def test_values(serve, upstream):
    """Names among the RDATA: of the question's name, and below it."""
    upstream.answers["b.net.", "MX"] = Reply("b.net. 60 IN MX 10 mail.b.net.", authority=("net. 60 IN NS ns.net.",),
                                             additional=("mail.b.net. 60 IN A 192.0.2.9",))
    upstream.answers["b.net.", "SRV"] = Reply("b.net. 60 IN SRV 1 2 3 mail.b.net.")
    upstream.answers["b.net.", "TXT"] = Reply('b.net. 60 IN TXT "mail.b.net."')
    upstream.answers["b.net.", "NAPTR"] = Reply('b.net. 60 IN NAPTR 1 2 "u" "sip" "" x.b.net.')
    upstream.answers["b.net.", "SOA"] = Reply("b.net. 60 IN SOA ns.b.net. host.b.net. 1 2 3 4 5")
    vigie = serve("name a.org b.net")
    reply = vigie.ask("a.org.", "MX")
    assert records(reply.answer) == ["a.org. MX 10 mail.a.org."]
    assert records(reply.authority) == ["net. NS ns.net."] and records(reply.additional) == ["mail.a.org. A 192.0.2.9"]
    assert records(vigie.ask("a.org.", "SRV").answer) == ["a.org. SRV 1 2 3 mail.a.org."]
    assert records(vigie.ask("a.org.", "TXT").answer) == ['a.org. TXT "mail.b.net."']
    assert records(vigie.ask("a.org.", "NAPTR").answer) == ['a.org. NAPTR 1 2 "u" "sip" "" x.a.org.']
    assert records(vigie.ask("a.org.", "SOA").answer) == ["a.org. SOA ns.a.org. host.b.net. 1 2 3 4 5"]


@pytest.mark.parametrize("answer", ["answer name auto", "answer auto"])
def test_values_by_a_pattern(serve, upstream, answer):
    """The manual's example: the names of addresses."""
    name = "30.30.30.10.in-addr.arpa."
    upstream.answers[name, "PTR"] = Reply(f"{name} 60 IN PTR ftp-us-west-1.service.consul.")
    vigie = serve("stop {\nname suffix .arpa .arpa\n" + answer + "\nanswer value (.*)\\.service\\.consul\\. "
                  "{1}.coredns.rocks.\n}")
    assert records(vigie.ask(name, "PTR").answer) == [f"{name} PTR ftp-us-west-1.coredns.rocks."]


def test_chains_of_cnames(serve, upstream):
    upstream.answers["b.net.", "A"] = Reply("b.net. 60 IN CNAME www.b.net.", "www.b.net. 60 IN CNAME cdn.example.",
                                            "cdn.example. 60 IN A 192.0.2.1")
    assert records(serve("name a.org b.net").ask("a.org.").answer) == [
        "a.org. CNAME www.a.org.", "cdn.example. A 192.0.2.1", "www.a.org. CNAME cdn.example."]


def test_several_rules(serve, upstream):
    """`continue` goes on with the new name; the answer goes back in reverse order."""
    answers(upstream, "a.three.")
    vigie = serve("continue name suffix .one .two answer auto", "continue name suffix .two .three answer auto",
                  "name suffix .four .five")
    assert records(vigie.ask("a.one.").answer) == ["a.one. A 192.0.2.1"]
    answers(upstream, "b.two.")
    vigie = serve("stop name suffix .one .two answer auto", "name suffix .two .three answer auto")
    assert records(vigie.ask("b.one.").answer) == ["b.one. A 192.0.2.1"]


def test_rules_that_never_end(serve, upstream):
    """At most eight renamings of one query."""
    answers(upstream, "x8.")
    vigie = serve(*[f"continue name x{number} x{number + 1}" for number in range(20)])
    assert records(vigie.ask("x0.").answer) == ["x0. A 192.0.2.1"]


def test_no_name_any_more(serve, upstream):
    vigie = serve(rf"name regex (.*)\.example\.$ {{1}}.{'long.' * 40}example")
    name = ".".join(["a" * 63, "b" * 20]) + ".example."
    reply = vigie.ask(name, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and not upstream.log
    assert [option.text for option in reply.options] == ["rewrite: invalid name after rewrite"]
    vigie.wait_for_log("invalid name after rewrite")


def test_a_pattern_that_blows_up(serve, upstream):
    """A text that takes too many steps counts as no match; the server answers on."""
    name = ".".join(["a" * 60] * 4) + "."
    answers(upstream, name)
    vigie = serve(r"name regex ^((a+\.?)+)+[bc]$ x")
    for _ in range(20):
        assert addresses(vigie.ask(name)) == ["192.0.2.1"]
    assert vigie.log().count("it counts as no match") == 1


def test_errors_go_through(serve, upstream):
    vigie = serve("name a.org b.net", "name c.org b.net")
    for rcode in ("NXDOMAIN", "SERVFAIL", "REFUSED"):
        upstream.answers["b.net.", "A"] = Reply(rcode=rcode)
        assert dns.rcode.to_text(vigie.ask("a.org.").rcode()) == rcode
    upstream.answers["b.net.", "A"] = Reply(drop=True)
    assert vigie.ask("c.org.").rcode() == dns.rcode.SERVFAIL
    vigie.wait_for_log(r"plugin/errors: 2 c\.org\. A: ")


def test_an_answer_that_does_not_fit(serve, upstream):
    upstream.answers["b.net.", "A"] = Reply(*[f"b.net. 60 IN A 192.0.2.{number}" for number in range(1, 60)])
    vigie = serve("name a.org b.net")
    reply = vigie.ask("a.org.")
    assert reply.flags & dns.flags.TC and 20 < len(addresses(reply)) < 32
    assert len(addresses(vigie.ask("a.org.", tcp=True))) == 59
    assert upstream.asked("b.net.")[-1] == "tcp", "a client that comes by TCP is asked for by TCP"


# Types, classes, TTLs, rcodes


def test_types(serve, upstream):
    upstream.answers["a.org.", "HINFO"] = Reply('a.org. 60 IN HINFO "x" "y"')
    reply = serve("type ANY HINFO").ask("a.org.", "ANY")
    assert dns.rdatatype.to_text(reply.question[0].rdtype) == "ANY" and records(reply.answer) == ['a.org. HINFO "x" "y"']


def test_classes(serve):
    vigie = serve("class CH IN", "class HS CH")
    reply = vigie.ask("web.default.svc.cluster.local.", "A", "CH")
    assert reply.rcode() == dns.rcode.NOERROR and len(reply.answer) == 1 and reply.question[0].rdclass == 3
    assert vigie.ask("web.default.svc.cluster.local.", "A", "HS").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("rule, ttls", [
    ("a.org 15", [15, 15, 15]), ("exact a.org 15", [15, 15, 15]), ("a.org 30-300", [30, 60, 300]),
    ("a.org -50", [10, 50, 50]), ("a.org 50-", [50, 60, 1000]), (r"regex (.*)\.org 15", [15, 15, 15]),
    ("suffix .org 15", [15, 15, 15]), ("prefix a 15", [15, 15, 15]), ("substring org 15", [15, 15, 15]),
    ("b.org 15", [10, 60, 1000])])
def test_ttls(serve, upstream, rule, ttls):
    upstream.answers["a.org.", "A"] = Reply("a.org. 10 IN CNAME b.org.", "b.org. 60 IN CNAME c.org.", "c.org. 1000 IN A 192.0.2.1")
    assert [rrset.ttl for rrset in serve(f"ttl {rule}").ask("a.org.").answer] == ttls


def test_ttls_of_a_renamed_query(serve, upstream):
    answers(upstream, "b.net.", ttl=60)
    vigie = serve("continue name a.org b.net", "ttl b.net 5")
    assert vigie.ask("a.org.").answer[0].ttl == 5


@pytest.mark.parametrize("rule, expected", [
    ("a.org SERVFAIL NOERROR", "NOERROR"), ("exact a.org 2 0", "NOERROR"), ("a.org REFUSED NOERROR", "SERVFAIL"),
    (r"regex (.*)\.org SERVFAIL nxdomain", "NXDOMAIN"), ("suffix .net SERVFAIL NOERROR", "SERVFAIL")])
def test_rcodes(serve, upstream, rule, expected):
    upstream.answers["a.org.", "A"] = Reply(rcode="SERVFAIL")
    assert dns.rcode.to_text(serve(f"rcode {rule}").ask("a.org.").rcode()) == expected


# CNAME targets


@pytest.mark.parametrize("rule, target", [
    (r"regex (.*).cdn.example.net. {1}.other.cdn.com.", "my-app.com.other.cdn.com."),
    ("my-app.com.cdn.example.net. elsewhere.example.", "elsewhere.example."),
    ("prefix my-app.com.c your-app.com.c", "your-app.com.cdn.example.net."),
    ("suffix .example.net .example.org", "my-app.com.cdn.example.org."),
    ("substring p.com.c pp.com.c", "my-app" "p.com.cdn.example.net."),
])
def test_cname_targets(serve, upstream, rule, target):
    upstream.answers["my-app.com.", "A"] = Reply(
        "my-app.com. 200 IN CNAME my-app.example.", "my-app.example. 200 IN CNAME my-app.com.cdn.example.net.",
        "my-app.com.cdn.example.net. 300 IN A 20.2.0.1", "my-app.com.cdn.example.net. 300 IN A 20.2.0.2")
    answers(upstream, target, "30.3.1.2")
    assert records(serve(f"cname {rule}").ask("my-app.com.").answer) == sorted([
        "my-app.com. CNAME my-app.example.", f"my-app.example. CNAME {target}", f"{target} A 30.3.1.2"])


def test_cname_targets_in_a_circle(serve, upstream):
    upstream.answers["a.org.", "A"] = Reply("a.org. 60 IN CNAME b.org.")
    vigie = serve("cname b.org a.org")
    assert vigie.ask("a.org.").answer, "it ends"


# EDNS options


def options(upstream, vigie: Vigie, *given: dns.edns.Option, **asked) -> dict[int, bytes]:
    """The options that the upstream gets of a query with these."""
    upstream.answers["a.org.", "A"] = Reply("a.org. 60 IN A 192.0.2.1")
    query = dns.message.make_query("a.org.", "A", use_edns=0 if asked.pop("edns", True) else -1, options=given)
    reply = vigie.exchange(query, **asked)
    assert addresses(reply) == ["192.0.2.1"] and (reply.edns == -1 or reply.options == ())
    return {option.otype: option.to_wire() for option in upstream.log[-1][-1].options}


LOCAL = [
    ("local set 0xffee 0x61626364", None, b"abcd"), ("local set 0xffee abcd", None, b"abcd"),
    ("local set 65518 abcd revert", b"old", b"abcd"), ("local append 0xffee abcd", None, b"abcd"),
    ("local append 0xffee abcd", b"old", None), ("local replace 0xffee abcd", None, None),
    ("local replace 0xffee abcd", b"old", b"abcd"), ("local set 0xffee {qname}", None, b"a.org."),
    ("local set 0xffee {qtype}", None, b"\0\1"), ("local set 0xffee {client_ip}", None, b"\x7f\0\0\1"),
    ("local set 0xffee {server_ip}", None, b"\x7f\0\0\1"), ("local set 0xffee {protocol}", None, b"udp"),
]


@pytest.mark.parametrize("rule, given, expected, edns", [
    (*case, edns) for edns in (True, False) for case in LOCAL if edns or case[1] is None])  # a plain query has none
def test_local_options(serve, upstream, rule, given, expected, edns):
    vigie = serve(f"edns0 {rule}")
    seen = options(upstream, vigie, *([dns.edns.GenericOption(0xffee, given)] if given else []), edns=edns)
    assert seen.get(0xffee) == expected


def test_ports_as_options(serve, upstream):
    vigie = serve("continue edns0 local set 0xffee {server_port}", "edns0 local set 0xffef {client_port}")
    seen = options(upstream, vigie)
    assert int.from_bytes(seen[0xffee], "big") == vigie.port and len(seen[0xffef]) == 2


def test_only_what_rules_set_goes_upstream(serve, upstream):
    given = (dns.edns.GenericOption(0xffee, b"x"), dns.edns.GenericOption(0xfff0, b"y"), dns.edns.ECSOption("192.0.2.1"))
    assert options(upstream, serve("edns0 local unset 0xffee"), *given) == {}
    assert options(upstream, serve("edns0 local set 0xffee z"), *given) == {0xffee: b"z"}


RULE = "edns0 local set 0xffee {client_ip}"


def ask_from(vigie: Vigie, address: str, name: str = "a.org.") -> str:
    query = dns.message.make_query(name, "A")
    reply = dns.query.udp(query, vigie.address, port=vigie.port, timeout=PATIENCE, source=address, ignore_unexpected=True)
    return str(reply.answer[0][0])


def test_what_depends_on_an_option_is_not_cached(start, upstream):
    """Nor answered from what was cached for others."""
    for name in ("a.org.", "b.org."):
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1")
    vigie = start(f".:PORT {{\n rewrite stop name exact b.org a.org\n rewrite {RULE}\n cache\n forward . {upstream.text}\n}}\n")
    for count in (1, 2, 3):
        assert ask_from(vigie, f"127.0.0.{count % 2 + 1}") == "192.0.2.1"
        assert len(upstream.asked("a.org.")) == count
    # without the rule the same name is cached, and stays apart
    for _ in range(2):
        ask_from(vigie, "127.0.0.1", "b.org.")
    assert len(upstream.asked("a.org.")) == 4
    ask_from(vigie, "127.0.0.1")
    assert len(upstream.asked("a.org.")) == 5


def test_questions_with_other_options_share_no_packet(start, upstream):
    upstream.answers["a.org.", "A"] = Reply("a.org. 60 IN A 192.0.2.1", delay=0.5)
    vigie = start(f".:PORT {{\n rewrite {RULE}\n cache\n forward . {upstream.text} {{\n max_connect_attempts 1\n }}\n}}\n")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda i: ask_from(vigie, f"127.0.0.{i % 2 + 1}"), range(8))) == {"192.0.2.1"}
    seen = [{option.otype: option.to_wire() for option in entry[-1].options} for entry in upstream.log]
    assert len({frozenset(each.items()) for each in seen}) == 2
    assert len(seen) < 8  # those with the same options do


@pytest.mark.parametrize("rule, expected", [
    ("subnet set 24 56", "127.0.0.0/24"), ("subnet set 9 56", "127.0.0.0/9"), ("subnet set 0 0", "0.0.0.0/0"),
    ("subnet append 32 128", "127.0.0.1/32")])
def test_client_subnets(serve, upstream, rule, expected):
    seen = options(upstream, serve(f"edns0 {rule}"))
    option = dns.edns.ECSOption.from_text(f"{expected}/0")
    assert seen[8] == option.to_wire()


def test_nsid_options(serve, upstream):
    assert options(upstream, serve("edns0 nsid set"))[3] == b""
    assert options(upstream, serve("edns0 nsid unset"), dns.edns.GenericOption(3, b"")) == {}


# Mistakes


@pytest.mark.parametrize("rule, sentence", [
    ("name", "'name': a name or pattern is missing behind it"),
    ("", "'rewrite': what is rewritten (name, type, class, edns0, ttl, cname or rcode) is missing behind it"),
    ("nmae a b", "'rewrite' changes name, type, class, edns0, ttl, cname or rcode, not 'nmae'"),
    ("name a.org", "'a.org': the name that it becomes is missing behind it"),
    ("name glob a b", "'glob' is not exact, prefix, suffix, substring or regex: it is needed when more than a name is said"),
    ("name exact a b c", "'c' is one word too many for this rule"),
    ("name regex ( b", "'(' is no regular expression: missing closing parenthesis, at offset 1"),
    ("name regex (a) {1}.{2}", "'{1}.{2}': the pattern '(a)' has 1 groups, there is no {2}"),
    (f"name regex {'a' * 10001} b", "is longer than the 10000 bytes that a pattern may have"),
    ("name suffix a b answer", "'answer': auto, name or value is missing behind it"),
    ("name suffix a b answer both", "'answer' takes auto, name or value, not 'both'"),
    ("name suffix a b answer name a", "'a': the name that it becomes is missing behind it"),
    ("name suffix a b answer auto answer name a b", "'answer name' and 'answer auto' exclude each other"),
    ("answer name a b", "'answer' stands behind a name rule, not at the beginning"),
    ("type A", "'A': a record type, such as A or MX is missing behind it"),
    ("type A NOSUCH", "'NOSUCH' is not a record type, such as A or MX"),
    ("class IN NO", "'NO' is not a class, such as IN or CH"),
    ("ttl a.org soon", "'soon' is neither seconds nor a range of them, such as 30, 30-300, 30- or -300"),
    ("ttl a.org 300-30", "'300-30' is neither seconds nor a range"),
    ("ttl a.org -", "'-' is neither seconds nor a range"),
    ("ttl a.org 4294967296", "'4294967296' is neither seconds nor a range"),
    ("rcode a.org SERVFAIL", "'SERVFAIL': a response code, such as NXDOMAIN or 3 is missing behind it"),
    ("rcode a.org SERVFAIL 24", "'24' is not a response code, such as NXDOMAIN or 3"),
    ("edns0 local", "'edns0' takes local, nsid or subnet, and what is to be done with it"),
    ("edns0 locale set 1 2", "'edns0' takes local, nsid or subnet, not 'locale'"),
    ("edns0 local put 1 2", "'edns0' can set, append, replace or unset, not 'put'"),
    ("edns0 local set 1", "'local': the rule has the form 'local ACTION CODE DATA', with 4 words for 'set'"),
    ("edns0 local set 65536 a", "'65536' is not a number from 0 to 65535"),
    ("edns0 local set 1 0x616", "'0x616' is not a number of hexadecimal bytes"),
    ("edns0 local set 1 {nothing}", "'{nothing}' is none of {qname}"),
    ("edns0 subnet set 33 56", "'33' is not a number from 0 to 32"),
    ("edns0 nsid set now", "'nsid': the rule has the form 'nsid ACTION', with 2 words for 'set'"),
])
def test_mistakes(tmp_path, rule, sentence):
    log = refused_configuration(tmp_path, f".:PORT {{\nrewrite {rule}\n}}\n")
    assert "Corefile:2: " in log and sentence in log
