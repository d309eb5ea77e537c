"""What Kubernetes' own end-to-end tests ask of a cluster's DNS (test/e2e/network/dns.go), asked with dig as they do.

Each test here has the name of the one there. Pods do not run: their status is patched, and what they would look up, dig
looks up with their /etc/resolv.conf, over UDP and TCP.

`pytest --server coredns` runs the same against CoreDNS.
"""
import itertools

import pytest

from objects import dashed, endpoint, endpoint_slice, port, reverse, service
from processes import eventually

ZONE = "cluster.local"
TRANSPORTS = pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])


def lines(output: str) -> list[str]:
    return sorted(output.splitlines())


_subnets = itertools.count(1)


@pytest.fixture
def subnet() -> str:
    """The first three octets of the addresses of the test's Pods: no two tests share one."""
    return f"10.244.{next(_subnets)}"


@pytest.fixture
def services(api, namespace, subnet) -> tuple[str, str]:
    """A headless and a ClusterIP Service that select the Pod. The address of the latter and that of the Pod."""
    selector = {"dns-test": "true"}
    api.run_pod(namespace, "dns-test", [f"{subnet}.5"], labels=selector)
    api.create(service(namespace, "dns-test-service", headless=True, selector=selector))
    created = api.create(service(namespace, "test-service-2", selector=selector))
    return created["spec"]["clusterIP"], f"{subnet}.5"


@TRANSPORTS
def test_provides_dns_for_the_cluster(api, dig, tcp):
    address = api.get("Service", "kubernetes", "default")["spec"]["clusterIP"]
    eventually(lambda: dig(f"kubernetes.default.svc.{ZONE}", "A", tcp=tcp), address)


@TRANSPORTS
def test_resolves_partial_qualified_names_for_the_cluster(api, dig, namespace, subnet, tcp):
    address = api.get("Service", "kubernetes", "default")["spec"]["clusterIP"]
    api.create(service(namespace, "dns-test-service", headless=True, selector={"dns-test": "true"}))
    api.run_pod(namespace, "dns-querier", [f"{subnet}.6"], labels={"dns-test": "true"}, hostname="dns-querier-1",
                subdomain="dns-test-service")
    for name in ("kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{ZONE}."):
        assert dig(name, "A", namespace=namespace, tcp=tcp) == address
    # what getent would look up for the Pod's own name
    own = f"dns-querier-1.dns-test-service.{namespace}.svc.{ZONE}"
    for name in (own, f"{own}.", "dns-querier-1.dns-test-service"):
        eventually(lambda: dig(name, "A", namespace=namespace, tcp=tcp), f"{subnet}.6")


@TRANSPORTS
def test_provides_dns_for_services(dig, namespace, services, tcp):
    cluster_ip, pod_ip = services
    headless = f"dns-test-service.{namespace}.svc.{ZONE}"
    normal = f"test-service-2.{namespace}.svc.{ZONE}"
    eventually(lambda: dig(headless, "A", tcp=tcp), pod_ip)
    eventually(lambda: dig(normal, "A", tcp=tcp), cluster_ip)
    eventually(lambda: dig(f"_http._tcp.{headless}", "SRV", tcp=tcp), f"0 100 80 {dashed(pod_ip)}.{headless}.")
    eventually(lambda: dig(f"_http._tcp.{normal}", "SRV", tcp=tcp), f"0 100 80 {normal}.")
    assert dig(reverse(cluster_ip) + ".", "PTR", tcp=tcp) == f"{normal}."
    assert dig("-x", cluster_ip, tcp=tcp) == f"{normal}."
    assert dig("-x", pod_ip, tcp=tcp).splitlines()  # one PTR for each Service that selects the Pod
    assert dig(f"{dashed(pod_ip)}.{namespace}.pod.{ZONE}", "A", tcp=tcp) == pod_ip


@TRANSPORTS
def test_resolves_partial_qualified_names_for_services(dig, namespace, services, tcp):
    cluster_ip, pod_ip = services
    for suffix in ("", f".{namespace}", f".{namespace}.svc"):
        headless, normal = "dns-test-service" + suffix, "test-service-2" + suffix
        eventually(lambda: dig(headless, "A", namespace=namespace, tcp=tcp), pod_ip)
        eventually(lambda: dig(normal, "A", namespace=namespace, tcp=tcp), cluster_ip)
        eventually(lambda: dig(f"_http._tcp.{headless}", "SRV", namespace=namespace, tcp=tcp),
                   f"0 100 80 {dashed(pod_ip)}.dns-test-service.{namespace}.svc.{ZONE}.")
        eventually(lambda: dig(f"_http._tcp.{normal}", "SRV", namespace=namespace, tcp=tcp),
                   f"0 100 80 test-service-2.{namespace}.svc.{ZONE}.")
    assert dig("-x", cluster_ip, namespace=namespace, tcp=tcp) == f"test-service-2.{namespace}.svc.{ZONE}."


