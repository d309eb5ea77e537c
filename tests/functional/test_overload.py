"""More queries than can be answered. The socket is filled while vigie is stopped, so that nothing depends on how fast the
machine is."""
import re
import signal
import socket
import time
from pathlib import Path

import dns.message
import pytest

from vigie_process import free_port, wait_for

COREFILE = """.:PORT {
    BIND
    workers 1
    prometheus 127.0.0.1:METRICS
    kubernetes cluster.local {
        snapshot SNAPSHOT
    }
}
"""
FLOOD = 600       # more than the 512 that are read at once
AGE = 0.25        # seconds; VIGIE_UDP_AGE_MAX_MS
NAME = "web.default.svc.cluster.local"


@pytest.fixture(params=["bind 127.0.0.1", ""], ids=["one-address", "all-addresses"])
def vigie(request, start, snapshot):
    metrics = free_port()
    vigie = start(COREFILE.replace("SNAPSHOT", str(snapshot)).replace("BIND", request.param)
                  .replace("METRICS", str(metrics)))
    vigie.metrics = metrics
    return vigie


def shed(vigie, reason: str) -> int:
    with socket.create_connection(("127.0.0.1", vigie.metrics)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    return int(float(re.search(rf'vigie_udp_queries_shed_total{{reason="{reason}"}} (\S+)', text)[1]))


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

    def received(self, expected: int) -> int:
        """Answers so far: as many as expected, or fewer when one second brings no more."""
        self.socket.settimeout(1)
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


def flood(vigie, *sends: tuple[Client, int], wait: float = 0) -> None:
    """What the clients send while vigie stands still."""
    vigie.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: stands_still(vigie.process.pid), "vigie to stand still")
    for client, count in sends:
        client.send(count)
    time.sleep(wait)
    vigie.process.send_signal(signal.SIGCONT)


def test_old_queries_are_dropped_once_the_socket_overflowed(vigie):
    client = Client(vigie, "127.0.0.2")
    flood(vigie, (client, 100), wait=2 * AGE)
    assert client.received(100) == 100, "a socket that never overflowed has no old queries"
    flood(vigie, (client, FLOOD))
    assert client.received(FLOOD) == FLOOD

    def all_dropped() -> bool:
        before = shed(vigie, "stale")
        flood(vigie, (client, 100), wait=2 * AGE)
        answered = client.received(100)
        assert shed(vigie, "stale") - before == 100 - answered
        return answered == 0

    wait_for(all_dropped, "the kernel to say of all queries when they came")  # it begins a little later
    client.send(10)
    assert client.received(10) == 10, "fresh queries are answered all the time"


def test_a_greedy_client_is_limited_and_others_are_not(vigie):
    """Nine clients: a ninth of what can be answered, twice, is far less than the greedy one asks for."""
    greedy, modest = Client(vigie, "127.0.0.2"), [Client(vigie, f"127.0.0.{last}") for last in range(3, 11)]
    answered: list[int] = []

    def limited() -> bool:
        flood(vigie, (greedy, 2 * FLOOD), *((client, 10) for client in modest))
        answered.extend(client.received(10) for client in modest)
        return shed(vigie, "unfair") > 0

    wait_for(limited, "the greedy client to lose queries", patience=60)
    assert set(answered) == {10}
