"""A cluster with Services and slices of every shape that DNS can meet, the same for the same seed."""
import ipaddress
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from control_plane import Api
from objects import endpoint, endpoint_slice, port, service
from processes import wait_for

# Namespaces by name, with their labels. "svc", "pod" and a number are here because they look like parts of names.
NAMESPACES = {
    "team-a": {"dns": "yes"}, "team-b": {"dns": "yes"}, "team-c": {}, "svc": {}, "pod": {"dns": "yes"}, "123": {},
    "n" * 63: {}, "empty": {"dns": "yes"},
}
NAMED = {"dns": "yes"}  # the label that the `labels` option set selects; half of the Services and slices carry it
HOST_NAMES = ["db-0", "db-1", "web", "a", "0", "h" * 63, "1-2-3-4", "x--y"]
PORT_NAMES = ["http", "https", "dns-tcp", "p", "grpc-web", "metrics9"]
PROTOCOLS = ["TCP", "UDP", "SCTP"]
TOPOLOGY_ZONES = ["zone-a", "zone-b", "Zone.C"]
LONG_POD_NAME = "pod-" + "l" * 70


class Generator:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.things: list[dict] = []
        self.pods: list[dict] = []
        # The API server draws addresses for the Services of other tests from all of its range but the first 256 of each
        # family, which it leaves to those who choose one (KEP-3070): elsewhere it may have drawn ours before.
        self._service_v4 = iter(ipaddress.ip_network("10.96.0.128/25").hosts())
        self._service_v6 = iter(ipaddress.ip_network("fd00:96::80/121").hosts())
        self._number = 0

    # addresses

    def cluster_ips(self, families: list[str]) -> dict:
        addresses = [str(next(self._service_v4 if family == "IPv4" else self._service_v6)) for family in families]
        return {"clusterIPs": addresses, "clusterIP": addresses[0], "ipFamilies": families,
                "ipFamilyPolicy": "SingleStack" if len(families) == 1 else "RequireDualStack"}

    def families(self) -> list[str]:
        return self.random.choice([["IPv4"], ["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]])

    def address(self, kind: str) -> str:
        """An address of a Pod. The range is small enough for some to be behind several Services."""
        if kind == "IPv4":
            return f"10.244.{self.random.randrange(8)}.{self.random.randrange(1, 255)}"
        low = self.random.randrange(1, 2000)
        return self.random.choice([f"fd00:244::{low:x}", f"fd00:244:{low:x}::", f"fd00:244:1:2:3:4:5:{low:x}"])

    # parts

    def service_ports(self, most: int = 5) -> list[dict]:
        count = self.random.randint(1, most)
        if count == 1 and self.random.random() < 0.3:
            return [port(None, self.random.randint(1, 65535))]
        numbers = self.random.sample(range(1, 65536), count)
        names = self.random.sample(PORT_NAMES, count) if count <= len(PORT_NAMES) else [f"p{n}" for n in range(count)]
        return [port(name, number, self.random.choice(PROTOCOLS)) for name, number in zip(names, numbers)]

    def slice_ports(self, service_ports: list[dict]) -> list[dict]:
        """Ports of a slice: the Service's on other numbers, and now and then none, unnamed, or without a number."""
        chance = self.random.random()
        if chance < 0.1 or not service_ports:
            return []
        ports = [{**one, "port": self.random.randint(1, 65535)} for one in service_ports]
        if chance < 0.2:
            ports = [port(None, self.random.randint(1, 65535))]
        elif chance < 0.25:
            ports = [{key: value for key, value in ports[0].items() if key != "port"}]
        elif chance < 0.3:
            ports = [{key: value for key, value in ports[0].items() if key != "protocol"}]
        return ports

    def endpoint(self, kind: str, host_name: str | None) -> dict:
        more: dict = {}
        if host_name is not None:
            more["hostname"] = host_name
        condition = self.random.random()
        if condition < 0.6:
            more["conditions"] = {"ready": True, "serving": True, "terminating": False}
        elif condition < 0.7:
            more["conditions"] = {"ready": False, "serving": True, "terminating": True}
        elif condition < 0.8:
            more["conditions"] = {"ready": False}
        if self.random.random() < 0.5:
            more["zone"] = self.random.choice(TOPOLOGY_ZONES)
        if self.random.random() < 0.4:
            name = self.random.choice([f"pod-{self.random.randrange(50)}", "pod.with.dots", LONG_POD_NAME])
            more["targetRef"] = {"kind": "Pod", "name": name, "namespace": "default"}
        count = 2 if self.random.random() < 0.05 else 1
        return endpoint(*dict.fromkeys(self.address(kind) for _ in range(count)), **more)

    def endpoints(self, kind: str, count: int) -> list[dict]:
        style = self.random.choice(["none", "own", "shared", "mixed"])
        names = {"none": lambda n: None, "own": lambda n: f"host-{n}",
                 "shared": lambda n: self.random.choice(HOST_NAMES),
                 "mixed": lambda n: self.random.choice([None, f"host-{n}", *HOST_NAMES])}[style]
        return [self.endpoint(kind, names(number)) for number in range(count)]

    def labels(self) -> dict[str, str]:
        return dict(NAMED) if self.random.random() < 0.5 else {}

    # Services of each shape; each adds one, with its slices

    def add_slices(self, namespace: str, name: str, ports: list[dict], families: list[str], count: int) -> None:
        for kind in families:
            parts = self.random.randint(1, 3) if count > 1 else 1
            everything = self.endpoints(kind, count)
            for part in range(parts):
                share = everything[part::parts]
                if part and self.random.random() < 0.5:
                    share = share + everything[:2]  # an endpoint that is on its way from one slice to another
                self.things.append(endpoint_slice(namespace, f"{name}-{kind.lower()}-{part}", name, share,
                                                  self.slice_ports(ports), kind, self.labels()))
        if self.random.random() < 0.1:
            self.things.append(endpoint_slice(namespace, f"{name}-fqdn", name,
                                              [endpoint("outside.example.com")], [port("http", 80)], "FQDN"))

    def add_cluster_ip(self, namespace: str, name: str) -> None:
        families = self.families()
        ports = self.service_ports()
        kind = self.random.choice(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer"])
        self.things.append(service(namespace, name, ports, self.labels(), type=kind, **self.cluster_ips(families)))
        if self.random.random() < 0.6:
            self.add_slices(namespace, name, ports, families, self.random.choice([0, 1, 3, 6]))

    def add_headless(self, namespace: str, name: str) -> None:
        families = self.families()
        ports = self.service_ports() if self.random.random() < 0.9 else []
        self.things.append(service(namespace, name, ports, self.labels(), headless=True, ipFamilies=families,
                                   ipFamilyPolicy="SingleStack" if len(families) == 1 else "RequireDualStack"))
        if self.random.random() < 0.9:
            self.add_slices(namespace, name, ports, families, self.random.choice([0, 1, 1, 2, 3, 5, 8, 20]))

    def add_external_name(self, namespace: str, name: str) -> None:
        near = [thing["metadata"]["name"] for thing in self.things
                if thing["kind"] == "Service" and thing["metadata"]["namespace"] == namespace]
        target = self.random.choice([
            "foo.example.com", "v6.example.net", "alias.example.net", "mail.example.net", "text.example.net",
            "missing.example.com", "nowhere.invalid", "foo.example.com.", "1.2.3.4", "203.0.113.9",
            "cluster.local", "svc.cluster.local", f"{namespace}.svc.cluster.local", "dns-version.cluster.local",
            "ns.dns.cluster.local", f"missing.{namespace}.svc.cluster.local", f"missing.missing.svc.cluster.local",
            f"10-1-2-3.{namespace}.pod.cluster.local", "129.0.96.10.in-addr.arpa", "9.113.0.203.in-addr.arpa",
            *(f"{self.random.choice(near)}.{namespace}.svc.cluster.local" for _ in range(12) if near)])
        self.things.append(service(namespace, name, None, self.labels(), type="ExternalName", externalName=target))

    def add_mirrored(self, namespace: str, name: str) -> None:
        ports = [port("http", 80), port("dns", 53, "UDP")]
        headless = self.random.random() < 0.7
        self.things.append(service(namespace, name, ports, headless=headless,
                                   **({} if headless else self.cluster_ips(["IPv4"]))))
        addresses = [{"ip": self.address(self.random.choice(["IPv4", "IPv6"])), "hostname": f"mirror-{number}"}
                     for number in range(self.random.randint(1, 4))]
        self.things.append({"kind": "Endpoints", "metadata": {"name": name, "namespace": namespace}, "subsets": [
            {"addresses": addresses, "notReadyAddresses": [{"ip": "10.244.9.9"}],
             "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}]}]})

    def add_selecting(self, namespace: str, name: str) -> None:
        """A Service whose slices the controller makes, with Pods, of which some are ready."""
        families = self.families()
        headless = self.random.random() < 0.6
        label = {"app": name}
        spec = {"headless": True, "ipFamilies": families,
                "ipFamilyPolicy": "SingleStack" if len(families) == 1 else "RequireDualStack"} \
            if headless else self.cluster_ips(families)
        self.things.append(service(namespace, name, [port("http", 80, targetPort="http")], selector=label,
                                   publishNotReadyAddresses=self.random.random() < 0.3, **spec))
        for number in range(self.random.randint(1, 3)):
            self._number += 1
            host = {"hostname": f"{name}-{number}"[:63], "subdomain": name} if self.random.random() < 0.6 else {}
            self.pods.append({"namespace": namespace, "name": f"{name}-{number}", "labels": label,
                              "addresses": [f"10.245.{self._number // 250}.{self._number % 250 + 1}",
                                            f"fd00:245::{self._number:x}"],
                              "ready": self.random.random() < 0.7, **host})

    # the whole

    def special(self) -> None:
        """What chance would not make."""
        add = self.things.append
        ns = "team-a"
        add(service(ns, "many-ports", [port(f"port-{n}", 1000 + n, PROTOCOLS[n % 3]) for n in range(60)],
                    **self.cluster_ips(["IPv4", "IPv6"])))
        # one port number for two protocols; a port name for two protocols is refused by the API
        add(service(ns, "dns", [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP")], **self.cluster_ips(["IPv4"])))
        for count in (74, 75, 120, 200):
            name = f"headless-{count}"
            add(service(ns, name, [port("http", 80)], headless=True))
            add(endpoint_slice(ns, name, name, [endpoint(f"10.246.{count}.{n}", hostname=f"pod-{n}")
                                                for n in range(1, count + 1)], [port("http", 8080)]))
        # more endpoints than one slice holds
        add(service(ns, "huge-six", [port("http", 80)], headless=True, ipFamilies=["IPv6"]))
        for part in range(2):
            add(endpoint_slice(ns, f"huge-six-{part}", "huge-six",
                               [endpoint(f"fd00:246:{part + 1}::{n:x}") for n in range(1, 101)],
                               [port("http", 8080)], "IPv6"))
        # an address that is a ClusterIP and an endpoint
        both = self.cluster_ips(["IPv4"])
        add(service(ns, "front", [port("http", 80)], **both))
        add(service(ns, "behind", [port("http", 80)], headless=True))
        add(endpoint_slice(ns, "behind", "behind", [endpoint(both["clusterIP"], hostname="same")], [port("http", 80)]))
        # slices that belong to nothing
        add(endpoint_slice(ns, "orphan", "no-such-service", [endpoint("10.247.0.1", hostname="a")], [port("http", 80)]))
        add(endpoint_slice(ns, "unowned", None, [endpoint("10.247.0.2", hostname="a")], [port("http", 80)]))
        add(endpoint_slice("team-b", "stranger", "behind", [endpoint("10.247.0.3", hostname="a")], [port("http", 80)]))
        # IPv6 labels that begin or end with a dash
        add(service(ns, "dashes", [port("http", 80)], headless=True, ipFamilies=["IPv6"]))
        add(endpoint_slice(ns, "dashes", "dashes", [endpoint("2001:db8::"), endpoint("::2:3:4"),
                                                    endpoint("2001:db8::1:0:0:1")], [port("http", 80)], "IPv6"))
        # circles and chains of ExternalNames
        names = {"self": "self", "ping": "pong", "pong": "ping"}
        names |= {f"chain-{n}": f"chain-{n + 1}" for n in range(14)} | {"chain-14": "front"}
        for name, target in names.items():
            add(service(ns, name, type="ExternalName", externalName=f"{target}.{ns}.svc.cluster.local"))
        # names that look like something else
        for name in ("svc", "pod", "dns-version", "10-96-0-1", "1-2-3-4", "0", "s" * 63, "tcp", "cluster"):
            add(service("svc", name, [port("tcp", 1), port("svc", 2, "UDP")], **self.cluster_ips(["IPv4"])))
        add(service("pod", "svc", [port("http", 80)], headless=True))
        add(endpoint_slice("pod", "svc", "svc", [endpoint("10.247.1.1", hostname="tcp"),
                                                 endpoint("10.247.1.2", hostname="svc")], [port("tcp", 80)]))
        # nothing ready at all, and nothing in one family
        add(service(ns, "unready", [port("http", 80)], headless=True))
        add(endpoint_slice(ns, "unready", "unready", [endpoint("10.247.2.1", hostname="a",
                                                               conditions={"ready": False})], [port("http", 80)]))
        add(service(ns, "unready-front", [port("http", 80)], **self.cluster_ips(["IPv4"])))
        add(endpoint_slice(ns, "unready-front", "unready-front", [
            endpoint("10.247.2.2", conditions={"ready": False})], [port("http", 80)]))
        # Pods that are not behind any Service, two of them with one address and one that has ended
        for number, (name, phase) in enumerate([("lone", "Running"), ("done", "Succeeded"), ("waiting", "Pending")]):
            self.pods.append({"namespace": "team-b", "name": name, "labels": {}, "ready": True, "phase": phase,
                              "addresses": [f"10.248.0.{number + 1}", f"fd00:248::{number + 1}"]})
        self.pods.append({"namespace": "team-c", "name": "twin", "labels": {}, "ready": True,
                          "addresses": ["10.248.0.1"]})

    def build(self, per_namespace: int) -> "Generator":
        shapes: list[tuple[int, Callable[[str, str], None]]] = [
            (30, self.add_cluster_ip), (35, self.add_headless), (15, self.add_external_name), (8, self.add_mirrored),
            (12, self.add_selecting)]
        self.special()
        for namespace in NAMESPACES:
            if namespace == "empty":
                continue
            for number in range(per_namespace):
                shape = self.random.choices([one for _, one in shapes], [weight for weight, _ in shapes])[0]
                prefix = self.random.choice(["svc", "web", "db", "9lives", "a-b-c", "x" * 50])
                shape(namespace, f"{prefix}-{number}")
        return self

    def load(self, api: Api) -> None:
        """Makes it all in the cluster and waits until the controllers have made their part."""
        for name, labels in NAMESPACES.items():
            api.create_namespace(name, labels)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(api.create, thing) for thing in self.things]:
                done.result()
            for done in [pool.submit(self._run_pod, api, pod) for pod in self.pods]:
                done.result()
        for thing in self.things:
            if thing["kind"] == "Service" and thing["spec"].get("type") == "LoadBalancer":
                api.patch("Service", thing["metadata"]["name"], {"status": {"loadBalancer": {"ingress": [
                    {"ip": "203.0.113.50"}, {"hostname": "lb.example.com"}]}}}, thing["metadata"]["namespace"], "status")
        wait_for(lambda: self.unsettled(api) is None, f"the controllers: {self.unsettled(api)}")

    @staticmethod
    def _run_pod(api: Api, pod: dict) -> None:
        pod = dict(pod)
        phase = pod.pop("phase", None)
        api.run_pod(**pod)
        if phase is not None:
            api.patch("Pod", pod["name"], {"status": {"phase": phase}}, pod["namespace"], "status")

    def unsettled(self, api: Api) -> str | None:
        """The first address that a controller has not put into a slice yet."""
        held: dict[tuple[str, str], dict[str, bool | None]] = {}
        for one in api.items("EndpointSlice"):
            owner = one["metadata"]["namespace"], one["metadata"].get("labels", {}).get("kubernetes.io/service-name")
            for point in one["endpoints"] or []:
                for address in point["addresses"]:
                    held.setdefault(owner, {})[address] = point.get("conditions", {}).get("ready")
        for thing in self.things:
            namespace, name = thing["metadata"]["namespace"], thing["metadata"]["name"]
            if thing["kind"] == "Endpoints":
                wanted = {one["ip"]: True for one in thing["subsets"][0]["addresses"]}
            elif thing["kind"] == "Service" and (selector := thing["spec"].get("selector")):
                early = thing["spec"]["publishNotReadyAddresses"]
                families = thing["spec"]["ipFamilies"]
                wanted = {address: pod["ready"] or early for pod in self.pods if pod["labels"] == selector
                          for address in pod["addresses"]
                          if pod["namespace"] == namespace and ("IPv6" if ":" in address else "IPv4") in families}
            else:
                continue
            for address, ready in wanted.items():
                if held.get((namespace, name), {}).get(address) != ready:
                    return f"{address} of {name} in {namespace}"
        return None
