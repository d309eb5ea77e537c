"""What is looked at of vigie alone: whether a query costs the same however large the cluster is and with two workers, and
what happens above saturation. Each study returns the lines of a table, its head first, and ratios: (what, one for each
round, what they are to be, at most or at least, what else to say)."""
import argparse
import json
import socket
import statistics
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster import Cluster
from contenders import PATIENCE, Contender, Limit, Ports, Upstream, Vigie

SIZES = [10, 10000, 100000]       # services
ENDPOINTS = [1, 10000]            # of one headless service, whose endpoints' names are asked for
MISSES = [2000, 20000]            # queries/s that no upstream answers; thousands of them wait at a time
LONG = 0.7                        # seconds of what is above saturation: its queues need some time to fill
GREEDY = 3.0                      # seconds beside a greedy client; in the first tenth of one nobody's share is known
OVERLOADS = 3                     # how often saturation and more than that take turns
PATIENCE_MS = 400                 # of clients above saturation; vigie drops what is older than 250 ms


class VigieTwo(Vigie):
    workers = 2


class Study:
    """A server and its generator, which have one CPU each unless said otherwise."""

    def __init__(self, arguments: argparse.Namespace, server: Contender):
        self.arguments, self.server = arguments, server
        self.generator = arguments.build / "tests/bench/generator"

    def start(self, questions: Path, *options: str, cpus: str = "1", seconds: float = LONG) -> subprocess.Popen:
        return subprocess.Popen(["taskset", "-c", cpus, self.generator, "-p", str(self.server.port), "-s", str(seconds),
                                 *options, questions], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def end(generator: subprocess.Popen) -> dict:
        return json.loads(generator.communicate(timeout=PATIENCE)[0])

    def ask(self, questions: Path, *options: str, cpus: str = "1", seconds: float = LONG) -> dict:
        before = self.server.cpu_ns()
        run = self.end(self.start(questions, *options, cpus=cpus, seconds=seconds))
        used = self.server.cpu_ns() - before
        run["cpu_us"] = used / 1000 / max(run["answered"], 1)
        run["busy"] = used / 1e9 / run["seconds"]
        run["generator_busy"] = run["generator_cpu_us"] * run["answered"] / 1e6 / run["seconds"]
        return run


def take_turns(arguments: argparse.Namespace, asked: list[tuple[Study, Path]], cpus: str = "1") -> list[list[dict]]:
    """Short runs of each in turn, in rounds, so that all see the same machine: the runs of each."""
    for study, questions in asked:
        study.ask(questions, cpus=cpus, seconds=arguments.seconds)
    runs = [[study.ask(questions, cpus=cpus, seconds=arguments.seconds) for study, questions in asked]
            for _ in range(arguments.repeats)]
    return [list(each) for each in zip(*runs)]


def _median(runs: list[dict], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _ratios(some: list[dict], others: list[dict], key: str) -> list[float]:
    return [one[key] / other[key] for one, other in zip(some, others)]


@contextmanager
def serving(arguments: argparse.Namespace, services: int, endpoints: int = 0, kind: type[Contender] = Vigie, cpus: str = "0",
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


def size(arguments: argparse.Namespace) -> dict:
    """CPU time for each query, which the size of the cluster does not change, but for the CPU's cache misses."""
    lines = [["what is asked", "of how many", "CPU µs/query"]]
    with ExitStack() as stack:
        services = [stack.enter_context(serving(arguments, count)) for count in SIZES]
        asked = [(study, study.server.cluster.write_questions("clusterip")) for study in services]
        services = take_turns(arguments, asked)
    with ExitStack() as stack:
        endpoints = [stack.enter_context(serving(arguments, 10, count)) for count in ENDPOINTS]
        asked = [(study, study.server.cluster.write_questions("endpoint")) for study in endpoints]
        endpoints = take_turns(arguments, asked)
    for count, runs in zip(SIZES, services):
        lines.append(["the address of a service", f"{count:,} services", f"{_median(runs, 'cpu_us'):.2f}"])
    for count, runs in zip(ENDPOINTS, endpoints):
        lines.append(["the address of an endpoint", f"{count:,} endpoints", f"{_median(runs, 'cpu_us'):.2f}"])
    return {"lines": lines, "ratios": [
        ("CPU for each query: 100,000 services ÷ 10", _ratios(services[-1], services[0], "cpu_us"), 1.2, True, ""),
        ("CPU for each query: 10,000 endpoints ÷ 1", _ratios(endpoints[-1], endpoints[0], "cpu_us"), 1.2, True, "")]}


def workers(arguments: argparse.Namespace) -> dict:
    """One and two workers. The generator needs CPUs, too: on a machine of two it shares them with the workers, so CPU time
    for each query tells more than queries/s: workers that were in each other's way would need more of it."""
    lines = [["workers", "CPU µs/query", "queries/s"]]
    kinds = (Vigie, VigieTwo)
    with ExitStack() as stack:
        studies = [stack.enter_context(serving(arguments, arguments.services, kind=kind, cpus="0-1")) for kind in kinds]
        one, two = take_turns(arguments, [(study, study.server.cluster.write_questions("clusterip")) for study in studies],
                              cpus="0-1")
    for kind, runs in zip(kinds, (one, two)):
        lines.append([str(kind.workers), f"{_median(runs, 'cpu_us'):.2f}", f"{_median(runs, 'qps'):,.0f}"])
    return {"lines": lines, "ratios": [("CPU for each query: 1 worker ÷ 2 workers", _ratios(one, two, "cpu_us"), 0.9, False, "")]}


def _row(what: str, run: dict, wanted: str) -> list[str]:
    part = 100 * run["answered"] / max(run["asked"], 1)
    return [what, f"{run['asked'] / run['seconds']:,.0f}", f"{run['qps']:,.0f}", f"{part:.1f}", f"{run['p50_us'] / 1000:.1f}",
            f"{run['p99_us'] / 1000:.1f}", f"{run['cpu_us']:.2f}", f"{100 * run['busy']:.0f}", f"{100 * run['generator_busy']:.0f}",
            wanted]


def _middle(runs: list[dict]) -> dict:
    """The run with the median of answers."""
    return sorted(runs, key=lambda run: run["qps"])[len(runs) // 2]


def overload(arguments: argparse.Namespace) -> dict:
    out = [["load", "asked/s", "answered/s", "% answered", "p50 ms", "p99 ms", "CPU µs/answer", "% of a CPU: vigie",
            "generator", "what it is to show"]]
    many = ["-c", "2048", "-q", "64", "-l", str(PATIENCE_MS), "-b", "2:64"]
    peaks, more = {Vigie: [], Limit: []}, {Vigie: [], Limit: []}
    for kind in [Vigie, Limit] * OVERLOADS:
        # Each time another one: once it was under pressure it limits the only client there is for some seconds.
        with serving(arguments, arguments.services, kind=kind) as study:
            questions = study.server.cluster.write_questions("clusterip")
            study.ask(questions)
            peaks[kind].append(peak := study.ask(questions))
            more[kind].append(study.ask(questions, "-g", "-r", str(3 * peak["qps"]), *many))
    limit = statistics.median(_ratios(more[Limit], peaks[Limit], "qps"))
    with serving(arguments, arguments.services) as study:
        questions = study.server.cluster.write_questions("clusterip")
        study.ask(questions)
        peak = study.ask(questions)
        out.append(_row("saturation", _middle(peaks[Vigie]), ""))
        out.append(_row("3 × that", _middle(more[Vigie]), "at least 95 % of the answers, none old"))
        rate = peak["qps"] / 4
        others = ["-c", "20", "-q", "64", "-l", str(PATIENCE_MS), "-b", "100:20", "-r", str(rate)]
        out.append(_row("20 clients, a quarter of it", study.ask(questions, *others), ""))
        # Its share is a twentieth of the saturation: it asks for twenty times as much.
        greedy = study.start(questions, "-g", "-c", "1024", "-q", "64", "-l", str(PATIENCE_MS), "-b", "99:1", "-r",
                             str(peak["qps"]), seconds=GREEDY)
        beside = study.ask(questions, *others, seconds=GREEDY)
        out.append(_row("beside one at 20 × its share", beside, "they are answered"))
        study.end(greedy)
    for misses in MISSES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with serving(arguments, arguments.services, upstream_port=silent.getsockname()[1]) as study:
                questions = study.server.cluster.write_questions("clusterip")
                missing = study.server.cluster.write_questions("uncached")
                waiting = study.start(missing, "-c", "128", "-q", "64", "-b", "200:32", "-r", str(misses))
                hits = study.ask(questions, "-c", "20", "-q", "64", "-b", "100:20", "-r", str(rate))
                out.append(_row(f"cluster names, while {misses:,}/s wait for an upstream that is silent", hits, "they are answered"))
                study.end(waiting)
    return {"lines": out, "ratios": [
        ("answers/s: 3 × saturation ÷ saturation", _ratios(more[Vigie], peaks[Vigie], "qps"), 0.95, False, f"; that of the limit is {limit:.2f}"),
        (f"% of cluster names answered beside {misses:,} misses/s", [100 * hits["answered"] / max(hits["asked"], 1)], 99, False, ""),
        # Those that wait for their answer when it ends are neither.
        ("% answered beside one client at 20 × its share",
         [100 * beside["answered"] / max(beside["answered"] + beside["lost"], 1)], 99, False, "")]}


STUDIES = {"size": size, "workers": workers, "overload": overload}
