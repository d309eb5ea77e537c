"""`autopath`: the server goes the client's search path."""
import dns.message
import dns.query
import dns.rcode
import pytest

from cluster_objects import endpoint_slice, namespace, pod, service, write_snapshot
from scripted_upstream import Reply
from test_metrics import Page
from vigie_process import Vigie, addresses, free_port, records, refused_configuration

# The tests' clients: pods with loopback addresses. The last one's address is that of two namespaces' pods.
CLUSTER = [
    namespace("default"), namespace("prod"),
    pod("client", "127.0.0.1", namespace="prod"), pod("host-a", "127.0.0.3", namespace="prod"),
    pod("host-b", "127.0.0.3", namespace="default"), pod("host-c", "127.0.0.3", namespace="default"),
    service("web", "10.96.0.10"), service("shop", "10.96.1.10", namespace="prod"),
    endpoint_slice("web", ["10.0.0.1"]),
]


@pytest.fixture
def serve(start, tmp_path, upstream):
    """With the cluster's search path for pods of namespace prod."""
    upstream.answers["www.example.org.", "A"] = Reply("www.example.org. 60 IN CNAME cdn.example.org.",
                                                      "cdn.example.org. 20 IN A 192.0.2.80")
    snapshot = write_snapshot(tmp_path / "cluster.json", CLUSTER)

    def make(line: str = "autopath @kubernetes", pods: str = "verified", more: str = "") -> Vigie:
        return start(f""".:PORT {{
	bind 127.0.0.1
	{line}
	{more}
	kubernetes cluster.local {{
		snapshot {snapshot}
		pods {pods}
	}}
	forward . {upstream.text}
}}
""")
    return make


SEARCH = ".prod.svc.cluster.local."


def ask(vigie: Vigie, name: str, rdtype: str = "A", source: str = "127.0.0.1") -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, rdtype), "127.0.0.1", port=vigie.port, timeout=20, source=source,
                         ignore_unexpected=True)


@pytest.mark.parametrize("name, answer", [
    ("shop", ["shop.prod.svc.cluster.local. A 10.96.1.10"]),
    ("web.default", ["web.default.svc.cluster.local. A 10.96.0.10",
                     f"web.default{SEARCH} CNAME web.default.svc.cluster.local."]),
    ("web.default.svc", ["web.default.svc.cluster.local. A 10.96.0.10",
                         f"web.default.svc{SEARCH} CNAME web.default.svc.cluster.local."]),
    ("www.example.org", ["cdn.example.org. A 192.0.2.80", "www.example.org. CNAME cdn.example.org.",
                         f"www.example.org{SEARCH} CNAME www.example.org."]),
])
def test_the_path_of_a_pod(serve, upstream, name, answer):
    reply = ask(serve(), name + SEARCH)
    assert reply.rcode() == dns.rcode.NOERROR and records(reply.answer) == sorted(answer)
    assert reply.question[0].name.to_text() == name + SEARCH
    assert len(upstream.log) == (1 if "org" in name else 0)


def test_nothing_on_the_path(serve, upstream):
    """The first answer is given: NXDOMAIN with the cluster's SOA."""
    reply = ask(serve(), "absent.example.org" + SEARCH)
    assert reply.rcode() == dns.rcode.NXDOMAIN and reply.authority[0].name.to_text() == "cluster.local."
    assert upstream.asked("absent.example.org.") == ["udp"]


def test_failures_are_passed_over(serve, upstream):
    upstream.answers["bad.example.org.", "A"] = Reply(rcode="SERVFAIL")
    assert ask(serve(), "bad.example.org" + SEARCH).rcode() == dns.rcode.NXDOMAIN


def test_no_data_ends_the_search(serve, upstream):
    upstream.answers["www.example.org.", "AAAA"] = Reply(authority=("example.org. 60 IN SOA a. b. 1 2 3 4 60",))
    reply = ask(serve(), "www.example.org" + SEARCH, "AAAA")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert records(reply.authority) == ["example.org. SOA a. b. 1 2 3 4 60"]


