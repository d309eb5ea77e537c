"""Questions about a generated cluster: of every name that exists, and of many that do not, in every type."""
import ipaddress
import random
import struct
from dataclasses import dataclass

from generator import NAMESPACES, TOPOLOGY_ZONES, Generator
from objects import dashed

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV = 1, 2, 5, 6, 12, 15, 16, 28, 33
NAPTR, DS, SVCB, HTTPS, IXFR, AXFR, ANY, CAA = 35, 43, 64, 65, 251, 252, 255, 257
UNKNOWN = 65280
OTHER_TYPES = [NS, CNAME, SOA, PTR, MX, TXT, NAPTR, DS, SVCB, HTTPS, ANY, CAA, UNKNOWN]
ALL_TYPES = [A, AAAA, SRV, *OTHER_TYPES]
TYPE_NAMES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", TXT: "TXT", AAAA: "AAAA",
              SRV: "SRV", NAPTR: "NAPTR", DS: "DS", SVCB: "SVCB", HTTPS: "HTTPS", IXFR: "IXFR", AXFR: "AXFR",
              ANY: "ANY", CAA: "CAA"}
IN, CH, HS = 1, 3, 4
ZONE = "cluster.local"


@dataclass(frozen=True)
class Question:
    labels: tuple[bytes, ...]
    rdtype: int
    tcp: bool = False
    rdclass: int = IN

    def __str__(self) -> str:
        rdtype = TYPE_NAMES.get(self.rdtype, f"TYPE{self.rdtype}")
        rdclass = "" if self.rdclass == IN else f" CLASS{self.rdclass}"
        return f"{self.name} {rdtype}{rdclass} over {'TCP' if self.tcp else 'UDP'}"

    @property
    def name(self) -> str:
        """The name in lower case, with a dot at the end."""
        return ".".join(label.decode("latin-1").lower() for label in self.labels) + "."

    def wire(self, number: int) -> bytes:
        """The query: recursion desired, and EDNS with a size of 1232."""
        name = b"".join(bytes([len(label)]) + label for label in self.labels)
        return (struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 1) + name
                + struct.pack("!BHH", 0, self.rdtype, self.rdclass) + struct.pack("!BHHIH", 0, 41, 1232, 0, 0))


def labels_of(name: str) -> tuple[bytes, ...]:
    return tuple(label.encode("latin-1") for label in name.rstrip(".").split(".")) if name.rstrip(".") else ()


