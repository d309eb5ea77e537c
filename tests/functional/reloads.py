"""Reloads while clients ask, by UDP and by TCP: is any query lost? Each reload changes a directive and has another address
come or go. VIGIE_BUILD says which build is measured (default: build-release).

    python tests/functional/reloads.py --reloads 1000 --rate 10000
"""
import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("VIGIE_BUILD", "build-release")  # before vigie_process is imported

from cluster_objects import namespace, service, write_snapshot  # noqa: E402
from scripted_upstream import Reply, Upstream  # noqa: E402
from vigie_process import BUILD, PATIENCE, Vigie, free_port, wait_for  # noqa: E402

WINDOW = 1  # seconds for which a generator asks before the next one begins
TCP_SHARE = 10
QUESTIONS = 49 * ["web.default.svc.cluster.local. 1 0 1", "none.default.svc.cluster.local. 1 3 0"] + \
    ["www.example.com. 1 0 1"]  # one in a hundred is forwarded


def corefile(snapshot: Path, upstream: Upstream, http: int, number: int) -> str:
    return f""".:PORT {{
    bind 127.0.0.1 {"127.0.0.2" if number % 2 else ""}
    prometheus 127.0.0.1:{http}
    kubernetes cluster.local {{
        snapshot {snapshot}
        ttl {5 + number % 7}
    }}
    forward . {upstream.text}
}}
"""


class Clients:
    """One generator by UDP and one by TCP, again and again. What is asked must be answered, however long it takes."""

    def __init__(self, vigie: Vigie, questions: Path, rate: float):
        self.ending = threading.Event()
        self.runs: list[dict] = []
        self.silent = 0  # windows in which an answer never came
        self.threads = [threading.Thread(target=self._ask, args=(vigie, questions, rate, ())),
                        threading.Thread(target=self._ask, args=(vigie, questions, rate / TCP_SHARE, ("-t",)))]

    def _ask(self, vigie: Vigie, questions: Path, rate: float, options: tuple) -> None:
        words = [BUILD / "tests/bench/generator", "-p", str(vigie.port), "-n", str(max(1, int(rate * WINDOW))), "-r", str(rate),
                 "-c", "16", *options, questions]
        while not self.ending.is_set():
            try:
                self.runs.append(json.loads(subprocess.run(words, capture_output=True, check=True,
                                                           timeout=WINDOW + PATIENCE).stdout))
            except subprocess.TimeoutExpired:
                self.silent += 1

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()


def metric(http: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=PATIENCE) as response:
        return float(re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)[1])


def measure(folder: Path, reloads: int, rate: float) -> dict[str, float]:
    http = free_port()
    snapshot = write_snapshot(folder / "cluster.json", [namespace("default"), service("web", "10.96.0.10")])
    questions = folder / "questions"
    questions.write_text("\n".join(QUESTIONS) + "\n")
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
        vigie = stack.enter_context(Vigie(folder / "vigie", corefile(snapshot, upstream, http, 0)))
        with Clients(vigie, questions, rate) as clients:
            began = time.monotonic()
            for number in range(1, reloads + 1):
                vigie.corefile.write_text(corefile(snapshot, upstream, http, number).replace("PORT", str(vigie.port)))
                vigie.process.send_signal(signal.SIGUSR1)
                wait_for(lambda: metric(http, "vigie_reloads_total") == number, f"reload {number}\n{vigie.log()[-2000:]}")
            seconds = time.monotonic() - began
        refused = metric(http, "coredns_reload_failed_total")
    total = {key: sum(run[key] for run in clients.runs) for key in ("asked", "answered", "wrong")}
    return {"reloads": reloads, "refused": refused, "seconds": seconds, **total, "windows without an answer": clients.silent,
            "longest p99.9, ms": max((run["p999_us"] for run in clients.runs), default=0) / 1e3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2000, help="queries a second by UDP; a tenth of it comes by TCP, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure(Path(folder), options.reloads, options.rate).items():
            print(f"{name}: {value:,.2f}".removesuffix(".00"))


if __name__ == "__main__":
    main()
