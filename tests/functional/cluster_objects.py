"""The cluster that the functional tests ask about, as the API's objects (dicts), and functions that make such objects.

`CLUSTER` is the whole of it, in the order in which kubectl would list it. Its parts carry the names of the rows of
test_specification.py that need them.
"""
import ipaddress
import itertools
import json
from pathlib import Path

_version = itertools.count(1000)

Object = dict
Port = tuple[str | None, int, str] | tuple[str | None, int]


def _metadata(name: str, namespace: str | None, labels: dict[str, str]) -> Object:
    number = next(_version)
    metadata = {"name": name, "uid": f"00000000-0000-4000-8000-{number:012d}", "resourceVersion": str(number),
                "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels}
    if namespace is not None:
        metadata["namespace"] = namespace
    return metadata


def _ports(ports: list[Port]) -> list[Object]:
    out = []
    for name, number, *protocol in ports:
        port = {"port": number, "protocol": protocol[0] if protocol else "TCP"}
        if name is not None:
            port["name"] = name
        out.append(port)
    return out


def namespace(name: str, labels: dict[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(name, None, labels or {}),
            "status": {"phase": "Active"}}


def service(name: str, addresses: str | list[str] = "None", ports: list[Port] | None = None, namespace: str = "default",
            labels: dict[str, str] | None = None, **spec) -> Object:
    """A Service with these clusterIPs ("None": headless). `spec` overrides fields, such as type="NodePort"."""
    addresses = [addresses] if isinstance(addresses, str) else addresses
    families = ["IPv6" if ":" in address else "IPv4" for address in addresses]
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name, namespace, labels or {}),
            "spec": {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses, "ipFamilies": families,
                     "selector": {"app": name}, "ports": _ports(ports if ports is not None else [("http", 80)]), **spec},
            "status": {"loadBalancer": {}}}


def external_name(name: str, target: str, namespace: str = "default", **spec) -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name, namespace, {}),
            "spec": {"type": "ExternalName", "externalName": target, **spec}, "status": {"loadBalancer": {}}}


def endpoint(address: str, hostname: str | None = None, pod: str | None = None, ready: bool | None = True,
             zone: str | None = None, **conditions: bool) -> Object:
    """An entry of a slice's `endpoints`; ready=None leaves the condition out."""
    out: Object = {"addresses": [address], "conditions": dict(conditions)}
    if ready is not None:
        out["conditions"]["ready"] = ready
    if hostname is not None:
        out["hostname"] = hostname
    if pod is not None:
        out["targetRef"] = {"kind": "Pod", "name": pod, "namespace": "default"}
    if zone is not None:
        out["zone"] = zone
    return out


def endpoint_slice(service: str, endpoints: list[str | Object], ports: list[Port] | None = None, suffix: str = "1",
                   namespace: str = "default", labels: dict[str, str] | None = None,
                   managed_by: str = "endpointslice-controller.k8s.io") -> Object:
    """A slice of a service. A plain text in `endpoints` is a ready address."""
    endpoints = [endpoint(each) if isinstance(each, str) else each for each in endpoints]
    family = 6 if endpoints and ":" in endpoints[0]["addresses"][0] else 4
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": _metadata(f"{service}-{suffix}", namespace,
                                  {"kubernetes.io/service-name": service,
                                   "endpointslice.kubernetes.io/managed-by": managed_by, **(labels or {})}),
            "addressType": f"IPv{family}", "endpoints": endpoints,
            "ports": _ports(ports if ports is not None else [("http", 8080)])}


