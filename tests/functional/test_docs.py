"""What the documents name is there: links, headings, files, metrics, directives."""
import re
import subprocess
from pathlib import Path

import pytest

from vigie_process import BINARY, TOP

DOCUMENTS = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
NOT_HERE = {"coredns_shed_dropped_total"}  # named because it is missing
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
METRIC = re.compile(r"\b(?:coredns|vigie|process)_[a-z0-9_]*[a-z0-9]")
FILE = re.compile(r"`((?:deploy|docs|include|src|tests|zones)/[\w./-]*\w)")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in LINK.findall(without_code(document.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_exist(document):
    for name in FILE.findall(document.read_text()):
        assert list(TOP.glob(name)) or list(TOP.glob(f"{name}.*")), name


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted((TOP / "deploy" / "monitoring").iterdir())], ids=lambda path: path.name)
def test_metrics_exist(document):
    program = BINARY.read_bytes()
    for name in set(METRIC.findall(document.read_text())) - NOT_HERE:
        assert any(each.encode() in program for each in (name, re.sub("_(bucket|sum|count)$", "", name))), name


def test_each_metric_is_documented():
    """By its name, or as one of `coredns_cache_*`."""
    text = (TOP / "docs" / "corefile.md").read_text()
    sources = "".join(path.read_text() for path in (TOP / "src").rglob("*.c"))
    names = set(re.findall(r'"((?:coredns|vigie|process)_[a-z0-9_]+)"', sources))
    assert len(names) > 80
    families = re.findall(r"`(\w+_)\*`", text)
    assert [name for name in sorted(names) if f"`{name}`" not in text and not name.startswith(tuple(families))] == []


def test_each_directive_has_its_section():
    text = (TOP / "docs" / "corefile.md").read_text()
    listed = subprocess.run([BINARY, "-plugins"], capture_output=True, text=True, check=True).stdout.split()
    sections = re.findall(r"^### (\w+)$", text[text.index("\n## Directives"):], re.MULTILINE)
    assert sections == sorted(name.removeprefix("dns.") for name in listed)
