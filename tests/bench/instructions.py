#!/usr/bin/env python3
"""Counts the instructions that vigie takes in user space for one query, by callgrind, which is exact on any machine.

    tests/bench/instructions.py            compares with instructions.json: more than 5 % away from it fails
    tests/bench/instructions.py --update   writes the new numbers there
    tests/bench/instructions.py --profile WORKLOAD [--corefile plain|kubeadm]
                                           where they are spent, by function
Needs a release build in build-bench (tests/bench/run.sh makes one; VIGIE_BUILD names another).
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import Cluster
from contenders import Ports, Upstream, Vigie, VigieKubeadm

HERE = Path(__file__).resolve().parent
KEPT = HERE / "instructions.json"
COREFILES = {"plain": Vigie, "kubeadm": VigieKubeadm}
TOLERANCE = 0.05
SERVICES = 2000
WARM_UP, QUERIES = 2000, 20000
PATIENCE = 300        # seconds; valgrind takes a hundred times as long


class Valgrind:
    """vigie under callgrind."""

    def __init__(self, kind: type[Vigie], folder: Path, cluster: Cluster, ports: Ports, upstream: int):
        self.vigie = kind("vigie", folder, cluster, ports, upstream)
        command = self.vigie.command
        self.vigie.command = lambda: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *command()]
        self.folder, self.dumps = folder, 0

    def __enter__(self):
        self.vigie.start("0-1023")
        self.vigie.wait()
        return self

    def __exit__(self, *_):
        self.vigie.stop()

    def ask(self, questions: Path, count: int) -> None:
        text = subprocess.run([self.vigie.build / "tests/bench/generator", "-p", str(self.vigie.port), "-n", str(count),
                               questions], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        run = json.loads(text)
        if run["wrong"] or run["answered"] != count:
            sys.exit(f"{questions.stem}: answers are wrong or missing: {text}")

    def control(self, option: str) -> None:
        subprocess.run(["callgrind_control", option, str(self.vigie.process.pid)], capture_output=True,
                       timeout=PATIENCE, check=True)

    def measure(self, questions: Path) -> tuple[float, Path]:
        """Instructions for each query, and the profile."""
        self.ask(questions, WARM_UP)
        self.control("-z")
        self.ask(questions, QUERIES)
        self.control("-d")
        self.dumps += 1
        profile = Path(f"{self.folder}/out.{self.dumps}")
        total = re.search(r"^(?:summary|totals): (\d+)", profile.read_text(), re.MULTILINE)
        return int(total[1]) / QUERIES, profile


def measure(corefile: str, workloads: list[str], annotate: bool = False) -> dict[str, int]:
    out = {}
    with tempfile.TemporaryDirectory(prefix="vigie-callgrind-") as name:
        folder = Path(name)
        cluster, ports = Cluster(folder, SERVICES), Ports()
        upstream = Upstream("upstream", folder, cluster, ports)
        upstream.start("0-1023")
        try:
            with Valgrind(COREFILES[corefile], folder, cluster, ports, upstream.port) as vigie:
                for workload in workloads:
                    count, profile = vigie.measure(cluster.write_questions(workload))
                    out[workload] = round(count)
                    if annotate:
                        print(subprocess.run(["callgrind_annotate", profile], capture_output=True, text=True).stdout)
        finally:
            upstream.stop()
    return out


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
    arguments = parser.parse_args()
    Vigie.build = HERE.parents[1] / os.environ.get("VIGIE_BUILD", "build-bench")
    if arguments.profile:
        print(measure(arguments.corefile, [arguments.profile], annotate=True))
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if arguments.update:
        kept = {corefile: dict.fromkeys(["clusterip", "nxdomain", "headless", "srv", "ptr"], 0) for corefile in COREFILES}
    counted = {corefile: measure(corefile, list(numbers)) for corefile, numbers in kept.items()}
    if arguments.update:
        KEPT.write_text(json.dumps(counted, indent=4) + "\n")
        print(json.dumps(counted, indent=4))
        return 0
    return 1 if compare(kept, counted) else 0


if __name__ == "__main__":
    sys.exit(main())
