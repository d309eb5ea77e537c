"""Running a vigie process, asking it, and reading its answers."""
import collections
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("VIGIE_BUILD", "build")
BINARY = BUILD / "vigie"
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:")
ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"),
               "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:quarantine_size_mb=16",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
               "TSAN_OPTIONS": f"halt_on_error=1:exitcode=66:suppressions={TOP}/tests/tsan.supp"}
PORTS = collections.deque(range(30000, 32768))
PORTS.rotate(random.randrange(len(PORTS)))  # processes that begin at the same time begin elsewhere
LEASES = 64  # ports that one process holds: more than one test needs
# Seconds for what takes milliseconds on a machine that has nothing else to do; fewer where tests are to fail (test_defences.py).
PATIENCE = int(os.environ.get("VIGIE_PATIENCE", 20))


_leases: collections.deque[socket.socket] = collections.deque()


def free_port() -> int:
    """A number that neither UDP nor TCP uses on any local address, and that nobody takes before the test does: it is none
    that the kernel gives to clients (net.ipv4.ip_local_port_range begins at 32768), nor one from which vigie asks upstreams
    (it leaves the node ports of Kubernetes alone), and other tests pass it over for as long as this process holds a name
    that stands for it: names of abstract sockets belong to a network, as ports do."""
    for _ in range(len(PORTS)):
        port = PORTS[0]
        PORTS.rotate(-1)
        lease = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
              socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp):
            try:
                lease.bind(f"\0port {port} of vigie's tests")
                udp.bind(("::", port))
                tcp.bind(("::", port))
            except OSError:
                lease.close()
                continue
        _leases.append(lease)
        if len(_leases) > LEASES:
            _leases.popleft().close()
        return port
    raise RuntimeError("no free port")


def wait_for(condition, what: str, patience: float = PATIENCE):
    """Waits until `condition()` is true and returns it."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {patience} s in vain for {what}"
        time.sleep(0.01)
    return value


class Vigie:
    """One vigie process. Use it as a context manager: it is stopped at the end and must have exited cleanly."""

    def __init__(self, folder: Path, corefile: str | None = None, port: int | None = None, address: str = "127.0.0.1",
                 arguments: list[str] | None = None, environment: dict[str, str] | None = None):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.address = address
        self.arguments = arguments or []
        self.environment = environment or {}
        self.corefile = folder / "Corefile"
        if corefile is not None:
            self.corefile.write_text(corefile.replace("PORT", str(self.port)))
            self.arguments = ["-conf", str(self.corefile), *self.arguments]
        self.output = folder / "output"
        self.process: subprocess.Popen | None = None

    def spawn(self) -> "Vigie":
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([BINARY, *self.arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT,
                                            env={**ENVIRONMENT, **self.environment})
        return self

    def start(self) -> "Vigie":
        self.spawn()
        wait_for(self.answers, f"port {self.port} to answer\n{self.log()}")
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, f"exited with {self.process.returncode}\n{self.log()}"
        with self.udp_socket(timeout=0.1) as probe:
            try:
                probe.send(bytes(12))  # no question: a format error at once, whatever the configuration
                return probe.recv(512)[2] & 0x80 != 0  # an answer, and not the packet itself come back
            except OSError:
                return False

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait_for_log(self, pattern: str, count: int = 1) -> re.Match:
        def seen():
            return list(re.finditer(pattern, self.log(), re.MULTILINE))
        return wait_for(lambda: len(seen()) >= count and seen(), f"'{pattern}' in the log\n{self.log()}")[0]

    def wait(self) -> int:
        """The exit status of a process that ends by itself."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {PATIENCE} s\n{self.log()}") from None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Asks it to end; it must do so with status 0 and without a sanitizer's word."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.wait()
        self.process = None
        assert not SANITIZER.search(self.log()), self.log()
        assert status == 0, f"exited with {status}\n{self.log()}"

    def __enter__(self) -> "Vigie":
        return self.start()

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            print(self.log()[-20000:])
        self.stop()

    def exchange(self, query: dns.message.Message, tcp: bool = False, timeout: float = PATIENCE,
                 address: str | None = None) -> dns.message.Message:
        if tcp:
            return dns.query.tcp(query, address or self.address, port=self.port, timeout=timeout)
        # Tests run side by side: a port that another test's client had may be this one's.
        return dns.query.udp(query, address or self.address, port=self.port, timeout=timeout, ignore_unexpected=True)

    def exchange_wire(self, wire: bytes, tcp: bool = False) -> bytes:
        """The same with bytes, for what dnspython would not send or read."""
        if tcp:
            with socket.create_connection((self.address, self.port), timeout=PATIENCE) as connection:
                connection.sendall(struct.pack("!H", len(wire)) + wire)
                return read_frame(connection)
        with self.udp_socket() as client:
            client.send(wire)
            return client.recv(65535)

    def udp_socket(self, timeout: float = PATIENCE) -> socket.socket:
        """A connected socket."""
        client = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(timeout)
        client.connect((self.address, self.port))
        return client

    def unread(self) -> int:
        """Bytes of queries by UDP that it has not read yet."""
        lines = Path(f"/proc/{self.process.pid}/net/udp").read_text().splitlines()[1:]
        return sum(int(words[4].split(":")[1], 16) for words in map(str.split, lines) if words[1].endswith(f":{self.port:04X}"))

    def wait_until(self, condition, what: str):
        return wait_for(condition, f"{what}\n{self.log()}")

    def ask(self, name: str, rdtype: str = "A", rdclass: str = "IN", tcp: bool = False, size: int | None = None,
            **options) -> dns.message.Message:
        """Asks with EDNS of this size; None: without EDNS."""
        query = dns.message.make_query(name, rdtype, rdclass, use_edns=size is not None, payload=size or 0)
        return self.exchange(query, tcp=tcp, **options)


