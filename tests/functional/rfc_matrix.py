"""What RFCs demand of a server that forwards and caches, each demand beside the test that checks it.

A test of tests/functional/test_rfc_matrix_*.py says by `@rfc(NUMBER, SECTION, SENTENCE)` what it checks. docs/rfcs.md is
the table of all of them: `.venv/bin/python tests/functional/rfc_matrix.py >docs/rfcs.md` writes it, a test compares."""
import importlib
import sys
import textwrap
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
# What else each demands, and why no test here asks for it.
ELSEWHERE = {
    1035: "Not of a forwarder: master files and zone transfers (5, 6.3; `file` and `secondary` have tests of their own), queries for completion (6.5), "
          "resolution from the root on (7.1 but for its bound on work, 7.2), mail (8). Port 53 (4.2) is the default; tests take others. Replaced: that a reply "
          "may come from another address than was asked (7.3), by RFC 5452 section 9.1. Not done: AA (4.1.1) is left as the upstream set it, also in answers "
          "that are held, since an answer is given as it came.",
    2181: "Not of a forwarder: zone cuts and an authority's SOA (6, 7), CNAME, PTR, NS and MX as data of a zone (10), signatures and NXT of RFC 2065 (5.3; a "
          "signature keeps the TTL of what it signs, RFC 4034 section 3), ranks of data from several sources (5.4.1 but for the demand above: an answer is held "
          "whole, for its question, and replaced whole). Replaced: that a TTL with its top bit set is zero (8), by RFC 8767 section 4.",
    2308: "Not of a forwarder: the SOA of an authority's own denials (3), $TTL and MINIMUM in master files (4), asking again for the end of a chain (2.2.1). "
          "Not done: NXDOMAIN is held for the type that was asked, not for all types of the name (5, 8), since servers say it of AAAA where there is an A "
          "(RFC 4074 section 4.2). A failure is held for the question, whichever upstream it came from (7.1), which RFC 9520 section 3.2 leaves open.",
    5452: "Address and port of a reply's destination (9.1) are the kernel's to check, which has the socket. Signatures that would make up for a missing check "
          "(9.2) are not implemented.",
    6891: "Not of vigie: what servers without EDNS answer (7), and that boxes which pass messages through leave OPT alone (6.2.6). OPT in master files (6.1.1) "
          "is refused by `file`. Options as fields of bits (6.1.2): none is read as anything else.",
    7766: "Not of a forwarder: authorities and stub resolvers (5), SOA and AXFR on one connection (6.2.3).",
    7873: "All other demands (4 to 7) are for clients and servers that implement cookies.",
    8020: "The one MUST (2), that a denial of a name below comes with its proof, is for servers that make such denials.",
    8482: "Signatures for a part of what there is (4.1 to 4.3) are an authority's.",
    8767: "The AA bit, by which an authority's NOERROR or NXDOMAIN is known (4), is not to be had of upstreams that are resolvers: they are believed "
          "without it. Delegations (5) are a resolver's.",
    8914: "The list of codes (4) demands nothing. Those of validation are never made here; those of upstreams are passed on.",
    9520: "Not of a forwarder: asking the parents of a silent zone (3.3), failures of validation (3.4). Without `cache`, or with `servfail 0`, no failure is held.",
    9619: "Of other opcodes (appendix A) only NOTIFY is served, with `secondary`.",
    9715: "Informational: it recommends and has no MUST. R6, that fragments are dropped, is for a firewall; R8 to R11 are for who publishes zones.",
}
HEAD = """# What RFCs demand, and the tests that check it

vigie forwards and caches; it does not resolve or validate. Of the RFCs about that, each demand that reaches such a server has a test
that asks the shipped binary by real packets, with a scripted upstream behind it. Where a demand is left to the operator, the test
says by which option. Each RFC was gone through section by section: what else it demands, and why that does not reach vigie or is not
done, stands below its table. These tables are written by `tests/functional/rfc_matrix.py`; a test compares it with the tests that exist.

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
        text += ["", textwrap.fill(ELSEWHERE[number], 132, break_on_hyphens=False), ""]
    return "\n".join(text)


if __name__ == "__main__":
    sys.modules["rfc_matrix"] = sys.modules["__main__"]  # one list, whoever asks for it
    print(table(), end="")
