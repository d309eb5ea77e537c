"""Pods without nodes: network namespaces that are joined by veth pairs, with the API server at the cluster's address for
it. Needs root; nothing of it is seen outside of the namespaces."""
import ctypes
import http.client
import os
import socket
import subprocess
import threading
from pathlib import Path

from control_plane import ControlPlane
from processes import Process, in_private_mounts, wait_for

CLONE_NEWNET = 0x40000000
API_ADDRESS = "10.96.0.1"  # of the Service default/kubernetes: the API server's certificate has it
_libc = ctypes.CDLL(None, use_errno=True)

# $1: the ServiceAccount's folder; $2: the node's resolv.conf
POD_SCRIPT = """
mount -t tmpfs tmpfs /var/run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
mount --bind "$1" /var/run/secrets/kubernetes.io/serviceaccount
mount --bind "$2" /etc/resolv.conf
shift 2"""


class Namespace:
    """A network namespace, kept by a process that sleeps in it."""

    def __init__(self, name: str, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.holder = Process(f"{name}-namespace", ["unshare", "--net", "sleep", "infinity"], folder)
        self.holder.start()
        self.path = f"/proc/{self.holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: self.holder.check() or os.readlink(self.path) != own, "a network namespace")
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        subprocess.run([*self.enter(), "ip", *words], check=True, capture_output=True)

    def enter(self) -> list[str]:
        return ["nsenter", f"--net={self.path}"]

    def call(self, function):
        """The result of a function that is called within. Sockets that it makes stay there."""
        result, errors = [], []

        def within() -> None:
            try:
                with open(self.path) as file:
                    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append(function())
            except Exception as error:  # raised again where it was called
                errors.append(error)
        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return result[0]

    def close(self) -> None:
        self.holder.stop()


class PodNetwork:
    """The node: where the clients are, and the API server's address leads to the API server."""

    def __init__(self, control_plane: ControlPlane, folder: Path):
        self.plane, self.folder = control_plane, folder
        self.hub = Namespace("hub", folder)
        self.hub.ip("address", "add", f"{API_ADDRESS}/32", "dev", "lo")
        self._listener = self.hub.call(lambda: socket.create_server((API_ADDRESS, 443)))
        threading.Thread(target=self._accept, daemon=True).start()
        self.pods: list[Pod] = []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.plane.port))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pod(self, name: str, command: list, account: Path) -> "Pod":
        self.pods.append(Pod(self, len(self.pods) + 1, name, command, account))
        return self.pods[-1]

    def close(self) -> None:
        for pod in self.pods:
            pod.close()
        self._listener.close()
        self.hub.close()


class Pod:
    """One Pod with an address of its own. Its name server is the node, its environment that of a cluster."""

    def __init__(self, network: PodNetwork, number: int, name: str, command: list, account: Path):
        folder = network.folder / name
        self.network, self.node, self.address = network, f"10.244.{number}.1", f"10.244.{number}.2"
        self.namespace = Namespace(name, folder)
        link = f"pod{number}"
        network.hub.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns",
                       str(self.namespace.holder.pid))
        network.hub.ip("address", "add", f"{self.node}/24", "dev", link)
        network.hub.ip("link", "set", link, "up")
        self.namespace.ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self.namespace.ip("link", "set", "eth0", "up")
        self.namespace.ip("route", "add", "default", "via", self.node)
        (folder / "resolv.conf").write_text(f"nameserver {self.node}\n")
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "KUBERNETES_SERVICE_HOST": API_ADDRESS,
                       "KUBERNETES_SERVICE_PORT": "443", "GOMAXPROCS": str(os.cpu_count())}
        self.process = Process(name, [*self.namespace.enter(), *in_private_mounts(
            POD_SCRIPT, [account, folder / "resolv.conf", *command])], folder, environment)

    def get(self, port: int, path: str) -> int:
        """The status of a GET as a probe of the node would make it; 0 when nobody listens."""
        def probe() -> int:
            connection = http.client.HTTPConnection(self.address, port, timeout=5)
            try:
                connection.request("GET", path)
                return connection.getresponse().status
            except OSError:
                return 0
            finally:
                connection.close()
        return self.network.hub.call(probe)

    def answers(self) -> bool:
        """Whether somebody listens at port 53."""
        def probe() -> bool:
            with socket.socket() as client:
                return client.connect_ex((self.address, 53)) == 0
        return self.network.hub.call(probe)

    def start(self) -> "Pod":
        self.process.start()
        wait_for(lambda: self.process.check() or self.get(8181, "/ready") == 200, f"{self.process.name} to be ready")
        return self

    def close(self) -> None:
        self.process.stop()
        self.namespace.close()
