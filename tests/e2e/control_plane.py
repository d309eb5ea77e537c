"""A Kubernetes control plane without nodes: etcd, kube-apiserver and the controllers that DNS depends on."""
import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

from processes import Process, free_ports, wait_for

SERVICE_CIDR = "10.96.0.0/12,fd00:96::/108"
ISSUER = "https://kubernetes.default.svc"
CONTROLLERS = ("endpointslice-controller", "endpointslice-mirroring-controller", "endpoints-controller",
               "namespace-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller")
NODE = "node-1"

# Where the API keeps each kind that the tests handle, and whether it lives in a namespace.
KINDS = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "Pod": ("/api/v1", "pods", True),
    "Service": ("/api/v1", "services", True),
    "Endpoints": ("/api/v1", "endpoints", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}


class ApiError(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A client of the API server. Each thread that uses it gets a connection of its own."""

    def __init__(self, port: int, ca: Path, token: str):
        self._port = port
        self._context = ssl.create_default_context(cafile=str(ca))
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._local = threading.local()

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30,
                                                                 context=self._context)
            self._local.connection.connect()
            self._local.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._local.connection

    def raw(self, method: str, path: str, body=None, content: str = "application/json") -> bytes:
        data = None if body is None else json.dumps(body)
        headers = self._headers if data is None else {**self._headers, "Content-Type": content}
        try:
            connection = self._connection()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            if hasattr(self._local, "connection"):
                self._local.connection.close()
                del self._local.connection
            raise
        if response.status >= 300:
            raise ApiError(response.status, answer.decode(errors="replace"))
        return answer

    def request(self, method: str, path: str, body=None, content: str = "application/json") -> dict:
        return json.loads(self.raw(method, path, body, content))

    @staticmethod
    def path(kind: str, name: str = "", namespace: str = "", subresource: str = "") -> str:
        prefix, plural, namespaced = KINDS[kind]
        parts = [prefix]
        if namespaced and namespace:
            parts += ["namespaces", quote(namespace)]
        parts.append(plural)
        if name:
            parts.append(quote(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def create(self, thing: dict) -> dict:
        """Creates an object, which names its kind and, if it lives in one, its namespace."""
        kind = thing["kind"]
        thing = {"apiVersion": KINDS[kind][0].removeprefix("/apis/").removeprefix("/api/"), **thing}
        return self.request("POST", self.path(kind, namespace=thing["metadata"].get("namespace", "")), thing)

    def get(self, kind: str, name: str, namespace: str = "") -> dict:
        return self.request("GET", self.path(kind, name, namespace))

    def items(self, kind: str, namespace: str = "") -> list[dict]:
        return self.request("GET", self.path(kind, namespace=namespace))["items"]

    def patch(self, kind: str, name: str, change: dict, namespace: str = "", subresource: str = "") -> dict:
        """Merges a change into an object."""
        return self.request("PATCH", self.path(kind, name, namespace, subresource), change,
                            "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self.request("DELETE", self.path(kind, name, namespace), {"gracePeriodSeconds": 0})

    def create_namespace(self, name: str, labels: dict[str, str] | None = None) -> str:
        self.create({"kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
        return name

    def run_pod(self, namespace: str, name: str, addresses: list[str], ready: bool = True,
                labels: dict[str, str] | None = None, **spec) -> None:
        """Creates a Pod and says of it what a kubelet would: that it runs and has these addresses."""
        container = {"name": "main", "image": "none", "ports": [{"name": "http", "containerPort": 80}]}
        self.create({"kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
                     "spec": {"nodeName": NODE, "containers": [container], **spec}})
        self.set_pod_status(namespace, name, addresses, ready)

    def set_pod_status(self, namespace: str, name: str, addresses: list[str], ready: bool) -> None:
        state = "True" if ready else "False"
        self.patch("Pod", name, {"status": {
            "phase": "Running", "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}],
            "podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses],
            "conditions": [{"type": kind, "status": state} for kind in ("Ready", "ContainersReady")]}},
            namespace, "status")

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        """A token of a ServiceAccount, by the TokenRequest API."""
        answer = self.request("POST", self.path("ServiceAccount", account, namespace, "token"),
                              {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                               "spec": {"expirationSeconds": seconds}})
        return answer["status"]["token"]


class ControlPlane:
    """Use it as a context manager: what it started is stopped at the end."""

    def __init__(self, tools: Path, folder: Path):
        self.tools = tools
        self.folder = folder
        self.port, self._etcd_port, self._peer_port, self._manager_port = free_ports(4)
        self.ca = folder / "certificates" / "apiserver.crt"
        self._token = base64.urlsafe_b64encode(os.urandom(18)).decode()
        self._stack = contextlib.ExitStack()
        self.api_server: Process | None = None
        self.processes: list[Process] = []

    def _program(self, name: str) -> Path:
        program = self.tools / name
        assert os.access(program, os.X_OK), f"{program} is missing: tests/e2e/controlplane/build.sh builds it"
        return program

    def _process(self, name: str, *arguments) -> Process:
        process = Process(name, [self._program(name), *arguments], self.folder)
        self.processes.append(process)
        return process

    def _run(self, process: Process) -> None:
        process.start()
        self._stack.callback(process.stop)

    def __enter__(self) -> "ControlPlane":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def _start(self) -> None:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "coredns"):
            self._program(name)
        self.ca.parent.mkdir(parents=True)
        key, public = self.folder / "sa.key", self.folder / "sa.pub"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f"{self._token},admin,1,system:masters\n")

        etcd = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        self._run(self._process(
            "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
            "--unsafe-no-fsync", "--log-level", "warn"))
        self.api_server = self._process(
            "kube-apiserver", "--etcd-servers", etcd, "--service-cluster-ip-range", SERVICE_CIDR,
            "--secure-port", self.port, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--cert-dir", self.ca.parent, "--service-account-issuer", ISSUER,
            "--service-account-key-file", public, "--service-account-signing-key-file", key,
            "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--endpoint-reconciler-type", "none",
            # Pods need no ServiceAccount here: nothing runs in them
            "--disable-admission-plugins", "ServiceAccount",
            "--shutdown-delay-duration", "0s")
        self._run(self.api_server)
        self.wait_until_ready()

        self.admin_kubeconfig = self.write_kubeconfig(self.folder / "admin.kubeconfig", self._token)
        manager = self._process(
            "kube-controller-manager", "--kubeconfig", self.admin_kubeconfig,
            "--service-account-private-key-file", key, "--root-ca-file", self.ca,
            "--secure-port", self._manager_port, "--bind-address", "127.0.0.1",
            "--cert-dir", self.folder / "manager", "--leader-elect=false", "--controllers", ",".join(CONTROLLERS),
            # the slices follow their pods at once instead of in batches
            "--endpoint-updates-batch-period", "0s", "--endpointslice-updates-batch-period", "0s",
            "--mirroring-endpointslice-updates-batch-period", "0s", "--kube-api-qps", "1000",
            "--kube-api-burst", "1000")
        self._run(manager)
        self.api.create({"kind": "Node", "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": "zone-a"}}})
        wait_for(lambda: manager.check() or any(one["metadata"]["name"] == "default"
                                                for one in self.api.items("ServiceAccount", "kube-system")),
                 "the controllers to work")

    def wait_until_ready(self) -> None:
        """Waits for the API server and makes `api`, the client of an administrator."""
        def ready() -> bool:
            self.api_server.check()
            try:
                self.api = Api(self.port, self.ca, self._token)
                return self.api.raw("GET", "/readyz") == b"ok"
            except (OSError, ApiError, http.client.HTTPException):
                return False
        wait_for(ready, "the API server to be ready", pause=0.1)

    def write_kubeconfig(self, path: Path, token: str, inline: bool = False) -> Path:
        """A kubeconfig with the CA and the token in it (inline) or in files beside it, named by relative paths."""
        if inline:
            ca = f"certificate-authority-data: {base64.b64encode(self.ca.read_bytes()).decode()}"
            user = f"token: {token}"
        else:
            ca = f"certificate-authority: {os.path.relpath(self.ca, path.parent)}"
            secret = path.with_suffix(".token")
            secret.write_text(token + "\n")
            user = f"tokenFile: {secret.name}"
        path.write_text(f"""apiVersion: v1
kind: Config
clusters:
- name: e2e
  cluster:
    server: https://127.0.0.1:{self.port}
    {ca}
users:
- name: somebody
  user:
    {user}
contexts:
- name: e2e
  context:
    cluster: e2e
    user: somebody
current-context: e2e
""")
        return path

    def kubectl(self, *arguments: str | Path, given: str | None = None) -> str:
        """Runs kubectl as an administrator and returns what it printed."""
        result = subprocess.run([self._program("kubectl"), "--kubeconfig", self.admin_kubeconfig, *arguments],
                                input=given, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {result.stderr}"
        return result.stdout

    def logs(self) -> str:
        return "\n".join(f"== {process.name}\n{process.log()[-4000:]}" for process in self.processes)
