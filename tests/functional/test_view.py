"""`view`: blocks for some queries alone; `metadata`: what directives tell each other of a query."""
import dns.message
import dns.query
import dns.rcode
import pytest

from cluster_objects import namespace, pod, service, write_snapshot
from test_metrics import Page
from vigie_process import Vigie, addresses, free_port, refused_configuration


def block(address: str, view: str = "", keys: str = ".:PORT", more: str = "") -> str:
    """A block that answers every A and AAAA query with this address."""
    kind = "AAAA" if ":" in address else "A"
    return f"""{keys} {{
	bind 127.0.0.1 ::1
	{view}
	{more}
	template IN ANY {{
		answer "{{{{ .Name }}}} 60 IN {kind} {address}"
	}}
}}
"""


def view(*expressions: str, name: str = "some") -> str:
    return f"view {name} {{\n" + "".join(f"\t\texpr {each}\n" for each in expressions) + "\t}"


def ask(vigie: Vigie, name: str = "test.", rdtype: str = "A", source: str = "127.0.0.1", size: int | None = None,
        tcp: bool = False, **options) -> str:
    """The address that the answer holds; "REFUSED" when nobody takes the query."""
    query = dns.message.make_query(name, rdtype, options.pop("rdclass", "IN"), use_edns=-1 if size is None else 0,
                                   payload=size or 0, want_dnssec=options.pop("dnssec", None), **options)
    where = {"where": "::1" if ":" in source else "127.0.0.1", "port": vigie.port, "source": source, "timeout": 20}
    reply = dns.query.tcp(query, **where) if tcp else dns.query.udp(query, **where, ignore_unexpected=True)
    return next(iter(addresses(reply)), dns.rcode.to_text(reply.rcode()))


def test_by_address(start):
    """The manual's first example."""
    vigie = start(block("1.1.1.1", view("incidr(client_ip(), '127.0.0.0/24')")) +
                  block("2.2.2.2", view("incidr(client_ip(), '127.0.1.0/24')")) +
                  block("2001:db8::1", view("incidr(client_ip(), '::1/128')")) + block("3.3.3.3"))
    assert [ask(vigie, source=source) for source in ("127.0.0.9", "127.0.1.9", "::1", "127.0.2.9")] == [
        "1.1.1.1", "2.2.2.2", "2001:db8::1", "3.3.3.3"]


def test_by_type_and_name(start):
    """Its others."""
    vigie = start(block("1.1.1.1", view("type() in ['A', 'AAAA']")) + block("2.2.2.2"))
    assert [ask(vigie, rdtype=rdtype) for rdtype in ("A", "AAAA", "MX")] == ["1.1.1.1", "1.1.1.1", "2.2.2.2"]
    vigie = start(block("1.1.1.1", view(r"name() matches '^abc\\..*\\.example\\.com\\.$'")) + block("2.2.2.2"))
    assert [ask(vigie, name) for name in ("abc.x.Example.com.", "abc.x.y.example.com.", "abc.example.com.", "xabc.")] == [
        "1.1.1.1", "1.1.1.1", "2.2.2.2", "2.2.2.2"]
    vigie = start(block("1.1.1.1", view("(type() == 'A' && name() == 'example.com.') || client_ip() == '127.0.0.4'")) +
                  block("2.2.2.2"))
    assert [ask(vigie, *each) for each in (("example.com.", "A"), ("example.com.", "MX"), ("x.", "MX", "127.0.0.4"))] == [
        "1.1.1.1", "2.2.2.2", "1.1.1.1"]


def test_nobody_takes_it(start):
    """The next shorter zone is tried; at last the query is refused."""
    vigie = start(block("1.1.1.1", view("type() == 'MX'"), keys="example.org:PORT") +
                  block("2.2.2.2", view("type() in ['MX', 'TXT']"), keys="org:PORT"))
    assert [ask(vigie, "a.example.org.", rdtype) for rdtype in ("MX", "TXT", "A")] == ["1.1.1.1", "2.2.2.2", "REFUSED"]


def test_several_expressions(start):
    vigie = start(block("1.1.1.1", view("type() == 'A'", "proto() == 'tcp'")) + block("2.2.2.2"))
    assert [ask(vigie, tcp=True), ask(vigie), ask(vigie, rdtype="MX", tcp=True)] == ["1.1.1.1", "2.2.2.2", "2.2.2.2"]


QUERY = {"name": "test.", "size": 1400, "dnssec": True, "id": 77}


@pytest.mark.parametrize("expression", [
    "bufsize() == 1400", "class() == 'IN'", "client_ip() == '127.0.0.1'", "do()", "id() == 77", "name() == 'test.'",
    "opcode() == 0", "port() != '53'", "proto() == 'udp'", "server_ip() == '127.0.0.1'", "server_port() == 'PORT'",
    "size() == 33", "type() == 'A'", "metadata('view/name') == ''", "not false", "!false and true", "true || false",
    "false or true", "!(false)", "1 < 2", "2 > 1", "2 >= 2", "-1 <= 0", "1 != 2", "'a' < 'b'", "type() not in ['MX']",
    "id() in [1, 77]", "type() in ['A',]", "not (type() in [])", "name() contains 'es'", "name() startsWith 'te'",
    "name() endsWith 't.'", "!(name() endsWith 'longer than the name.')", "name() matches \"^t\"", "'a\\'b' == \"a'b\"",
    "incidr('10.1.2.3', '10.0.0.0/8')", "!incidr('nothing', '10.0.0.0/8')", "!incidr('10.1.2.3', 'fd00::/8')",
    "true && true || false && false", "(1 == 2) == false"])
