#!/usr/bin/env python3
"""Writes zones/demo-cluster.json: a made-up cluster in the shape of `kubectl get services,endpointslices,namespaces,pods
-A -o json`, with a Service of every kind that DNS tells apart. Always the same text for the same program."""
import ipaddress
import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "zones" / "demo-cluster.json"
NAMESPACES = ["default", "kube-system", "shop", "data", "streaming", "legacy"]


class Cluster:
    def __init__(self):
        self.items: list[dict] = []
        self._version = 1000
        self._service_v4 = ipaddress.ip_address("10.96.0.20")
        self._service_v6 = ipaddress.ip_address("fd00:96::20")
        self._pod = 0
        for name in NAMESPACES:
            self._add("v1", "Namespace", None, name, status={"phase": "Active"})

    def _add(self, api: str, kind: str, namespace: str | None, name: str, labels: dict | None = None, **rest) -> None:
        self._version += 7
        metadata = {"name": name, "uid": f"00000000-0000-4000-8000-{self._version:012d}",
                    "resourceVersion": str(self._version), "creationTimestamp": "2026-01-01T00:00:00Z",
                    "managedFields": [{"manager": "demo", "operation": "Update", "fieldsType": "FieldsV1",
                                       "fieldsV1": {"f:spec": {}}}]}
        if namespace:
            metadata["namespace"] = namespace
        if labels:
            metadata["labels"] = labels
        self.items.append({"apiVersion": api, "kind": kind, "metadata": metadata, **rest})

    def _cluster_ips(self, families: list[str]) -> list[str]:
        result = []
        for family in families:
            if family == "IPv4":
                result.append(str(self._service_v4))
                self._service_v4 += 1
            else:
                result.append(str(self._service_v6))
                self._service_v6 += 1
        return result

    def service(self, namespace: str, name: str, ports: list[tuple] = (("http", 80),), families: tuple = ("IPv4",),
                pods: int = 2, kind: str = "ClusterIP", headless: bool = False, addresses: list[str] | None = None,
                hostnames: bool = False, ready: bool = True, selector: bool = True, target: int = 0) -> None:
        """A Service and the slices of its Pods. A port is (name, number[, protocol])."""
        families = list(families)
        ips = ["None"] if headless else addresses or self._cluster_ips(families)
        spec = {"type": kind, "clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families,
                "ports": [self._port(port, target) for port in ports]}
        if selector:
            spec["selector"] = {"app": name}
        self._add("v1", "Service", namespace, name, {"app": name}, spec=spec,
                  status={"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]} if kind == "LoadBalancer" else {}})
        if not pods:
            return
        numbers = range(self._pod + 1, self._pod + 1 + pods)
        self._pod += pods
        for family in families:
            endpoints = [self._endpoint(namespace, name, family, number, place, hostnames, ready)
                         for place, number in enumerate(numbers)]
            self._add("discovery.k8s.io/v1", "EndpointSlice", namespace, f"{name}-{family.lower()[-2:]}abc",
                      {"kubernetes.io/service-name": name,
                       "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                      addressType=family, endpoints=endpoints,
                      ports=[{"name": port[0], "port": target or port[1], "protocol": (*port, "TCP")[2]}
                             for port in ports])
        if selector:
            for place, number in enumerate(numbers):
                self._pod_object(namespace, f"{name}-{place}" if hostnames else f"{name}-{number:05x}", families, number)

    @staticmethod
    def _port(port: tuple, target: int) -> dict:
        result = {"name": port[0], "port": port[1], "protocol": (*port, "TCP")[2], "targetPort": target or port[1]}
        return {key: value for key, value in result.items() if value}

    @staticmethod
    def _address(family: str, number: int) -> str:
        base = ipaddress.ip_address("10.244.1.0" if family == "IPv4" else "fd00:244::1:0")
        return str(base + number)

    def _endpoint(self, namespace: str, name: str, family: str, number: int, place: int, hostnames: bool,
                  ready: bool) -> dict:
        pod = f"{name}-{place}" if hostnames else f"{name}-{number:05x}"
        result = {"addresses": [self._address(family, number)], "nodeName": f"node-{number % 3}",
                  "zone": f"zone-{'abc'[number % 3]}",
                  "conditions": {"ready": ready, "serving": ready, "terminating": False},
                  "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod}}
        if hostnames:
            result["hostname"] = pod
        return result

    def _pod_object(self, namespace: str, name: str, families: list[str], number: int) -> None:
        ips = [self._address(family, number) for family in families]
        self._add("v1", "Pod", namespace, name, spec={"nodeName": f"node-{number % 3}"},
                  status={"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]})

    def external(self, namespace: str, name: str, target: str) -> None:
        self._add("v1", "Service", namespace, name, spec={"type": "ExternalName", "externalName": target})

    def text(self) -> str:
        lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in self.items)
        return f'{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":""}},"items":[\n{lines}\n]}}\n'


def demo() -> str:
    cluster = Cluster()
    dual = ("IPv4", "IPv6")
    cluster.service("default", "kubernetes", [("https", 443)], addresses=["10.96.0.1"], pods=1, selector=False, target=6443)
    cluster.service("default", "web", [("http", 80), ("https", 443)], pods=3)
    cluster.service("default", "api", [("grpc", 50051), ("metrics", 9090)])
    cluster.service("default", "1st-digit", [("http", 80)])
    cluster.external("default", "search", "www.example.com")
    cluster.service("kube-system", "kube-dns", [("dns", 53, "UDP"), ("dns-tcp", 53), ("metrics", 9153)],
                    addresses=["10.96.0.10"])
    cluster.service("kube-system", "metrics-server", [("https", 443)], pods=1, target=10250)
    cluster.service("shop", "web", [("http", 80), ("https", 443)], families=dual, pods=3)
    cluster.service("shop", "cart", [("http", 80)], pods=2, target=8080)
    cluster.service("shop", "checkout", [("http", 80)], families=dual)
    cluster.service("shop", "catalog", [("http", 80)], families=("IPv6",))
    cluster.service("shop", "recommendations", [("http", 80)], pods=0)  # no Pod is there: it has its address all the same
    cluster.service("shop", "frontend", [("http", 80)], kind="LoadBalancer")
    cluster.service("shop", "admin", [("http", 80)], kind="NodePort", pods=1)
    cluster.external("shop", "payments", "payments.example.net")
    cluster.external("shop", "database", "postgres.data.svc.cluster.local")
    cluster.service("data", "postgres", [("postgres", 5432)], pods=3)
    cluster.service("data", "postgres-headless", [("postgres", 5432)], headless=True, hostnames=True, pods=3)
    cluster.service("data", "redis", [("redis", 6379)], headless=True, hostnames=True, families=dual, pods=2)
    cluster.service("data", "etcd", [("client", 2379), ("peer", 2380)], headless=True, hostnames=True, pods=3)
    cluster.service("data", "migrating", [("postgres", 5432)], headless=True, ready=False)  # none is ready: NXDOMAIN
    cluster.service("data", "backup", [(None, 873)], pods=1)
    cluster.service("streaming", "kafka", [("internal", 9092), ("external", 9094), ("controller", 9093)], pods=3)
    cluster.service("streaming", "kafka-brokers", [("internal", 9092), ("external", 9094), ("controller", 9093)],
                    headless=True, hostnames=True, pods=3)
    cluster.service("streaming", "workers", [("http", 8080)], headless=True, pods=12)
    cluster.service("streaming", "signalling", [("sctp", 3868, "SCTP"), ("sip", 5060, "UDP")])
    cluster.service("streaming", "ingest", [("http", 80)], families=("IPv6", "IPv4"))
    cluster.service("legacy", "mainframe", [("tn3270", 23)], headless=True, selector=False, pods=2)
    cluster.service("legacy", "ldap", [("ldap", 389), ("ldaps", 636)], selector=False, pods=1)
    cluster.external("legacy", "mail", "mail.example.org")
    return cluster.text()


if __name__ == "__main__":
    TARGET.write_text(demo())
    sys.exit(0)
