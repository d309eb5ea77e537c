"""The servers that are measured: how each is configured and started, with one thread for packets, on one CPU."""
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from cluster import ZONE, Cluster

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from stub_api_server import StubApiServer  # noqa: E402

PATIENCE = 60  # seconds for a server to load the cluster
AUTHORITATIVE = ["clusterip", "nxdomain", "headless", "headless-100", "srv", "ptr"]
RESOLVED = ["cached", "cached-negative", "uncached"]

# kubeadm's Corefile, on a port of its own; HEALTH, PROMETHEUS and READY are, too.
KUBEADM = """.:PORT {
    errors
    health 127.0.0.1:HEALTH {
       lameduck 5s
    }
    ready 127.0.0.1:READY
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       SOURCE
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus 127.0.0.1:PROMETHEUS
    forward . 127.0.0.1:UPSTREAM {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""
PLAIN = """.:PORT {
    bind 127.0.0.1
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       SOURCE
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    forward . 127.0.0.1:UPSTREAM
}
"""


class Contender:
    """One server. `workloads` are those that it can serve."""

    workloads = AUTHORITATIVE + RESOLVED
    tcp = True
    program: str | None = None

    def __init__(self, name: str, folder: Path, cluster: Cluster, ports: "Ports", upstream: int = 0):
        self.name, self.cluster, self.ports, self.upstream = name, cluster, ports, upstream
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = ports.take()
        self.process: subprocess.Popen | None = None

    def command(self) -> list:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def find(self) -> str | None:
        """Where its program is; None when this machine has none."""
        return shutil.which(self.program, path=os.environ["PATH"] + ":/usr/sbin") if self.program else None

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, cpus: int | str) -> None:
        """`cpus` as taskset takes them: 1, "0,1", "0-1023"."""
        log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(["taskset", "-c", str(cpus), *map(str, self.command())], cwd=self.folder,
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment())

    def proof(self) -> list[str]:
        """Names whose A records it answers for when it is ready."""
        return ([self.cluster.ports()[-1][1]] if "clusterip" in self.workloads else []) + \
            (["host-0000.yes.example"] if "cached" in self.workloads else [])

    def wait(self) -> None:
        end = time.monotonic() + PATIENCE
        for name in self.proof():
            while not ask(self.port, name, 1):
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"{self.name} does not answer for {name}:\n{(self.folder / 'log').read_text()[-2000:]}")
                time.sleep(0.05)
        cpus = os.sched_getaffinity(self.process.pid)
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():  # Knot's threads choose CPUs by themselves
            os.sched_setaffinity(int(task.name), cpus)

    def cpu_ns(self) -> int:
        """CPU time of all its threads so far."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def ask(port: int, name: str, rdtype: int) -> bool:
    """Whether there is an answer with at least one record."""
    query = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0)
    for label in name.split("."):
        query += bytes([len(label)]) + label.encode()
    query += b"\0" + struct.pack(">2H", rdtype, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(query)
            reply = sock.recv(4096)
        except OSError:
            return False
    return reply[3] & 15 == 0 and reply[6:8] != b"\0\0"


class Ports:
    """Ports that nobody uses now at any address of either family, below those that the kernel gives to the generator's
    sockets."""

    def __init__(self):
        self.next = random.randrange(15353, 30000)  # others may measure on this machine, too

    def take(self) -> int:
        while self.next < 32767:
            self.next += 1
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET6, kind) as sock:
                        sock.bind(("::", self.next))
            except OSError:
                continue
            return self.next
        raise RuntimeError("no free port")


class Limit(Contender):
    workloads = AUTHORITATIVE + RESOLVED + ["mix"]
    tcp = False
    build: Path

    def find(self):
        return str(self.build / "tests/bench/limit")

    def command(self):
        return [self.find(), self.port]


class Corefile(Contender):
    """vigie, or CoreDNS: both read one."""

    workloads = AUTHORITATIVE + RESOLVED + ["mix"]
    template = PLAIN

    def fill(self, source: str) -> str:
        text = self.template.replace("SOURCE", source)
        for word, value in (("PORT", self.port), ("UPSTREAM", self.upstream)):
            text = text.replace(word, str(value))
        for word in ("HEALTH", "READY", "PROMETHEUS"):
            text = text.replace(word, str(self.ports.take()))
        return text


class Vigie(Corefile):
    build: Path
    workers = 1

    def find(self):
        return str(self.build / "vigie")

    def corefile(self) -> str:
        """Without the directives that this build does not have."""
        known = {line.removeprefix("dns.") for line in
                 subprocess.run([self.find(), "-plugins"], capture_output=True, text=True).stdout.split()}
        out, skipping = [], False
        for line in self.fill(f"snapshot {self.cluster.write_snapshot()}").splitlines():
            word = line.split()[0] if line.split() else ""
            if line.startswith("    ") and not line.startswith("     ") and word not in known | {"}"}:
                skipping = line.endswith("{")
                continue
            if skipping:
                skipping = line != "    }"
                continue
            out.append(line)
            if line.endswith("{") and not line.startswith(" "):
                out.append(f"    workers {self.workers}")
        return "\n".join(out) + "\n"

    def command(self):
        return [self.find(), "-quiet", "-conf", self.write("Corefile", self.corefile())]


