"""Searching a Flickr of GRAFT's size: what it asks, how long it takes, what it holds in memory and on disk, and whether it finds all.

    python benchmarks/flickr_ingest.py [--quick] [--records N]

Ten million drawn records (--quick: 300,000) stand in a process of their own, which answers as the service does: 250 a page, 4,000 a query.
`skygraft ingest-flickr` searches a box and ten years of them, in a process of its own, with the limit of calls off; it is killed on its
way and goes on, and runs a third time with nothing left to ask. Its table is compared with what numpy picks from the same arrays. There
is no other tool to time it against: what counts is the number of calls, for the service allows 3,600 an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from flickr_stand_in import EAST, NORTH, SOUTH, WEST, Records, draw, stand_in
from numpy.typing import NDArray

QUERY = {
    "bbox": f"{WEST},{SOUTH},{EAST},{NORTH}",
    "min_taken_date": "2013-01-01 00:00:00",
    "max_taken_date": "2022-12-31 23:59:59",
    "license": ",".join(str(number) for number in range(1, 17)),
    "accuracy": "16",
}
KEY = "drawn-key-of-the-benchmark"


def configuration(address: str) -> dict[str, object]:
    source = {
        "source": "flickr",
        "area": {"bbox": [WEST, SOUTH, EAST, NORTH]},
        "taken_from": "2013-01-01",
        "taken_to": "2022-12-31",
        "api_url": f"{address}/services/rest/",
        "api_network": {"concurrency": 4, "per_second": None},
    }
    return {"name": "simulation", "photos": {"flickr": source}}


def expected(records: Records) -> NDArray[np.int64]:
    """Ids that the table must have: what matches, and the lowest id of each author, place and minute."""
    rows = records.matching(QUERY)
    number, minute = records.number[rows], records.taken[rows] // 60
    order = np.lexsort((number, minute, records.lat[rows], records.lon[rows], records.owner[rows]))
    keys = np.stack([records.owner[rows], records.lon[rows], records.lat[rows], minute])[:, order]
    first = np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))
    return np.sort(number[order][first])


def ingest(folder: Path, until: int | None = None) -> tuple[float, float, str]:
    """Runs the verb, or kills it once its journal has so many bytes; seconds, peak memory in MB, and its log."""
    command = [sys.executable, "-m", "skygraft.cli", "ingest-flickr", "--photos", "flickr", "--configfile", "simulation.yaml"]
    environment = {**os.environ, "FLICKR_API_KEY": KEY}
    start, log, peak = time.monotonic(), folder / "log.txt", 0.0
    with log.open("w") as file:
        child = subprocess.Popen(command, cwd=folder, env=environment, stderr=file)
        while child.poll() is None:
            peak = max(peak, peak_mb(child.pid))
            if until is not None and journal_bytes(folder) >= until:
                child.kill()
            time.sleep(0.05)
    assert child.returncode == (0 if until is None else -signal.SIGKILL), log.read_text()
    return time.monotonic() - start, peak, log.read_text()


def peak_mb(process: int) -> float:
    """The most memory a process has held since its program was loaded; what wait4 tells counts its parent's as well."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def journal_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("work/ingest_flickr/*/*/pages.log"))


def asked(address: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{address}/asked") as reply:
        counts: dict[str, int] = json.load(reply)
    return counts


def simulate(count: int, folder: Path) -> dict[str, object]:
    load = os.getloadavg()[0]
    truth = expected(draw(count))
    with stand_in(count) as address:
        (folder / "simulation.yaml").write_text(yaml.safe_dump(configuration(address)))
        # About a quarter of the journal, by the eighty bytes that a photo takes.
        killed_s, killed_mb, _ = ingest(folder, until=count * 15)
        before = asked(address)
        seconds, peak, log = ingest(folder)
        calls = asked(address)
        replay_s, replay_mb, _ = ingest(folder)
        replayed = asked(address)
    table = folder / "data/photos/flickr.parquet"
    names = pq.read_table(table, columns=["photo_id"]).column(0)
    found = np.sort(pc.cast(pc.utf8_slice_codeunits(names, len("flickr:")), pa.int64()).to_numpy())
    assert np.array_equal(found, truth), f"{len(found)} photos in the table, {len(truth)} match"
    assert calls["requests"] - calls["different"] <= 4, "a request was made twice, and was not under way at the kill"
    assert replayed == calls, "a finished search asked again"
    counters = {
        "records": count, "photos": len(found), "calls": calls["requests"], "calls_before_the_kill": before["requests"],
        "asked_twice": calls["requests"] - calls["different"], "hours_at_3600_calls": round(calls["requests"] / 3600, 2),
        "photos_a_call": round(len(found) / calls["requests"], 1), "peak_mb": round(max(peak, killed_mb)), "replay_s": round(replay_s, 1),
        "replay_peak_mb": round(replay_mb), "journal_bytes": journal_bytes(folder), "table_bytes": table.stat().st_size,
        "least_pages": -(-len(found) // 250),
    }  # fmt: skip
    print(log, file=sys.stderr)
    return {
        "name": "flickr_ingest", "peer": None, "ours": round(killed_s + seconds, 1), "theirs": None, "ratio": None, "unit": "seconds",
        "pairs": 1, "load": load, "counters": counters,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="300,000 records")
    parser.add_argument("--records", type=int, help="how many records", default=None)
    options = parser.parse_args()
    count = options.records or (300_000 if options.quick else 10_000_000)
    with tempfile.TemporaryDirectory(prefix="flickr-") as folder:
        print(json.dumps(simulate(count, Path(folder))))


if __name__ == "__main__":
    main()