def pod(name: str, *addresses: str, namespace: str = "default", labels: dict[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(name, namespace, labels or {}),
            "spec": {"containers": [{"name": "main", "image": "example"}]},
            "status": {"phase": "Running", "podIP": addresses[0],
                       "podIPs": [{"ip": address} for address in addresses]}}


def many(base: str, count: int) -> list[str]:
    """`count` addresses in a row."""
    first = ipaddress.ip_address(base)
    return [str(first + number) for number in range(count)]


def _large(name: str, addresses: list[str]) -> list[Object]:
    """Slices of at most 100 endpoints each, as the controller makes them."""
    return [endpoint_slice(name, addresses[start:start + 100], suffix=str(start // 100))
            for start in range(0, len(addresses), 100)]


LONG_POD_NAME = "pod-" + "x" * 60  # 64 characters: no DNS label

CLUSTER: list[Object] = [
    namespace("default", {"team": "blue"}),
    namespace("prod", {"team": "red"}),
    namespace("empty"),
    namespace("kube-system"),

    # ClusterIP (A, S, P rows)
    service("web", "10.96.0.10", [("http", 80), ("https", 443)], labels={"tier": "front"}),
    endpoint_slice("web", ["10.244.0.10", "10.244.0.11"], [("http", 8080), ("https", 8443)], labels={"tier": "front"}),
    service("six", "fd00:96::10", [("http", 80)]),
    endpoint_slice("six", ["fd00:244::10"]),
    service("dual", ["10.96.0.20", "fd00:96::20"], [("http", 80)]),
    endpoint_slice("dual", ["10.244.0.20"], suffix="4"),
    endpoint_slice("dual", ["fd00:244::20"], suffix="6"),
    service("dual6", ["fd00:96::21", "10.96.0.21"], [("http", 80)]),  # the other order of families
    endpoint_slice("dual6", ["10.244.0.21"]),
    service("old", "10.96.0.22", [("http", 80)]),                     # an old object: no clusterIPs
    service("idle", "10.96.0.30", [("http", 80)]),                    # no slice at all
    service("unready", "10.96.0.31", [("http", 80)]),
    endpoint_slice("unready", [endpoint("10.244.0.31", ready=False)]),
    service("portless", "10.96.0.32", []),
    endpoint_slice("portless", ["10.244.0.32"], []),
    service("balanced", "10.96.0.40", [("http", 80)], type="LoadBalancer"),
    endpoint_slice("balanced", ["10.244.0.40"]),
    service("node-port", "10.96.0.41", [("http", 80)], type="NodePort"),
    endpoint_slice("node-port", ["10.244.0.41"]),
    service("1st", "10.96.0.42", [("http", 80)]),
    endpoint_slice("1st", ["10.244.0.42"]),
    service("unnamed", "10.96.0.50", [(None, 80)]),
    endpoint_slice("unnamed", ["10.244.0.50"], [(None, 8080)]),
    service("sctp", "10.96.0.51", [("sig", 3868, "SCTP")]),
    endpoint_slice("sctp", ["10.244.0.51"], [("sig", 3868, "SCTP")]),
    service("dns", "10.96.0.52", [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")]),
    endpoint_slice("dns", ["10.244.0.52"], [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")]),
    service("named", "10.96.0.53", [("http", 80)]),                   # N6: a hostname behind a ClusterIP
    endpoint_slice("named", [endpoint("10.244.0.53", "alpha"), "10.244.0.54"]),
    service("web", "10.96.1.10", [("http", 80)], namespace="prod", labels={"tier": "front"}),
    endpoint_slice("web", ["10.244.1.10"], namespace="prod", labels={"tier": "front"}),

    # headless (H, N, R, Q rows)
    service("headless"),
    endpoint_slice("headless", [endpoint("10.244.2.1", "one"), endpoint("10.244.2.2", "two"), "10.244.2.3"]),
    service("headless6"),
    endpoint_slice("headless6", [endpoint("fd00:244::2:1", "one"), "fd00:244::2:2"]),
    service("headless46"),
    endpoint_slice("headless46", [endpoint("10.244.2.11", "one")], suffix="4"),
    endpoint_slice("headless46", [endpoint("fd00:244::2:11", "one"), endpoint("fd00:244::2:12", "two")], suffix="6"),
    service("none"),
    service("none-ready"),
    endpoint_slice("none-ready", [endpoint("10.244.2.21", "one", ready=False)]),
    service("not-ready-too", publishNotReadyAddresses=True),          # the controller says ready of all of them
    endpoint_slice("not-ready-too", [endpoint("10.244.2.22", ready=True, serving=False)]),
    service("leaving"),
    endpoint_slice("leaving", ["10.244.2.23",
                               endpoint("10.244.2.24", ready=False, serving=True, terminating=True)]),
    service("nil-ready"),
    endpoint_slice("nil-ready", [endpoint("10.244.2.25", ready=None)]),
    service("by-hand", selector=None),
    endpoint_slice("by-hand", ["192.0.2.1"], managed_by="endpointslicemirroring-controller.k8s.io", suffix="m"),
    endpoint_slice("by-hand", ["192.0.2.2"], managed_by="somebody", suffix="h"),
    endpoint_slice("by-hand", ["192.0.2.2"], managed_by="somebody", suffix="twice"),
    service("shared"),
    endpoint_slice("shared", [endpoint("10.244.2.31", "same"), endpoint("10.244.2.32", "same")]),
    service("podnames"),
    endpoint_slice("podnames", [endpoint("10.244.2.41", pod="podnames-0"),
                                endpoint("10.244.2.42", "host", pod="podnames-1"),
                                endpoint("10.244.2.43", pod=LONG_POD_NAME)]),
    service("db"),                                                    # N9: a StatefulSet
    endpoint_slice("db", [endpoint("10.244.2.51", "db-0", pod="db-0", zone="west"),
                          endpoint("10.244.2.52", "db-1", pod="db-1", zone="east"),
                          endpoint("10.244.2.53", "db-2", pod="db-2", zone="eu.example"),
                          endpoint("10.244.2.54", "db-3", pod="db-3", ready=False, zone="north")], [("sql", 5432)]),
    service("ports", ports=[("http", 80), ("metrics", 9090)]),
    endpoint_slice("ports", [endpoint("10.244.2.61", "a"), endpoint("10.244.2.62", "b")],
                   [("http", 8080), ("metrics", 9090)]),
    service("nameless", ports=[(None, 80)]),
    endpoint_slice("nameless", [endpoint("10.244.2.71", "a")], [(None, 8080)]),
    service("differing", ports=[("http", 80)]),
    endpoint_slice("differing", [endpoint("10.244.2.81", "a")], [("http", 8081)], suffix="1"),
    endpoint_slice("differing", [endpoint("10.244.2.82", "b")], [("http", 8082)], suffix="2"),
    service("no-port", ports=[]),
    endpoint_slice("no-port", [endpoint("10.244.2.91", "a")], []),
    service("twin-a"),
    endpoint_slice("twin-a", [endpoint("10.244.2.101", "t")]),
    service("twin-b"),
    endpoint_slice("twin-b", [endpoint("10.244.2.101", "t")]),
    service("at-cluster-ip"),                                         # Q5: its endpoint is web's clusterIP
    endpoint_slice("at-cluster-ip", [endpoint("10.96.0.10", "thief")]),

    # sizes
    service("eighty"),
    endpoint_slice("eighty", many("10.245.0.1", 80)),
    service("five-thousand"),
    *_large("five-thousand", many("10.246.0.1", 5000)),
    service("srv-fits"),
    endpoint_slice("srv-fits", [endpoint(address, f"host-{number:02}")
                                for number, address in enumerate(many("10.245.1.1", 16))]),

    # ExternalName (E rows)
    external_name("outside", "www.example.com"),
    external_name("silent", "silent.example.com"),
    external_name("broken", "broken.example.com"),
    external_name("fat", "fat.example.com"),
    external_name("inside", "web.prod.svc.cluster.local"),
    external_name("inside-twice", "inside.default.svc.cluster.local"),
    external_name("dangling", "nothing.default.svc.cluster.local"),
    external_name("loop-a", "loop-b.default.svc.cluster.local"),
    external_name("loop-b", "loop-a.default.svc.cluster.local"),
    external_name("myself", "myself.default.svc.cluster.local"),
    *[external_name(f"chain-{number:02}", f"chain-{number + 1:02}.default.svc.cluster.local") for number in range(14)],
    external_name("literal", "1.2.3.4"),
    service("flipped", "10.96.0.60", [("http", 80)], externalName="www.example.com"),

    # pods (D rows)
    pod("running", "10.20.0.101", "2001:db8::1"),
    pod("elsewhere", "10.20.0.102", namespace="prod"),
]
del next(each for each in CLUSTER if each["metadata"]["name"] == "old")["spec"]["clusterIPs"]
next(each for each in CLUSTER if each["metadata"]["name"] == "balanced")["status"]["loadBalancer"] = {
    "ingress": [{"ip": "203.0.113.40"}]}


def write_snapshot(path: Path, objects: list[Object]) -> Path:
    """What `kubectl get services,endpointslices,namespaces,pods -A -o json` prints."""
    path.write_text(json.dumps({"apiVersion": "v1", "items": objects, "kind": "List",
                                "metadata": {"resourceVersion": ""}}, indent=4))
    return path
