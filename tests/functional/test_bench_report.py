"""The tables of the benchmarks show what was measured."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import report  # noqa: E402


def result(first: int) -> dict:
    return {"cpu_us": [3.5], "qps": [1000], "generator_cpu_us": [4],
            "latency": {load: {"p50_us": first + 10 * i, "p99_us": first + 10 * i + 1, "p999_us": first + 10 * i + 2}
                        for i, load in enumerate(("0.1", "0.5", "0.8"))}}


def test_latency_at_each_load():
    results = {"workloads": {"clusterip": {"limit": result(100), "vigie": result(200)}, "srv": {"vigie": {**result(0), "latency": {}}}}}
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.markdown(results).splitlines()]
    at = cells.index(["workload", "server", "at 10 %", "at 50 %", "at 80 %"])
    assert cells[at + 2:] == [["clusterip", "limit", "100 / 101 / 102", "110 / 111 / 112", "120 / 121 / 122"],
                              ["clusterip", "vigie", "200 / 201 / 202", "210 / 211 / 212", "220 / 221 / 222"]]
    assert "at 80 %" in report.table(results, ["clusterip"]) and "at 80 %" not in report.table(results, ["srv"])
