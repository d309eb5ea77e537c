"""Each option of the `kubernetes` directive: that it has its effect, and that a wrong use is refused with file, line and
word. (Where the API server is and how to prove who we are: test_credentials.py.)"""
import re

import dns.rcode
import pytest

from cluster_objects import CLUSTER, write_snapshot
from vigie_process import Vigie, free_port, records, refused_configuration

SVC = "svc.cluster.local."
WEB = f"web.default.{SVC}"
DB = f"db.default.{SVC}"


@pytest.fixture
def serve(start, snapshot):
    """A function that starts a vigie with these options, each a line."""
    def with_options(*options: str, zones: str = "cluster.local in-addr.arpa ip6.arpa", key: str = ".",
                     more: str = "") -> Vigie:
        lines = "\n\t\t".join(options)
        return start(f"""{key}:PORT {{
	bind 127.0.0.1
	kubernetes {zones} {{
		snapshot {snapshot}
		{lines}
	}}
	{more}
}}
""")
    return with_options


def answer(vigie: Vigie, name: str, rdtype: str = "A") -> list[str] | str:
    """The rdata, sorted, or the rcode; "NODATA" when there is neither."""
    reply = vigie.ask(name, rdtype)
    if reply.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(reply.rcode())
    return sorted(record.split(" ", 2)[2] for record in records(reply.answer)) or "NODATA"


def test_namespaces(serve):
    vigie = serve("namespaces prod kube-system", "pods insecure")
    assert answer(vigie, f"web.prod.{SVC}") == ["10.96.1.10"]
    assert answer(vigie, f"prod.{SVC}") == "NODATA"
    assert answer(vigie, f"kube-system.{SVC}") == "NODATA"
    assert answer(vigie, WEB) == "NXDOMAIN"
    assert answer(vigie, f"default.{SVC}") == "NXDOMAIN"
    assert answer(vigie, "1-2-3-4.prod.pod.cluster.local.") == ["1.2.3.4"]
    assert answer(vigie, "1-2-3-4.default.pod.cluster.local.") == "NXDOMAIN"
    # A name that leads out of what is shown ends there.
    assert answer(serve("namespaces default"), f"inside.default.{SVC}") == "NXDOMAIN"


@pytest.mark.parametrize("option", ["labels tier=front", "labels tier in (front, middle)", "labels tier,tier!=back",
                                    "labels tier==front,!absent", 'labels "tier notin (back)" , tier'])
def test_labels(serve, option):
    vigie = serve(option)
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"10-244-0-10.{WEB}") == ["10.244.0.10"]
    assert answer(vigie, f"idle.default.{SVC}") == "NXDOMAIN"
    assert answer(vigie, f"default.{SVC}") == "NODATA"


@pytest.mark.parametrize("option", ["namespace_labels team=blue", "namespace_labels team in (blue)",
                                    "namespace_labels team notin (red), team"])
def test_namespace_labels(serve, option):
    vigie = serve(option)
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"web.prod.{SVC}") == "NXDOMAIN"
    assert answer(vigie, f"prod.{SVC}") == "NXDOMAIN"
    assert answer(vigie, "10.1.96.10.in-addr.arpa.", "PTR") == "NXDOMAIN"


def test_pods_are_disabled_by_default(serve):
    for vigie in (serve(), serve("pods disabled")):
        assert answer(vigie, "10-20-0-101.default.pod.cluster.local.") == "NXDOMAIN"
    assert answer(serve("pods insecure"), "1-2-3-4.default.pod.cluster.local.") == ["1.2.3.4"]
    assert answer(serve("pods verified"), "1-2-3-4.default.pod.cluster.local.") == "NXDOMAIN"


@pytest.mark.parametrize("option, ttl", [("", 5), ("ttl 0", 0), ("ttl 3600", 3600)])
def test_ttl(serve, option, ttl):
    vigie = serve(option)
    assert vigie.ask(WEB).answer[0].ttl == ttl
    [soa] = vigie.ask(f"absent.default.{SVC}").authority
    assert (soa.ttl, soa[0].minimum) == (min(ttl, 300), ttl)  # the SOA's own TTL has a limit, as in CoreDNS