@pytest.mark.parametrize("name, source", [
    ("www.example.org.svc.cluster.local.", "127.0.0.1"),        # not the first of the path
    ("www.example.org.default.svc.cluster.local.", "127.0.0.1"),  # another namespace
    (f"www.example.org{SEARCH}", "127.0.0.2"),                  # no pod
    (f"www.example.org{SEARCH}", "127.0.0.3"),                  # pods of two namespaces: nobody knows which
])
def test_other_queries(serve, upstream, name, source):
    assert ask(serve(), name, source=source).rcode() == dns.rcode.NXDOMAIN and not upstream.log


def test_names_without_the_path(serve):
    assert records(ask(serve(), "www.example.org.").answer) == ["cdn.example.org. A 192.0.2.80",
                                                                "www.example.org. CNAME cdn.example.org."]
    assert ask(serve(), SEARCH[1:]).rcode() == dns.rcode.NOERROR


def test_pods_that_are_not_known(serve, upstream):
    vigie = serve(pods="insecure")
    vigie.wait_for_log("'@kubernetes' has no effect without 'pods verified'")
    assert ask(vigie, "www.example.org" + SEARCH).rcode() == dns.rcode.NXDOMAIN and not upstream.log


def test_zones(serve, upstream):
    assert ask(serve("autopath example.org @kubernetes"), "www.example.org" + SEARCH).rcode() == dns.rcode.NXDOMAIN
    assert not upstream.log


def test_a_path_from_a_file(serve, tmp_path, upstream):
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 10.0.0.1\nsearch old.example\nsearch  one.example two.example\ttwo.example a..b .\n")
    upstream.answers["www.two.example.", "A"] = Reply("www.two.example. 60 IN A 192.0.2.2")
    upstream.answers["www.", "A"] = Reply("www. 60 IN A 192.0.2.3")
    vigie = serve(f"autopath {file}")
    assert records(ask(vigie, "www.one.example.").answer) == ["www.one.example. CNAME www.two.example.",
                                                              "www.two.example. A 192.0.2.2"]
    del upstream.answers["www.two.example.", "A"]
    assert records(ask(vigie, "www.one.example.").answer) == ["www. A 192.0.2.3", "www.one.example. CNAME www."]
    assert upstream.asked("www.two.example.") == ["udp", "udp"], "a domain that stands there twice is asked once"


def test_a_name_that_gets_too_long(serve, tmp_path, upstream):
    file = tmp_path / "resolv.conf"
    file.write_text(f"search s.example {'.'.join(['x' * 60] * 4)}.\n")
    assert ask(serve(f"autopath {file}"), "a" * 60 + ".s.example.").rcode() == dns.rcode.NXDOMAIN
    assert [len(question.question[0].name.to_text()) for *_, question in upstream.log] == [71, 61]


def test_metrics(serve):
    address = f"127.0.0.1:{free_port()}"
    vigie = serve(more=f"prometheus {address}")
    for name in ("shop", "web.default", "absent"):
        ask(vigie, name + SEARCH)
    assert Page(address).value("coredns_autopath_success_total", server=f"dns://127.0.0.1:{vigie.port}") == 2


@pytest.mark.parametrize("line, sentence", [
    ("autopath", "Corefile:2: 'autopath' needs at least 1 argument, not 0"),
    ("autopath @kubernetes", "Corefile:2: '@kubernetes': there is no 'kubernetes' in this block"),
    ("autopath @hosts", "Corefile:2: '@hosts': only @kubernetes knows search paths"),
    ("autopath /no/such/file", "Corefile:2: cannot read '/no/such/file': No such file or directory"),
    ("autopath /dev/null", "Corefile:2: file '/dev/null' has no line 'search DOMAINS…'"),
    ("autopath a..b @kubernetes", "Corefile:2: 'a..b' is not a zone"),
    ("autopath @kubernetes {\nx\n}", "Corefile:2: 'autopath' takes no block of options"),
])
def test_mistakes(tmp_path, line, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n{line}\n}}\n")
