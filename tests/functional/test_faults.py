"""The command that measures what clients notice of faults and attacks works, at a small size; and what does not hang on how
fast the machine is holds."""
import sys
from pathlib import Path

import pytest

from vigie_process import BUILD

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import faults  # noqa: E402

SMALL = {"leaks": ["--queries", "4000"], "forged": ["--queries", "20000"], "one-stops": ["--queries", "3000"],
         "both-dead": ["--seconds", "2"], "tc": ["--queries", "3000"], "flood": []}


@pytest.mark.parametrize("figure", faults.FIGURES)
def test_small(figure, tmp_path):
    arguments = faults.parser().parse_args([figure, *SMALL[figure], "--load", "1000", "--untimed", "--build", str(BUILD)])
    figures = faults.FIGURES[figure](faults.Bench(arguments, tmp_path))
    missed = [str(each) for each in figures if not each.good() and not each.timed]
    assert figures and not missed
