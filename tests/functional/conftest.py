"""The fixtures that the functional tests share."""
import contextlib
import json
import subprocess
from pathlib import Path

import pytest

from cluster_objects import CLUSTER, write_snapshot
from scripted_upstream import Upstream
from vigie_process import BINARY, BUILD, Vigie


def is_sanitized(build: Path) -> bool:
    options = build / "meson-info/intro-buildoptions.json"  # a server of test_defences.py has none
    return options.exists() and any(option["name"] == "b_sanitize" and option["value"] != "none" for option in json.loads(options.read_text()))


# The servers of test_defences.py are there to make tests fail, which says nothing about memory: with a sanitizer each would be built
# and run for a minute and a half. They are compiled and run once, with the plain build.
collect_ignore = ["test_defences.py"] if is_sanitized(BUILD) else []


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "rfc(number, section): what a test checks a demand of (rfc_matrix.py)")


@pytest.fixture(scope="session", autouse=True)
def binary() -> Path:
    assert BINARY.exists(), f"{BINARY} is not there: build it, or say in VIGIE_BUILD where it is"
    return BINARY


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory) -> Path:
    """The cluster of cluster_objects.py as a file."""
    return write_snapshot(tmp_path_factory.mktemp("snapshot") / "cluster.json", CLUSTER)


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A CA, a certificate for dns.example.com and 127.0.0.1, one for a client, and one that expired."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    (folder / "server.ext").write_text("subjectAltName=DNS:dns.example.com,IP:127.0.0.1\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "-1", "-extfile", "server.ext",
            "-out", "expired.pem")
    return folder


@pytest.fixture
def start(tmp_path):
    """A function that starts a vigie with a Corefile (PORT in it is replaced); all are stopped at the end."""
    running: list[Vigie] = []

    def make(corefile: str | None, **options) -> Vigie:
        running.append(Vigie(tmp_path / f"vigie{len(running)}", corefile, **options))
        return running[-1].start()

    with contextlib.ExitStack() as stack:
        yield make
        for vigie in running:
            print(f"== {vigie.corefile}\n{vigie.log()[-20000:]}")  # shown when the test failed
            stack.callback(vigie.stop)
