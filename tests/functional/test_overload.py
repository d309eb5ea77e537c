"""More queries than can be answered. Where a full socket is enough it is filled while vigie is stopped, so that nothing
depends on how fast the machine is."""
import itertools
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import dns.message
import pytest

from vigie_process import PATIENCE, free_port, wait_for

COREFILE = """.:PORT {
    BIND
    workers 1
    prometheus 127.0.0.1:METRICS
    kubernetes cluster.local {
        snapshot SNAPSHOT
    }
}
"""
LONG = 3 * PATIENCE
FLOOD = 600       # more than the 512 that are read at once
SEGMENTS = 20     # queries of one message
UDP_SEGMENT = 103 # <linux/udp.h>
HITS = 10         # less than a fifth of what even a slow server answers in a tenth of a second
SERIAL = itertools.count()
AGE = 0.25        # seconds; VIGIE_UDP_AGE_MAX_MS
NAME = "web.default.svc.cluster.local"


@pytest.fixture(params=["bind 127.0.0.1", ""], ids=["one-address", "all-addresses"])
def vigie(request, start, snapshot):
    metrics = free_port()
    vigie = start(COREFILE.replace("SNAPSHOT", str(snapshot)).replace("BIND", request.param)
                  .replace("METRICS", str(metrics)))
    vigie.metrics = metrics
    return vigie


def metric(vigie, sample: str) -> int:
    with socket.create_connection(("127.0.0.1", vigie.metrics)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    return int(float(re.search(rf"^{sample} (\S+)", text, re.MULTILINE)[1]))


def shed(vigie, reason: str) -> int:
    return metric(vigie, f'vigie_udp_queries_shed_total{{reason="{reason}"}}')


class Client:
    """One address that sends at once and counts what comes."""

    def __init__(self, vigie, address: str):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", vigie.port))
        self.query = dns.message.make_query(NAME, "A", use_edns=False).to_wire()

    def send(self, count: int) -> None:
        for _ in range(count):
            self.socket.send(self.query)

    def refused(self) -> int:
        """Of the answers so far those that say that there are too many questions."""
        self.socket.settimeout(1)
        count = 0
        try:
            while True:
                count += b"too many questions under way" in self.socket.recv(512)
        except TimeoutError:
            return count

    def received(self, expected: int, patience: float = PATIENCE) -> int:
        """Answers so far: as many as expected, or fewer when so many seconds bring no more."""
        self.socket.settimeout(patience)
        count = 0
        try:
            while count < expected:
                self.socket.recv(512)
                count += 1
        except TimeoutError:
            pass
        return count


def stands_still(pid: int) -> bool:
    """Whether all its threads are stopped: the signal takes its time."""
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def flood(vigie, *sends: tuple[Client, int], wait: float = 0, then=lambda: None) -> None:
    """What the clients send while vigie stands still."""
    vigie.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: stands_still(vigie.process.pid), "vigie to stand still")
    for client, count in sends:
        client.send(count)
    then()
    time.sleep(wait)
    vigie.process.send_signal(signal.SIGCONT)


def answers_come(vigie, stale: int, *expected: tuple[Client, int]) -> None:
    """All of them, but for queries that were too old when they were read: where a socket has overflowed such are dropped, and
    counted, which a busy machine makes of the freshest. `stale`: those that there were before."""
    missing = dict(expected)

    def come() -> bool:
        for client, count in missing.items():
            missing[client] -= client.received(count, patience=0.05)
        return sum(missing.values()) == shed(vigie, "stale") - stale

    wait_for(come, "each query to be answered, or dropped because it is old")


def test_old_queries_are_dropped_once_the_socket_overflowed(vigie):
    client = Client(vigie, "127.0.0.2")
    flood(vigie, (client, 100), wait=2 * AGE)
    assert client.received(100) == 100, "a socket that never overflowed has no old queries"
    flood(vigie, (client, FLOOD))
    answers_come(vigie, 0, (client, FLOOD))

    def all_dropped() -> bool:
        before = shed(vigie, "stale")
        flood(vigie, (client, 100), wait=2 * AGE)
        answers_come(vigie, before, (client, 100))
        return shed(vigie, "stale") - before == 100

    wait_for(all_dropped, "the kernel to say of all queries when they came")  # it begins a little later
    wait_for(lambda: client.send(10) or client.received(10, patience=1) == 10, "fresh queries to be answered")


