"""What happens beside DNS does not touch it: disturbances.py on a small scale. How long answers took is what its command
prints; here it counts that all are there, and that what holds the server is bounded."""
import pytest

import disturbances

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
