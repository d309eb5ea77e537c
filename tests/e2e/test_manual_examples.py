"""Every example of CoreDNS' manual pages loads, or vigie says what in it there is not: nothing of them is misread. (What the
examples do is compared by test_directives.py.)"""
import json
import os
import re
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from servers import VIGIE

MODULE = Path(__file__).parent / "controlplane" / "coredns"
# A fenced block whose first line (behind comments) is a server block's: whatever the fence calls it.
EXAMPLE = re.compile(r"^( *)(?:~~~|```) *(?:corefile|txt|conf|)[^\n]*\n((?: *#[^\n]*\n)* *(?:\S*[.:/]\S* +)*\S*[.:/]\S* *\{\n.*?)^ *(?:~~~|```)",
                     re.MULTILINE | re.DOTALL)
DIFFERENCES = Path(__file__).parents[2] / "docs" / "differences.md"
MISSING = "azure clouddns dnssec dnstap erratic etcd geoip grpc k8s_external nomad on proxyproto route53 sign tsig".split()
TRANSPORTS = "grpc https https3 quic".split()
# What may be said of any example, each with a reason in docs/differences.md.
SAID = [rf"unknown directive '({'|'.join(MISSING)})': vigie ",
        rf"'({'|'.join(TRANSPORTS)})://\S*': this transport is not supported"]
# What is said of a single one: the example itself has it.
SAID_OF = [("root", r"'tls': '/config/cert.pem': No such file or directory"),  # an absolute path, which no test makes
           ("root", r"'tls://example.com:853' needs a certificate"),  # the same once more
           ("nomad", r"'cache' stands in this block already"),
           ("view", r"'}' closes nothing")]


def said_of(folder: Path, example: str) -> list[str]:
    (folder / "Corefile").write_text(textwrap.dedent(example))
    environment = {**os.environ, "PORT": "9153"}  # that one of them takes from there
    done = subprocess.run([VIGIE, "check", "-conf", folder / "Corefile"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [re.sub(r"^\S+Corefile:\d+: ", "", line) for line in done.stderr.splitlines()[:-1]]


@pytest.fixture(scope="module")
def manuals() -> dict[str, str]:
    """The manual pages of the directives that CoreDNS is built with, by name. They are downloaded where only the program was
    kept; go asks its server once."""
    for pause in (5, 10, 0):
        done = subprocess.run(["go", "mod", "download", "-json", "github.com/coredns/coredns"], cwd=MODULE, capture_output=True,
                              text=True)
        if done.returncode == 0:
            break
        time.sleep(pause)
    assert done.returncode == 0, done.stdout + done.stderr
    top = Path(json.loads(done.stdout)["Dir"])
    names = [line.split(":")[1] for line in (top / "plugin.cfg").read_text().splitlines() if re.match(r"\w+:\w+$", line)]
    return {name: (top / "plugin" / name / "README.md").read_text() for name in names
            if (top / "plugin" / name / "README.md").exists()}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The working directory, with the files that examples name."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
                    "2", "-subj", "/CN=example"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "ca.pem").write_text((tmp_path / "cert.pem").read_text())
    (tmp_path / "db.example.com.weights").touch()
    return tmp_path


def test_examples_load(manuals, folder):
    tried, loaded, wrong, unused = 0, 0, [], set(SAID_OF)
    for name, text in manuals.items():
        for found in EXAMPLE.finditer(text):
            lines = said_of(folder, found[2])
            tried += 1
            loaded += not lines
            for line in lines:
                expected = {(of, pattern) for of, pattern in SAID_OF if of == name and re.match(pattern, line)}
                unused -= expected
                if not expected and not any(re.match(each, line) for each in SAID):
                    wrong.append(f"{name}: {line}\n{found[2]}")
    assert not wrong, "\n".join(wrong)
    assert tried > 150 and loaded > 110, (tried, loaded)
    assert not unused


def test_what_there_is_not_has_its_reason():
    text = DIFFERENCES.read_text()
    assert [word for word in MISSING if f"`{word}`" not in text] == []
    assert [word for word in TRANSPORTS if f"`{word}://`" not in text] == []
