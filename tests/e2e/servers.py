"""The DNS servers under test, vigie and CoreDNS, run as a Deployment would run them; and an upstream for both."""
import http.client
import os
import shutil
import signal
import subprocess
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from control_plane import ControlPlane
from processes import Process, free_ports, in_private_mounts, wait_for

TOP = Path(__file__).resolve().parents[2]
MANIFESTS = TOP / "deploy" / "kubernetes"
VIGIE = TOP / os.environ.get("VIGIE_BUILD", "build") / "vigie"

# Makes $1 what a Pod sees as its ServiceAccount, and nothing else of /var/run.
SERVICE_ACCOUNT_SCRIPT = """
mount -t tmpfs tmpfs /var/run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
mount --bind "$1" /var/run/secrets/kubernetes.io/serviceaccount
shift"""

# kubeadm's Corefile as far as both servers have it, for a machine where ports are shared. PORT, HEALTH, READY and
# UPSTREAM are filled in by Server.
COREFILE = """.:PORT {
    errors
    health 127.0.0.1:HEALTH
    ready 127.0.0.1:READY
    kubernetes ZONES {
        OPTIONS
    }
    forward . 127.0.0.1:UPSTREAM
    loadbalance
}
"""
ZONES = "cluster.local in-addr.arpa ip6.arpa"
OPTIONS = ["pods insecure", "fallthrough in-addr.arpa ip6.arpa", "ttl 30"]


def corefile(zones: str = ZONES, options: list[str] | None = None) -> str:
    lines = OPTIONS if options is None else options
    return COREFILE.replace("ZONES", zones).replace("OPTIONS", "\n        ".join(lines))


def create_token(control_plane: ControlPlane, account: str = "coredns") -> str:
    return control_plane.kubectl("create", "token", account, "--namespace", "kube-system").strip()


class ServiceAccount:
    """The files that kubelet puts into a Pod for its ServiceAccount."""

    def __init__(self, control_plane: ControlPlane, folder: Path, token: str):
        self.folder = folder
        folder.mkdir(parents=True)
        shutil.copy(control_plane.ca, folder / "ca.crt")
        (folder / "namespace").write_text("kube-system")
        self.write_token(token)

    def write_token(self, token: str) -> None:
        """Puts the token there in one step, as kubelet does."""
        new = self.folder / "token.new"
        new.write_text(token)
        new.rename(self.folder / "token")


