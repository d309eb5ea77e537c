"""What happens beside DNS and must not touch it: a log that nobody reads, a full disk, clients of HTTP and of the control
socket that hang. A client asks at a steady rate; many short spells are calm and disturbed by turns, so that both see the same
machine. The server has one worker, and one CPU for all its threads; whoever asks or disturbs has another, since what an
attacker's program costs is not the server's; beside 10,000 clients of HTTP calm spells have as many, at sockets that nobody
serves. A disturbance changes nothing when the median of its spells is not above the upper quartile of the calm ones.
VIGIE_BUILD says which build is measured (default: build-release). For root: the disk is a tmpfs. Its status is 1 when
something changed.

    python tests/functional/disturbances.py              all of them, --spells of --seconds each at --rate queries a second
    python tests/functional/disturbances.py full-disk    one of them
"""
import argparse
import contextlib
import fcntl
import json
import os
import re
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("VIGIE_BUILD", "build-release")  # before vigie_process is imported

from cluster_objects import CLUSTER, write_snapshot  # noqa: E402
from vigie_process import BINARY, BUILD, ENVIRONMENT, PATIENCE, Vigie, free_port, wait_for  # noqa: E402

QUESTIONS = "web.default.svc.cluster.local 1 0 1\nnone.default.svc.cluster.local 1 3 0\n"
DISK = 32 << 20
PIPE = 4096
ROOM = 2048  # bytes that the kernel takes for a client that does not read: less than a page of metrics


LATE = "50"  # ms; with it the generator sleeps between queries, and leaves its CPU to the other clients


def stand_back() -> None:
    """What is measured is the server: threads of this program have their CPU when the generator does not want it."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def share_out_cpus() -> None:
    """The last CPU that is allowed is this program's and the generator's. Server.running() gives another to the server."""
    cpus = sorted(os.sched_getaffinity(0))
    Server.cpus = {cpus[0]}
    os.sched_setaffinity(0, {cpus[-1]})


class Server:
    """A vigie that logs each query, and whose life is looked at. With a kilobyte for each, to a pipe or to a disk of its own,
    unless log lines are not to be lost, however late the thread that writes them gets its CPU: they wait in 256 KiB."""
    cpus = os.sched_getaffinity(0)

    def __init__(self, folder: Path, names_a_line: int = 40):
        self.folder = folder
        self.connections = 10_000  # of those that come by HTTP
        self.http = free_port()
        self.control = folder / "control.sock"
        self.vigie = Vigie(folder, f""".:PORT {{
    bind 127.0.0.1
    workers 1
    control {self.control}
    log . "{'{name} ' * names_a_line}"
    prometheus 127.0.0.1:{self.http}
    health 127.0.0.1:{self.http}
    kubernetes cluster.local {{
        snapshot {write_snapshot(folder / "cluster.json", CLUSTER)}
    }}
}}
""")
        (folder / "questions").write_text(QUESTIONS)

    @contextlib.contextmanager
    def running(self, command: list[str | Path], stdout) -> Iterator["Server"]:
        self.vigie.process = subprocess.Popen(["taskset", "-c", ",".join(map(str, self.cpus)), *command,
                                               *self.vigie.arguments], stdout=stdout, env=ENVIRONMENT,
                                              stderr=(self.folder / "errors").open("wb"))
        try:
            wait_for(self.vigie.answers, "an answer")
            yield self
        finally:
            self.vigie.process.terminate()
            status = self.vigie.wait()
            errors = (self.folder / "errors").read_text()
            assert status == 0 and not errors, f"exited with {status}\n{errors}"

    def ask(self, rate: float, count: int) -> dict[str, float]:
        """Asks so many queries and waits for the answers to all of them."""
        run = subprocess.run([BUILD / "tests/bench/generator", "-p", str(self.vigie.port), "-n", str(count), "-r", str(rate),
                              "-c", "16", "-w", LATE, self.folder / "questions"], capture_output=True, text=True, check=True,
                             timeout=count / rate + 3 * PATIENCE)
        return json.loads(run.stdout)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=PATIENCE) as response:
            return response.read().decode()

    def ctl(self, *words: str) -> str:
        return subprocess.run([BINARY, "ctl", "-s", self.control, *words], env=ENVIRONMENT, capture_output=True, text=True,
                              check=True, timeout=PATIENCE).stdout

    def lost_lines(self) -> float:
        return float(re.search(r"^vigie_log_lines_lost_total (\S+)", self.get("/metrics"), re.MULTILINE)[1])

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.vigie.process.pid}/fd"))


@contextlib.contextmanager
def plain(folder: Path) -> Iterator[Server]:
    with Server(folder, names_a_line=1).running([BINARY], subprocess.DEVNULL) as server:
        yield server


@contextlib.contextmanager
def piped(folder: Path) -> Iterator[Server]:
    """Standard output is a small pipe that is read for as long as `reading` is set."""
    server = Server(folder)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE)
    server.reading, ended = threading.Event(), threading.Event()
    server.reading.set()

    def drain() -> None:
        stand_back()
        while server.reading.wait() and not ended.is_set():
            if select.select([read], [], [], 0.05)[0]:
                os.read(read, 1 << 16)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        with server.running([BINARY], write):
            yield server
    finally:
        ended.set()
        server.reading.set()
        thread.join()
        os.close(read)
        os.close(write)


@contextlib.contextmanager
def on_a_small_disk(folder: Path) -> Iterator[Server]:
    """Standard output is a file on a file system of its own that the process alone sees; `disk` is the way to it."""
    server = Server(folder)
    disk = folder / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size={DISK} none "$1" && shift && exec "$@" >>{disk}/log'
    with server.running(["unshare", "--mount", "sh", "-c", script, "sh", disk, BINARY], subprocess.DEVNULL):
        server.disk = Path(f"/proc/{server.vigie.process.pid}/root{disk}")
        yield server


@contextlib.contextmanager
def blocked_log(server: Server) -> Iterator[None]:
    server.reading.clear()
    yield
    server.reading.set()


@contextlib.contextmanager
def full_disk(server: Server) -> Iterator[None]:
    with contextlib.suppress(OSError):  # until there is no room
        (server.disk / "full").write_bytes(bytes(DISK))
    yield
    (server.disk / "full").unlink()
    os.truncate(server.disk / "log", 0)


@contextlib.contextmanager
def hanging(family: socket.AddressFamily, addresses: list, count: int, say: bytes) -> Iterator[None]:
    """Clients that connect to these addresses in turn, say something and never read."""
    ending = threading.Event()
    clients: list[socket.socket] = []

    def come() -> None:
        stand_back()
        while len(clients) < count and not ending.is_set():
            client = socket.socket(family, socket.SOCK_STREAM)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            client.settimeout(PATIENCE)
            clients.append(client)
            with contextlib.suppress(OSError):  # the server may have ended it for others that came
                client.connect(addresses[len(clients) % len(addresses)])
                client.send(say)

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        for client in clients:
            client.close()


def unread_metrics(server: Server):
    return hanging(socket.AF_INET, [("127.0.0.1", server.http)], 200, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")


def http_connections(server: Server):
    return hanging(socket.AF_INET, [("127.0.0.1", server.http)], server.connections, b"GET /")


@contextlib.contextmanager
def connections_elsewhere(server: Server) -> Iterator[None]:
    """The same clients at sockets that nobody serves: what they and the kernel cost beside the generator."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096)) for _ in range(3)]
        with hanging(socket.AF_INET, [each.getsockname() for each in sockets], server.connections, b"GET /"):
            yield