def test_noendpoints(serve):
    vigie = serve("noendpoints")
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"_https._tcp.{WEB}", "SRV") == [f"0 100 443 {WEB}"]
    assert answer(vigie, DB) == "NXDOMAIN"
    assert answer(vigie, f"db-0.{DB}") == "NXDOMAIN"
    assert answer(vigie, f"10-244-0-10.{WEB}") == "NXDOMAIN"
    assert answer(vigie, "51.2.244.10.in-addr.arpa.", "PTR") == "NXDOMAIN"
    assert answer(vigie, "10.0.96.10.in-addr.arpa.", "PTR") == [WEB]


def test_fallthrough(serve, upstream):
    def asked(vigie: Vigie) -> list[str]:
        upstream.log.clear()
        for name, rdtype in (("absent.cluster.local.", "A"), ("9.9.99.10.in-addr.arpa.", "PTR"), (WEB, "A"),
                             (WEB, "TXT"), ("10.0.96.10.in-addr.arpa.", "PTR")):
            vigie.ask(name, rdtype)
        return [name for _, name, _, _ in upstream.log]

    # The default upstream never gets names of the cluster (test_local.py): this one is meant for them.
    forward = f"forward cluster.local {upstream.text}\n forward . {upstream.text}"
    assert asked(serve(more=forward)) == []
    assert asked(serve("fallthrough", more=forward)) == ["absent.cluster.local.", "9.9.99.10.in-addr.arpa."]
    assert asked(serve("fallthrough in-addr.arpa ip6.arpa", more=forward)) == ["9.9.99.10.in-addr.arpa."]
    assert asked(serve("fallthrough Cluster.Local", more=forward)) == ["absent.cluster.local."]
    assert asked(serve("fallthrough default.svc.cluster.local", more=forward)) == []


def test_ignore_empty_service(serve):
    vigie = serve("ignore empty_service")
    assert answer(vigie, f"idle.default.{SVC}") == "NXDOMAIN"
    assert answer(vigie, f"_http._tcp.idle.default.{SVC}", "SRV") == "NXDOMAIN"
    assert answer(vigie, f"unready.default.{SVC}", "AAAA") == "NXDOMAIN"
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"outside.default.{SVC}", "CNAME") == ["www.example.com."], "ExternalName has no endpoints"


def test_endpoint_pod_names(serve):
    vigie = serve("endpoint_pod_names")
    assert answer(vigie, f"podnames-0.podnames.default.{SVC}") == ["10.244.2.41"]
    assert answer(vigie, "41.2.244.10.in-addr.arpa.", "PTR") == [f"podnames-0.podnames.default.{SVC}"]
    assert answer(serve(), f"podnames-0.podnames.default.{SVC}") == "NXDOMAIN"


def test_zonal(serve):
    vigie = serve("zonal")
    everyone = ["10.244.2.51", "10.244.2.52", "10.244.2.53"]
    assert answer(vigie, f"west.pin._zone.{DB}") == ["10.244.2.51"]
    assert answer(vigie, f"WEST.Pin._Zone.{DB}") == ["10.244.2.51"]
    assert answer(vigie, f"eu.example.pin._zone.{DB}") == ["10.244.2.53"], "a zone's value may hold dots"
    assert answer(vigie, f"north.pin._zone.{DB}") == "NODATA", "nobody is ready there"
    assert answer(vigie, f"nowhere.pin._zone.{DB}") == "NODATA"
    assert answer(vigie, f"west.prefer._zone.{DB}") == ["10.244.2.51"]
    assert answer(vigie, f"north.prefer._zone.{DB}") == everyone
    assert answer(vigie, f"west.pin._zone.{DB}", "AAAA") == "NODATA"
    assert answer(vigie, f"west.pin._zone.{DB}", "TXT") == "NODATA"
    assert answer(vigie, f"west.pin._zone.{DB}", "SRV") == [f"0 100 5432 db-0.{DB}"]
    assert answer(vigie, f"west.bogus._zone.{DB}") == "NXDOMAIN"
    assert answer(vigie, f"west.pin._zone.{WEB}") == "NXDOMAIN", "only headless services have zonal names"
    assert answer(vigie, f"west.pin._zone.absent.default.{SVC}") == "NXDOMAIN"
    assert answer(vigie, DB) == everyone
    assert answer(serve(), f"west.pin._zone.{DB}") == "NXDOMAIN"


