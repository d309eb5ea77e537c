"""The load generator of tests/bench must not call a wrong answer right: every figure rests on it."""
import json
import subprocess
from pathlib import Path

import pytest

from vigie_process import BUILD, PATIENCE, free_port

COREFILE = """.:PORT {
    bind 127.0.0.1
    kubernetes cluster.local in-addr.arpa {
        snapshot SNAPSHOT
    }
}
"""
COUNT = 500


def generate(port: int, questions: Path, *options: str) -> dict:
    run = subprocess.run([BUILD / "tests/bench/generator", "-p", str(port), *options, questions], capture_output=True,
                         text=True, timeout=PATIENCE, check=True)
    return json.loads(run.stdout)


@pytest.fixture
def vigie(start, snapshot):
    return start(COREFILE.replace("SNAPSHOT", str(snapshot)))


def write(folder: Path, text: str) -> Path:
    path = folder / "questions"
    path.write_text(text)
    return path


@pytest.mark.parametrize("options", [[], ["-t", "-b", "2:4"], ["-g"], ["-r", "5000"]], ids=" ".join)
def test_right_answers(vigie, tmp_path, options):
    questions = write(tmp_path, "web.default.svc.cluster.local 1 0 1\nnone.default.svc.cluster.local 1 3 0\n"
                                "????????.default.svc.cluster.local 1 3 0\n10.0.96.10.in-addr.arpa 12 0 1\n")
    run = generate(vigie.port, questions, "-n", str(COUNT), *options)
    assert (run["answered"], run["wrong"], run["lost"], run["late"]) == (COUNT, 0, 0, 0)


@pytest.mark.parametrize("expected", ["3 1", "0 2"], ids=["rcode", "count"])
def test_wrong_answers(vigie, tmp_path, expected):
    run = generate(vigie.port, write(tmp_path, f"web.default.svc.cluster.local 1 {expected}\n"), "-n", str(COUNT))
    assert (run["answered"], run["wrong"]) == (COUNT, COUNT)


def test_silence(tmp_path):
    """What is not answered is lost, not answered."""
    run = generate(free_port(), write(tmp_path, "web.default.svc.cluster.local 1 0 1\n"), "-s", "1.5", "-c", "1")
    assert run["answered"] == 0 and run["asked"] > 0


def test_the_limit_answers(tmp_path):
    port = free_port()
    limit = subprocess.Popen([BUILD / "tests/bench/limit", str(port)])
    try:
        questions = write(tmp_path, "web.default.svc.cluster.local 1 0 1\n")
        while generate(port, questions, "-s", "0.1")["answered"] == 0:
            assert limit.poll() is None
        assert generate(port, questions, "-s", "0.2")["wrong"] == 0
    finally:
        limit.kill()
        limit.wait()
