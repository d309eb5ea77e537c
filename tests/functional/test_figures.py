"""The commands that print the watcher's figures work, on a small cluster; and what must hold at any size holds."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

import figures  # noqa: E402

SMALL = ["--services", "60", "--endpoints", "900", "--events", "200", "--rate", "0", "--relists", "15", "--changes", "20",
         "--namespaces", "50", "--seconds", "0.2", "--turns", "2"]


@pytest.mark.parametrize("figure", figures.FIGURES)
def test_small(figure):
    options = figures.parser().parse_args([figure, *SMALL])
    got = figures.FIGURES[figure](options)
    assert got
    if figure == "relists":
        assert got["queries"] > 0 and got["wrong or missing"] == 0
