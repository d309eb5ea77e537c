"""Starting programs that end when the tests end, however they end, and waiting for what they do."""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# Behind this folder, which has files of the same names.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functional"))

from vigie_process import free_port  # noqa: E402

PATIENCE = 60  # seconds for what takes a few seconds on a machine that has nothing else to do
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def wait_for(condition, what: str, patience: float = PATIENCE, pause: float = 0.02):
    """Waits until `condition()` is true and returns it. An AssertionError that it raises is kept for the report."""
    end = time.monotonic() + patience
    trouble: AssertionError | None = None
    while True:
        try:
            if value := condition():
                return value
        except AssertionError as error:
            trouble = error
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience} s in vain for {what}") from trouble
        time.sleep(pause)


def eventually(ask, expected) -> None:
    """Waits until whoever is asked has heard of what the API was told; the answer must then be this one."""
    last = None

    def as_expected() -> bool:
        nonlocal last
        last = ask()
        return last == expected
    try:
        wait_for(as_expected, "the answer")
    except AssertionError:
        assert last == expected
        raise


def free_ports(count: int) -> list[int]:
    """Different numbers, each as of free_port."""
    return [free_port() for _ in range(count)]


def takes_connections(port: int) -> bool:
    """Whether somebody does at a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def listens(port: int) -> bool:
    """Whether a DNS server does at a port of 127.0.0.1: it may take connections before it takes datagrams."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.send(b"")
        try:
            client.send(b"")  # says what became of the first one
        except ConnectionRefusedError:
            return False
    return takes_connections(port)


def _die_with_parent() -> None:
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        os._exit(126)


class Process:
    """A program in a process group of its own, its output in a file. It is killed when this process dies."""

    def __init__(self, name: str, command: list, folder: Path, environment: dict[str, str] | None = None):
        self.name = name
        self.command = [str(word) for word in command]
        self.folder = folder
        self.environment = environment
        self.output = folder / f"{name}.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment,
                                             stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                             start_new_session=True, preexec_fn=_die_with_parent)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def check(self) -> None:
        """Fails when the program has ended by itself."""
        if not self.running():
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}\n{self.log()[-10000:]}")

    def stop(self, number: int = signal.SIGTERM, patience: float = 15) -> int | None:
        """Ends the program and all that it has started. Its exit status; None when it was not running."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        try:
            if process.poll() is None:
                process.send_signal(number)
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def in_private_mounts(script: str, command: list) -> list:
    """The command, run in a mount namespace of its own after the lines of shell in `script`, so that what these mount
    is seen by nobody else."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    return [*unshare, "sh", "-euc", f'{script}\nexec "$@"', "sh", *command]