def source_of(client: socket.socket, query: bytes) -> tuple[str, int]:
    """Where the answer to a query comes from. What is for another test's client, which had this port, is passed over."""
    while True:
        answer, source = client.recvfrom(65535)
        if answer[:2] == query[:2]:
            return source


def write(vigie: Vigie, corefile: str) -> None:
    vigie.corefile.write_text(corefile.replace("PORT", str(vigie.port)))


def reload(vigie: Vigie, corefile: str, pattern: str = "^\\[INFO\\] Reloading complete") -> None:
    """Has it load another Corefile and waits until it says so."""
    before = len(re.findall(pattern, vigie.log(), re.MULTILINE))
    write(vigie, corefile)
    vigie.process.send_signal(signal.SIGUSR1)
    vigie.wait_for_log(pattern, before + 1)


def own_file(folder: Path, monkeypatch, path: str) -> Path:
    """A file, empty at first, that a vigie started from now on sees as `path`, and nobody else."""
    own, wrapper = folder / Path(path).name, folder / f"vigie-with-{Path(path).name}"
    own.write_text("")
    unshare = "unshare --mount" if os.geteuid() == 0 else "unshare --map-root-user --mount"
    script = f"mount --bind {own} {path} && exec {BINARY} \"$@\""
    wrapper.write_text(f"#!/bin/sh\nexec {unshare} sh -c '{script}' sh \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys.modules[__name__], "BINARY", wrapper)
    return own


def read_exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError(f"the connection ended {length - len(data)} bytes early")
        data += part
    return data


def read_frame(connection: socket.socket) -> bytes:
    """One message as it comes by TCP."""
    return read_exactly(connection, struct.unpack("!H", read_exactly(connection, 2))[0])


def records(section) -> list[str]:
    """A section of a message as "owner TYPE rdata", sorted, names as they were written."""
    return sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in section for rdata in rrset)


def addresses(message: dns.message.Message) -> list[str]:
    """The A and AAAA records of the answer section in the order in which they stand there."""
    return [rdata.address for rrset in message.answer if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
            for rdata in rrset]


def refused_configuration(folder: Path, corefile: str, arguments: list[str] | None = None,
                          environment: dict[str, str] | None = None) -> str:
    """What vigie says of a configuration that it must refuse."""
    vigie = Vigie(folder, corefile, arguments=arguments, environment=environment).spawn()
    status = vigie.wait()
    assert not SANITIZER.search(vigie.log()), vigie.log()
    assert status == 1, f"exited with {status}\n{vigie.log()}"
    return vigie.log()
