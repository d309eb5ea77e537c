"""Special-use names: answered by `local`, and never asked of the default upstream."""
import random
import string

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest

from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import free_port, records, refused_configuration

LOOPBACK = "1." + "0." * 31 + "ip6.arpa."


@pytest.mark.parametrize("name, kind, rcode, answer", [
    ("localhost.", "A", "NOERROR", ["localhost. A 127.0.0.1"]),
    ("localhost.", "AAAA", "NOERROR", ["localhost. AAAA ::1"]),
    ("localhost.", "MX", "NOERROR", []),
    ("a.b.localhost.", "A", "NOERROR", ["a.b.localhost. A 127.0.0.1"]),
    ("1.0.0.127.in-addr.arpa.", "PTR", "NOERROR", ["1.0.0.127.in-addr.arpa. PTR localhost."]),
    ("2.0.0.127.in-addr.arpa.", "PTR", "NXDOMAIN", []),
    (LOOPBACK, "PTR", "NOERROR", [f"{LOOPBACK} PTR localhost."]),
    ("127.in-addr.arpa.", "NS", "NOERROR", ["127.in-addr.arpa. NS localhost."]),
    ("0.in-addr.arpa.", "A", "NOERROR", []),
    ("1.1.255.in-addr.arpa.", "PTR", "NXDOMAIN", []),
    ("x.invalid.", "A", "NXDOMAIN", []),
    ("x.onion.", "A", "NXDOMAIN", []),
    ("1.1.254.169.in-addr.arpa.", "PTR", "NXDOMAIN", []),
    ("a.0.e.f.ip6.arpa.", "PTR", None, None),
    ("a.0.8.e.f.ip6.arpa.", "PTR", "NXDOMAIN", []),
])
@pytest.mark.parametrize("options", ["local", ""])
def test_special_use(start, upstream, options, name, kind, rcode, answer):
    """With `local` and without it: no such name reaches the upstream."""
    vigie = start(f".:PORT {{\n {options}\n forward . {upstream.text}\n}}\n")
    message = vigie.ask(name, kind)
    if rcode is None:
        assert upstream.asked(name)
        return
    assert dns.rcode.to_text(message.rcode()) == rcode
    assert records(message.answer) == answer
    assert message.flags & dns.flags.AA
    if not answer:
        assert message.authority[0].rdtype == dns.rdatatype.SOA
    assert not upstream.log


def test_localhost_prefix(start, upstream):
    on, off = (start(f".:PORT {{\n local {{\n localhost_prefix {value}\n }}\n forward . {upstream.text}\n}}\n")
               for value in ("on", "off"))
    name = "localhost.default.svc.cluster.local."
    assert records(on.ask(name).answer) == [f"{name} A 127.0.0.1"]
    assert records(on.ask(name, "AAAA").answer) == [f"{name} AAAA ::1"]
    assert not on.ask(name, "MX").answer and not upstream.log
    assert off.ask("localhost.example.com.").rcode() == dns.rcode.NXDOMAIN
    assert upstream.asked("localhost.example.com.")


@pytest.mark.parametrize("options, count", [("", 4), ("{\n localhost_prefix off\n }", 2)])
def test_metrics(start, upstream, options, count):
    """Names of localhosts, but not localhost itself."""
    http = free_port()
    vigie = start(f".:PORT {{\n prometheus 127.0.0.1:{http}\n local {options}\n forward . {upstream.text}\n}}\n")
    for name in ("localhost.", "a.localhost.", "A.B.LOCALHOST.", "localhost.example.com.", "localhost.localdomain.",
                 "1.0.0.127.in-addr.arpa.", "x.invalid.", "notlocalhost."):
        vigie.ask(name)
    assert Page(f"127.0.0.1:{http}").value("coredns_local_localhost_requests_total") == count


def test_private_use(start, upstream):
    """An upstream may know these: they are answered here only when the option says so."""
    names = ["1.0.0.10.in-addr.arpa.", "1.0.16.172.in-addr.arpa.", "1.1.168.192.in-addr.arpa.", "1.1.64.100.in-addr.arpa.",
             "a.d.f.ip6.arpa.", "nas.home.arpa.", "x.test."]
    plain = start(f".:PORT {{\n local\n forward . {upstream.text}\n}}\n")
    for name in names:
        plain.ask(name, "PTR")
        assert upstream.asked(name)
    upstream.log.clear()
    private = start(f".:PORT {{\n local {{\n private_use\n }}\n forward . {upstream.text}\n}}\n")
    for name in names:
        assert private.ask(name, "PTR").rcode() == dns.rcode.NXDOMAIN
    assert not upstream.log


def test_who_asks_for_it_gets_it(start, upstream):
    """A server block or a `forward` of such a zone is meant for it."""
    upstream.answers["x.onion.", "A"] = Reply("x.onion. 60 IN A 192.0.2.1")
    for corefile in (f"onion:PORT {{\n forward . {upstream.text}\n}}\n", f".:PORT {{\n forward onion {upstream.text}\n}}\n"):
        assert start(corefile).ask("x.onion.").answer


