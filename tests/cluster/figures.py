"""What the watcher costs, measured on a stub API server. Each figure is a command; --services and --endpoints set the
size. VIGIE_BUILD says which build is measured (default: build-release).

    python tests/cluster/figures.py sync       start to ready; resident memory; the peak of a relist and of a restart
    python tests/cluster/figures.py events     CPU of the watcher for each EndpointSlice event of 100 endpoints
    python tests/cluster/figures.py churn      growth of the resident memory over --events events of churn
    python tests/cluster/figures.py delay      from an event on the wire to its answer on the wire, at --rate events a second
    python tests/cluster/figures.py relists    queries during --relists relists: none sees a name missing
    python tests/cluster/figures.py queries    what events of 100 endpoints at --rate a second do to queries, in --turns of --seconds
    python tests/cluster/figures.py load       resident memory after --seconds of queries and of churn at --rate events a second
    python tests/cluster/figures.py sizes      one headless service of --endpoints, --services in a namespace, --namespaces
    python tests/cluster/figures.py snapshot   resident memory with a snapshot file instead of a server
"""
import argparse
import contextlib
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("VIGIE_BUILD", "build-release")  # before vigie_process is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functional"))

import dns.flags  # noqa: E402
import dns.message  # noqa: E402

from generate import write_snapshot  # noqa: E402
from cluster_objects import endpoint, endpoint_slice, namespace, service  # noqa: E402
from stub_api_server import PROTO, TOKEN, Stored, StubApiServer  # noqa: E402
from synthetic import SLICE_MAX, Cluster  # noqa: E402
from vigie_process import BUILD, Vigie, addresses, free_port, wait_for  # noqa: E402

KINDS = ("services", "namespaces", "endpointslices")
PATIENCE = 300
SAMPLES = 20  # of `churn`
GROWTH = "growth for 100,000 events of the last half, the table left out, KiB"
LIMITS = {GROWTH: 1}  # `--check`: what a figure may be at most
QUICK = "apiserver_qps 100000\napiserver_burst 100000"  # nothing waits for the bounds on requests