class VigieWildcard(Vigie):
    """The plain one on all addresses, as kubeadm's: what differs between these two are the directives."""

    template = PLAIN.replace("    bind 127.0.0.1\n", "")


class VigieKubeadm(Vigie):
    template = KUBEADM


class CoreDNS(Corefile):
    template = KUBEADM
    coredns: Path | None = None
    api: StubApiServer | None = None

    def find(self):
        return str(self.coredns) if self.coredns and self.coredns.exists() else None

    def command(self):
        self.api = StubApiServer(self.folder)
        self.api.fill(self.cluster.objects())
        self.api.start()
        return [self.find(), "-quiet", "-conf", self.write("Corefile", self.fill(self.api.corefile_option()))]

    def environment(self):
        return {**os.environ, "GOMAXPROCS": "1"}

    def stop(self):
        super().stop()
        if self.api:
            self.api.stop()


class Knot(Contender):
    workloads = AUTHORITATIVE
    program = "knotd"

    def zones(self) -> dict[str, Path]:
        return self.cluster.write_zones()

    def command(self):
        zones = "".join(f"  - domain: {zone}\n    file: {path}\n" for zone, path in self.zones().items())
        return [self.find(), "-c", self.write("knot.conf", f"""server:
    rundir: {self.folder}
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.folder}
log:
  - target: stderr
    any: warning
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
zone:
{zones}""")]


class Upstream(Knot):
    """Where names of the world are resolved: `*.yes.example` A; everything else in `example` is NXDOMAIN."""

    workloads: list[str] = []

    def zones(self):
        return {"example": self.write("example.zone", """$ORIGIN example.
@ 300 IN SOA ns hostmaster 1 7200 1800 86400 300
@ 300 IN NS ns
ns 300 IN A 127.0.0.1
*.yes 300 IN A 192.0.2.1
no 300 IN TXT "nothing is below"
""")}

    def proof(self):
        return ["x.yes.example"]


class Bind(Contender):
    workloads = AUTHORITATIVE + RESOLVED + ["mix"]
    program = "named"

    def command(self):
        zones = "".join(f'zone "{zone}" {{ type primary; file "{path}"; }};\n'
                        for zone, path in self.cluster.write_zones().items())
        config = self.write("named.conf", f"""options {{
    directory "{self.folder}";
    pid-file none; session-keyfile none;
    listen-on port {self.port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    tcp-clients 2000; recursion yes; allow-query {{ any; }}; dnssec-validation no; minimal-responses yes;
    forward only; forwarders {{ 127.0.0.1 port {self.upstream}; }};
}};
controls {{ }};
{zones}""")
        return [self.find(), "-g", "-n", "1", "-c", config]


class Unbound(Contender):
    workloads = AUTHORITATIVE + RESOLVED + ["mix"]
    program = "unbound"

    def command(self):
        cluster = self.cluster
        data = [f"{name}. 5 A {address}" for name, address in cluster.addresses()]
        data += [f"{name}. 5 SRV 0 100 {port} {target}." for name, target, port in cluster.ports()]
        data += [f"{name}. 5 PTR {target}." for name, target in cluster.pointers()]
        lines = "".join(f'    local-data: "{each}"\n' for each in data)
        config = self.write("unbound.conf", f"""server:
    interface: 127.0.0.1@{self.port}
    username: ""
    chroot: ""
    directory: "{self.folder}"
    pidfile: ""
    use-syslog: no
    num-threads: 1
    incoming-num-tcp: 2000
    do-not-query-localhost: no
    module-config: "iterator"
    minimal-responses: yes
    domain-insecure: "example"
    local-zone: "{ZONE}." static
    local-zone: "10.in-addr.arpa." static
{lines}
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{self.upstream}
""")
        return [self.find(), "-d", "-c", config]


class Dnsmasq(Contender):
    workloads = AUTHORITATIVE + RESOLVED + ["mix"]
    tcp = False  # it forks for each connection and ends it after 100 queries
    program = "dnsmasq"

    def command(self):
        hosts = self.write("hosts", "".join(f"{address} {name}\n" for name, address in self.cluster.addresses()))
        services = "".join(f"srv-host={name},{target},{port}\n" for name, target, port in self.cluster.ports())
        config = self.write("dnsmasq.conf", f"""port={self.port}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
addn-hosts={hosts}
local=/{ZONE}/10.in-addr.arpa/
server=127.0.0.1#{self.upstream}
cache-size=10000
dns-forward-max=10000
user=root
{services}""")
        return [self.find(), "--keep-in-foreground", "--conf-file=" + str(config)]


class Dnsdist(Contender):
    workloads = RESOLVED
    program = "dnsdist"

    def command(self):
        config = self.write("dnsdist.conf", f"""setLocal("127.0.0.1:{self.port}")
newServer("127.0.0.1:{self.upstream}")
getPool(""):setCache(newPacketCache(100000))
setSecurityPollSuffix("")
""")
        return [self.find(), "--supervised", "--disable-syslog", "-C", config]


CONTENDERS: dict[str, type[Contender]] = {
    "limit": Limit, "vigie": Vigie, "vigie-wildcard": VigieWildcard, "vigie-kubeadm": VigieKubeadm, "knot": Knot, "bind": Bind, "unbound": Unbound,
    "dnsmasq": Dnsmasq, "dnsdist": Dnsdist, "coredns": CoreDNS,
}
