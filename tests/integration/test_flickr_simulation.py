"""A search of a Flickr of two hundred thousand records, as the benchmark makes it of ten million."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "flickr_ingest.py"


@pytest.mark.slow
def test_the_union_of_the_parts_is_what_matches(tmp_path: Path) -> None:
    # The script itself compares the table with what numpy picks, and the requests before and after a kill.
    done = subprocess.run([sys.executable, BENCHMARK, "--records", "200000"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counters = json.loads(done.stdout.splitlines()[-1])["counters"]
    assert counters["records"] == 200_000 and counters["photos"] > 150_000
    # A part is at least half full where days alone are cut, so pages and cuts are at most about twice the least.
    assert counters["least_pages"] < counters["calls"] < 2 * counters["least_pages"]
    assert counters["asked_twice"] <= 4
