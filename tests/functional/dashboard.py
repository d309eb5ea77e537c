"""A vigie whose life fills every panel of deploy/monitoring/dashboard.json, a Prometheus that scrapes it, and the picture of
the dashboard that comes of it. VIGIE_BUILD says which build is shown (default: build-release).

    python tests/functional/dashboard.py docs/dashboard.svg --seconds 240
"""
import argparse
import contextlib
import datetime
import itertools
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("VIGIE_BUILD", "build-release")  # before vigie_process is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

import dns.message  # noqa: E402

from cluster_objects import endpoint_slice, many, namespace, service  # noqa: E402
from dashboard_picture import draw  # noqa: E402
from scripted_upstream import Reply, Upstream  # noqa: E402
from stub_api_server import StubApiServer  # noqa: E402
from vigie_process import BUILD, PATIENCE, TOP, Vigie, free_port, wait_for  # noqa: E402

MONITORING = TOP / "deploy" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
JOB = "kube-dns"
WEB = "web.default.svc.cluster.local."
SITES = [f"site{number}.example.com." for number in range(40)]
DENIED = [f"gone{number}.example.com." for number in range(20)]
QUESTIONS = [f"{WEB} 1 0 1", f"{WEB} 28 0 0", "missing.default.svc.cluster.local. 1 3 0", "set.default.svc.cluster.local. 1 0 -1",
             "_http._tcp.web.default.svc.cluster.local. 33 0 1", "10.0.96.10.in-addr.arpa. 12 0 1",
             "www.elsewhere. 1 5 0", *[f"{name} 1 -1 -1" for name in SITES + DENIED]]
RATE = 400  # questions a second, more and less


@contextlib.contextmanager
def prometheus(folder: Path, target: int):
    """A Prometheus that scrapes a port of this machine every second as job kube-dns; yields a function that asks it."""
    port = free_port()
    folder.mkdir()
    (folder / "prometheus.yml").write_text(f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{MONITORING}/alerts.yaml]
scrape_configs:
  - job_name: {JOB}
    static_configs: [{{targets: ['127.0.0.1:{target}']}}]
""")

    def ask(path: str, **parameters):
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return json.load(response)["data"]

    def is_up():
        with contextlib.suppress(OSError):
            return ask("query", query="up")["result"]

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml",
                                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                   stdout=log, stderr=log)
        try:
            wait_for(is_up, "Prometheus to scrape", 3 * PATIENCE)
            yield ask
        finally:
            process.terminate()
            process.wait(3 * PATIENCE)


class Life:
    """A server with a cluster and two upstreams, its clients, and what befalls them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack):
        self.folder = folder
        self.http = free_port()
        self.upstreams = [stack.enter_context(Upstream()) for _ in range(2)]
        for upstream in self.upstreams:
            self.script(upstream, silent=False)
        self.server = stack.enter_context(StubApiServer(folder / "stub"))
        self.server.put(namespace("default"), service("web", "10.96.0.10"), service("set"),
                        endpoint_slice("set", many("10.244.0.0", 5)))
        (folder / "questions").write_text("\n".join(QUESTIONS) + "\n")
        self.vigie = stack.enter_context(Vigie(folder / "vigie", f"""cluster.local:PORT example.com:PORT 10.in-addr.arpa:PORT {{
    bind 127.0.0.1
    control {folder}/control.sock
    prometheus 127.0.0.1:{self.http}
    cache 30
    kubernetes cluster.local 10.in-addr.arpa {{
        startup_timeout 20s
        {self.server.corefile_option()}
    }}
    forward . {" ".join(upstream.text for upstream in self.upstreams)}
}}
"""))

    def script(self, upstream: Upstream, silent: bool) -> None:
        """What an upstream says: nothing, or answers, the first one sooner than the other."""
        delay = 0.004 if upstream is self.upstreams[0] else 0.012
        for name in SITES:
            upstream.answers[name, "A"] = Reply(f"{name} 5 IN A 192.0.2.80", delay=delay, drop=silent)
        for name in DENIED:
            upstream.answers[name, "A"] = Reply(rcode="NXDOMAIN", delay=delay, drop=silent,
                                                authority=("example.com. 5 IN SOA ns.example.com. a.example.com. 1 2 3 4 5",))
        upstream.answers[".", "NS"] = Reply(drop=silent)  # what a probe asks

    def generate(self, rate: float, count: int, *options: str) -> None:
        subprocess.run([BUILD / "tests/bench/generator", "-p", str(self.vigie.port), "-n", str(count), "-r", str(rate),
                        "-c", "4", *options, self.folder / "questions"], capture_output=True, check=True, timeout=3 * PATIENCE)

    def change(self, number: int) -> None:
        """A rollout: other endpoints than before, and the time at which it began."""
        changed = endpoint_slice("set", many(f"10.244.{number % 200}.0", 2 + number % 9))
        began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=random.random() / 10)
        changed["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time":
                                              began.isoformat().replace("+00:00", "Z")}
        self.server.put(changed)

    def odd_ones(self, number: int) -> None:
        """What is seldom: DO, malformed packets, ends of watches, a connection that stays."""
        self.vigie.exchange(dns.message.make_query(WEB, "A", want_dnssec=True))
        with self.vigie.udp_socket() as client:
            client.send(b"short")
        if number % 20 == 0:  # it is taken up again, and counted when it has ended
            self.server.watch("services").finish()
        self.connections.append(socket.create_connection((self.vigie.address, self.vigie.port)))
        if len(self.connections) > 20:
            self.connections.pop(0).close()

    def live(self, seconds: float) -> None:
        self.connections: list[socket.socket] = []
        began = time.monotonic()
        for number in itertools.count():
            passed = time.monotonic() - began
            if passed >= seconds:
                break
            rate = RATE * (1.2 + math.sin(passed / 12))
            by_tcp = threading.Thread(target=self.generate, args=(rate / 10, max(1, int(rate / 20)), "-t"))
            by_tcp.start()
            self.generate(rate, max(1, int(rate / 2)))
            by_tcp.join()
            self.change(number)
            self.odd_ones(number)
        for connection in self.connections:
            connection.close()

@contextlib.contextmanager
def lived(folder: Path, seconds: float) -> Iterator[tuple]:
    """So many seconds of a life, a part of them with an upstream that is silent. Yields what asks Prometheus, and when it
    was."""
    with contextlib.ExitStack() as stack:
        life = Life(folder, stack)
        ask = stack.enter_context(prometheus(folder / "prometheus", life.http))
        begin = time.time()
        for part, silent in ((0.5, False), (0.25, True), (0.25, False)):
            life.script(life.upstreams[0], silent)
            life.live(seconds * part)
        yield ask, begin, time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, lived(Path(folder), options.seconds) as (ask, begin, end):
        options.output.write_text(draw(DASHBOARD, ask, JOB, begin, end))


if __name__ == "__main__":
    main()
