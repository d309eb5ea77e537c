"""`template`: answers made of what the query says. The first tests are the examples of CoreDNS' manual."""
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from scripted_upstream import Reply
from test_metrics import Page
from vigie_process import Vigie, addresses, free_port, records, refused_configuration


@pytest.fixture
def serve(start, upstream):
    def make(*templates: str, more: str = "") -> Vigie:
        return start(".:PORT {\n\tbind 127.0.0.1\n\terrors\n" + "".join(f"\ttemplate {each}\n" for each in templates) +
                     f"\t{more}\n\tforward . {upstream.text}\n}}\n")
    return make


def one(*lines: str) -> str:
    return "{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}"


def test_everything_is_nxdomain(serve):
    vigie = serve("ANY ANY " + one("rcode NXDOMAIN"))
    for rdtype, rdclass in (("A", "IN"), ("TXT", "CH")):
        reply = vigie.ask("www.example.org.", rdtype, rdclass)
        assert reply.rcode() == dns.rcode.NXDOMAIN and reply.flags & dns.flags.AA


def test_invalid(serve, upstream):
    vigie = serve("ANY ANY invalid " + one(
        "rcode NXDOMAIN",
        'authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"',
        'ederror 21 "Blocked according to RFC2606"'))
    reply = vigie.ask("a.invalid.", "A", size=1232)
    assert reply.rcode() == dns.rcode.NXDOMAIN and reply.answer == []
    assert records(reply.authority) == ["invalid. SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"]
    assert [(option.code, option.text) for option in reply.options] == [(21, "Blocked according to RFC2606")]
    assert vigie.ask("a.invalid.", "A", "CH").authority[0].rdclass == 3
    upstream.answers["www.example.org.", "A"] = Reply("www.example.org. 60 IN A 192.0.2.1")
    assert addresses(vigie.ask("www.example.org.")) == ["192.0.2.1"]


def test_search_domains(serve, upstream):
    soa = "authority \"{{ .Zone }} 60 IN SOA ns.example.com hostmaster.example.com (1 60 60 60 60)\""
    vigie = serve("IN ANY example.com.dc1.example.com " + one("rcode NXDOMAIN", soa))
    reply = vigie.ask("something.example.com.dc1.example.com.")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert records(reply.authority) == [
        "example.com.dc1.example.com. SOA ns.example.com. hostmaster.example.com. 1 60 60 60 60"]
    vigie = serve("IN ANY example.com " + one(
        r'match "example\.com\.(dc1\.example\.com\.)$"', "rcode NXDOMAIN",
        'authority "{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} hostmaster.{{ index .Match 1 }} (1 60 60 60 60)"',
        "fallthrough"))
    assert records(vigie.ask("x.example.com.dc1.example.com.").authority) == [
        "dc1.example.com. SOA ns.dc1.example.com. hostmaster.dc1.example.com. 1 60 60 60 60"]
    upstream.answers["x.example.com.", "A"] = Reply("x.example.com. 60 IN A 192.0.2.1")
    assert addresses(vigie.ask("x.example.com.")) == ["192.0.2.1"]


ADDRESSES = "IN A example " + one(
    "match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$",
    'answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"', "fallthrough")