@pytest.mark.parametrize("options, sentence", [
    ("{\n localhost_prefix maybe\n }", "'localhost_prefix' takes on or off, not 'maybe'"),
    ("{\n private\n }", "unknown option 'private' of 'local'"),
    ("yes", "'yes' is one argument too many for 'local'"),
])
def test_mistakes(tmp_path, options, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n local {options}\n}}\n")


def spelled(name: str, numbers: random.Random) -> dns.name.Name:
    """The name in mixed case, as a wire name of its own."""
    return dns.name.from_text("".join(numbers.choice((c.lower(), c.upper())) for c in name))


def test_cluster_and_stub_names_never_reach_the_default_upstream(start, snapshot):
    """Random names of the cluster, its named reverse range and a stub domain, whose own upstream is dead, among
    others; by UDP and TCP, mixed case, strange labels. The default upstream's log is the judge."""
    numbers = random.Random(8020)
    with Upstream() as default, Upstream() as stub:
        vigie = start(f".:PORT {{\n cache\n kubernetes cluster.local 10.96.0.0/16 {{\n snapshot {snapshot}\n fallthrough\n }}\n"
                      f" forward . {default.text}\n}}\n"
                      f"corp.example:PORT {{\n cache\n forward . {stub.text}\n}}\n")
        stub.default = Reply(drop=True, only="none")
        held = ("cluster.local.", "96.10.in-addr.arpa.", "corp.example.")
        label = string.ascii_lowercase + string.digits + "-_"
        sockets = [vigie.udp_socket() for _ in range(8)]
        for i in range(4000):
            labels = [("".join(numbers.choices(label, k=numbers.randint(1, 12)))) for _ in range(numbers.randint(0, 5))]
            if numbers.random() < 0.1:
                labels.append("\\000\\.\\255")
            suffix = numbers.choice((*held, "svc.cluster.local.", "example.com.", "local.", "notcluster.local.", "."))
            name = ".".join([*labels, suffix]) if suffix != "." else ".".join(labels) + "."
            query = dns.message.make_query(spelled(name, numbers), numbers.choice(("A", "AAAA", "PTR", "SRV", "TXT", "ANY")))
            if i % 400 == 0 and not name.endswith("corp.example."):
                vigie.exchange(query, tcp=True)
            else:
                numbers.choice(sockets).send(query.to_wire())
            if i % 200 == 0:
                vigie.ask("probe.example.com.")  # lets the server keep up
        for socket in sockets:
            socket.close()
        asked = [name for _, name, _, _ in default.log]
        assert len(set(asked)) > 100
        assert [name for name in asked if ("." + name).endswith(tuple("." + zone for zone in held))] == []
        assert any(name.endswith("notcluster.local.") for name in asked)
        assert not any(name.endswith("corp.example.") for name in asked) and len(stub.log) > 100


def test_the_next_upstream_is_not_for_them_either(start, upstream):
    """`next` goes on to other upstreams, but not with names that are not for them."""
    with Upstream() as first:
        first.default = Reply(rcode="SERVFAIL")
        upstream.answers["x.example.com.", "A"] = Reply("x.example.com. 60 IN A 192.0.2.1")
        vigie = start(f".:PORT {{\n forward onion {first.text} {{\n next SERVFAIL\n }}\n"
                      f" forward example.com {first.text} {{\n next SERVFAIL\n }}\n forward . {upstream.text}\n}}\n")
        assert vigie.ask("x.onion.").rcode() == dns.rcode.NXDOMAIN
        assert first.asked("x.onion.") and not upstream.asked("x.onion.")
        assert vigie.ask("x.example.com.").answer


def test_a_cluster_name_elsewhere(start, snapshot, upstream):
    """At a port where the cluster is not served its names are refused, not asked for."""
    other = start(f"cluster.local:{free_port()} {{\n kubernetes {{\n snapshot {snapshot}\n }}\n}}\n.:PORT {{\n forward . {upstream.text}\n}}\n")
    message = other.ask("web.default.svc.cluster.local.", size=1232)
    assert message.rcode() == dns.rcode.REFUSED and int(message.options[0].code) == 20
    assert not upstream.log


def test_denials_of_cluster_names_are_held_for_a_short_time(start, upstream):
    """A node's cache in front of the cluster's DNS: 5 s unless `denial` says otherwise."""
    for name, zone in (("a.default.svc.cluster.local.", "cluster.local."), ("a.example.com.", "example.com.")):
        soa = f"{zone} 600 IN SOA ns.dns.{zone} hostmaster.{zone} 1 2 3 4 600"
        upstream.answers[name, "A"] = Reply(rcode="NXDOMAIN", authority=(soa,))
    for options, ttl in (("", 5), ("{\n denial 9984 20\n }", 20)):
        vigie = start(f".:PORT {{\n cache {options}\n forward . {upstream.text}\n}}\n")
        assert vigie.ask("a.default.svc.cluster.local.").authority[0].ttl == ttl
        assert vigie.ask("a.example.com.").authority[0].ttl == (600 if not options else 20)