@TRANSPORTS
def test_provides_dns_for_pods_for_hostname_and_for_subdomain(api, dig, namespace, subnet, tcp):
    api.create(service(namespace, "dns-test-service-2", headless=True, selector={"dns-test-hostname": "true"}))
    api.run_pod(namespace, "dns-test", [f"{subnet}.7"], labels={"dns-test-hostname": "true"}, hostname="dns-querier-2",
                subdomain="dns-test-service-2")
    name = f"dns-querier-2.dns-test-service-2.{namespace}.svc.{ZONE}"
    eventually(lambda: dig(name, "A", tcp=tcp), f"{subnet}.7")
    eventually(lambda: dig(f"dns-test-service-2.{namespace}.svc.{ZONE}", "A", tcp=tcp), f"{subnet}.7")
    assert dig("dns-querier-2.dns-test-service-2", "A", namespace=namespace, tcp=tcp) == f"{subnet}.7"
    assert dig("-x", f"{subnet}.7", tcp=tcp) == f"{name}."
    # a Pod with a subdomain and no hostname has no name of its own
    api.run_pod(namespace, "nameless", [f"{subnet}.8"], labels={"dns-test-hostname": "true"},
                subdomain="dns-test-service-2")
    eventually(lambda: lines(dig(f"dns-test-service-2.{namespace}.svc.{ZONE}", "A", tcp=tcp)),
               [f"{subnet}.7", f"{subnet}.8"])
    assert dig.status(f"nameless.dns-test-service-2.{namespace}.svc.{ZONE}", "A", tcp=tcp) == "NXDOMAIN"


@TRANSPORTS
def test_provides_dns_for_externalname_services(api, dig, namespace, tcp):
    name = f"dns-test-service-3.{namespace}.svc.{ZONE}"
    api.create(service(namespace, "dns-test-service-3", type="ExternalName", externalName="foo.example.com"))
    eventually(lambda: dig(name, "CNAME", tcp=tcp), "foo.example.com.")
    assert dig(name, "A", tcp=tcp).splitlines() == ["foo.example.com.", "192.0.2.10"]
    assert dig(name, "AAAA", tcp=tcp).splitlines() == ["foo.example.com.", "2001:db8::10"]

    api.patch("Service", "dns-test-service-3", {"spec": {"externalName": "bar.example.com"}}, namespace)
    eventually(lambda: dig(name, "CNAME", tcp=tcp), "bar.example.com.")

    changed = api.patch("Service", "dns-test-service-3",
                        {"spec": {"type": "ClusterIP", "ports": [port("http", 80)]}}, namespace)
    assert changed["spec"]["externalName"] == "bar.example.com"  # it stays, and means nothing now
    eventually(lambda: dig(name, "A", tcp=tcp), changed["spec"]["clusterIP"])
    assert dig(name, "CNAME", tcp=tcp) == ""


@TRANSPORTS
def test_copes_with_more_than_6_search_paths_and_256_characters(api, dig, namespace, tcp):
    address = api.get("Service", "kubernetes", "default")["spec"]["clusterIP"]
    long = [f"{letter * 50}.{letter * 20}.example.com" for letter in "abcdef"]
    searches = [f"{namespace}.svc.{ZONE}", f"svc.{ZONE}", ZONE, *long]
    assert len(" ".join(searches)) > 256
    for name in ("kubernetes.default", "kubernetes.default.svc"):
        assert dig(name, "A", searches=searches, tcp=tcp) == address
    assert dig.status("no.such.name", "A", searches=searches, tcp=tcp) == "NXDOMAIN"


@TRANSPORTS
def test_copes_with_underscores_and_a_dot_in_the_search_path(api, dig, namespace, tcp):
    address = api.get("Service", "kubernetes", "default")["spec"]["clusterIP"]
    searches = [".", "_sip._tcp.abc_d.example.com", f"{namespace}.svc.{ZONE}", f"svc.{ZONE}", ZONE]
    for name in ("kubernetes.default", "kubernetes.default.svc"):
        assert dig(name, "A", searches=searches, tcp=tcp) == address


@TRANSPORTS
def test_resolves_service_names_that_start_with_a_digit(api, dig, namespace, tcp):
    created = api.create(service(namespace, "1kubernetes"))
    eventually(lambda: dig(f"1kubernetes.{namespace}.svc.{ZONE}", "A", tcp=tcp), created["spec"]["clusterIP"])
    assert dig("1kubernetes", "A", namespace=namespace, tcp=tcp) == created["spec"]["clusterIP"]