def test_addresses_and_their_names(serve):
    vigie = serve(ADDRESSES, "IN PTR in-addr.arpa " + one(
        "match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$",
        'answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example."'))
    reply = vigie.ask("IP-192-0-2-7.Example.")
    assert records(reply.answer) == ["IP-192-0-2-7.Example. A 192.0.2.7"] and reply.answer[0].ttl == 60
    assert addresses(vigie.ask("a.ip-192-0-2-8.example.")) == ["192.0.2.8"]
    assert records(vigie.ask("7.2.0.192.in-addr.arpa.", "PTR").answer) == [
        "7.2.0.192.in-addr.arpa. PTR ip-192-0-2-7.example."]
    reply = vigie.ask("x.in-addr.arpa.", "PTR", size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL, "no fallthrough"
    assert [option.text for option in reply.options] == ["template: no pattern matches"]


def test_hexadecimal(serve):
    vigie = serve("IN A example " + one(
        'match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"',
        'answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}"',
        "fallthrough"))
    assert addresses(vigie.ask("ip0a5f6c09.example.")) == ["10.95.108.9"]


def test_several_patterns(serve):
    vigie = serve("IN A example " + one(
        'match "^ip-(?P<a>10)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]dc[.]example[.]$"',
        'match "^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.](?P<c>[0-9]*)[.](?P<d>[0-9]*)[.]ext[.]example[.]$"',
        'answer "{{ .Name }} 60 IN A {{ .Group.a}}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"', "fallthrough"))
    assert addresses(vigie.ask("ip-10-1-2-3.dc.example.")) == ["10.1.2.3"]
    assert addresses(vigie.ask("8.7.6.5.ext.example.")) == ["8.7.6.5"]


def test_all_sections(serve):
    vigie = serve("IN MX example " + one(
        "match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$",
        'answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"',
        'additional "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"',
        'authority  "example. 60 IN NS ns0.example." "example. 60 IN NS ns1.example."',
        'additional "ns0.example. 60 IN A 203.0.113.8"', 'additional "ns1.example. 60 IN A 198.51.100.8"',
        "fallthrough"))
    reply = vigie.ask("ip-10-1-2-3.example.", "MX")
    assert records(reply.answer) == ["ip-10-1-2-3.example. MX 10 ip-10-1-2-3.example."]
    assert records(reply.authority) == ["example. NS ns0.example.", "example. NS ns1.example."]
    assert records(reply.additional) == ["ip-10-1-2-3.example. A 10.1.2.3", "ns0.example. A 203.0.113.8",
                                         "ns1.example. A 198.51.100.8"]


def test_a_cname_is_followed(serve, upstream):
    upstream.answers["google.com.", "A"] = Reply("google.com. 60 IN A 192.0.2.9")
    vigie = serve("IN ANY foogle.com " + one(r'match "^foogle\.com\.$"', 'answer "foogle.com 60 IN CNAME google.com"',
                                             'additional "x.example. 60 IN A 192.0.2.1"'))
    reply = vigie.ask("foogle.com.")
    assert records(reply.answer) == ["foogle.com. CNAME google.com.", "google.com. A 192.0.2.9"]
    assert records(reply.additional) == ["x.example. A 192.0.2.1"]
    assert records(vigie.ask("foogle.com.", "CNAME").answer) == ["foogle.com. CNAME google.com."]
    assert upstream.asked("google.com.") == ["udp"]


def test_a_cname_of_a_cluster_name(start, snapshot):
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	template IN A example {{
		match ^(?P<name>[a-z]+)\\.example\\.$
		answer "{{{{ .Name }}}} 5 IN CNAME {{{{ .Group.name }}}}.default.svc.cluster.local."
	}}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
""")
    assert records(vigie.ask("web.example.").answer) == ["web.default.svc.cluster.local. A 10.96.0.10",
                                                         "web.example. CNAME web.default.svc.cluster.local."]


def text(vigie: Vigie, name: str = "a-7F.b.example.", rdtype: str = "TXT") -> bytes | None:
    reply = vigie.ask(name, rdtype)
    return reply.answer[0][0].strings[0] if reply.answer else None


@pytest.mark.parametrize("actions, expected", [
    ("{{ .Name }}", b"a-7f.b.example."), ("{{ .Question.Name }}", b"a-7F.b.example."), ("{{.Zone}}", b"example."),
    ("{{ .Class }} {{ .Type }}", b"IN TXT"), ("{{ .Remote }}", b"127.0.0.1"), ("{{ index .Match 0 }}", b"a-7f.b."),
    ("{{ index .Match 1 }}", b"a"), ("{{ index .Group `2` }}", b"7f"), ("{{ index .Group `hex` }}", b"7f"),
    ("{{ .Group.hex }}", b"7f"), ("{{ parseInt (index .Match 2) 16 64 }}", b"127"), ("{{ parseInt `0x10` 0 0 }}", b"16"),
    ("{{ `}}` }}", b"}}"), ("a {{- .Zone -}} b", b"aexample.b"), ("x{{/* nothing */}}y", b"xy"), ("{{ (( .Type )) }}", b"TXT"),
    ("{{ .Group.none }}", b""), ("{{ .Meta `no/label` }}", b""), ("{ .Name }", b"{ .Name }"), ("{{ 12 }}", b"12")])
def test_actions(serve, actions, expected):
    vigie = serve("IN TXT example " + one(r"match (a)-(?P<hex>[0-9a-f]+)(?P<none>x)?\.b\.",
                                          'answer "{{ .Name }} 60 IN TXT \\"' + actions + '\\""'))
    assert text(vigie) == expected


@pytest.mark.parametrize("action", ["{{ parseInt `zz` 16 8 }}", "{{ parseInt `256` 10 8 }}", "{{ parseInt `-1` 10 8 }}",
                                    "{{ index .Match 3 }}"])
def test_actions_that_fail(serve, action):
    vigie = serve("IN TXT example " + one(r"match (a)-(.)", 'answer "{{ .Name }} 60 IN TXT ' + action + '"'))
    assert vigie.ask("a-7f.b.example.", "TXT").rcode() == dns.rcode.SERVFAIL
    vigie.wait_for_log("template: what a template made is no record")


def test_what_is_no_record(serve):
    vigie = serve("IN A example " + one('answer "{{ .Name }} 60 IN A {{ .Name }}"'))
    assert vigie.ask("a.example.").rcode() == dns.rcode.SERVFAIL


def test_the_first_that_matches(serve, upstream):
    upstream.answers["x.example.", "A"] = Reply("x.example. 60 IN A 192.0.2.99")
    vigie = serve("IN A example " + one(r"match ^a", 'answer "{{ .Name }} 60 IN A 192.0.2.1"', "fallthrough"),
                  "IN A example " + one(r"match ^(a|b)", 'answer "{{ .Name }} 60 IN A 192.0.2.2"', "fallthrough"),
                  "IN AAAA example " + one('answer "{{ .Name }} 60 IN AAAA ::1"'))
    assert [addresses(vigie.ask(f"{name}.example."))[0] for name in "abx"] == ["192.0.2.1", "192.0.2.2", "192.0.2.99"]
    assert addresses(vigie.ask("x.example.", "AAAA")) == ["::1"]


def test_fallthrough_of_some_zones(serve, upstream):
    upstream.answers["x.a.example.", "A"] = Reply("x.a.example. 60 IN A 192.0.2.99")
    vigie = serve("IN A example " + one("match ^y", "fallthrough a.example"))
    assert addresses(vigie.ask("x.a.example.")) == ["192.0.2.99"]
    assert vigie.ask("x.b.example.").rcode() == dns.rcode.SERVFAIL


def test_what_does_not_fit(serve):
    lines = [f'answer "{{{{ .Name }}}} 60 IN A 192.0.2.{number}"' for number in range(1, 60)]
    vigie = serve("IN A example " + one(*lines))
    reply = vigie.ask("x.example.")
    assert reply.flags & dns.flags.TC and 20 < len(addresses(reply)) < 32
    assert len(addresses(vigie.ask("x.example.", tcp=True))) == 59


def test_servfail(serve):
    assert serve("IN A example " + one("rcode SERVFAIL")).ask("x.example.").rcode() == dns.rcode.SERVFAIL


def test_metrics(serve):
    address = f"127.0.0.1:{free_port()}"
    bad = "{{ .Name }} 60 IN A {{ index .Match 1 }}"
    vigie = serve("IN A example other " + one("match (.*)[.]example.$ (.*)[.]other[.]$", f'answer "{bad}"'),
                  "IN TXT example " + one('answer "{{ .Name }} 60 IN TXT {{ parseInt .Name 10 8 }}"'),
                  more=f"prometheus {address}")
    for name in ("192.0.2.1.other.", "nothing.example.", "nothing.example."):
        vigie.ask(name)
    vigie.ask("x.example.", "TXT")
    page = Page(address)
    name = "coredns_template_{}_total".format
    labels = {"server": f"dns://127.0.0.1:{vigie.port}", "view": "", "class": "IN"}
    assert page.value(name("matches"), zone="other.", type="A", **labels) == 1
    assert page.value(name("matches"), zone="example.", type="A", **labels) == 2
    assert page.value(name("rr_failures"), section="answer", template=bad, type="A", **labels) == 2
    assert page.value(name("template_failures"), section="answer", type="TXT", **labels) == 1


@pytest.mark.parametrize("lines, sentence", [
    ("template", "Corefile:2: 'template' needs at least 2 arguments, not 0"),
    ("template XX A", "Corefile:2: 'XX' is no class, such as IN or ANY"),
    ("template IN XX", "Corefile:2: 'XX' is no record type, such as A or ANY"),
    ("template IN A a..b", "Corefile:2: 'a..b' is not a zone"),
    ("template IN A {\nmtach x\n}", "Corefile:3: unknown option 'mtach' of 'template': did you mean 'match'?"),
    ("template IN A {\nmatch\n}", "Corefile:3: 'match' needs at least 1 argument, not 0"),
    ("template IN A {\nmatch (\n}", "Corefile:3: '(' is no regular expression: missing closing parenthesis, at offset 1"),
    ("template IN A {\nrcode MAYBE\n}", "Corefile:3: 'MAYBE' is no response code, such as NXDOMAIN"),
    ("template IN A {\nederror high\n}", "Corefile:3: 'high' is not a number from 0 to 65534"),
    ('template IN A {\nanswer "x 60 IN A 10.0.0"\n}', "Corefile:3: 'x 60 IN A 10.0.0' is no record, such as"),
    ('template IN A {\nanswer "x 60 IN A {{ .Nmae }}"\n}', ".Remote, .Question.Name, .Match, .Group and .Meta, and the "
     "functions index and parseInt, not '.Nmae'"),
    ('template IN A {\nanswer "{{ if .Name }}x{{ end }}"\n}', "functions index and parseInt, not 'if'"),
    ('template IN A {\nanswer "{{ .Name | printf }}"\n}', "functions index and parseInt, not '|'"),
    ('template IN A {\nanswer "{{ .Name"\n}', "Corefile:3: '{{ .Name': '{{' is never closed by '}}'"),
    ('template IN A {\nanswer "{{ index .Name 1 }}"\n}', "not 'an index of that kind'"),
    ('template IN A {\nanswer "{{ .Match }}"\n}', "not 'a list as a value'"),
    ('template IN A {\nmatch (?P<b>x)\nanswer "{{ .Group.a }}"\n}',
     "Corefile:4: '{{ .Group.a }}': no pattern of 'match' has a group (?P<a>…)"),
])
def test_mistakes(tmp_path, lines, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n{lines}\n}}\n")