class Server:
    """A DNS server that serves the cluster. `kind` is "vigie" or "coredns". Without a ServiceAccount it runs outside the
    cluster, as its Corefile says."""

    def __init__(self, kind: str, control_plane: ControlPlane, folder: Path, text: str, upstream: int,
                 account: ServiceAccount | None):
        self.kind = kind
        self.folder = folder
        self.stopped = False
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.health, self.ready = free_ports(3)
        for word, value in (("PORT", self.port), ("HEALTH", self.health), ("READY", self.ready),
                            ("UPSTREAM", upstream)):
            text = text.replace(word, str(value))
        (folder / "Corefile").write_text(text)
        program = VIGIE if kind == "vigie" else control_plane.tools / "coredns"
        assert os.access(program, os.X_OK), f"{program} is missing: build it first"
        command = [program, "-conf", folder / "Corefile"]
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GOMAXPROCS": str(os.cpu_count())}
        if account is not None:
            command = in_private_mounts(SERVICE_ACCOUNT_SCRIPT, [account.folder, *command])
            environment |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(control_plane.port)}
        self.process = Process(kind, command, folder, environment)

    def start(self, wait: bool = True) -> "Server":
        self.process.start()
        if wait:
            wait_for(self.is_ready, f"{self.kind} to be ready\n{self.process.log()}")
        return self

    def is_ready(self) -> bool:
        """Ready by its own word, and answering: CoreDNS says so before it listens."""
        self.process.check()
        if self.http(self.ready, "/ready") != 200:
            return False
        try:
            return bool(self.ask("dns-version.cluster.local", "TXT", tcp=True))
        except (OSError, dns.exception.Timeout):
            return False

    def http(self, port: int, path: str) -> int:
        """The status of a GET, 0 when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def log(self) -> str:
        return self.process.log()

    def stop(self) -> None:
        """vigie must end cleanly when told to; what CoreDNS does is its own affair. A second call does nothing."""
        if self.stopped:
            return
        self.stopped = True
        running = self.process.running()
        status = self.process.stop(signal.SIGTERM)
        if self.kind == "vigie":
            assert running and status == 0, f"vigie ended with {status}\n{self.log()[-10000:]}"

    def ask(self, name: str, rdtype: str = "A", tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, use_edns=True, payload=1232)
        return (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", port=self.port, timeout=10)


class Dig:
    """dig as a Pod of a namespace would run it: /etc/resolv.conf is a ClusterFirst Pod's."""

    def __init__(self, server: Server, folder: Path):
        self.server = server
        self.folder = folder

    def __call__(self, *words: str, namespace: str = "", searches: list[str] | None = None, ndots: int = 5,
                 tcp: bool = False) -> str:
        """The output of `dig +short` for these words. With a namespace, or with search domains of one's own, names are
        looked up through the search list."""
        if searches is None:
            searches = [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"] if namespace else []
        lines = ["nameserver 127.0.0.1", f"options ndots:{ndots}"]
        if searches:
            lines.append("search " + " ".join(searches))
        resolv = self.folder / "resolv.conf"
        resolv.write_text("\n".join(lines) + "\n")
        # +nodefname: dig takes the search list from the file only where +search says so
        command = ["dig", "-p", str(self.server.port), "+tries=1", "+time=5", "+short",
                   "+tcp" if tcp else "+notcp", "+search" if searches else "+nosearch", *words]
        command = in_private_mounts('mount --bind "$1" /etc/resolv.conf\nshift', [resolv, *command])
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}{result.stderr}\n{self.server.log()[-4000:]}"
        return result.stdout.strip()

    def status(self, *words: str, **options) -> str:
        """The rcode that dig reports, such as NXDOMAIN."""
        output = self("+noshort", "+noall", "+comments", *words, **options)
        return output.split("status: ")[1].split(",")[0]


# A zone for everything that is outside of the cluster.
WORLD = """$ORIGIN .
$TTL 60
@ SOA ns.world. hostmaster.world. 1 7200 1800 86400 60
@ NS ns.world.
foo.example.com. A 192.0.2.10
foo.example.com. AAAA 2001:db8::10
bar.example.com. A 192.0.2.11
v4.example.net. A 192.0.2.12
v6.example.net. AAAA 2001:db8::12
alias.example.net. CNAME v4.example.net.
mail.example.net. MX 10 v4.example.net.
text.example.net. TXT "text"
9.0.18.198.in-addr.arpa. PTR outside.example.net.
"""
WORLD_COREFILE = """.:PORT {
    bind 127.0.0.1
    file world.zone .
    errors
}
"""


class Upstream:
    """The rest of the world: a CoreDNS that serves a zone file."""

    def __init__(self, control_plane: ControlPlane, folder: Path):
        folder.mkdir(parents=True)
        self.port = free_ports(1)[0]
        (folder / "Corefile").write_text(WORLD_COREFILE.replace("PORT", str(self.port)))
        (folder / "world.zone").write_text(WORLD)
        self.process = Process("upstream", [control_plane.tools / "coredns", "-conf", folder / "Corefile"], folder)

    def start(self) -> "Upstream":
        self.process.start()
        query = dns.message.make_query("foo.example.com", "A")

        def answers() -> bool:
            self.process.check()
            try:
                return bool(dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=1).answer)
            except (OSError, dns.exception.Timeout):
                return False
        wait_for(answers, "the upstream to answer")
        return self

    def stop(self) -> None:
        self.process.stop()
