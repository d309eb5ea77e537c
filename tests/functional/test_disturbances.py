"""What happens beside DNS does not touch it: disturbances.py on a small scale. How long answers took is what its command
prints; here it counts that all are there, and that what holds the server is bounded."""
import os
from pathlib import Path

import pytest

import disturbances
from vigie_process import Vigie, wait_for

RATE, SECONDS, CONNECTIONS = 1000, 1, 2000
# How many more files the server may have open: those of HTTP and of the control socket, twice over while they are closed.
FILES = {"http-connections": 2 * 64 + 8, "unread-metrics": 2 * 64 + 8, "hanging-control": 16 + 8}
LOSES_LINES = ("blocked-log", "full-disk")


@pytest.mark.parametrize("name", disturbances.DISTURBANCES)
def test_all_is_answered(tmp_path, name):
    got = disturbances.measure(name, tmp_path, RATE, SECONDS, 1, CONNECTIONS)
    for run in got["calm"] + got["disturbed"]:
        assert (run["answered"], run["wrong"]) == (RATE * SECONDS, 0)
    assert got["more files"] <= FILES.get(name, 8)
    assert (got["lost lines"] > 0) == (name in LOSES_LINES)


def test_other_threads_make_way_for_those_that_answer(tmp_path):
    """Only the workers have the process' own priority. What runs in libuv's pool gets its rank when it has a job."""
    (tmp_path / "zone").write_text("$ORIGIN example.\n@ 60 SOA ns hostmaster 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n")
    with Vigie(tmp_path, """example.:PORT {
    bind 127.0.0.1
    workers 2
    auto {
        directory FOLDER (zone) example.
        reload 1s
    }
}
""".replace("FOLDER", str(tmp_path))) as vigie:
        tasks = Path(f"/proc/{vigie.process.pid}/task")

        def ranks() -> dict[str, list[int]]:
            found = {}
            for task in tasks.iterdir():
                nice = int((task / "stat").read_text().rsplit(")", 1)[1].split()[16])
                found.setdefault((task / "comm").read_text().strip(), []).append(nice - os.nice(0))
            return {name: sorted(nices) for name, nices in found.items()}

        wait_for(lambda: ranks()["vigie"][-1] == 10, "a job in the pool")
        found = ranks()
        assert found["worker"] == [0, 0]
        assert found["log"] == [10]
        assert found["vigie"][0] == 4  # the main thread; those of the pool inherit its rank or have that of their job
