#!/usr/bin/env python3
"""Measures by real packets what clients notice when upstreams fail or somebody attacks, and prints each figure beside
its target.

    .venv/bin/python tests/bench/faults.py                       all figures, small: half a minute
    .venv/bin/python tests/bench/faults.py leaks --queries 1000000
    .venv/bin/python tests/bench/faults.py forged --queries 10000000       (forged datagrams)
    .venv/bin/python tests/bench/faults.py one-stops --queries 1000000

The figures that are about time are for a machine that does nothing else, and for a release build: --build build-bench.
The exit status is 1 when a figure misses its target; with --untimed those about time do not count, which a busy machine
spoils. Where there are two CPUs the server has one of them, and one worker. Clients are tests/bench/generator.c, upstreams tests/bench/upstream.c."""
import argparse
import json
import os
import random
import re
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/functional"))

RTT_MS = 20
PATIENCE_MS = 50  # beyond the round trip
STALL_SECONDS = 0.01
BESIDE = ["taskset", "-c", f"1-{os.cpu_count() - 1}"] if os.cpu_count() > 1 else []
STALE = [" cache {", "  success 9984 3600 0", "  serve_stale 24h verify 1800ms 30s", " }"]


@dataclass
class Figure:
    what: str
    value: float
    most: float | None = None
    least: float | None = None
    timed: bool = False  # a busy machine spoils it

    def good(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def __str__(self) -> str:
        target = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}" if self.least is not None else ""
        verdict = "" if not target else f"  ({target}: {'yes' if self.good() else 'NO'})"
        return f"  {self.what}: {self.value:.10g}{verdict}"