def test_the_blocks_keys_are_the_zones_by_default(start, snapshot):
    vigie = start(f"""cluster.local:PORT 10.96.0.0/16:PORT {{
	bind 127.0.0.1
	kubernetes {{
		snapshot {snapshot}
	}}
}}
""")
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, "10.0.96.10.in-addr.arpa.", "PTR") == [WEB]
    assert answer(vigie, "1.0.97.10.in-addr.arpa.", "PTR") == "REFUSED"


def test_several_cluster_domains(serve):
    vigie = serve(zones="cluster.local cluster.example in-addr.arpa")
    for domain in ("cluster.local.", "cluster.example."):
        assert answer(vigie, f"web.default.svc.{domain}") == ["10.96.0.10"]
        assert answer(vigie, f"_http._tcp.web.default.svc.{domain}", "SRV") == [f"0 100 80 web.default.svc.{domain}"]
    assert answer(vigie, "10.0.96.10.in-addr.arpa.", "PTR") == [WEB], "the first of them"


@pytest.mark.parametrize("cidr, inside, outside", [
    ("10.96.0.0/16", ["10.0.96.10", "255.255.96.10"], ["0.0.97.10"]),
    ("10.96.0.0/12", ["10.0.96.10", "0.0.111.10"], ["0.0.95.10", "0.0.112.10"]),    # off the octet boundary
    ("10.96.0.0/24", ["10.0.96.10"], ["10.1.96.10"]),
    ("10.96.0.0/27", ["10.0.96.10"], ["32.0.96.10"]),
], ids=["16", "12", "24", "27"])
def test_reverse_zones_by_cidr(serve, cidr, inside, outside):
    vigie = serve(zones=f"cluster.local {cidr}")
    for name in inside:
        found = answer(vigie, f"{name}.in-addr.arpa.", "PTR")
        assert found == ([WEB] if name == "10.0.96.10" else "NXDOMAIN")
    for name in outside:
        assert answer(vigie, f"{name}.in-addr.arpa.", "PTR") == "REFUSED"


@pytest.mark.parametrize("length", [64, 62])
def test_reverse_zones_by_cidr_v6(serve, length):
    vigie = serve(zones=f"cluster.local fd00:96::/{length}")
    reverse = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa."
    assert answer(vigie, reverse, "PTR") == [f"six.default.{SVC}"]
    third = reverse[:32] + "3" + reverse[33:]  # fd00:96:0:3::10 is in the /62 alone
    assert answer(vigie, third, "PTR") == ("NXDOMAIN" if length == 62 else "REFUSED")


def test_a_snapshot_may_be_one_kind_or_unsorted(tmp_path, start):
    """Slices before their services, and no pods at all."""
    objects = [each for each in CLUSTER if each["kind"] != "Pod"][::-1]
    snapshot = write_snapshot(tmp_path / "cluster.json", objects)
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n")
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"db-0.{DB}") == ["10.244.2.51"]


def test_objects_that_make_no_sense_are_skipped(tmp_path, start):
    """Each costs a line in the log; the rest is served."""
    objects = [dict(each) for each in CLUSTER]
    objects.insert(5, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a b", "namespace": "default"},
                       "spec": {"clusterIP": "10.96.9.1"}})
    objects.insert(6, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "odd", "namespace": "default"},
                       "spec": {"clusterIP": "not an address", "ports": [{"port": "eighty"}]}})
    objects.insert(7, {"apiVersion": "v1", "kind": "Service", "metadata": None})
    objects.insert(8, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}})
    snapshot = write_snapshot(tmp_path / "cluster.json", objects)
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n")
    assert answer(vigie, WEB) == ["10.96.0.10"]
    assert answer(vigie, f"odd.default.{SVC}") == "NXDOMAIN"


# Wrong uses


