"""What RFCs demand of a server that forwards and caches, each demand beside the test that checks it.

A test of tests/functional/test_rfc_matrix_*.py says by `@rfc(NUMBER, SECTION, SENTENCE)` what it checks. docs/rfcs.md is
the table of all of them: `.venv/bin/python tests/functional/rfc_matrix.py >docs/rfcs.md` writes it, a test compares."""
import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER.parents[1] / "docs/rfcs.md"
RFCS = {
    1035: "Domain Names - Implementation and Specification",
    2181: "Clarifications to the DNS Specification",
    2308: "Negative Caching of DNS Queries",
    5452: "Measures for Making DNS More Resilient against Forged Answers",
    6891: "Extension Mechanisms for DNS (EDNS(0))",
    7766: "DNS Transport over TCP - Implementation Requirements",
    7873: "Domain Name System (DNS) Cookies",
    8020: "NXDOMAIN: There Really Is Nothing Underneath",
    8482: "Providing Minimal-Sized Responses to DNS Queries That Have QTYPE=ANY",
    8767: "Serving Stale Data to Improve DNS Resiliency",
    8914: "Extended DNS Errors",
    9520: "Negative Caching of DNS Resolution Failures",
    9619: "In the DNS, QDCOUNT Is (Usually) One",
    9715: "IP Fragmentation Avoidance in DNS over UDP",
}
HEAD = """# What RFCs demand, and the tests that check it

vigie forwards and caches; it does not resolve or validate. Of the RFCs about that, each demand that reaches such a server has a test
that asks the shipped binary by real packets, with a scripted upstream behind it. Where a demand is left to the operator, the test
says by which option. This table is written by `tests/functional/rfc_matrix.py`; a test compares it with the tests that exist.

vigie does not implement DNS cookies (RFC 7873): it tolerates those of others. Of RFC 8020 only what is safe without DNSSEC: an
NXDOMAIN does not hide names below it, since servers exist that say it of names that have others below.
"""

requirements: list[tuple[int, str, str, str]] = []  # RFC, section, what it demands, the test


def rfc(number: int, section: str, says: str):
    def tag(function):
        requirements.append((number, section, says, function.__name__))
        return pytest.mark.rfc(number, section)(function)
    return tag


def own_name(request) -> str:
    """A name that no other test asks for: those of one file share a vigie and its upstream."""
    return (request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")[:60].rstrip("-_").replace(" ", "").lower()
            + ".example.com.")


def place(section: str) -> list[int]:
    return [int(part) for part in section.split(".")]


def table() -> str:
    for path in sorted(FOLDER.glob("test_rfc_matrix_*.py")):
        importlib.import_module(path.stem)
    rows = sorted(requirements, key=lambda row: (row[0], place(row[1]), row[2]))
    text = [HEAD]
    for number, title in RFCS.items():
        text += [f"## RFC {number}: {title}", "", "| section | demand | test |", "|---|---|---|"]
        text += [f"| {section} | {says} | `{test}` |" for of, section, says, test in rows if of == number]
        text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    sys.modules["rfc_matrix"] = sys.modules["__main__"]  # one list, whoever asks for it
    print(table(), end="")