class Upstream:
    """tests/bench/upstream.c"""

    def __init__(self, build: Path, *options: str):
        from vigie_process import free_port
        self.port = free_port()
        self.process = subprocess.Popen([*BESIDE, build / "tests/bench/upstream", *options, str(self.port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text = f"127.0.0.1:{self.port}"
        self.process.stdout.readline()

    def say(self, word: str = "count") -> dict:
        """"silent", "speak", or no command at all; the counts."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.build, self.folder, self.queries = arguments.build, folder, arguments.queries
        self.seconds, self.load = arguments.seconds, arguments.load
        self.number = 0

    def path(self, name: str) -> Path:
        self.number += 1
        return self.folder / f"{self.number}-{name}"

    def vigie(self, *lines: str):
        """A server with a page of metrics; lines of its one server block, or whole blocks."""
        from vigie_process import Vigie, free_port
        http = free_port()
        blocks = "\n".join(lines) if lines[0].startswith(".") else ".:PORT {\n" + "\n".join(lines) + "\n}"
        own = f" bind 127.0.0.1\n prometheus 127.0.0.1:{http}\n workers {1 if BESIDE else 2}"
        blocks = re.sub(r"^(\S+:PORT) {", rf"\1 {{\n{own}", blocks, flags=re.MULTILINE)
        vigie = Vigie(self.path("vigie"), blocks + "\n")
        vigie.http = http
        return vigie

    def questions(self, lines: list[str]) -> Path:
        path = self.path("questions")
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def start(self, vigie, questions: Path, *options: str) -> subprocess.Popen:
        keep_apart(vigie)
        return subprocess.Popen([*BESIDE, self.build / "tests/bench/generator", "-p", str(vigie.port), "-b", "2:50",
                                 "-w", str(RTT_MS + PATIENCE_MS), *options, questions], stdout=subprocess.PIPE, text=True)

    def ask(self, vigie, questions: Path, *options: str) -> dict:
        return result_of(self.start(vigie, questions, *options))


def keep_apart(vigie) -> None:
    """The server has a CPU of its own, where there are two; the clients and upstreams share what is left."""
    for thread in Path(f"/proc/{vigie.process.pid}/task").iterdir():
        if BESIDE:
            os.sched_setaffinity(int(thread.name), {0})


def result_of(generator: subprocess.Popen) -> dict:
    out, _ = generator.communicate(timeout=3600)
    assert generator.returncode == 0, out
    run = json.loads(out)
    run["failed"] = run["asked"] - run["answered"] + run["wrong"]
    return run


def metric(vigie, name: str, *labels: str) -> float:
    """The sum of its samples that have these labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{vigie.http}/metrics", timeout=20) as page:
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page.read().decode(), re.MULTILINE)
    return sum(float(value) for shown, value in found if all(label in shown for label in labels))


def stalls(vigie) -> Figure:
    """Turns of a worker's loop that took longer than they may."""
    long = metric(vigie, "vigie_loop_stall_seconds_count") - metric(vigie, "vigie_loop_stall_seconds_bucket", f'le="{STALL_SECONDS:g}"')
    return Figure(f"turns of a loop of more than {STALL_SECONDS * 1000:g} ms", long, most=0, timed=True)


def machine_gaps(seconds: float = 1) -> list[Figure]:
    """What the machine does to a loop that does nothing, on the server's CPU and while that has nothing to do."""
    spin = ("import os, sys, time; os.sched_setaffinity(0, {0}); end = time.perf_counter() + float(sys.argv[1]); last = time.perf_counter(); gaps = []\n"
            "while last < end: now = time.perf_counter(); gap = now - last; last = now; gap > 0.001 and gaps.append(gap)\n"
            "print(sum(gap > float(sys.argv[2]) for gap in gaps), 1000 * max(gaps, default=0))")
    out = subprocess.run([sys.executable, "-c", spin, str(seconds), str(STALL_SECONDS)], capture_output=True, text=True, check=True).stdout.split()
    return [Figure(f"for comparison: gaps of more than {STALL_SECONDS * 1000:g} ms of an empty loop on the server's CPU, in {seconds:g} s", float(out[0])),
            Figure("for comparison: the longest of its gaps, ms", float(out[1]))]


def leaks(bench: Bench) -> list[Figure]:
    """Names of the cluster, its reverse range and a stub domain that reach the default upstreams, while those fail in
    turns, one of them truncates, and the stub's own is dead."""
    from cluster_objects import CLUSTER, write_snapshot
    queries = bench.queries or 20000
    held = ["cluster.local", "96.10.in-addr.arpa", "corp.example"]
    forbidden = [option for name in held for option in ("-x", name)]
    with Upstream(bench.build, "-d", "2", *forbidden) as first, Upstream(bench.build, "-t", *forbidden) as second, \
            Upstream(bench.build) as stub, \
            bench.vigie(f".:PORT {{\n cache\n kubernetes cluster.local 10.96.0.0/16 {{\n  snapshot {write_snapshot(bench.path('cluster'), CLUSTER)}\n"
                        f"  fallthrough\n }}\n forward . {first.text} {second.text}\n}}\n"
                        f"corp.example:PORT {{\n cache\n forward . {stub.text}\n}}") as vigie:
        stub.say("silent")
        generator = bench.start(vigie, bench.questions(random_names(min(queries, 200000), held)), "-n", str(queries), "-r", str(bench.load),
                                "-c", "512", "-q", "64")
        fault = 0
        while generator.poll() is None:
            time.sleep(0.7)
            first.say("silent" if fault % 4 == 1 else "speak")
            second.say("silent" if fault % 4 in (1, 2) else "speak")
            fault += 1
        run = result_of(generator)
        counts = [first.say(), second.say()]
        return [Figure("queries", run["asked"]), Figure("without any answer", run["lost"]),
                *[Figure(f"of them dropped by vigie: {reason}", metric(vigie, "vigie_udp_queries_shed_total", f'reason="{reason}"'))
                  for reason in ("stale", "unfair")],
                Figure("packets to the default upstreams", sum(each["udp"] + each["tcp"] for each in counts), least=queries / 20),
                Figure("packets to the stub domain's", stub.say()["udp"], least=1),
                Figure("of a name that is not theirs, at the default upstreams", sum(each["forbidden"] for each in counts), most=0)]


def random_names(count: int, held: list[str]) -> list[str]:
    """Two thirds in the zones that are held, the rest around them; half of them different each time they are asked."""
    dice = random.Random(8020)
    suffixes = [*held, "svc.cluster.local", "default.svc.cluster.local", "pod.cluster.local", "0.96.10.in-addr.arpa", "web.corp.example",
                "example.com", "local", "notcluster.local", "cluster.local.example", "97.10.in-addr.arpa", "example", "cluster\\046local"]
    letters = string.ascii_lowercase + string.digits + "-_"
    lines = []
    for number in range(count):
        labels = ["".join(dice.choices(letters, k=dice.randint(1, 12))) for _ in range(dice.randint(0, 4))]
        if dice.random() < 0.1:
            labels.append(dice.choice(("\\000", "a\\046b", "\\255\\001", "*", "\\092")))
        if dice.random() < 0.5:
            labels.insert(0, "????????")
        name = "".join(dice.choice((letter, letter.upper())) for letter in ".".join([*labels, dice.choice(suffixes)]))
        lines.append(f"{name} {dice.choice((1, 28, 12, 33, 16, 255, 65, 6))} -1 -1")
    return lines


def forged(bench: Bench) -> list[Figure]:
    """For each question as many forged answers to its port as to others, before the genuine one."""
    datagrams = bench.queries or 200000
    each = 50
    questions = max(datagrams // (2 * each), 1)
    with Upstream(bench.build, "-d", "10", "-f", str(each), "-o", str(each)) as upstream, bench.vigie(f" forward . {upstream.text}") as vigie:
        run = bench.ask(vigie, bench.questions(["????????.under-attack.example.com 1 0 1"]), "-n", str(questions), "-c", "32", "-q", "1")
        arrived = metric(vigie, "vigie_forward_spurious_replies_total")
        return [Figure("forged datagrams", upstream.say()["forged"], least=datagrams * 0.9),
                Figure("of them arrived while they could be taken", arrived, least=datagrams / 20),
                Figure("taken, or another wrong answer", run["wrong"], most=0),
                Figure("questions", run["asked"]), Figure("without the genuine answer", run["failed"], most=0), stalls(vigie)]


def one_stops(bench: Bench) -> list[Figure]:
    """One of two upstreams stops under load."""
    queries = bench.queries or 3 * bench.load
    with Upstream(bench.build, "-d", str(RTT_MS)) as first, Upstream(bench.build, "-d", str(RTT_MS)) as second, \
            bench.vigie(" cache", f" forward . {first.text} {second.text}") as vigie:
        questions = bench.questions(["????????.example.com 1 0 1"])
        bench.ask(vigie, questions, "-s", "0.5", "-r", "1000")
        calm = bench.ask(vigie, questions, "-s", "3", "-r", str(bench.load), "-c", "512", "-q", "64")
        generator = bench.start(vigie, questions, "-s", str(queries / bench.load), "-r", str(bench.load), "-c", "512", "-q", "64")
        time.sleep(queries / bench.load / 3)
        before = first.say("silent")
        run = result_of(generator)
        after = first.say()
        return [Figure("queries", run["asked"]), Figure("failed", run["failed"], most=0),
                Figure(f"answered later than {PATIENCE_MS} ms beyond the round trip", run["slow"], most=3, timed=True),
                Figure("longest, ms", run["longest_us"] / 1000), Figure("packets to the one that stopped", after["udp"] + after["tcp"] - before["udp"] - before["tcp"]),
                Figure("longest gap of the generator itself, ms", run["longest_gap_us"] / 1000),
                Figure("for comparison: later in 3 s before, while both answer", calm["slow"]),
                Figure("for comparison: the longest then, ms", calm["longest_us"] / 1000),
                stalls(vigie), *machine_gaps()]


def both_dead(bench: Bench) -> list[Figure]:
    """Both upstreams stop, for names seen before; then they are back."""
    seconds = bench.seconds or 5
    names = [f"n{number}.example.com 1 0 1" for number in range(1000)]
    with Upstream(bench.build, "-d", "1", "-l", "1") as first, Upstream(bench.build, "-d", "1", "-l", "1") as second, \
            bench.vigie(*STALE, f" forward . {first.text} {second.text}") as vigie:
        questions = bench.questions(names)
        seen = bench.ask(vigie, questions, "-n", str(len(names)), "-r", "1000")
        time.sleep(1.2)
        first.say("silent"), second.say("silent")
        opening = bench.ask(vigie, questions, "-s", "4", "-r", str(min(bench.load, 1000)), "-c", "512", "-q", "64")
        before, dead_since = [first.say(), second.say()], time.monotonic()
        dead = bench.ask(vigie, questions, "-s", str(seconds), "-r", str(bench.load))
        after, seconds = [first.say(), second.say()], time.monotonic() - dead_since
        packets = [later["udp"] + later["tcp"] - earlier["udp"] - earlier["tcp"] for earlier, later in zip(before, after)]
        first.say("speak"), second.say("speak")
        began = time.monotonic()
        while vigie.ask("n7.example.com.", size=1232).options:  # the extended error of what is stale
            time.sleep(0.005)
        healed = time.monotonic() - began
        return [Figure("names seen before", seen["answered"] - seen["wrong"], least=len(names)),
                Figure("failed while the breakers opened", opening["failed"], most=0), Figure("longest then, ms", opening["longest_us"] / 1000),
                Figure("queries once they were open", dead["asked"]), Figure("failed", dead["failed"], most=0),
                Figure("p99, ms", dead["p99_us"] / 1000, most=1, timed=True),
                Figure("packets a second to one upstream", max(packets) / seconds, most=1 + 1 / seconds),
                Figure("first fresh answer after they are back, s", healed, most=1, timed=True), stalls(vigie)]


def truncated(bench: Bench) -> list[Figure]:
    """TC on every reply by UDP."""
    queries = bench.queries or 3 * bench.load
    with Upstream(bench.build, "-d", str(RTT_MS), "-t") as upstream, bench.vigie(f" forward . {upstream.text}") as vigie:
        run = bench.ask(vigie, bench.questions(["????????.example.com 1 0 1"]), "-s", str(queries / bench.load), "-r", str(bench.load), "-c", "512", "-q", "64")
        counts = upstream.say()
        return [Figure("queries", run["asked"]), Figure("failed", run["failed"], most=0),
                Figure("handshakes for 1,000 queries", counts["connections"] * 1000 / run["asked"], most=1 if queries >= 10000 else 5),
                Figure("queries in flight on a connection", counts["deepest"], least=64 if bench.load >= 10000 else 8), stalls(vigie)]


def flood(bench: Bench) -> list[Figure]:
    """Random names, five times what the cache holds, beside a hot set and names of the cluster."""
    from cluster_objects import CLUSTER, write_snapshot
    hot = [f"h{number}.hot.example 1 0 1" for number in range(500)]
    with Upstream(bench.build, "-l", "3600", "-x", "hot.example") as upstream, \
            bench.vigie(" cache {", "  budget 2MiB", " }", " kubernetes cluster.local {",
                        f"  snapshot {write_snapshot(bench.path('cluster'), CLUSTER)}", " }", f" forward . {upstream.text}") as vigie:
        hot_names, cluster = bench.questions(hot), bench.questions(["web.default.svc.cluster.local 1 0 1"])
        for _ in range(3):
            bench.ask(vigie, hot_names, "-n", str(len(hot)), "-r", "2000")
        bench.ask(vigie, bench.questions(["????????.fill.example 1 0 1"]), "-n", "20000", "-c", "16", "-q", "4")
        capacity = metric(vigie, "coredns_cache_entries")
        bench.ask(vigie, hot_names, "-n", str(len(hot)), "-r", "2000")
        calm = bench.ask(vigie, hot_names, "-s", "0.3", "-r", "3000")
        before = upstream.say()["forbidden"]
        attack = bench.start(vigie, bench.questions(["????????.flood.example 1 0 1"]), "-n", str(int(5 * capacity)), "-c", "16", "-q", "4")
        of_hot, of_cluster = [], []
        while attack.poll() is None:
            # So many that a wait of the generator itself for its CPU (the longest is told) is not a hundredth of them.
            for spells, names in ((of_hot, hot_names), (of_cluster, cluster)):
                spell = bench.ask(vigie, names, "-s", "1", "-r", "3000")
                if attack.poll() is None or not spells:
                    spells.append(spell)
        result_of(attack)
        asked = sum(run["asked"] for run in of_hot)
        return [Figure("entries that the cache holds", capacity), Figure("names of the flood", int(5 * capacity)),
                Figure("hit ratio of the hot set beside it, %", 100 - 100 * (upstream.say()["forbidden"] - before) / asked, least=99),
                Figure("failed of the hot set and the cluster", sum(run["failed"] for run in of_hot + of_cluster), most=0),
                Figure("p99 of the hot set, ms", max(run["p99_us"] for run in of_hot) / 1000, most=2, timed=True),
                Figure("p99 of a cluster name, ms", max(run["p99_us"] for run in of_cluster) / 1000, most=2, timed=True),
                Figure("for comparison: p99 of the hot set before it, ms", calm["p99_us"] / 1000),
                Figure("for comparison: longest gap of the generator itself, ms", max(run["longest_gap_us"] for run in of_hot + of_cluster) / 1000),
                stalls(vigie), *machine_gaps()]


FIGURES = {"leaks": leaks, "forged": forged, "one-stops": one_stops, "both-dead": both_dead, "tc": truncated, "flood": flood}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], metavar="FIGURE", help=", ".join(FIGURES) + "; all without any")
    parser.add_argument("--queries", type=int, help="size of leaks, forged, one-stops and tc")
    parser.add_argument("--load", type=int, default=10000, help="queries a second (10000)")
    parser.add_argument("--seconds", type=float, help="for how long the upstreams of both-dead are dead")
    parser.add_argument("--build", type=lambda path: TOP / path, default=TOP / "build", help="where vigie and its bench are built")
    parser.add_argument("--untimed", action="store_true", help="figures about time are printed, but do not count")
    return parser


def main() -> int:
    arguments = parser().parse_args()
    os.environ["VIGIE_BUILD"] = str(arguments.build)
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        for name in arguments.figures or FIGURES:
            print(f"{name}: {' '.join(FIGURES[name].__doc__.split())}", flush=True)
            for figure in FIGURES[name](bench):
                print(figure, flush=True)
                missed += not figure.good() and not (figure.timed and arguments.untimed)
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