@TRANSPORTS
def test_resolves_partial_qualified_names_for_host_network_pods(api, dig, namespace, tcp):
    api.create(service(namespace, "dns-test-service", headless=True, selector={"dns-test": "true"}))
    api.create({"kind": "Pod", "metadata": {"name": "on-host", "namespace": namespace, "labels": {"dns-test": "true"}},
                "spec": {"nodeName": "node-1", "hostNetwork": True, "containers": [
                    {"name": "main", "image": "none", "ports": [{"name": "http", "containerPort": 80}]}]}})
    api.set_pod_status(namespace, "on-host", ["192.0.2.1"], True)
    for name in ("dns-test-service", f"dns-test-service.{namespace}", f"dns-test-service.{namespace}.svc"):
        eventually(lambda: dig(name, "A", namespace=namespace, tcp=tcp), "192.0.2.1")


# What the upstream tests leave to the specification.

@TRANSPORTS
def test_answers_dual_stack(api, dig, namespace, subnet, tcp):
    v6_pod = f"fd00:{subnet.split('.')[2]}::21"
    created = api.create(service(namespace, "both", ipFamilyPolicy="RequireDualStack", selector={"app": "both"}))
    api.create(service(namespace, "headless", headless=True, ipFamilyPolicy="RequireDualStack",
                       selector={"app": "both"}))
    api.run_pod(namespace, "pod", [f"{subnet}.1", v6_pod], labels={"app": "both"}, hostname="first",
                subdomain="headless")
    v4, v6 = created["spec"]["clusterIPs"]
    eventually(lambda: dig(f"both.{namespace}.svc.{ZONE}", "A", tcp=tcp), v4)
    eventually(lambda: dig(f"both.{namespace}.svc.{ZONE}", "AAAA", tcp=tcp), v6)
    for name in (f"headless.{namespace}.svc.{ZONE}", f"first.headless.{namespace}.svc.{ZONE}"):
        eventually(lambda: dig(name, "A", tcp=tcp), f"{subnet}.1")
        eventually(lambda: dig(name, "AAAA", tcp=tcp), v6_pod)
    assert dig("-x", v6, tcp=tcp) == f"both.{namespace}.svc.{ZONE}."
    eventually(lambda: lines(dig("-x", v6_pod, tcp=tcp)), sorted(
        [f"{dashed(v6_pod)}.both.{namespace}.svc.{ZONE}.", f"first.headless.{namespace}.svc.{ZONE}."]))


@TRANSPORTS
def test_names_the_pods_of_a_stateful_set_while_they_are_ready(api, dig, namespace, subnet, tcp):
    name = f"db.{namespace}.svc.{ZONE}"
    api.create(service(namespace, "db", headless=True, selector={"app": "db"},
                       ports=[port("sql", 5432, targetPort=5433), port("stats", 9000, "UDP")]))
    for number in range(3):
        api.run_pod(namespace, f"db-{number}", [f"{subnet}.{number}"], ready=number < 2, labels={"app": "db"},
                    hostname=f"db-{number}", subdomain="db")
    eventually(lambda: lines(dig(name, "A", tcp=tcp)), [f"{subnet}.0", f"{subnet}.1"])
    assert dig(f"db-1.{name}", "A", tcp=tcp) == f"{subnet}.1"
    assert dig.status(f"db-2.{name}", "A", tcp=tcp) == "NXDOMAIN"
    assert lines(dig(f"_sql._tcp.{name}", "SRV", tcp=tcp)) == [f"0 50 5433 db-0.{name}.", f"0 50 5433 db-1.{name}."]
    assert lines(dig(f"_stats._udp.{name}", "SRV", tcp=tcp)) == [f"0 50 9000 db-0.{name}.", f"0 50 9000 db-1.{name}."]
    assert dig.status(f"_sql._udp.{name}", "SRV", tcp=tcp) == "NXDOMAIN"

    api.set_pod_status(namespace, "db-2", [f"{subnet}.2"], True)
    eventually(lambda: dig(f"db-2.{name}", "A", tcp=tcp), f"{subnet}.2")
    for number in range(3):
        api.set_pod_status(namespace, f"db-{number}", [f"{subnet}.{number}"], False)
    eventually(lambda: dig.status(name, "A", tcp=tcp), "NXDOMAIN")


@TRANSPORTS
def test_publishes_not_ready_addresses_where_the_service_says_so(api, dig, namespace, subnet, tcp):
    api.create(service(namespace, "early", headless=True, publishNotReadyAddresses=True, selector={"app": "early"}))
    api.create(service(namespace, "late", headless=True, selector={"app": "early"}))
    api.run_pod(namespace, "pod", [f"{subnet}.1"], ready=False, labels={"app": "early"})
    eventually(lambda: dig(f"early.{namespace}.svc.{ZONE}", "A", tcp=tcp), f"{subnet}.1")
    assert dig.status(f"late.{namespace}.svc.{ZONE}", "A", tcp=tcp) == "NXDOMAIN"