@contextmanager
def pouring(client: Client):
    """The client sends without an end, by messages of many queries: more than vigie reads."""
    client.socket.setsockopt(socket.SOL_UDP, UDP_SEGMENT, len(client.query))
    ended = threading.Event()

    def pour() -> None:
        while not ended.is_set():
            client.socket.send(client.query * SEGMENTS)

    thread = threading.Thread(target=pour)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_greedy_client_is_limited_and_others_are_not(vigie):
    """Nine clients: a ninth of what can be answered, twice, is far less than the greedy one asks for."""
    greedy, modest = Client(vigie, "127.0.0.2"), [Client(vigie, f"127.0.0.{last}") for last in range(3, 11)]

    def all_answered() -> bool:
        for client in modest:
            client.send(10)
        return [client.received(10, patience=1) for client in modest] == [10] * len(modest)

    with pouring(greedy):
        wait_for(lambda: [client.send(10) for client in modest] and shed(vigie, "unfair") > 0, "the greedy client to lose queries",
                 patience=LONG)
        wait_for(lambda: shed(vigie, "unread") > 0, "what the kernel drops to be counted")
        wait_for(all_answered, "the others to be answered beside it", patience=LONG)


def test_bursts_are_no_overflow(vigie):
    """Nor is a worker that had to wait for its CPU: nobody's queries are limited for it."""
    clients = [Client(vigie, f"127.0.0.{last}") for last in range(2, 12)]
    for _ in range(5):
        stale, sends = shed(vigie, "stale"), ((clients[0], FLOOD), *((client, 20) for client in clients[1:]))
        flood(vigie, *sends)
        answers_come(vigie, stale, *sends)
        stale = shed(vigie, "stale")
        for client in clients:
            client.send(200)
        answers_come(vigie, stale, *((client, 200) for client in clients))
    assert shed(vigie, "unfair") == 0


def new_names(count: int) -> list[bytes]:
    return [dns.message.make_query(f"{next(SERIAL)}.example.com", "A", use_edns=True).to_wire() for _ in range(count)]


@contextmanager
def with_silent_upstream(start, snapshot, more: str = ""):
    """A vigie, what sends it so many misses from four clients with HITS hits of another one behind them while it stands still,
    and that one's answers and the refusals then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        vigie = start(COREFILE.replace("SNAPSHOT", str(snapshot)).replace("BIND", "bind 127.0.0.1").replace("METRICS", str(metrics := free_port()))
                      .replace("\n}\n", f"\n    forward . 127.0.0.1:{silent.getsockname()[1]} {{\n max_fails 0\n }}\n{more}}}\n"))
        vigie.metrics = metrics
        misses, hits = [Client(vigie, f"127.0.0.{last}") for last in (2, 3, 4, 5)], Client(vigie, "127.0.0.6")

        def send(packets: list[bytes]) -> None:
            for number, packet in enumerate(packets):
                misses[number % len(misses)].socket.send(packet)
            hits.send(HITS)

        def ask(count: int) -> tuple[int, int]:
            wait_for(lambda: metric(vigie, "vigie_forward_inflight") == 0, "exchanges to end", patience=LONG)
            packets = new_names(count)
            flood(vigie, then=lambda: send(packets))
            return hits.received(HITS, patience=PATIENCE / 2), sum(client.refused() for client in misses)

        yield vigie, ask


def test_misses_make_way(start, snapshot):
    """While there are more queries than are read, a part of those that must be asked upstream fail at once, and so keep
    nobody waiting who asks for a name of the cluster."""
    slow = "".join(f"    rewrite name regex (.*)never{number}(.*) {{1}}x{{2}}\n" for number in range(150))
    with with_silent_upstream(start, snapshot, slow) as (vigie, ask):
        def made_way() -> bool:
            """Answering them takes longer than a burst may, on any machine; where it takes so long that hits get too old, those
            are dropped."""
            before = shed(vigie, "stale")
            answered, refused = ask(3900)
            assert refused <= 3900 - 512
            wait_for(lambda: metric(vigie, "vigie_forward_refused_total") >= refused, "what was refused to be counted")
            return answered >= HITS - (shed(vigie, "stale") - before) and refused > 0

        wait_for(made_way, "misses to make way for hits", patience=LONG)


def test_a_burst_of_misses_is_no_matter(start, snapshot):
    with with_silent_upstream(start, snapshot) as (_, ask):
        # Unless the worker has to wait for its CPU meanwhile: then it is behind for long indeed.
        wait_for(lambda: ask(900) == (HITS, 0), "a burst to be answered", patience=LONG)
