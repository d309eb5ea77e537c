"""Every example of CoreDNS' manual pages loads, or vigie says what in it there is not: nothing of them is misread. (What the
examples do is compared by test_directives.py.)"""
import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from servers import VIGIE

MODULE = Path(__file__).parent / "controlplane" / "coredns"
EXAMPLE = re.compile(r"^( *)~~~ *corefile *\n(.*?)^ *~~~", re.MULTILINE | re.DOTALL)
MISSING = "azure clouddns dnssec dnstap erratic etcd geoip grpc k8s_external nomad on proxyproto route53 sign tsig".split()
# What may be said of an example, each with a reason in docs/differences.md; files that an example names are not here.
SAID = [rf"unknown directive '({'|'.join(MISSING)})': vigie ",
        r".*No such file or directory"]


def said_of(folder: Path, example: str) -> list[str]:
    (folder / "Corefile").write_text(textwrap.dedent(example))
    done = subprocess.run([VIGIE, "check", "-conf", folder / "Corefile"], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [re.sub(r"^\S+Corefile:\d+: ", "", line) for line in done.stderr.splitlines()[:-1]]


@pytest.fixture(scope="module")
def manuals() -> dict[str, str]:
    """The manual pages of the directives that CoreDNS is built with, by name."""
    module = json.loads(subprocess.run(["go", "mod", "download", "-json", "github.com/coredns/coredns"], cwd=MODULE,
                                       capture_output=True, text=True, check=True).stdout)
    top = Path(module["Dir"])
    names = [line.split(":")[1] for line in (top / "plugin.cfg").read_text().splitlines() if re.match(r"\w+:\w+$", line)]
    return {name: (top / "plugin" / name / "README.md").read_text() for name in names
            if (top / "plugin" / name / "README.md").exists()}


def test_examples_load(manuals, tmp_path):
    tried, loaded, wrong = 0, 0, []
    for name, text in manuals.items():
        for found in EXAMPLE.finditer(text):
            lines = said_of(tmp_path, found[2])
            tried += 1
            loaded += not lines
            wrong += [(name, line, found[2]) for line in lines if not any(re.match(each, line) for each in SAID)]
    assert not wrong, "\n".join(f"{name}: {line}\n{example}" for name, line, example in wrong)
    assert tried > 100 and loaded > tried * 0.7, (tried, loaded)