def memory(pid: int) -> tuple[float, float]:
    """Resident MiB now, and the most that there were."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def thread_seconds(pid: int) -> dict[str, float]:
    """CPU seconds of each thread, by its name."""
    times: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        times[name] = times.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return times


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Watched:
    """vigie and what it watches."""

    def __init__(self, folder: Path, source: str, options: argparse.Namespace):
        self.ready, self.metrics = free_port(), free_port()
        self.vigie = Vigie(folder / "vigie", f".:PORT {{\nready 127.0.0.1:{self.ready}\nworkers {options.workers}\n"
                           f"prometheus 127.0.0.1:{self.metrics}\n"
                           f"kubernetes cluster.local in-addr.arpa ip6.arpa {{\nstartup_timeout {PATIENCE}s\n{source}\n"
                           "}\n}\n")

    def __enter__(self) -> "Watched":
        self.began = time.monotonic()
        self.vigie.spawn()
        wait_for(self.is_ready, f"vigie to be ready\n{self.vigie.log()}", PATIENCE)
        self.seconds = time.monotonic() - self.began
        self.pid = self.vigie.process.pid
        return self

    def __exit__(self, *_) -> None:
        self.vigie.stop()

    def is_ready(self) -> bool:
        assert self.vigie.process.poll() is None, self.vigie.log()
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.ready}/ready", timeout=5).status == 200
        return False

    def metric(self, line: str) -> float:
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=20).read().decode()
        return next(float(each.rsplit(" ", 1)[1]) for each in page.splitlines() if each.startswith(line + " "))

    def bytes_of(self, *kinds: str) -> float:
        return sum(self.metric(f'vigie_records_bytes{{zone="cluster.local.",kind="{kind}"}}') for kind in kinds)

    def table_bytes(self) -> float:
        return self.bytes_of("answers", "services", "endpointslices", "addresses")

    def events(self) -> float:
        return self.metric('vigie_kubernetes_objects_total{zone="cluster.local.",kind="endpointslices"}')


@contextlib.contextmanager
def stubbed(options: argparse.Namespace, cluster: Cluster | None, objects: Iterator[dict] = (),
            extra: str = "") -> Iterator[tuple[StubApiServer, Watched]]:
    """vigie has synced with a stub API server that has the cluster, or the objects. `extra`: options for vigie."""
    with tempfile.TemporaryDirectory() as folder:
        server = StubApiServer(Path(folder) / "stub", protobuf=options.protobuf, port=free_port())
        server.fill(cluster.objects() if cluster else objects)
        server.encode_all()  # what a real server would not do for each client either
        with server:
            with Watched(Path(folder), f"{server.corefile_option()}\n{extra}", options) as watched:
                yield server, watched


def make_cluster(options: argparse.Namespace) -> Cluster:
    return Cluster(options.services, options.endpoints, max(1, options.services // 100), seed=options.seed)


def relist(server: StubApiServer) -> None:
    """Has every kind listed anew, and waits until it was."""
    before = {plural: server.count("watch", plural) for plural in KINDS}
    server.compact()
    for plural in KINDS:
        server.watch(plural).error(410)
    for plural in KINDS:
        wait_for(lambda plural=plural: server.count("watch", plural) > before[plural] and server.watch(plural).current,
                 f"{plural} to be listed", PATIENCE)


def sync(options: argparse.Namespace) -> dict[str, float]:
    cluster = make_cluster(options)
    print(f"{len(cluster.services)} services, {cluster.endpoint_count} endpoints")
    with stubbed(options, cluster) as (server, watched):
        figures = {"ready after, s": watched.seconds, "CPU, s": sum(thread_seconds(watched.pid).values())}
        time.sleep(1)
        figures["resident, MiB"], figures["peak of the first list, MiB"] = memory(watched.pid)
        forget_peak(watched.pid)
        relist(server)
        time.sleep(1)
        figures["peak of a relist, MiB"] = memory(watched.pid)[1]
        forget_peak(watched.pid)
        server.stop()
        time.sleep(1)
        server.compact()
        server.start()
        for plural in KINDS:
            wait_for(lambda plural=plural: server.watch(plural, PATIENCE).current, f"{plural} to be watched", PATIENCE)
        time.sleep(1)
        figures["peak of a restart, MiB"] = memory(watched.pid)[1]
        figures["resident at the end, MiB"] = memory(watched.pid)[0]
        figures["bytes of the table for each endpoint, its share of the service included"] = \
            watched.table_bytes() / cluster.endpoint_count
    return figures


def snapshot(options: argparse.Namespace) -> dict[str, float]:
    cluster = make_cluster(options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.json"
        write_snapshot(path, cluster.objects())
        with Watched(Path(folder), f"snapshot {path}", options) as watched:
            time.sleep(1)
            return {"ready after, s": watched.seconds, "resident, MiB": memory(watched.pid)[0]}


def full_slices(options: argparse.Namespace) -> Cluster:
    """A hundred services with one slice of 100 endpoints each."""
    cluster = Cluster(100, 0, 10, dual=0, seed=options.seed)
    for one in cluster.services:
        cluster.scale(one, SLICE_MAX)
    return cluster


def slice_changes(cluster: Cluster, count: int) -> list[dict]:
    """Slices of each of which one endpoint changes."""
    things = []
    for number in range(count):
        one = cluster.services[number % len(cluster.services)]
        index = cluster.random.randrange(SLICE_MAX)
        one.slices[0].endpoints[index] = cluster._endpoint(one, index)
        things.append(cluster.slice_object(one, one.slices[0]))
    return things


def events(options: argparse.Namespace) -> dict[str, float]:
    cluster = full_slices(options)
    with stubbed(options, cluster) as (server, watched):
        things = slice_changes(cluster, options.events)
        size = len(Stored(things[0]).encoded(options.protobuf))
        prepared = server.prepare("endpointslices", things)
        time.sleep(1)
        before, known = thread_seconds(watched.pid), watched.events()
        began = time.monotonic()
        server.release("endpointslices", prepared, options.rate)
        wait_for(lambda: watched.events() >= known + options.events, "all events", PATIENCE)
        seconds = time.monotonic() - began
        after = thread_seconds(watched.pid)
        return {"events a second": options.events / seconds, "bytes an event": size,
                "CPU of the watcher for an event, us": (after["watcher"] - before["watcher"]) / options.events * 1e6,
                "CPU of all threads for an event, us":
                    (sum(after.values()) - sum(before.values())) / options.events * 1e6}


def slope(points: list[tuple[float, float]]) -> float:
    """By least squares."""
    mean_x, mean_y = (sum(point[i] for point in points) / len(points) for i in (0, 1))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def churn(options: argparse.Namespace) -> dict[str, float]:
    """Twenty times on the way the cluster is led back to what it was at first, so that what is compared is one and the same
    state. Its table is a few KiB larger or smaller each time, by when its slots were built anew: that is taken away from
    the resident memory. The slope is of the least squares; the first half fills the allocator's free lists."""
    cluster = make_cluster(options)
    resident: list[tuple[float, float]] = []  # after how many events, KiB
    beside: list[tuple[float, float]] = []  # without the table
    count = 0
    with stubbed(options, cluster) as (server, watched):

        def send(events: Iterator[tuple[str, dict]]) -> None:
            nonlocal count
            for event in events:
                server.apply(event)
                count += 1
                if count % 200 == 0:  # no faster than it is taken
                    wait_for(lambda: server.lag() < 1000, "the events")

        def sample() -> None:
            send(cluster.settle())
            wait_for(lambda: server.lag() == 0, "the events")
            time.sleep(1)  # the last are on their way
            wait_for(lambda: watched.bytes_of("retired") == 0, "what was retired to be freed")
            now, table = memory(watched.pid)[0] * 1024, watched.table_bytes() / 1024
            resident.append((count, now))
            beside.append((count, now - table))
            if options.verbose:
                print(f"# {count} events: {now:.0f} KiB resident, {table:.0f} KiB of it the table", flush=True)

        sample()
        while count < options.events:
            send(itertools.islice(cluster.churn(), max(1, options.events // SAMPLES)))
            sample()
    half = len(resident) // 2
    return {"events": count, "resident at first, MiB": resident[0][1] / 1024,
            "resident at the middle, MiB": resident[half][1] / 1024, "resident at the end, MiB": resident[-1][1] / 1024,
            "growth for 100,000 events of the first half, KiB": slope(resident[:half]) * 100_000,
            "growth for 100,000 events of the last half, KiB": slope(resident[half:]) * 100_000,
            GROWTH: slope(beside[half:]) * 100_000}


def delay(options: argparse.Namespace) -> dict[str, float]:
    """A client asks again and again for one service while the server changes it, and others at the set rate."""
    cluster = make_cluster(options)
    delays: list[float] = []
    with stubbed(options, cluster) as (server, watched):
        ending = threading.Event()

        def others() -> None:
            due = time.monotonic()
            for event in cluster.churn():
                if ending.is_set():
                    return
                server.apply(event)
                due += 1 / (options.rate or 1000)
                time.sleep(max(0.0, due - time.monotonic()))

        thread = threading.Thread(target=others)
        thread.start()
        try:
            wire = dns.message.make_query("delayed.team-0000.svc.cluster.local", "A").to_wire()
            thing = cluster.service_object(cluster.services[0])
            thing["metadata"]["name"] = "delayed"
            with watched.vigie.udp_socket() as client:
                for number in range(options.changes):
                    address = bytes([10, 99, number >> 8, number & 255])
                    thing["spec"]["clusterIP"] = socket.inet_ntoa(address)
                    thing["spec"]["clusterIPs"] = [socket.inet_ntoa(address)]
                    server.put(thing)
                    sent = time.monotonic()
                    while client.send(wire) and not client.recv(512).endswith(address):
                        pass
                    delays.append(time.monotonic() - sent)
                    time.sleep(0.005)
        finally:
            ending.set()
            thread.join()
    return {"p50, ms": percentile(delays, 0.5) * 1e3, "p99, ms": percentile(delays, 0.99) * 1e3}


def relists(options: argparse.Namespace) -> dict[str, float]:
    cluster = make_cluster(options)
    names = [dns.message.make_query(f"{service.name}.{service.namespace}.svc.cluster.local", "A").to_wire()
             for service in cluster.services[:50]]
    asked, wrong = 0, 0
    with stubbed(options, cluster, extra=QUICK) as (server, watched):
        ending = threading.Event()

        def all_relists() -> None:
            try:
                for _ in range(options.relists):
                    relist(server)
            finally:
                ending.set()

        with ThreadPoolExecutor(1) as pool, watched.vigie.udp_socket() as client:
            relisting = pool.submit(all_relists)
            while not ending.is_set():
                for wire in names:
                    client.send(wire)
                    answer = client.recv(65535)
                    asked += 1
                    wrong += answer[3] & 15 != 0 or answer[6:8] == b"\0\0"
            relisting.result()
    return {"relists": options.relists, "queries": asked, "wrong or missing": wrong}


def write_questions(cluster: Cluster, path: Path) -> None:
    """For the generator of tests/bench: all answers are one address, if the service is not headless."""
    path.write_text("".join(f"{one.name}.{one.namespace}.svc.cluster.local 1 0 -1\n" for one in cluster.services))


def start_generator(watched: Watched, questions: Path, options: argparse.Namespace, *more: str,
                    before: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen([*before, BUILD / "tests/bench/generator", "-p", str(watched.vigie.port), "-s",
                             str(options.seconds), "-r", str(options.queries), *more, questions],
                            stdout=subprocess.PIPE, text=True)


def end_generator(process: subprocess.Popen) -> dict:
    text = process.communicate(timeout=PATIENCE + 3600)[0]
    assert process.returncode == 0, "the generator failed"
    return json.loads(text)


@contextlib.contextmanager
def idle_reader(server: StubApiServer) -> Iterator[None]:
    """A client that reads the watch of slices and does nothing with it."""
    kind = f"{PROTO};stream=watch" if server.protobuf else "application/json"
    url = (f"https://127.0.0.1:{server.port}/apis/discovery.k8s.io/v1/endpointslices"
           f"?watch=1&resourceVersion={server.version}")
    process = subprocess.Popen(["curl", "--silent", "--no-buffer", "--cacert", server.certificate, "--output", "/dev/null",
                                "--header", f"Authorization: Bearer {TOKEN}", "--header", f"Accept: {kind}", url])
    try:
        server.watch("endpointslices")
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def awake(cpus: list[int]) -> Iterator[None]:
    """No CPU sleeps: waking one of a virtual machine takes several times as long as a query, and is noise."""
    idlers = [subprocess.Popen(["taskset", "-c", str(cpu), "chrt", "--idle", "0", sys.executable, "-c", "while True: pass"])
              for cpu in cpus]
    try:
        yield
    finally:
        for idler in idlers:
            idler.kill()
            idler.wait()


@contextlib.contextmanager
def two_cpus(vigie: int) -> Iterator[tuple[str, ...]]:
    """vigie has one CPU for all its threads, as with a limit of one, and all else shares the other. Gives what a client is to
    be started with: it has its CPU as soon as it wants it, whatever the stub does there."""
    before = os.sched_getaffinity(0)
    cpus = sorted(before)[:2]
    for thread in Path(f"/proc/{vigie}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cpus[-1]})
    os.sched_setaffinity(0, {cpus[0]})
    try:
        with awake(cpus):
            yield ("chrt", "--fifo", "1") if os.geteuid() == 0 else ()
    finally:
        os.sched_setaffinity(0, before)


def spread(values: list[float]) -> tuple[float, float, float]:
    """The median, and between what the middle half of them lies."""
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, low, high


def queries(options: argparse.Namespace) -> dict[str, float]:
    """Many pairs of short spells, of the same queries to the same process. In one of the two the events go to vigie, which is
    asked, in the other to a client that only reads them: sending them costs the machine more than what vigie does with
    them. Which comes first changes from pair to pair. What is told is the medians, and of the ratio of each pair the
    median and the quartiles."""
    rate = options.rate or 1000
    options.workers = 1  # for the one CPU
    cluster = full_slices(options)
    pairs: list[dict[bool, dict]] = []
    with stubbed(options, cluster) as (server, watched), tempfile.TemporaryDirectory() as folder:
        write_questions(cluster, Path(folder) / "questions")
        # No two in a row of one slice are the same, the last and the first neither: each spell may have them again.
        prepared = server.prepare("endpointslices", slice_changes(cluster, int(rate * options.seconds)))
        with (StubApiServer(Path(folder) / "other", protobuf=options.protobuf) as other, idle_reader(other),
              two_cpus(watched.pid) as client):
            known, cpu = watched.events(), thread_seconds(watched.pid)["watcher"]
            for number in range(options.turns):
                pairs.append({})
                for events in ((False, True), (True, False))[number % 2]:
                    # -w: it sleeps until a query is due, and leaves the CPU to the stub
                    generator = start_generator(watched, Path(folder) / "questions", options, "-w", "1000", before=client)
                    (server if events else other).release("endpointslices", prepared, rate)
                    pairs[-1][events] = end_generator(generator)
                    wait_for(lambda: max(server.lag(), other.lag()) == 0, "the events")
            wait_for(lambda: watched.events() >= known + options.turns * len(prepared), "all events")
            cpu = thread_seconds(watched.pid)["watcher"] - cpu
    figures = {}
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        without, beside = (statistics.median(pair[each][key] for pair in pairs) for each in (False, True))
        ratios = spread([(pair[True][key] / pair[False][key] - 1) * 100 for pair in pairs])
        figures |= {f"{name} without events, us": without, f"{name} beside {rate:g} events a second, us": beside,
                    f"{name} moves by, %": (beside / without - 1) * 100,
                    f"{name} moves by, % (median of the pairs)": ratios[0],
                    f"{name} moves by, % (lower quartile of the pairs)": ratios[1],
                    f"{name} moves by, % (upper quartile of the pairs)": ratios[2]}
    figures["pairs"] = len(pairs)
    figures["events a second"] = len(prepared) / statistics.mean(pair[True]["seconds"] for pair in pairs)
    figures["CPU of the watcher for an event, us"] = cpu / options.turns / len(prepared) * 1e6
    figures["lost"] = sum(one["lost"] for pair in pairs for one in pair.values())
    return figures


def load(options: argparse.Namespace) -> dict[str, float]:
    cluster = make_cluster(options)
    with stubbed(options, cluster) as (server, watched), tempfile.TemporaryDirectory() as folder:
        write_questions(cluster, Path(folder) / "questions")
        time.sleep(1)
        figures = {"resident, synced, MiB": memory(watched.pid)[0]}
        generator = start_generator(watched, Path(folder) / "questions", options, "-w", "1000")
        due = time.monotonic()
        count = 0
        for event in cluster.churn():
            if generator.poll() is not None:
                break
            server.apply(event)
            count += 1
            due += 1 / (options.rate or 1000)
            time.sleep(max(0.0, due - time.monotonic()))
        asked = end_generator(generator)
        wait_for(lambda: server.lag() == 0, "the events")
        now, peak = memory(watched.pid)
        return figures | {"events": count, "queries answered": asked["answered"], "queries lost": asked["lost"],
                          "resident after it, MiB": now, "most of it, MiB": peak}


def large_objects(options: argparse.Namespace) -> Iterator[dict]:
    """What `sizes` asks about."""
    for number in range(options.namespaces):
        yield namespace(f"space-{number:05}")
    yield namespace("default")
    for number in range(options.services):
        yield service(f"service-{number:05}", f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")
    for number in range(options.namespaces):
        yield service("web", f"10.{112 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
                      namespace=f"space-{number:05}")
    yield service("huge")
    points = [endpoint(f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", f"pod-{number}")
              for number in range(options.endpoints)]
    for first in range(0, len(points), SLICE_MAX):
        yield endpoint_slice("huge", points[first:first + SLICE_MAX], suffix=f"{first // SLICE_MAX}")


def sizes(options: argparse.Namespace) -> dict[str, float]:
    """Larger than any cluster that is kind. Every answer is checked."""
    with stubbed(options, None, large_objects(options)) as (server, watched):
        figures = {"ready after, s": watched.seconds, "CPU, s": sum(thread_seconds(watched.pid).values())}
        vigie = watched.vigie

        def ask(name: str, kind: str = "A", tcp: bool = False):
            answer = vigie.ask(name if name.endswith("arpa") else f"{name}.svc.cluster.local", kind, tcp=tcp)
            assert answer.rcode() == 0, answer
            return answer

        small = ask("huge.default")
        assert small.flags & dns.flags.TC or options.endpoints < 30
        whole = addresses(ask("huge.default", tcp=True))
        assert len(set(whole)) == len(whole) and all(one.startswith("10.1") for one in whole)
        assert len(whole) == min(options.endpoints, len(whole)) > min(options.endpoints, 4000) - 1
        last = options.endpoints - 1
        address = f"10.{128 + (last >> 16)}.{last >> 8 & 255}.{last & 255}"
        assert addresses(ask(f"pod-{last}.huge.default")) == [address]
        pointer = ask(f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa", "PTR").answer[0][0]
        assert str(pointer) == f"pod-{last}.huge.default.svc.cluster.local."
        assert ask("_http._tcp.huge.default", "SRV", tcp=True).answer
        for number in range(0, options.services, max(1, options.services // 100)):
            assert addresses(ask(f"service-{number:05}.default")) == [
                f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"]
        for number in range(0, options.namespaces, max(1, options.namespaces // 100)):
            assert addresses(ask(f"web.space-{number:05}")) == [
                f"10.{112 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"]
        wire = dns.message.make_query("huge.default.svc.cluster.local", "A").to_wire()
        times: list[float] = []
        with vigie.udp_socket() as client:
            for _ in range(1000):
                began = time.monotonic()
                client.send(wire)
                client.recv(65535)
                times.append(time.monotonic() - began)
        before = thread_seconds(watched.pid)["watcher"]
        began = time.monotonic()
        server.put(endpoint_slice("huge", [endpoint("10.255.0.1", "late")], suffix="late"))
        wait_for(lambda: vigie.ask("late.huge.default.svc.cluster.local").answer, "the change")
        return figures | {"addresses in an answer over TCP": len(whole),
                          "the large service by UDP, p99, ms": percentile(times, 0.99) * 1e3,
                          "a change of the large service is seen after, ms": (time.monotonic() - began) * 1e3,
                          "CPU of the watcher for it, ms": (thread_seconds(watched.pid)["watcher"] - before) * 1e3,
                          "resident, MiB": memory(watched.pid)[0], "most of it, MiB": memory(watched.pid)[1]}


FIGURES = {"sync": sync, "snapshot": snapshot, "events": events, "churn": churn, "delay": delay, "relists": relists,
           "queries": queries, "load": load, "sizes": sizes}


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("figure", choices=FIGURES)
    result.add_argument("--services", type=int, default=10_000)
    result.add_argument("--endpoints", type=int, default=150_000)
    result.add_argument("--events", type=int, default=5000)
    result.add_argument("--rate", type=float, default=100, help="events a second; 0: as fast as they are taken")
    result.add_argument("--changes", type=int, default=1000)
    result.add_argument("--relists", type=int, default=1000)
    result.add_argument("--namespaces", type=int, default=20_000, help="of `sizes`")
    result.add_argument("--turns", type=int, default=20, help="of `queries`, with and without events")
    result.add_argument("--seconds", type=float, default=1, help="of a turn of `queries`, and of `load`")
    result.add_argument("--queries", type=float, default=5000, help="queries a second, of `queries` and `load`")
    result.add_argument("--workers", type=int, default=2)
    result.add_argument("--json", dest="protobuf", action="store_false", help="the server has no protobuf")
    result.add_argument("--seed", type=int, default=1)
    result.add_argument("--verbose", action="store_true", help="each sample of `churn`")
    result.add_argument("--check", action="store_true", help="fails when a figure misses its target (of `churn`)")
    return result


if __name__ == "__main__":
    arguments = parser().parse_args()
    got = FIGURES[arguments.figure](arguments)
    for name, value in got.items():
        print(f"{name}: {value:,.2f}")
    if arguments.check and any(value > LIMITS.get(name, value) for name, value in got.items()):
        sys.exit("missed")
