#!/usr/bin/env python3
"""Measures vigie beside other servers. tests/bench/run.sh builds what it needs and calls it.

Server and generator have one CPU each. Contenders take short turns within a workload, `--repeats` times, so that a
neighbour who is heard is heard by all; ratios are those of one round. Results are kept in OUTPUT/results.json; workloads measured anew replace the old ones there.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from cluster import Cluster
from contenders import CONTENDERS, PATIENCE, Contender, CoreDNS, Limit, Ports, Upstream, Vigie
from studies import STUDIES

SERVER_CPU, GENERATOR_CPU = 0, 1
WORKLOADS = ["clusterip", "nxdomain", "headless", "headless-100", "srv", "ptr", "mix", "cached", "cached-negative",
             "uncached", "tcp-1", "tcp-10", "tcp-1000"]
LONG = 0.7  # seconds of what is measured once
SPELLS, SPELL = 7, 0.2   # latency: the median of short spells, since a neighbour of the machine makes all of a long one slow
LOADS = [0.1, 0.5, 0.8]  # parts of saturation at which latency is taken
UNCACHED_IN_FLIGHT = "4"  # of each of 64 clients: 256 queries wait for the upstream at once


def options_of(workload: str) -> tuple[str, list[str]]:
    """The questions of a workload, and how they are asked."""
    if workload.startswith("tcp-"):
        clients = int(workload.removeprefix("tcp-"))
        return "clusterip", ["-t", "-c", str(clients), "-q", "64" if clients < 1000 else "4", "-b", "2:50"]
    if workload == "uncached":
        return workload, ["-q", UNCACHED_IN_FLIGHT]
    return workload, []


class Misbehaves(Exception):
    """A contender answers wrongly or closes connections: it has no figure here."""


class Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.arguments, self.folder = arguments, folder
        self.cluster = Cluster(folder, arguments.services, arguments.endpoints)
        self.generator = arguments.build / "tests/bench/generator"
        self.ports = Ports()

    def generate(self, contender: Contender, questions: Path, *options: str) -> dict:
        result = subprocess.run(["taskset", "-c", str(GENERATOR_CPU), self.generator, "-p", str(contender.port),
                                 *options, questions], capture_output=True, text=True, timeout=PATIENCE)
        if result.returncode:
            raise Misbehaves(f"{contender.name}: {result.stderr.strip()} ({questions.stem})")
        return json.loads(result.stdout)

    def saturate(self, contender: Contender, questions: Path, options: list[str], out: dict) -> None:
        before = contender.cpu_ns()
        run = self.generate(contender, questions, "-s", str(self.arguments.seconds), *options)
        used = contender.cpu_ns() - before
        answered = max(run["answered"], 1)
        # The limit's answers are not those that are asked for.
        if contender.name != "limit" and run["wrong"] > run["answered"] / 1000:
            raise Misbehaves(f"{contender.name}: {run['wrong']} of {run['answered']} answers are wrong ({questions.stem})")
        out.setdefault("cpu_us", []).append(round(used / 1000 / answered, 3))
        out.setdefault("qps", []).append(run["qps"])
        out.setdefault("busy", []).append(round(used / 1e9 / run["seconds"], 3))
        for key in ("generator_cpu_us", "lost", "p50_us", "p99_us"):
            out.setdefault(key, []).append(run[key])

    def latency(self, racing: list[Contender], questions: Path, options: list[str], results: dict[str, dict]) -> None:
        """In turns, as all else. The limit is asked at vigie's rates: what is compared is the same load."""
        for load in LOADS:
            runs = {contender.name: [] for contender in racing}
            for contender in racing * SPELLS:
                base = results["vigie" if contender.name == "limit" and "vigie" in results else contender.name]
                runs[contender.name].append(self.generate(contender, questions, "-s", str(SPELL), "-r",
                                                          str(round(statistics.median(base["qps"]) * load)), *options))
            for name, spells in runs.items():
                out = {key: statistics.median(run[key] for run in spells) for key in ("qps", "p50_us", "p99_us", "p999_us", "lost")}
                results[name].setdefault("latency", {})[str(load)] = {**out, "p99s_us": [run["p99_us"] for run in spells]}

    def witness(self, contender: Contender, questions: Path, options: list[str]) -> dict | None:
        """dnsperf's word on the same questions."""
        if "-t" in options or "????????" in questions.read_text():
            return None
        before = contender.cpu_ns()
        text = subprocess.run(["taskset", "-c", str(GENERATOR_CPU), "dnsperf", "-s", "127.0.0.1", "-p", str(contender.port),
                               "-d", questions.with_suffix(".dnsperf"), "-l", str(LONG), "-c", "64",
                               "-q", "1000"], capture_output=True, text=True).stdout
        used = contender.cpu_ns() - before
        rate = re.search(r"Queries per second:\s+([\d.]+)", text)
        done = re.search(r"Queries completed:\s+(\d+)", text)
        if not rate or not done or int(done[1]) == 0:
            return None
        return {"qps": round(float(rate[1])), "cpu_us": round(used / 1000 / int(done[1]), 3)}

    @staticmethod
    def each(racing: list[Contender], results: dict[str, dict], step) -> None:
        """Does a step for each contender; one that misbehaves is out."""
        for contender in list(racing):
            results.setdefault(contender.name, {})
            try:
                step(contender)
            except Misbehaves as why:
                print(f"left out: {why}", file=sys.stderr)
                racing.remove(contender)
                del results[contender.name]

    def run(self, workload: str) -> dict:
        source, options = options_of(workload)
        questions = self.cluster.write_questions(source)
        upstream = Upstream("upstream", self.folder, self.cluster, self.ports)
        started: list[Contender] = [upstream]
        results: dict[str, dict] = {}
        try:
            upstream.start(GENERATOR_CPU)
            upstream.wait()
            for name in self.arguments.contenders:
                contender = CONTENDERS[name](name, self.folder, self.cluster, self.ports, upstream.port)
                if source not in contender.workloads or ("-t" in options and not contender.tcp):
                    continue
                if not contender.find():
                    print(f"{name} is not installed: left out", file=sys.stderr)
                    continue
                contender.start(SERVER_CPU)
                started.append(contender)
            racing = started[1:]
            for contender in racing:
                contender.wait()
            self.each(racing, results, lambda one: self.generate(one, questions, "-s", "0.3", *options))  # fills caches
            time.sleep(1)  # what starting left to do is done
            for _ in range(self.arguments.repeats):
                self.each(racing, results, lambda one: self.saturate(one, questions, options, results[one.name]))
            if workload in self.arguments.latency:
                self.latency(racing, questions, options, results)
            for contender in racing if workload in self.arguments.dnsperf else []:
                results[contender.name]["dnsperf"] = self.witness(contender, questions, options)
        finally:
            for contender in started:
                contender.stop()
        return results


