"""The cluster that is asked about, in every form that a contender reads, and the questions of each workload.

`size` ClusterIP services `svc-00000.ns-00` and so on, spread over 100 namespaces, each with one named port and one slice
of two endpoints; beside them headless services of 3 endpoints and one each of 1, 100 and `endpoints`.
"""
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functional"))
from cluster_objects import endpoint, endpoint_slice, many, namespace, service  # noqa: E402

A, PTR, SRV, AAAA = 1, 12, 33, 28
NOERROR, NXDOMAIN = 0, 3
ANY = -1
NAMESPACES = 100
SMALL_HEADLESS = 100
QUESTIONS = 20000  # of a workload; more would measure the generator's cache misses
ZONE = "cluster.local"
EXTERNAL = 1000    # names that are cached


def service_name(number: int) -> tuple[str, str]:
    return f"svc-{number:05}", f"ns-{number % NAMESPACES:02}"


def cluster_ip(number: int) -> str:
    number += 1
    return f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def endpoint_ip(number: int) -> str:
    return f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def reverse(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class Cluster:
    def __init__(self, folder: Path, size: int, endpoints: int = 0):
        self.folder, self.size = folder, size
        self.headless = {f"three-{i:02}": [f"10.200.{i}.{j}" for j in (1, 2, 3)] for i in range(SMALL_HEADLESS)}
        self.headless["hundred"] = many("10.201.0.1", 100)
        self.headless["single"] = ["10.201.1.1"]
        if endpoints:
            self.headless["large"] = many("10.202.0.0", endpoints)

    # data

    def objects(self) -> list[dict]:
        objects = [namespace(f"ns-{i:02}") for i in range(NAMESPACES)]
        for number in range(self.size):
            name, space = service_name(number)
            objects.append(service(name, cluster_ip(number), [("http", 80)], namespace=space))
            objects.append(endpoint_slice(name, [endpoint_ip(2 * number), endpoint_ip(2 * number + 1)],
                                          namespace=space))
        for name, addresses in self.headless.items():
            objects.append(service(name, namespace="ns-00"))
            for at in range(0, len(addresses), 100):
                objects.append(endpoint_slice(name, [endpoint(each, hostname=f"{name}-{at + i}") for i, each in
                                                     enumerate(addresses[at:at + 100])],
                                              suffix=str(at), namespace="ns-00"))
        return objects

    def write_snapshot(self) -> Path:
        path = self.folder / "cluster.json"
        if not path.exists():
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": self.objects()}))
        return path

    def addresses(self) -> list[tuple[str, str]]:
        """(NAME, ADDRESS) of all services."""
        out = [(".".join(service_name(n)) + f".svc.{ZONE}", cluster_ip(n)) for n in range(self.size)]
        return out + [(f"{name}.ns-00.svc.{ZONE}", each) for name, addresses in self.headless.items()
                      for each in addresses]

    def ports(self) -> list[tuple[str, str, int]]:
        """(NAME, TARGET, PORT) of all services' SRV records."""
        return [(f"_http._tcp.{name}.{space}.svc.{ZONE}", f"{name}.{space}.svc.{ZONE}", 80)
                for name, space in map(service_name, range(self.size))]

    def pointers(self) -> list[tuple[str, str]]:
        return [(reverse(cluster_ip(n)), ".".join(service_name(n)) + f".svc.{ZONE}") for n in range(self.size)]

    def write_zones(self) -> dict[str, Path]:
        """Zone files, by zone."""
        head = "@ 30 IN SOA ns.dns hostmaster 1 7200 1800 86400 30\n@ 30 IN NS ns.dns.cluster.local.\n"
        forward, backward = self.folder / "cluster.zone", self.folder / "reverse.zone"
        if backward.exists():
            return {ZONE: forward, "10.in-addr.arpa": backward}
        with forward.open("w") as file:
            file.write(f"$ORIGIN {ZONE}.\n{head}ns.dns 30 IN A 127.0.0.1\n")
            file.writelines(f"{name}. 5 IN A {address}\n" for name, address in self.addresses())
            file.writelines(f"{name}. 5 IN SRV 0 100 {port} {target}.\n" for name, target, port in self.ports())
        with backward.open("w") as file:
            file.write(f"$ORIGIN 10.in-addr.arpa.\n{head}")
            file.writelines(f"{name}. 5 IN PTR {target}.\n" for name, target in self.pointers())
        return {ZONE: forward, "10.in-addr.arpa": backward}

    # questions

    def external(self) -> list[str]:
        return [f"host-{i:04}.yes.example" for i in range(EXTERNAL)]

    def questions(self, workload: str) -> list[tuple[str, int, int, int]]:
        """(NAME, TYPE, RCODE, ANSWERS), in the order in which they are asked."""
        picks = [service_name(random.randrange(self.size)) for _ in range(QUESTIONS)]
        return getattr(self, "ask_" + workload.replace("-", "_"))(picks)

    def write_questions(self, workload: str) -> Path:
        random.seed(1)
        path = self.folder / f"{workload}.questions"
        path.write_text("".join(f"{name} {rdtype} {rcode} {answers}\n"
                                for name, rdtype, rcode, answers in self.questions(workload)))
        (self.folder / f"{workload}.dnsperf").write_text("".join(
            f"{name} TYPE{rdtype}\n" for name, rdtype, _, _ in self.questions(workload)))
        return path

    def ask_clusterip(self, picks):
        return [(f"{name}.{space}.svc.{ZONE}", A, NOERROR, 1) for name, space in picks]

    def ask_nxdomain(self, picks):
        """What a search list makes of `www.example.com` and of `svc.ns`."""
        out = []
        for name, space in picks:
            out.append((f"www.example.com.{space}.svc.{ZONE}", A, NXDOMAIN, 0))
            out.append((f"{name}.{space}.{space}.svc.{ZONE}", A, NXDOMAIN, 0))
        return out[:QUESTIONS]

    def ask_headless(self, picks):
        return [(f"three-{random.randrange(SMALL_HEADLESS):02}.ns-00.svc.{ZONE}", A, NOERROR, 3) for _ in picks]

    def ask_headless_100(self, picks):
        return [(f"hundred.ns-00.svc.{ZONE}", A, NOERROR, ANY)]  # TC by UDP: a client without EDNS takes 512 bytes

    def ask_endpoint(self, picks):
        """Names of single endpoints of the largest headless service."""
        count = len(self.headless["large"])
        return [(f"large-{random.randrange(count)}.large.ns-00.svc.{ZONE}", A, NOERROR, 1) for _ in picks]

    def ask_srv(self, picks):
        return [(f"_http._tcp.{name}.{space}.svc.{ZONE}", SRV, NOERROR, 1) for name, space in picks]

    def ask_ptr(self, picks):
        return [(reverse(cluster_ip(int(name[4:]))), PTR, NOERROR, 1) for name, _ in picks]

    def ask_cached(self, picks):
        return [(random.choice(self.external()), A, NOERROR, 1) for _ in picks]

    def ask_cached_negative(self, picks):
        return [(f"host-{random.randrange(EXTERNAL):04}.no.example", A, NXDOMAIN, 0) for _ in picks]

    def ask_uncached(self, picks):
        return [("????????.yes.example", A, NOERROR, 1)]

    def ask_mix(self, picks):
        """Five names as pods with ndots:5 look them up, A and AAAA each: four of the cluster, one of the world."""
        out = []
        external = self.external()
        for own, (name, space) in enumerate(picks[:QUESTIONS // 20]):
            home = f"ns-{own % NAMESPACES:02}"
            names = [(f"{name}.{space}.{home}.svc.{ZONE}", NXDOMAIN), (f"{name}.{space}.svc.{ZONE}", NOERROR),
                     (f"{name}.{space}.svc.{ZONE}", NOERROR)]
            names += [(".".join(service_name(own)) + f".svc.{ZONE}", NOERROR)] * 2
            world = external[own % len(external)]
            names += [(f"{world}.{suffix}", NXDOMAIN) for suffix in (f"{home}.svc.{ZONE}", f"svc.{ZONE}", ZONE)]
            names += [(world, NOERROR)]
            for each, rcode in names:
                out += [(each, A, rcode, 1 if rcode == NOERROR else 0), (each, AAAA, rcode, 0)]
        return out