def test_expressions(start, expression):
    expression = expression.replace('"', '\\"')
    vigie = start(block("1.1.1.1", view(f'"{expression}"')))
    assert ask(vigie, **QUERY) == "1.1.1.1"


@pytest.mark.parametrize("expression", ["do()", "bufsize() > 512", "id() == 78", "type() != 'A'", "name() matches '^x'",
                                        "server_ip() == '::1'", "false"])
def test_expressions_that_do_not_hold(start, expression):
    assert ask(start(block("1.1.1.1", view(expression)) + block("2.2.2.2")), id=77) == "2.2.2.2"


def test_metadata(start, tmp_path):
    """Of the cluster and of the view, for templates and expressions."""
    snapshot = write_snapshot(tmp_path / "cluster.json", [
        namespace("default"), namespace("prod"), service("web", "10.96.0.10"), pod("client", "127.0.0.1", namespace="prod")])
    labels = ("view/name", "kubernetes/client-namespace", "kubernetes/kind", "kubernetes/namespace", "kubernetes/service",
              "kubernetes/endpoint", "kubernetes/port-name", "kubernetes/protocol", "nothing/here", "kubernetes/nothing")
    answer = "|".join(f"{{{{ .Meta `{label}` }}}}" for label in labels)
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	metadata cluster.local
	{view("metadata('kubernetes/client-namespace') == 'prod'", name="prod-pods")}
	template IN TXT {{
		answer "{{{{ .Name }}}} 60 IN TXT \\"{answer}\\""
	}}
	kubernetes cluster.local {{
		snapshot {snapshot}
		pods verified
	}}
}}
""")

    def values(name: str) -> str:
        reply = vigie.ask(name, "TXT")
        return reply.answer[0][0].strings[0].decode() if reply.answer else dns.rcode.to_text(reply.rcode())
    assert values("web.default.svc.cluster.local.") == "prod-pods|prod|svc|default|web|||||"
    assert values("a.web.default.svc.cluster.local.") == "prod-pods|prod|svc|default|web|a||||"
    assert values("_http._tcp.web.default.svc.cluster.local.") == "prod-pods|prod|svc|default|web||http|tcp||"
    assert values("1-2-3-4.default.pod.cluster.local.") == "prod-pods|prod|pod|default|1-2-3-4|||||"
    assert values("cluster.local.") == "prod-pods|prod||||||||"
    assert values("example.org.") == "REFUSED", "metadata is not for this zone, so the view does not hold"


def test_no_metadata(start):
    vigie = start(block("1.1.1.1", view("metadata('view/name') == 'some'")) + block("2.2.2.2"))
    assert ask(vigie) == "2.2.2.2"
    vigie = start(block("1.1.1.1", view("metadata('view/name') == 'some'"), more="metadata") + block("2.2.2.2"))
    assert ask(vigie) == "1.1.1.1"


def test_metrics(start):
    address = f"127.0.0.1:{free_port()}"
    vigie = start(block("1.1.1.1", view("type() == 'A'", name="of-a"), more=f"prometheus {address}\n\tacl {{\n\t\tallow\n\t}}") +
                  block("2.2.2.2", more=f"prometheus {address}"))
    for rdtype in ("A", "A", "MX"):
        ask(vigie, rdtype=rdtype)
    page = Page(address)
    assert page.value("coredns_dns_requests_total", view="of-a") == 2
    assert page.value("coredns_dns_requests_total", view="") == 1
    assert page.value("coredns_acl_allowed_requests_total", view="of-a") == 2
    assert page.value("coredns_template_matches_total", view="of-a") == 2


@pytest.mark.parametrize("lines, sentence", [
    ("view", "Corefile:2: 'view' needs 1 argument, not 0"),
    ("view a", "Corefile:2: 'view' needs a line such as expr incidr(client_ip(), '10.0.0.0/8')"),
    ("view a {\nexp true\n}", "Corefile:3: unknown option 'exp' of 'view': did you mean 'expr'?"),
    ("view a {\nexpr\n}", "Corefile:3: 'expr' needs at least 1 argument, not 0"),
    ("view a {\nexpr type() = 'A'\n}", "Corefile:3: 'type() = 'A'': '=' is not understood here"),
    ("view a {\nexpr typ() == 'A'\n}", "'typ' is not understood here"),
    ("view a {\nexpr type() == 'A\n}", "a text is never closed by '"),
    ("view a {\nexpr type() == 1\n}", "'==' compares values of two types"),
    ("view a {\nexpr type()\n}", "an expression is to be true or false"),
    ("view a {\nexpr type() &&\n}", "something is missing at the end"),
    ("view a {\nexpr type() && true\n}", "'&&' joins what is true or false"),
    ("view a {\nexpr !type()\n}", "only what is true or false can be negated"),
    ("view a {\nexpr incidr(client_ip(), '10.0.0.0')\n}", "incidr takes a network in quotes, such as '10.0.0.0/8'"),
    ("view a {\nexpr incidr(client_ip())\n}", "')' is not understood here"),
    ("view a {\nexpr id() matches '7'\n}", "'matches' compares texts"),
    ("view a {\nexpr name() matches '('\n}", "'(' is no regular expression: missing closing parenthesis, at offset 1"),
    ("view a {\nexpr id() in ['7']\n}", "the list of 'in' holds a value of another type"),
    (f"view a {{\nexpr {'!' * 33}true\n}}", "more than 32 operators stand within one another"),
    ("metadata a..b", "Corefile:2: 'a..b' is not a zone"),
    ("metadata {\nx\n}", "Corefile:2: 'metadata' takes no block of options"),
    ("errors\n}\n.:PORT {\nerrors", "is served on [::]:"),
])
def test_mistakes(tmp_path, lines, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n{lines}\n}}\n")
