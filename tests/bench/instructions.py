#!/usr/bin/env python3
"""Counts the instructions that vigie takes in user space for one query, by callgrind, which is exact on any machine.

    tests/bench/instructions.py            compares with instructions.json: more than 5 % away from it fails
    tests/bench/instructions.py --update   writes the new numbers there
    tests/bench/instructions.py --profile WORKLOAD [--corefile plain|kubeadm] [--lines]
                                           where they are spent: by source file and function, or by line
Needs a release build in build-bench (tests/bench/run.sh makes one; VIGIE_BUILD names another). A profile says more of
one with debug information: `meson setup build-profile --buildtype=release -Ddebug=true -Dtests=false -Dbench=true`.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from cluster import Cluster
from contenders import Ports, Upstream, Vigie, VigieKubeadm

HERE = Path(__file__).resolve().parent
KEPT = HERE / "instructions.json"
WORKLOADS = ["clusterip", "nxdomain", "headless", "srv", "ptr", "cached", "cached-negative"]
COREFILES = {"plain": Vigie, "kubeadm": VigieKubeadm}
TOLERANCE = 0.05
SERVICES = 2000
QUERIES = 4 * 64      # that wait in the socket at once: vigie reads full batches, however busy the machine is, and is
                      # not overloaded yet
ROUNDS = 25
COUNTED = "udp_turn*" # the function of server/udp.c that reads, answers and sends a batch; not what vigie does meanwhile
PATIENCE = 60         # seconds; valgrind takes fifty times as long


class Valgrind:
    """vigie under callgrind."""

    def __init__(self, kind: type[Vigie], folder: Path, cluster: Cluster, ports: Ports, upstream: int):
        self.vigie = kind("vigie", folder, cluster, ports, upstream)
        command = self.vigie.command
        self.vigie.command = lambda: ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                                      f"--toggle-collect={COUNTED}", f"--callgrind-out-file={folder}/out", *command()]
        self.folder, self.dumps = folder, 0

    def __enter__(self):
        self.vigie.proof = lambda: [self.vigie.cluster.ports()[-1][1]]  # a name of the world takes ways that are not counted
        self.vigie.start("0-1023")
        self.vigie.wait()
        return self

    def __exit__(self, *_):
        self.vigie.stop()

    def waiting(self) -> int:
        """Bytes of queries in vigie's sockets."""
        lines = [line.split() for name in ("udp", "udp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
        return sum(int(line[4].split(":")[1], 16) for line in lines if line[1].endswith(f":{self.vigie.port:04X}"))

    def wait_for(self, state: str) -> None:
        """Until all threads are in a state of /proc/PID/stat."""
        threads = Path(f"/proc/{self.vigie.process.pid}/task")
        while any((each / "stat").read_text().rsplit(")", 1)[1].split()[0] != state for each in threads.iterdir()):
            time.sleep(0.01)

    def ask(self, questions: Path) -> None:
        """Asks QUERIES at once: vigie is stopped until all have come."""
        self.wait_for("S")  # it is done with those before
        self.vigie.process.send_signal(signal.SIGSTOP)
        self.wait_for("T")
        with subprocess.Popen([self.vigie.build / "tests/bench/generator", "-p", str(self.vigie.port), "-n", str(QUERIES),
                               "-c", str(QUERIES // 64), "-q", "64", questions], stdout=subprocess.PIPE, text=True) as generator:
            before, end = -1, time.monotonic() + PATIENCE
            while ((now := self.waiting()) != before or now == 0) and time.monotonic() < end:
                before = now
                time.sleep(0.02)
            self.vigie.process.send_signal(signal.SIGCONT)
            text = generator.communicate(timeout=PATIENCE)[0]
        run = json.loads(text)
        if run["wrong"] or run["answered"] != QUERIES:
            sys.exit(f"{questions.stem}: answers are wrong or missing: {text}")

    def dump(self) -> Path:
        """Ends a part of the profile."""
        subprocess.run(["callgrind_control", "-d", str(self.vigie.process.pid)], capture_output=True, timeout=PATIENCE,
                       check=True)
        self.dumps += 1
        return Path(f"{self.folder}/out.{self.dumps}")

    def measure(self, questions: Path) -> float:
        """Instructions for each query."""
        self.ask(questions)
        self.dump()
        for _ in range(ROUNDS):
            self.ask(questions)
        total = re.search(r"^(?:summary|totals): ([1-9]\d*)", self.dump().read_text(), re.MULTILINE)
        if not total:
            sys.exit(f"nothing was counted: is there still a function {COUNTED} in src/server/udp.c?")
        return int(total[1]) / QUERIES / ROUNDS

    def profile(self, questions: Path) -> Path:
        """Of all from the start on: callgrind does not know any more in which function it is after a dump."""
        for _ in range(ROUNDS):
            self.ask(questions)
        return self.dump()


@contextmanager
def serving(corefile: str):
    """vigie under callgrind."""
    with tempfile.TemporaryDirectory(prefix="vigie-callgrind-") as name:
        folder = Path(name)
        cluster, ports = Cluster(folder, SERVICES), Ports()
        upstream = Upstream("upstream", folder, cluster, ports)
        upstream.start("0-1023")
        try:
            with Valgrind(COREFILES[corefile], folder, cluster, ports, upstream.port) as vigie:
                upstream.wait()
                time.sleep(2)  # the tables find their size in the background
                yield vigie
        finally:
            upstream.stop()


def measure(corefile: str, workloads: list[str]) -> dict[str, int]:
    with serving(corefile) as vigie:
        questions = [vigie.vigie.cluster.write_questions(workload) for workload in workloads]
        vigie.ask(questions[0])
        return {each.stem: round(vigie.measure(each)) for each in questions}


def profile(corefile: str, workload: str, lines: bool) -> None:
    with serving(corefile) as vigie:
        path = vigie.profile(vigie.vigie.cluster.write_questions(workload))
        print(f"in all for {QUERIES * ROUNDS} queries:")
        subprocess.run(["callgrind_annotate", f"--auto={'yes' if lines else 'no'}", path], cwd=HERE.parents[1], check=True)


def compare(kept: dict, counted: dict) -> int:
    failed = 0
    for corefile, numbers in counted.items():
        for workload, count in numbers.items():
            before = kept.get(corefile, {}).get(workload, 0)
            good = abs(count - before) <= before * TOLERANCE
            failed += not good
            print(f"{'ok' if good else 'FAILED'}: {corefile} {workload}: {count} instructions a query, {before} kept")
    if failed:
        print(f"When that is meant to be: {Path(sys.argv[0]).name} --update")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--profile", metavar="WORKLOAD")
    parser.add_argument("--corefile", choices=COREFILES, default="plain")
    parser.add_argument("--lines", action="store_true")
    arguments = parser.parse_args()
    Vigie.build = HERE.parents[1] / os.environ.get("VIGIE_BUILD", "build-bench")
    if arguments.profile:
        profile(arguments.corefile, arguments.profile, arguments.lines)
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if arguments.update:
        kept = {corefile: dict.fromkeys(WORKLOADS, 0) for corefile in COREFILES}
    counted = {corefile: measure(corefile, list(numbers)) for corefile, numbers in kept.items()}
    if arguments.update:
        KEPT.write_text(json.dumps(counted, indent=4) + "\n")
        print(json.dumps(counted, indent=4))
        return 0
    return 1 if compare(kept, counted) else 0


if __name__ == "__main__":
    sys.exit(main())
