"""The quick start: its cluster, its Corefile, and the dig lines that it prints."""
import re
import runpy
import shlex
import subprocess
from pathlib import Path

from vigie_process import TOP, Vigie, free_port


def test_the_committed_cluster_is_what_its_program_writes():
    demo = runpy.run_path(str(TOP / "deploy" / "demo-cluster.py"))["demo"]
    assert (TOP / "zones" / "demo-cluster.json").read_text() == demo()


def test_the_printed_lines_answer(tmp_path: Path):
    """Each dig line of the script, asked of a vigie with its Corefile, says something."""
    script = (TOP / "deploy" / "quickstart.sh").read_text()
    lines = re.findall(r"^ *(dig @127\.0\.0\.1 -p 5300 [^#\n]*)", script, re.MULTILINE)
    assert len(lines) >= 8
    port = free_port()
    corefile = (TOP / "deploy" / "quickstart.Corefile").read_text()
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    corefile = (corefile.replace(":5300", f":{port}").replace("zones/", f"{TOP}/zones/")
                .replace("/etc/resolv.conf", str(resolv)))
    with Vigie(tmp_path / "vigie", corefile, port=port):
        for line in lines:
            words = [word if word != "5300" else str(port) for word in shlex.split(line)]
            answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            assert answer.strip(), line