@pytest.mark.parametrize("text, word", [
    ("bogus", "bogus"),
    ("endpoint_pod_names yes", "yes"),
    ("pods", "pods"), ("pods sometimes", "sometimes"), ("pods insecure verified", "verified"),
    ("namespaces", "namespaces"),
    ("labels", "labels"), ("labels tier in front", "tier in front"), ("labels =front", "=front"),
    ("namespace_labels", "namespace_labels"), ("namespace_labels a b", "a b"),
    ("ttl", "ttl"), ("ttl soon", "soon"), ("ttl -1", "-1"), ("ttl 3601", "3601"), ("ttl 5s", "5s"),
    ("noendpoints yes", "yes"),
    ("fallthrough a..b", "a..b"),
    ("ignore", "ignore"), ("ignore everything", "everything"),
    ("zonal yes", "yes"),
    ("multicluster cluster.local", "multicluster"),
    ("startup_timeout", "startup_timeout"), ("startup_timeout 5", "5"), ("startup_timeout soon", "soon"),
    ("apiserver_qps", "apiserver_qps"), ("apiserver_qps -1", "-1"), ("apiserver_qps fast", "fast"),
    ("apiserver_burst", "apiserver_burst"), ("apiserver_burst 1.5", "1.5"), ("apiserver_burst -1", "-1"),
    ("apiserver_max_inflight", "apiserver_max_inflight"), ("apiserver_max_inflight many", "many"),
    ("endpoint", "endpoint"), ("endpoint nonsense://x", "nonsense://x"), ("endpoint ftp://x", "ftp://x"),
    ("tls", "tls"), ("tls a b", "tls"),
    ("kubeconfig", "kubeconfig"), ("kubeconfig a b c", "c"), ("kubeconfig /no/such/file", "/no/such/file"),
    ("snapshot", "snapshot"), ("snapshot /no/such/file", "/no/such/file"), ("snapshot a b", "b"),
], ids=lambda value: value.replace("/", "_"))
def test_wrong_options(tmp_path, text, word):
    log = refused_configuration(tmp_path, f".:PORT {{\n\tkubernetes cluster.local {{\n\t\t{text}\n\t}}\n}}\n")
    assert re.search(rf"{re.escape(str(tmp_path / 'Corefile'))}:3\b", log), log
    assert word in log


@pytest.mark.parametrize("text, line, words", [
    ("kubernetes in-addr.arpa {\n\t\tsnapshot SNAPSHOT\n\t}", 2, ["reverse"]),
    ("kubernetes {\n\t\tsnapshot SNAPSHOT\n\t}\n\tkubernetes cluster.local {\n\t\tsnapshot SNAPSHOT\n\t}", 5,
     ["kubernetes"]),
    ("kubernetes cluster.local {\n\t\tsnapshot SNAPSHOT\n\t\tzonal\n\t\tnoendpoints\n\t}", None,
     ["zonal", "noendpoints"]),
    ("kubernetes cluster.local {\n\t\tsnapshot SNAPSHOT\n\t\tnamespaces a\n\t\tnamespace_labels a=b\n\t}", None,
     ["namespaces", "namespace_labels"]),
    ("kubernetes a..b {\n\t\tsnapshot SNAPSHOT\n\t}", 2, ["a..b"]),
    ("kubernetes 10.96.0.0/33 cluster.local {\n\t\tsnapshot SNAPSHOT\n\t}", 2, ["10.96.0.0/33"]),
], ids=["only reverse zones", "twice", "zonal noendpoints", "namespaces twice", "zone", "cidr"])
def test_wrong_combinations(tmp_path, snapshot, text, line, words):
    log = refused_configuration(tmp_path, f".:PORT {{\n\t{text.replace('SNAPSHOT', str(snapshot))}\n}}\n")
    assert re.search(rf"{re.escape(str(tmp_path / 'Corefile'))}:{line or ''}", log), log
    assert all(word in log for word in words), log


@pytest.mark.parametrize("text, word", [
    ("", "cluster.json"), ("{", "cluster.json"), ("[]", "cluster.json"), ("hello", "cluster.json"),
    ('{"kind": "List", "items": [{"kind": "Service"', "cluster.json"), ('{"kind": "Status"}', "cluster.json"),
    ("\0" * 100, "cluster.json"),
], ids=["empty", "open", "an array", "text", "cut", "no list", "zeros"])
def test_snapshots_that_are_none(tmp_path, text, word):
    (tmp_path / "cluster.json").write_text(text)
    log = refused_configuration(tmp_path, f""".:{free_port()} {{
	kubernetes cluster.local {{
		snapshot {tmp_path}/cluster.json
	}}
}}
""")
    assert word in log