class Questions:
    """Collects weighted names: `certain` ones are asked in every type, `names` are drawn from. What few of the drawn
    questions would ask is in `always`: names and types that are never left out."""

    def __init__(self, generator: Generator, slices: list[dict], seed: int):
        self.random = random.Random(seed)
        self.certain: list[str] = []
        self.always: list[tuple[str, int]] = [(f"ns.dns.{ZONE}", AAAA), ("in-addr.arpa", NS), ("ip6.arpa", NS),
                                             ("1.0.0.127.in-addr.arpa", PTR)]
        self.names: list[tuple[str, list[int]]] = []
        self.generator = generator
        self.slices = slices
        self._zone_names()
        for thing in generator.things:
            if thing["kind"] == "Service":
                self._service_names(thing)
        for one in slices:
            self._slice_names(one)
        self._reverse_names()
        self._pod_names()

    def _add(self, name: str, *types: int) -> None:
        self.names.append((name, list(types or (A, AAAA, SRV))))

    def _zone_names(self) -> None:
        self.certain += [
            ZONE, f"svc.{ZONE}", f"pod.{ZONE}", f"dns-version.{ZONE}", f"ns.dns.{ZONE}", f"dns.{ZONE}", f"foo.{ZONE}",
            f"_tcp.{ZONE}", f"*.{ZONE}", f"any.{ZONE}", f"apex.dns.{ZONE}", f"hostmaster.{ZONE}", f"endpoint.{ZONE}",
            f"a.b.c.d.e.f.{ZONE}", f"www.example.com.{ZONE}", f"foo.example.com.svc.{ZONE}",
            f"foo.example.com.team-a.svc.{ZONE}", f"example.com.team-a.svc.{ZONE}", f"com.team-a.svc.{ZONE}",
            "foo.example.com", "missing.example.com", "local", "xcluster.local", "", "alias.example.net",
            "in-addr.arpa", "ip6.arpa", "10.in-addr.arpa", "96.10.in-addr.arpa", "0.96.10.in-addr.arpa",
            "d.f.ip6.arpa", "0.d.f.ip6.arpa", "arpa"]
        for namespace in (*NAMESPACES, "kube-system", "default", "missing", "*"):
            self.certain += [f"{namespace}.svc.{ZONE}", f"{namespace}.pod.{ZONE}", f"{namespace}.{ZONE}"]
        for label in ("*", "any", "_tcp", "_http._tcp", "_zone", "a.pin._zone", "\x00", "a b", "ü", "_", "-", "x" * 63):
            self._add(f"{label}.team-a.svc.{ZONE}", *ALL_TYPES)
            self._add(f"{label}.svc.{ZONE}", *ALL_TYPES)
            self._add(f"{label}.{ZONE}", *ALL_TYPES)
        self._add("x" * 60 + "." + "y" * 60 + "." + "z" * 60 + f".team-a.svc.{ZONE}", *ALL_TYPES)

    def _service_names(self, thing: dict) -> None:
        name, namespace = thing["metadata"]["name"], thing["metadata"]["namespace"]
        own = f"{name}.{namespace}.svc.{ZONE}"
        if thing["spec"].get("type") == "ExternalName":
            self.always += [(own, A), (own, AAAA)]
        for _ in range(4):
            self._add(own)
        self._add(own, *OTHER_TYPES)
        for one in thing["spec"].get("ports", [])[:8]:
            label, protocol = one.get("name", "unnamed"), one["protocol"].lower()
            self._add(f"_{label}._{protocol}.{own}", SRV, SRV, SRV, A, AAAA)
            self._add(f"_{label}._{protocol}.{own}", *OTHER_TYPES)
            self._add(f"_{label}._{self.random.choice(['tcp', 'udp', 'sctp', 'x'])}.{own}", SRV, A)
            self._add(f"{label}.{protocol}.{own}", SRV, A)
        self._add(f"_missing._tcp.{own}", SRV, A)
        self._add(f"_tcp.{own}", SRV, A, TXT)
        self._add(f"_._tcp.{own}", SRV, A)
        self._add(f"__._.{own}", SRV, A)
        self._add(f"_http._.{own}", SRV, A)
        self._add(f"_http.{own}", SRV, A)
        self._add(f"missing.{own}", *ALL_TYPES)
        self._add(f"*.{own}")
        self._add(f"too.many.labels.{own}")
        self._add(f"_http._tcp.missing.{own}", SRV)
        self._add(f"{name}.{self.random.choice([*NAMESPACES, 'missing'])}.svc.{ZONE}")
        self._add(f"missing-{name[:50]}.{namespace}.svc.{ZONE}", *ALL_TYPES)
        self._add(f"{name}.{namespace}.pod.{ZONE}", A, AAAA)
        self._add(f"{name}.{namespace}.{ZONE}", A)
        self._add(f"{name}.{namespace}", A)
        if self.random.random() < 0.3:
            self.certain.append(own)
        for zone in (*TOPOLOGY_ZONES, "missing"):
            directive = self.random.choice(["pin", "prefer", "pin", "prefer", "shun"])
            self._add(f"{zone}.{directive}._zone.{own}", A, AAAA, SRV, TXT, HTTPS)
        self._add(f"pin._zone.{own}", A)
        self._add(f"_zone.{own}", A, SRV)

    def _slice_names(self, one: dict) -> None:
        owner = one["metadata"].get("labels", {}).get("kubernetes.io/service-name", "unowned")
        own = f"{owner}.{one['metadata']['namespace']}.svc.{ZONE}"
        for point in (one["endpoints"] or [])[:12]:
            labels = {point.get("hostname"), point.get("targetRef", {}).get("name"),
                      *(dashed(address) for address in point["addresses"])}
            for label in sorted(label for label in labels if label and len(label) < 64):
                self._add(f"{label}.{own}", A, AAAA, A, AAAA, SRV, TXT, HTTPS, ANY)
                self._add(f"{label}0.{own}" if len(label) < 63 else own, A, AAAA)
                if "." in label:
                    self.always.append((f"{label}.{own}", A))
        for end in (one["ports"] or [])[:4]:
            self._add(f"_{end.get('name') or 'unnamed'}._{end.get('protocol', 'TCP').lower()}.{own}", SRV, SRV, A)

    def _reverse_names(self) -> None:
        known = [address for thing in self.generator.things if thing["kind"] == "Service"
                 for address in thing["spec"].get("clusterIPs", [])]
        known += [address for one in self.slices for point in (one["endpoints"] or [])[:12]
                  for address in point["addresses"] if one["addressType"] != "FQDN"]
        known += ["10.96.0.1", "10.96.255.1", "10.97.0.1", "10.244.200.1", "198.18.0.9", "203.0.113.9", "203.0.113.50",
                  "127.0.0.1", "fd00::1"]
        self.always += [(f"1.{ipaddress.ip_address(address).reverse_pointer}", PTR) for address in sorted(known)[-5:]]
        for address in sorted(set(known)):
            name = ipaddress.ip_address(address).reverse_pointer
            self._add(name, PTR, PTR, PTR, A, TXT)
            self._add(name, *ALL_TYPES)
            head, tail = name.split(".", 1)
            self._add(tail, PTR, A)
            chance = self.random.random()
            if chance < 0.2:
                self._add(f"x{head}.{tail}"[:250], PTR)
            elif chance < 0.4:
                self._add(f"0{head}.{tail}", PTR)
            elif chance < 0.6:
                self._add(f"1.{name}", PTR, A)
            elif chance < 0.7:
                self._add(f"256.{tail}", PTR)
            elif chance < 0.8:
                self._add(".".join(name.split(".")[5:]) or name, PTR, SOA)

    def _pod_names(self) -> None:
        addresses = [address for pod in self.generator.pods for address in pod["addresses"]]
        for pod in sorted(self.generator.pods, key=lambda pod: -len(pod["addresses"]))[:10]:
            self.always += [(f"{dashed(address)}.{pod['namespace']}.pod.{ZONE}", rdtype)
                            for address in pod["addresses"] for rdtype in (SRV, AAAA)]
        addresses += ["10.20.0.101", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::1", "::", "1:2:3:4:5:6:7:8"]
        for address in addresses:
            spaces = [pod["namespace"] for pod in self.generator.pods if address in pod["addresses"]]
            for namespace in {*spaces, self.random.choice([*NAMESPACES, "missing"])}:
                self._add(f"{dashed(address)}.{namespace}.pod.{ZONE}", A, AAAA, A, AAAA, *OTHER_TYPES, SRV)
        for label in ("1-2-3", "1-2-3-4-5", "256-1-1-1", "01-2-3-4", "1-2-3-a", "a-b-c-d", "1--2", "-1-2-3", "----",
                      "2001-db8--1--2", "12345--", "ffff-1-2-3-4-5-6-7", "0-0-0-0", "--ffff-1-2-3-4", "foo", "lone",
                      "1-2-3-4--", "0-0-0-0-0-ffff-102-304", "1-2-3-4-5-6-7-8-9", "2001-DB8--A"):
            for namespace in ("team-a", "empty", "missing"):
                self._add(f"{label}.{namespace}.pod.{ZONE}", A, AAAA, TXT, HTTPS, SRV)
        self._add(f"more.10-0-0-1.team-a.pod.{ZONE}", A, AAAA, SRV)
        self._add(f"_http._tcp.10-0-0-1.team-a.pod.{ZONE}", A, SRV)
        self._add(f"a.b.c.10-0-0-1.team-a.pod.{ZONE}", A)

    def _cased(self, name: str) -> str:
        chance = self.random.random()
        if chance < 0.7:
            return name
        if chance < 0.8:
            return name.upper()
        return "".join(self.random.choice([letter.upper(), letter]) for letter in name)

    def draw(self, count: int) -> list[Question]:
        """So many questions: those that are always asked, half of the certain names and types, then names at random. No
        question is there twice."""
        result: dict[Question, None] = {}
        for name in dict.fromkeys(self.certain):
            for rdtype in ALL_TYPES:
                result[Question(labels_of(name), rdtype, self.random.random() < 0.25)] = None
        for name in (ZONE, f"front.team-a.svc.{ZONE}", "10.in-addr.arpa", "129.0.96.10.in-addr.arpa"):
            result[Question(labels_of(name), AXFR, True)] = None
            result[Question(labels_of(name), IXFR)] = None
            for rdclass in (CH, HS, 255):
                result[Question(labels_of(name), A, False, rdclass)] = None
                result[Question(labels_of(name), TXT, False, rdclass)] = None
        result = dict.fromkeys(self.random.sample(list(result), min(len(result), count // 2)))
        result |= dict.fromkeys(Question(labels_of(name), rdtype) for name, rdtype in self.always)
        while len(result) < count:
            name, types = self.random.choice(self.names)
            if len(name) < 250:
                result[Question(labels_of(self._cased(name)), self.random.choice(types),
                                self.random.random() < 0.25)] = None
        return list(result)