@TRANSPORTS
def test_serves_endpoints_that_the_mirroring_controller_copies(api, dig, namespace, subnet, tcp):
    name = f"outside.{namespace}.svc.{ZONE}"
    api.create(service(namespace, "outside", headless=True, ports=[port("sql", 5432)]))
    api.create({"kind": "Endpoints", "metadata": {"name": "outside", "namespace": namespace}, "subsets": [
        {"addresses": [{"ip": f"{subnet}.1", "hostname": "primary"}, {"ip": f"{subnet}.2"}],
         "notReadyAddresses": [{"ip": f"{subnet}.3"}], "ports": [{"name": "sql", "port": 5432}]}]})
    eventually(lambda: lines(dig(name, "A", tcp=tcp)), [f"{subnet}.1", f"{subnet}.2"])
    assert dig(f"primary.{name}", "A", tcp=tcp) == f"{subnet}.1"
    assert lines(dig(f"_sql._tcp.{name}", "SRV", tcp=tcp)) == [f"0 50 5432 {dashed(subnet)}-2.{name}.",
                                                               f"0 50 5432 primary.{name}."]
    assert dig("-x", f"{subnet}.1", tcp=tcp) == f"primary.{name}."


@TRANSPORTS
def test_serves_slices_that_a_user_keeps(api, dig, namespace, subnet, tcp):
    name = f"mine.{namespace}.svc.{ZONE}"
    api.create(service(namespace, "mine", headless=True))
    api.create(endpoint_slice(namespace, "mine-a", "mine", [
        endpoint(f"{subnet}.11", hostname="a"), endpoint(f"{subnet}.12", conditions={"ready": False}),
        endpoint(f"{subnet}.13", conditions={"ready": False, "serving": True, "terminating": True})],
        [port("http", 80)]))
    api.create(endpoint_slice(namespace, "mine-b", "mine", [endpoint(f"{subnet}.14", hostname="a"),
                                                            endpoint(f"{subnet}.11", hostname="a")],
                              [port("http", 80)]))
    for owner in (name, f"a.{name}"):
        eventually(lambda: lines(dig(owner, "A", tcp=tcp)), [f"{subnet}.11", f"{subnet}.14"])
    api.delete("EndpointSlice", "mine-a", namespace)
    api.delete("EndpointSlice", "mine-b", namespace)
    eventually(lambda: dig.status(name, "A", tcp=tcp), "NXDOMAIN")


@TRANSPORTS
def test_forgets_a_service_that_was_deleted(api, dig, namespace, tcp):
    created = api.create(service(namespace, "short-lived"))
    name = f"short-lived.{namespace}.svc.{ZONE}"
    eventually(lambda: dig(name, "A", tcp=tcp), created["spec"]["clusterIP"])
    api.delete("Service", "short-lived", namespace)
    eventually(lambda: dig.status(name, "A", tcp=tcp), "NXDOMAIN")
    eventually(lambda: dig("-x", created["spec"]["clusterIP"], tcp=tcp), "")


@TRANSPORTS
def test_forgets_a_namespace_that_was_deleted(api, dig, namespace, tcp):
    api.create(service(namespace, "inside"))
    eventually(lambda: dig.status(f"inside.{namespace}.svc.{ZONE}", "A", tcp=tcp), "NOERROR")
    assert dig.status(f"{namespace}.svc.{ZONE}", "A", tcp=tcp) == "NOERROR"
    api.delete("Namespace", namespace)
    eventually(lambda: dig.status(f"inside.{namespace}.svc.{ZONE}", "A", tcp=tcp), "NXDOMAIN")
    eventually(lambda: dig.status(f"{namespace}.svc.{ZONE}", "A", tcp=tcp), "NXDOMAIN")
    eventually(lambda: dig.status(f"10-0-0-1.{namespace}.pod.{ZONE}", "A", tcp=tcp), "NXDOMAIN")


@TRANSPORTS
def test_says_what_it_is(dig, tcp):
    assert dig(f"dns-version.{ZONE}", "TXT", tcp=tcp) == '"1.1.0"'
    assert dig(ZONE, "SOA", tcp=tcp).startswith(f"ns.dns.{ZONE}. hostmaster.{ZONE}. ")


@TRANSPORTS
def test_forwards_what_is_outside(dig, tcp):
    assert dig("foo.example.com", "A", namespace="default", tcp=tcp) == "192.0.2.10"
    assert dig("-x", "198.18.0.9", tcp=tcp) == "outside.example.net."
    assert dig.status("missing.example.com", "A", tcp=tcp) == "NXDOMAIN"