def hanging_control(server: Server):
    return hanging(socket.AF_UNIX, [str(server.control)], 200, b'["status"')


def nothing(server: Server):
    return contextlib.nullcontext()


# How the server is started, what is done to it, and what happens in calm spells.
DISTURBANCES = {"blocked-log": (piped, blocked_log, nothing), "full-disk": (on_a_small_disk, full_disk, nothing),
                "unread-metrics": (plain, unread_metrics, nothing),
                "http-connections": (plain, http_connections, connections_elsewhere),
                "hanging-control": (plain, hanging_control, nothing)}


def measure(name: str, folder: Path, rate: float, seconds: float, spells: int, connections: int = 10_000) -> dict:
    """What the client saw in calm and in disturbed spells, and of the server: the open files of both, log lines lost.
    Whoever else comes by HTTP or to the control socket in a disturbed spell is served."""
    start, disturb, else_do = DISTURBANCES[name]
    calm, disturbed, more_files = [], [], []
    with start(folder) as server:
        server.connections = connections
        server.ask(rate, max(1, int(rate / 10)))
        for _ in range(spells):
            with else_do(server):
                calm.append(server.ask(rate, int(rate * seconds)))
            files = server.files()
            with disturb(server):
                disturbed.append(server.ask(rate, int(rate * seconds)))
                more_files.append(server.files() - files)
                assert server.get("/health") == "OK"
                assert "vigie-" in server.ctl("status")
        return {"calm": calm, "disturbed": disturbed, "more files": max(more_files), "lost lines": server.lost_lines()}


def quarters(runs: list[dict], key: str) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper one."""
    return tuple(statistics.quantiles((run[key] for run in runs), n=4, method="inclusive"))


def show(name: str, got: dict) -> bool:
    """Prints a row; whether the disturbance changed nothing."""
    cells = []
    for key in ("p50_us", "p99_us"):
        calm, disturbed = quarters(got["calm"], key), quarters(got["disturbed"], key)
        cells.append("{1:.0f} ({0:.0f} to {2:.0f})".format(*calm))
        cells.append("{1:.0f} ({0:.0f} to {2:.0f})".format(*disturbed))
        unchanged = disturbed[1] <= calm[2]  # at the end: of p99
    lost = sum(run["asked"] - run["answered"] for run in got["calm"] + got["disturbed"])
    print(f"{name:17}" + "".join(f"{cell:>18}" for cell in cells) + f"{'unchanged' if unchanged else 'CHANGED':>11}"
          f"{lost:6}{got['more files']:7}{got['lost lines']:9.0f}", flush=True)
    return unchanged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*DISTURBANCES, []], help=", ".join(DISTURBANCES))
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--spells", type=int, default=12)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    share_out_cpus()
    print("median (quartiles) of spells, µs")
    print(f"{'':17}{'p50 calm':>18}{'disturbed':>18}{'p99 calm':>18}{'disturbed':>18}{'p99 is':>11}{'lost':>6}{'files':>7}"
          f"{'lines':>9}")
    unchanged = True
    for name in options.names or DISTURBANCES:
        with tempfile.TemporaryDirectory() as folder:
            got = measure(name, Path(folder), options.rate, options.seconds, options.spells)
        unchanged &= show(name, got)
    return 0 if unchanged else 1


if __name__ == "__main__":
    sys.exit(main())
