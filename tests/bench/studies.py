"""What is looked at of vigie alone: whether a query costs the same however large the cluster is and with two workers, and
what happens above saturation. Each study returns the lines of a table, its head first."""
import argparse
import json
import socket
import statistics
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cluster import Cluster
from contenders import PATIENCE, Ports, Upstream, Vigie

SIZES = [10, 10000, 100000]       # services
ENDPOINTS = [1, 10000]            # of one headless service, whose endpoints' names are asked for
MISSES = 2000                     # queries/s that no upstream answers; thousands of them wait at a time
PATIENCE_MS = 400                 # of clients above saturation; vigie drops what is older than 250 ms


class VigieTwo(Vigie):
    workers = 2


class Study:
    """vigie and its generator, which have one CPU each unless said otherwise."""

    def __init__(self, arguments: argparse.Namespace, vigie: Vigie):
        self.arguments, self.vigie = arguments, vigie
        self.generator = arguments.build / "tests/bench/generator"

    def start(self, questions: Path, *options: str, cpus: str = "1") -> subprocess.Popen:
        return subprocess.Popen(["taskset", "-c", cpus, self.generator, "-p", str(self.vigie.port), "-s",
                                 str(self.arguments.seconds), *options, questions], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def end(generator: subprocess.Popen) -> dict:
        return json.loads(generator.communicate(timeout=PATIENCE)[0])

    def ask(self, questions: Path, *options: str, cpus: str = "1") -> dict:
        before = self.vigie.cpu_ns()
        run = self.end(self.start(questions, *options, cpus=cpus))
        used = self.vigie.cpu_ns() - before
        run["cpu_us"] = used / 1000 / max(run["answered"], 1)
        run["busy"] = used / 1e9 / run["seconds"]
        run["generator_busy"] = run["generator_cpu_us"] * run["answered"] / 1e6 / run["seconds"]
        return run

    def repeat(self, questions: Path, *options: str, cpus: str = "1") -> tuple[float, float]:
        """CPU µs for each query and queries/s: medians."""
        self.ask(questions, *options, cpus=cpus)
        runs = [self.ask(questions, *options, cpus=cpus) for _ in range(self.arguments.repeats)]
        return statistics.median(run["cpu_us"] for run in runs), statistics.median(run["qps"] for run in runs)


@contextmanager
def serving(arguments: argparse.Namespace, services: int, endpoints: int = 0, kind: type[Vigie] = Vigie, cpus: str = "0",
            upstream_port: int = 0):
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as name:
        folder = Path(name)
        cluster, ports = Cluster(folder, services, endpoints), Ports()
        upstream = Upstream("upstream", folder, cluster, ports)
        vigie = kind("vigie", folder, cluster, ports, upstream_port or upstream.port)
        if upstream_port:
            vigie.proof = lambda: [cluster.ports()[-1][1]]
        try:
            upstream.start("1")
            upstream.wait()
            vigie.start(cpus)
            vigie.wait()
            yield Study(arguments, vigie)
        finally:
            vigie.stop()
            upstream.stop()


def size(arguments: argparse.Namespace) -> list[list[str]]:
    """CPU time for each query, which the size of the cluster does not change, but for the CPU's cache misses."""
    out = [["what is asked", "of how many", "CPU µs/query"]]
    for services in SIZES:
        with serving(arguments, services) as study:
            cpu, _ = study.repeat(study.vigie.cluster.write_questions("clusterip"))
            out.append(["the address of a service", f"{services:,} services", f"{cpu:.2f}"])
    for endpoints in ENDPOINTS:
        with serving(arguments, 10, endpoints) as study:
            cpu, _ = study.repeat(study.vigie.cluster.write_questions("endpoint"))
            out.append(["the address of an endpoint", f"{endpoints:,} endpoints", f"{cpu:.2f}"])
    return out


def workers(arguments: argparse.Namespace) -> list[list[str]]:
    """One and two workers. The generator needs CPUs, too: on a machine of two it shares them with the workers, so CPU time
    for each query tells more than queries/s: workers that were in each other's way would need more of it."""
    out = [["workers", "CPU µs/query", "queries/s"]]
    for kind in (Vigie, VigieTwo):
        with serving(arguments, arguments.services, kind=kind, cpus="0-1") as study:
            cpu, rate = study.repeat(study.vigie.cluster.write_questions("clusterip"), cpus="0-1")
            out.append([str(kind.workers), f"{cpu:.2f}", f"{rate:,.0f}"])
    return out


def _row(what: str, run: dict, wanted: str) -> list[str]:
    part = 100 * run["answered"] / max(run["asked"], 1)
    return [what, f"{run['asked'] / run['seconds']:,.0f}", f"{run['qps']:,.0f}", f"{part:.1f}", f"{run['p50_us'] / 1000:.1f}",
            f"{run['p99_us'] / 1000:.1f}", f"{run['cpu_us']:.2f}", f"{100 * run['busy']:.0f}", f"{100 * run['generator_busy']:.0f}",
            wanted]


def overload(arguments: argparse.Namespace) -> list[list[str]]:
    out = [["load", "asked/s", "answered/s", "% answered", "p50 ms", "p99 ms", "CPU µs/answer", "% of a CPU: vigie",
            "generator", "what it is to show"]]
    many = ["-c", "2048", "-q", "64", "-l", str(PATIENCE_MS), "-b", "2:64"]
    with serving(arguments, arguments.services) as study:
        questions = study.vigie.cluster.write_questions("clusterip")
        study.ask(questions)
        peak = study.ask(questions)
        out.append(_row("saturation", peak, ""))
        out.append(_row("3 × that", study.ask(questions, "-g", "-r", str(3 * peak["qps"]), *many),
                        "at least 95 % of the answers, none old"))
        rate = peak["qps"] / 4
        others = ["-c", "20", "-q", "64", "-l", str(PATIENCE_MS), "-b", "100:20", "-r", str(rate)]
        out.append(_row("20 clients, a quarter of it", study.ask(questions, *others), ""))
        # Its share is a twentieth of the saturation: it asks for twenty times as much.
        greedy = study.start(questions, "-g", "-c", "1024", "-q", "64", "-l", str(PATIENCE_MS), "-b", "99:1", "-r",
                             str(peak["qps"]))
        out.append(_row("beside one at 20 × its share", study.ask(questions, *others), "they are answered"))
        study.end(greedy)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with serving(arguments, arguments.services, upstream_port=silent.getsockname()[1]) as study:
            questions = study.vigie.cluster.write_questions("clusterip")
            missing = study.vigie.cluster.write_questions("uncached")
            misses = study.start(missing, "-c", "128", "-q", "64", "-b", "200:32", "-r", str(MISSES))
            out.append(_row(f"cluster names, while {MISSES:,}/s wait for an upstream that is silent",
                            study.ask(questions, "-c", "20", "-q", "64", "-b", "100:20", "-r", str(rate)), "they are answered"))
            study.end(misses)
    return out


STUDIES = {"size": size, "workers": workers, "overload": overload}
