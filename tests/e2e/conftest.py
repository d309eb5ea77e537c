"""What the end-to-end tests share: one control plane, vigie's manifests in it, and servers that watch it."""
import contextlib
import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control_plane import ControlPlane
from servers import MANIFESTS, Dig, Server, ServiceAccount, Upstream, corefile, create_token

BUILD_SCRIPT = Path(__file__).parent / "controlplane" / "build.sh"
_logs = pytest.StashKey[list]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", choices=["vigie", "coredns"], default="vigie",
                     help="which server the conformance tests ask (coredns: to prove the tests themselves)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_logs] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Shows with a failed test what the programs wrote meanwhile."""
    report = (yield).get_result()
    if report.failed:
        for process in item.config.stash[_logs]:
            if log := process.log():
                report.sections.append((f"{process.folder.name}/{process.name}", log[-3000:]))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory, pytestconfig) -> Iterator[ControlPlane]:
    built = subprocess.run([BUILD_SCRIPT], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    with ControlPlane(Path(built), tmp_path_factory.mktemp("control-plane")) as plane:
        pytestconfig.stash[_logs] += plane.processes
        plane.kubectl("apply", "--filename", MANIFESTS)
        yield plane


@pytest.fixture(scope="session")
def api(control_plane):
    return control_plane.api


@pytest.fixture(scope="session")
def upstream(control_plane, tmp_path_factory) -> Iterator[Upstream]:
    upstream = Upstream(control_plane, tmp_path_factory.mktemp("upstream") / "world")
    try:
        yield upstream.start()
    finally:
        upstream.stop()


@pytest.fixture(scope="session")
def account(control_plane, tmp_path_factory) -> ServiceAccount:
    """The ServiceAccount of the shipped manifests, as a Pod sees it."""
    return ServiceAccount(control_plane, tmp_path_factory.mktemp("account") / "coredns", create_token(control_plane))


@contextlib.contextmanager
def _starter(control_plane, upstream, account, folder, pytestconfig) -> Iterator[Callable[..., Server]]:
    number = itertools.count()
    with contextlib.ExitStack() as stack:
        def start(kind: str, text: str | None = None, account: ServiceAccount | None = account,
                  wait: bool = True) -> Server:
            server = Server(kind, control_plane, folder / f"{kind}-{next(number)}", text or corefile(), upstream.port,
                            account)
            pytestconfig.stash[_logs].append(server.process)
            stack.callback(pytestconfig.stash[_logs].remove, server.process)
            stack.callback(server.stop)
            return server.start(wait)
        yield start


@pytest.fixture
def start_server(control_plane, upstream, account, tmp_path, pytestconfig) -> Iterator[Callable[..., Server]]:
    """A function that starts a server, by default in the cluster with the ServiceAccount of the manifests. All are
    stopped at the end of the test."""
    with _starter(control_plane, upstream, account, tmp_path, pytestconfig) as start:
        yield start


@pytest.fixture(scope="module")
def server(control_plane, upstream, account, tmp_path_factory, pytestconfig) -> Iterator[Server]:
    """The server that --server chooses, with the default Corefile."""
    with _starter(control_plane, upstream, account, tmp_path_factory.mktemp("server"), pytestconfig) as start:
        yield start(pytestconfig.getoption("--server"))


@pytest.fixture
def dig(server, tmp_path) -> Dig:
    return Dig(server, tmp_path)


_namespaces = itertools.count(1)


@pytest.fixture
def namespace(api) -> str:
    """A namespace of the test's own."""
    return api.create_namespace(f"e2e-{next(_namespaces)}")