def machine() -> dict:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": model[1] if model else platform.machine(), "cpus": os.cpu_count(), "kernel": platform.release(),
            "date": time.strftime("%Y-%m-%d")}


def parse() -> argparse.Namespace:
    top = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="of " + ",".join(WORKLOADS))
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="of " + ",".join(CONTENDERS))
    parser.add_argument("--services", type=int, default=10000, help="in the cluster (10000)")
    parser.add_argument("--endpoints", type=int, default=0, help="of one more headless service (0)")
    parser.add_argument("--seconds", type=float, default=0.15, help="of one measurement (0.15)")
    parser.add_argument("--repeats", type=int, default=8, help="of each measurement (8)")
    parser.add_argument("--latency", default="clusterip", metavar="WORKLOADS",
                        help="those for which latency is taken at 10, 50 and 80 %% of saturation, too (clusterip)")
    parser.add_argument("--dnsperf", default="clusterip,cached", metavar="WORKLOADS",
                        help="those that dnsperf measures, too (clusterip,cached)")
    parser.add_argument("--studies", default=",".join(STUDIES), help="what is looked at of vigie alone, of " + ",".join(STUDIES))
    parser.add_argument("--publish", action="store_true",
                        help="write the tables into docs/performance.md and the charts beside it")
    parser.add_argument("--output", type=Path, default=top / "build-bench/bench", help="folder for the results")
    parser.add_argument("--build", type=Path, default=top / "build-bench", help=argparse.SUPPRESS)
    parser.add_argument("--coredns", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.workloads = list(filter(None, arguments.workloads.split(",")))
    arguments.contenders = arguments.contenders.split(",")
    arguments.latency, arguments.dnsperf = arguments.latency.split(","), arguments.dnsperf.split(",")
    arguments.studies = list(filter(None, arguments.studies.split(",")))
    for given, known in ((arguments.workloads, WORKLOADS), (arguments.contenders, CONTENDERS), (arguments.studies, STUDIES)):
        for each in given:
            if each not in known:
                parser.error(f"'{each}' is none of {', '.join(known)}")
    return arguments


def main() -> None:
    arguments, began = parse(), time.monotonic()
    Limit.build = Vigie.build = arguments.build
    CoreDNS.coredns = arguments.coredns
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {"workloads": {}}
    for workload in arguments.workloads:
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as folder:
            results["machine"] = machine()
            results["services"] = arguments.services
            results["workloads"][workload] = Bench(arguments, Path(folder)).run(workload)
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(report.table(results, [workload]))
    for study in arguments.studies:
        results.setdefault("studies", {})[study] = rows = STUDIES[study](arguments)
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(report.align(rows["lines"]))
    print(report.align(report.targets(results)))
    (arguments.output / "table.md").write_text(report.markdown(results))
    (arguments.output / "chart.svg").write_text(report.chart(results))
    print(f"{path}, table.md and chart.svg beside it; {(time.monotonic() - began) / 60:.0f} minutes")
    if arguments.publish:
        report.publish(results, Path(__file__).resolve().parents[2] / "docs")


if __name__ == "__main__":
    main()
