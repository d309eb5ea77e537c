"""A cluster of any size, the same for the same seed, and its life: what rollouts, scaling and the slice controller do.

It gives objects as the API has them (dicts). Where they go is the caller's affair: a snapshot file, the stub API server
(stub_api_server.py), a real one (load.py).
"""
import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

SLICE_MAX = 100  # endpoints of a slice, as the controller makes them
ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
# How many endpoints Services have: few are large (Kubernetes' load test has groups of 250, 30 and 5).
GROUPS = [(0.02, 250), (0.13, 30), (0.85, 7)]

Object = dict
Event = tuple[str, Object]  # "put" or "delete", and the object


@dataclass
class Endpoint:
    address: str
    pod: str
    zone: str
    hostname: str | None = None
    ready: bool = True


@dataclass
class Slice:
    name: str
    endpoints: list[Endpoint] = field(default_factory=list)


@dataclass
class Service:
    namespace: str
    name: str
    number: int
    headless: bool
    address: str
    address6: str | None
    born: int = 0  # how often it was created anew
    slices: list["Slice"] = field(default_factory=list)
    made: int = 0  # slices so far
    size: int = 1  # endpoints at first: scaling goes around it, so that churn leaves the cluster as large as it was
    headless_at_first: bool = False


class Cluster:
    """`services` Services in `namespaces` namespaces with about `endpoints` endpoints in all. `headless` and `dual` are
    shares. `pods`: whether Pod objects are made, too. Churn leaves all this as it was, on average."""

    def __init__(self, services: int = 100, endpoints: int = 1500, namespaces: int = 10, headless: float = 0.1,
                 dual: float = 0.1, pods: bool = False, seed: int = 1):
        self.random = random.Random(seed)
        self.namespaces = [f"team-{number:04}" for number in range(namespaces)]
        self.with_pods = pods
        self._addresses = iter(range(int(ipaddress.ip_address("10.128.0.1")), int(ipaddress.ip_address("11.0.0.0"))))
        self._version = 1000
        self.services: list[Service] = []
        self.headless = headless
        each = endpoints / services / (1 + dual)
        mean = sum(share * size for share, size in GROUPS)
        for number in range(services):
            service = Service(self.namespaces[number % namespaces], f"service-{number:06}", number,
                              self.random.random() < headless,
                              str(ipaddress.ip_address(int(ipaddress.ip_address("10.0.0.1")) + number)),
                              f"fd00:96::{number + 1:x}" if self.random.random() < dual else None)
            size = self.random.choices([size for _, size in GROUPS], [share for share, _ in GROUPS])[0]
            service.size = max(1, round(size * each / mean))
            service.headless_at_first = service.headless
            self.scale(service, service.size)
            self.services.append(service)

    # objects

    def version(self) -> str:
        self._version += 1
        return str(self._version)

    def _metadata(self, uid: str, name: str, namespace: str | None, labels: dict[str, str]) -> Object:
        metadata = {"name": name, "uid": uid, "resourceVersion": self.version(),
                    "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels}
        if namespace is not None:
            metadata["namespace"] = namespace
        return metadata

    def namespace_object(self, name: str) -> Object:
        return {"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]},
                "metadata": self._metadata(f"00000000-0000-4000-8001-{hash_of(name):012x}", name, None,
                                           {"kubernetes.io/metadata.name": name}), "status": {"phase": "Active"}}

    def service_object(self, service: Service) -> Object:
        addresses = ["None"] if service.headless else [service.address]
        families = ["IPv4"]
        if service.address6:
            families.append("IPv6")
            addresses += ["None"] if service.headless else [service.address6]
        labels = {"app.kubernetes.io/name": service.name, "app.kubernetes.io/part-of": service.namespace}
        return {"apiVersion": "v1", "kind": "Service",
                "metadata": self._metadata(f"00000000-0000-4000-8002-{service.born:04x}{service.number:08x}",
                                           service.name, service.namespace, labels),
                "spec": {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses,
                         "ipFamilies": families, "ipFamilyPolicy": "PreferDualStack", "sessionAffinity": "None",
                         "internalTrafficPolicy": "Cluster", "selector": labels,
                         "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080},
                                   {"name": "metrics", "protocol": "TCP", "port": 9090, "targetPort": 9090}]},
                "status": {"loadBalancer": {}}}

    def slice_object(self, service: Service, one: Slice, six: bool = False) -> Object:
        """`six`: the same endpoints' IPv6 addresses, which are a slice of their own."""
        name = one.name + ("-six" if six else "")
        labels = {"kubernetes.io/service-name": service.name, "app.kubernetes.io/name": service.name,
                  "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
        if service.headless:
            labels["service.kubernetes.io/headless"] = ""
        points = []
        for each in one.endpoints:
            address = six_of(each.address) if six else each.address
            point = {"addresses": [address],
                     "conditions": {"ready": each.ready, "serving": each.ready, "terminating": False},
                     "nodeName": f"node-{hash_of(each.address) % 5000:04}.eu-west-1.compute.internal",
                     "targetRef": {"kind": "Pod", "namespace": service.namespace, "name": each.pod,
                                   "uid": f"00000000-0000-4000-8004-{hash_of(each.pod):012x}"}, "zone": each.zone}
            if each.hostname:
                point["hostname"] = each.hostname
            points.append(point)
        return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": self._metadata(f"00000000-0000-4000-8003-{hash_of(name):012x}", name, service.namespace,
                                           labels),
                "addressType": "IPv6" if six else "IPv4", "endpoints": points,
                "ports": [{"name": "http", "protocol": "TCP", "port": 8080},
                          {"name": "metrics", "protocol": "TCP", "port": 9090}]}

    def pod_object(self, service: Service, endpoint: Endpoint) -> Object:
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": self._metadata(f"00000000-0000-4000-8004-{hash_of(endpoint.pod):012x}", endpoint.pod,
                                           service.namespace, {"app.kubernetes.io/name": service.name}),
                "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "example"}]},
                "status": {"phase": "Running", "podIP": endpoint.address, "podIPs": [{"ip": endpoint.address}]}}

    def objects(self) -> Iterator[Object]:
        """All of it, in the order in which kubectl lists it."""
        for name in self.namespaces:
            yield self.namespace_object(name)
        for service in self.services:
            yield self.service_object(service)
        for service in self.services:
            yield from self._slices_of(service)
        if self.with_pods:
            for service in self.services:
                for one in service.slices:
                    for endpoint in one.endpoints:
                        yield self.pod_object(service, endpoint)

    def _slices_of(self, service: Service) -> Iterator[Object]:
        for one in service.slices:
            yield from (thing for _, thing in self._put(service, one))

    @property
    def endpoint_count(self) -> int:
        return sum(len(one.endpoints) * (2 if service.address6 else 1) for service in self.services
                   for one in service.slices)

    # life

    def _endpoint(self, service: Service, ordinal: int) -> Endpoint:
        address = str(ipaddress.ip_address(next(self._addresses)))
        letters = "bcdfghjklmnpqrstvwxz2456789"
        if service.headless:
            pod = f"{service.name}-{ordinal}"
        else:
            pod = f"{service.name}-7d4b9c6f5d-{''.join(self.random.choices(letters, k=5))}"
        return Endpoint(address, pod, self.random.choice(ZONES), pod if service.headless else None)

    def _new_slice(self, service: Service) -> Slice:
        service.made += 1
        service.slices.append(Slice(f"{service.name}-{service.made:05}"))
        return service.slices[-1]

    def scale(self, service: Service, size: int) -> list[Slice]:
        """Sets the number of endpoints as the controller would: fills slices up, drops from the last. Returns the slices
        that changed; an empty one is gone."""
        changed: dict[str, Slice] = {}
        count = sum(len(one.endpoints) for one in service.slices)
        while count != size:
            if count < size and (not service.slices or len(service.slices[-1].endpoints) == SLICE_MAX):
                self._new_slice(service)
            last = service.slices[-1]
            changed[last.name] = last
            if count < size:
                last.endpoints.append(self._endpoint(service, count))
                count += 1
                continue
            last.endpoints.pop()
            if not last.endpoints:
                service.slices.pop()
            count -= 1
        return list(changed.values())

    def _put(self, service: Service, *slices: Slice) -> Iterator[Event]:
        for one in slices:
            for six in [False, True] if service.address6 else [False]:
                yield "put" if one.endpoints else "delete", self.slice_object(service, one, six)

    def _roll(self, service: Service) -> Iterator[Event]:
        """A rolling restart: one endpoint after another is not ready, then gone, and another takes its place."""
        one = self.random.choice(service.slices)
        for index in range(min(len(one.endpoints), 4)):
            one.endpoints[index].ready = False
            yield from self._put(service, one)
            one.endpoints[index] = self._endpoint(service, index)
            yield from self._put(service, one)

    def _rescale(self, service: Service) -> Iterator[Event]:
        size = self.random.randint(max(1, service.size // 2), service.size * 3 // 2)
        yield from self._put(service, *self.scale(service, size))

    def _split(self, service: Service) -> Iterator[Event]:
        """Half of a slice moves to a new one. Either of the two events may come first."""
        old = self.random.choice(service.slices)
        if len(old.endpoints) < 2 or (len(service.slices) - 1) * SLICE_MAX > sum(len(one.endpoints) for one in service.slices):
            return  # no more than one or two slices that need not be
        new = self._new_slice(service)
        new.endpoints = [old.endpoints.pop() for _ in range(len(old.endpoints) // 2)]
        pair = [old, new]
        self.random.shuffle(pair)
        yield from self._put(service, *pair)

    def _merge(self, service: Service) -> Iterator[Event]:
        """The last slice's endpoints move to the one before it."""
        if len(service.slices) < 2:
            return
        gone, kept = service.slices[-1], service.slices[-2]
        if len(gone.endpoints) + len(kept.endpoints) > SLICE_MAX:
            return
        service.slices.pop()
        kept.endpoints += gone.endpoints
        gone.endpoints = []
        pair = [gone, kept]
        self.random.shuffle(pair)
        yield from self._put(service, *pair)

    def _recreate(self, service: Service) -> Iterator[Event]:
        """Deleted and made again under the same name with another uid, and of another type as often as the share of
        headless services allows."""
        yield "delete", self.service_object(service)
        service.born += 1
        service.headless = not service.headless and self.random.random() * (1 - self.headless) < self.headless
        yield "put", self.service_object(service)
        yield from self._put(service, *service.slices)

    def settle(self) -> Iterator[Event]:
        """What makes the cluster as it was at first, but for names and addresses, which are as long as they were. A life that
        was under way does not go on after it: `churn` begins another."""
        for service in self.services:
            if service.headless != service.headless_at_first:
                yield "delete", self.service_object(service)
                service.born += 1
                service.headless = service.headless_at_first
                yield "put", self.service_object(service)
            points = [point for one in service.slices for point in one.endpoints]
            if len(points) == service.size and (len(service.slices) - 1) * SLICE_MAX < service.size \
                    and all(point.ready and (point.hostname is not None) == service.headless for point in points):
                continue
            gone, service.slices = service.slices, []
            for one in gone:
                one.endpoints = []
            yield from self._put(service, *gone, *self.scale(service, service.size))

    def churn(self) -> Iterator[Event]:
        """Events without end."""
        while True:
            kind = self.random.choices([self._roll, self._rescale, self._split, self._merge, self._recreate],
                                       [60, 20, 8, 8, 4])[0]
            yield from kind(self.random.choice(self.services))


def hash_of(text: str) -> int:
    """The same in every run, which hash() is not."""
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value & 0xffffffffffff


def six_of(address: str) -> str:
    return f"fd00:244::{int(ipaddress.ip_address(address)) & 0xffff:x}:{int(ipaddress.ip_address(address)) >> 16:x}"
