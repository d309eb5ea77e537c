"""The Corefiles that clusters come with (corefiles/), as their installers write them: each loads unmodified, and does what
it says."""
import re
import subprocess
import urllib.request
from pathlib import Path

import dns.flags
import dns.rcode
import pytest

from scripted_upstream import Reply
from vigie_process import BINARY, ENVIRONMENT, PATIENCE, Vigie, free_port, records

FOLDER = Path(__file__).parent / "corefiles"
FILES = sorted(FOLDER.glob("*.Corefile"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_loads_unmodified(file):
    done = subprocess.run([BINARY, "check", "-conf", file], env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=PATIENCE, cwd=file.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_none_is_missing():
    assert {file.stem for file in FILES} >= {"kubeadm", "kind", "k3s", "kops", "minikube", "eks", "aks", "rke2",
                                             "nodelocaldns"}


# What each directive does, seen from outside


class Scene:
    """A server with one of the files, in which addresses, ports and paths are replaced by some of this machine's, and the
    cluster is read from a snapshot."""

    def __init__(self, file: Path, folder: Path, snapshot: Path, upstream, start):
        self.folder, self.upstream = folder, upstream
        self.health, self.ready, self.metrics = free_port(), free_port(), free_port()
        self.text = file.read_text()
        (folder / "custom").mkdir()
        (folder / "custom" / "test.server").write_text(f"""custom.example:{{$TEST_PORT}} {{
    bind 127.0.0.1
    forward . {upstream.text}
}}
""")
        (folder / "custom" / "test.override").write_text("# nothing more\n")
        (folder / "hosts").write_text("192.0.2.7 node-7 api.k8s.local\n")
        port = free_port()
        local = self.text
        for pattern, text in (
                (r"(?m)^(\S+):\d+ \{$", rf"\1:{port} {{\n    bind 127.0.0.1 ::1"),
                (r"(?m)^    bind (?!127).*$", ""),
                (r"(?m)^( *)health(?: +169\.254\.20\.10:8080)?", rf"\1health 127.0.0.1:{self.health}"),
                (r"(?m)^( *)ready$", rf"\1ready 127.0.0.1:{self.ready}"),
                (r"prometheus .*", f"prometheus 127.0.0.1:{self.metrics}"),
                (r"(kubernetes .*\{)", rf"\1\n        snapshot {snapshot}"),
                (r"/etc/resolv\.conf|10\.104\.21\.7", upstream.text),
                (r"lameduck \d+s", "lameduck 0s"),
                (r"(?m)^( *)reload$", r"\1reload 2s 1s"),
                (r"(/etc/coredns/)?custom/", f"{folder}/custom/"),
                (r"/etc/coredns/NodeHosts|/rootfs/etc/hosts", str(folder / "hosts"))):
            local = re.sub(pattern, text, local)
        upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 3600 IN A 192.0.2.80")
        self.vigie = start(local, port=port, environment={"TEST_PORT": str(port)})

    def get(self, port: int, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as response:
            return response.read().decode()

    def option(self, pattern: str) -> str | None:
        found = re.search(pattern, self.text)
        return found and found[1]


def bind(scene):
    assert scene.vigie.ask("www.example.com.").answer


def bufsize(scene):
    rows = [f"big.example.com. 60 IN A 192.0.2.{number}" for number in range(1, 200)]
    scene.upstream.answers["big.example.com.", "A"] = Reply(*rows)
    assert scene.vigie.ask("big.example.com.", size=4096).flags & dns.flags.TC


def cache(scene):
    scene.upstream.answers["cached.example.com.", "A"] = Reply("cached.example.com. 3600 IN A 192.0.2.81")
    answers = [scene.vigie.ask("cached.example.com.") for _ in range(3)]
    assert len(scene.upstream.asked("cached.example.com.")) == 1
    assert all(answer.answer[0].ttl <= int(scene.option(r"(?m)^ *cache +(\d+)") or 3600) for answer in answers)


def chaos(scene):
    assert records(scene.vigie.ask("hostname.bind.", "TXT", "CH").answer)


def dns64(scene):
    scene.upstream.answers["www.example.com.", "AAAA"] = Reply()
    assert records(scene.vigie.ask("www.example.com.", "AAAA").answer) == [], "it is for clients that come by IPv6"
    answer = scene.vigie.ask("www.example.com.", "AAAA", address="::1").answer
    assert records(answer) == ["www.example.com. AAAA 64:ff9b::c000:250"]


def errors(scene):
    scene.upstream.answers["broken.example.com.", "A"] = Reply(drop=True)
    assert scene.vigie.ask("broken.example.com.").rcode() == dns.rcode.SERVFAIL
    scene.vigie.wait_for_log(r"^.*\[ERROR\] plugin/errors: 2 broken\.example\.com\. A: .+")


def forward(scene):
    assert records(scene.vigie.ask("www.example.com.").answer) == ["www.example.com. A 192.0.2.80"]


def health(scene):
    assert scene.get(scene.health, "/health") == "OK"


def hosts(scene):
    name, address = (("host.minikube.internal.", "192.168.49.1") if "minikube" in scene.text else
                     ("api.k8s.local.", "192.0.2.7"))
    answer = scene.vigie.ask(name).answer
    assert records(answer) == [f"{name} A {address}"]
    assert answer[0].ttl == int(scene.option(r"hosts[^{]*\{\s+ttl (\d+)") or 3600)
    forward(scene)


def import_(scene):
    scene.upstream.answers["www.custom.example.", "A"] = Reply("www.custom.example. 60 IN A 192.0.2.82")
    assert records(scene.vigie.ask("www.custom.example.").answer) == ["www.custom.example. A 192.0.2.82"]


def kubernetes(scene):
    answer = scene.vigie.ask("web.default.svc.cluster.local.").answer
    assert records(answer) == ["web.default.svc.cluster.local. A 10.96.0.10"]
    assert answer[0].ttl == int(scene.option(r"\n +ttl (\d+)\n *\}\n *prometheus") or scene.option(
        r"kubernetes[^}]*\n +ttl (\d+)") or 5)
    assert scene.vigie.ask("1-2-3-4.default.pod.cluster.local.").answer, "pods insecure"
    assert records(scene.vigie.ask("10.0.96.10.in-addr.arpa.", "PTR").answer)
    scene.upstream.answers["1.2.0.192.in-addr.arpa.", "PTR"] = Reply("1.2.0.192.in-addr.arpa. 60 IN PTR far.example.")
    assert records(scene.vigie.ask("1.2.0.192.in-addr.arpa.", "PTR").answer), "fallthrough"


def loadbalance(scene):
    rows = [f"many.example.com. 60 IN A 192.0.2.{number}" for number in range(1, 9)]
    scene.upstream.answers["many.example.com.", "A"] = Reply(*rows)
    first = {str(scene.vigie.ask("many.example.com.").answer[0][0]) for _ in range(20)}
    assert len(first) > 1


def log(scene):
    scene.upstream.answers["failing.example.com.", "A"] = Reply(rcode="SERVFAIL")
    scene.vigie.ask("failing.example.com.")
    scene.vigie.ask("www.example.com.")
    scene.vigie.ask("failing.example.com.")
    scene.vigie.wait_for_log(r'"A IN failing\.example\.com\. udp \d+ \w+ \d+" SERVFAIL', count=2)
    if "class error" not in scene.text:
        scene.vigie.wait_for_log(r'"A IN www\.example\.com\. udp \d+ \w+ \d+" NOERROR')
    else:
        assert '"A IN www.example.com.' not in scene.vigie.log()


def loop(scene):
    scene.vigie.wait_until(lambda: any(kind == "HINFO" for _, _, kind, _ in scene.upstream.log), "the query that would "
                           "come back if there was a loop")


def prometheus(scene):
    scene.vigie.ask("www.example.com.")
    assert 'coredns_dns_requests_total{' in scene.get(scene.metrics, "/metrics")


def ready(scene):
    assert scene.get(scene.ready, "/ready") == "OK"


def reload(scene):
    block = f"new.example:{scene.vigie.port} {{\n    bind 127.0.0.1\n    whoami\n}}\n"
    scene.vigie.corefile.write_text(scene.vigie.corefile.read_text() + block)
    scene.vigie.wait_for_log(r"^\[INFO\] Reloading complete$")
    assert scene.vigie.ask("new.example.").additional
    forward(scene)


def template(scene):
    for name in ("vm-1.a.b.c.internal.cloudapp.net.", "reddog.microsoft.com."):
        assert scene.vigie.ask(name).rcode() == dns.rcode.NXDOMAIN
        assert scene.upstream.asked(name) == []
    scene.upstream.answers["vm-1.internal.cloudapp.net.", "A"] = Reply("vm-1.internal.cloudapp.net. 60 IN A 192.0.2.83")
    assert scene.vigie.ask("vm-1.internal.cloudapp.net.").answer, "fallthrough"


EFFECTS = {function.__name__.rstrip("_"): function for function in (
    bind, bufsize, cache, chaos, dns64, errors, forward, health, hosts, import_, kubernetes, loadbalance, log, loop,
    prometheus, ready, reload, template)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_does_what_it_says(file, tmp_path, snapshot, upstream, start):
    scene = Scene(file, tmp_path, snapshot, upstream, start)
    depth, names = 0, set()
    for line in scene.text.splitlines():
        words = line.split()
        if words and depth == 1 and words[0] != "}" or words[:1] == ["import"]:
            names.add(words[0])
        depth += words.count("{") - words.count("}")
    assert names and names <= set(EFFECTS), "each directive has its effect"
    for name in sorted(names):
        EFFECTS[name](scene)
