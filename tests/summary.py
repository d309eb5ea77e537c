#!/usr/bin/env python3
"""Adds up what the suites of tests/run.sh left behind.

    tests/summary.py RESULTS SUITE…

RESULTS/SUITE holds `status` ("EXIT SECONDS") and any number of JUnit files (*.xml). A suite without JUnit files counts
as one test. Exits 1 when something failed, was skipped or is not there. The last line is "N passed, N failed".
"""
import sys
import xml.etree.ElementTree
from pathlib import Path


def count(path: Path) -> tuple[int, list[str]]:
    """The passed tests of a JUnit file, and the names of all others (a skipped test did not pass)."""
    passed, bad = 0, []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        trouble = next((kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
        if trouble is None:
            passed += 1
        else:
            bad.append(f"{trouble}: {case.get('classname', '')} {case.get('name', '')}")
    return passed, bad


def read(folder: Path) -> tuple[int, list[str], str]:
    """Passed, what is bad, and a remark on one suite."""
    status = folder / "status"
    if not status.exists():
        return 0, ["the suite did not run"], "missing"
    code, seconds = status.read_text().split()
    passed, bad = 0, []
    files = sorted(folder.glob("*.xml"))
    for file in files:
        file_passed, file_bad = count(file)
        passed += file_passed
        bad += file_bad
    if code != "0" and not bad:
        bad.append(f"the suite exited with {code}: see {folder / 'log'}")
    if code == "0" and not files:
        passed = 1
    if code == "0" and passed == 0 and not bad:
        bad.append("the suite holds no test")
    return passed, bad, f"{seconds} s"


def main(results: Path, suites: list[str]) -> int:
    total_passed, total_bad = 0, 0
    for suite in suites:
        passed, bad, remark = read(results / suite)
        print(f"{suite:<16} {passed:5} passed {len(bad):3} failed  {remark}")
        for line in bad:
            print(f"    {line}")
        total_passed += passed
        total_bad += len(bad)
    print(f"{total_passed} passed, {total_bad} failed")
    return 1 if total_bad or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
