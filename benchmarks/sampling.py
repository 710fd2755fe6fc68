"""Choosing the centres of tiles, and the photos on each: our loops against scipy's cKDTree by the same rule.

    python benchmarks/sampling.py [--quick]

Photos lie in one zone, 60 % of them in towns, as thick whatever their number. They are asked by a random key; who lies at most 112 px
(1,120 m, by the greater of dx and dy) from a kept one is not kept. The peer is the fastest way found with cKDTree: a tree of the photos,
unbalanced and with leaves of 32, asked for batches of candidates by two threads; the photos around a kept one are struck out. One query
for each kept photo takes twice as long, and all pairs at once too much memory. The photos of each tile are asked of cKDTree by
query_ball_point with two threads.

Each run has a process of its own, so that its peak of memory is its own, and the sides take turns. Before our side looks at the clock it
has loaded its compiled loops; what that costs stands beside. Ours uses one thread. Both give the same kept photos in the same order, and
the same photos of each tile. Two lines for each number of photos, sampling and assignment, with the growth of our time since the number
before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

REACH_M = 1120.0
MOST = 25
THREADS = 2
BATCH = 32768


def photos(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in metres and keys."""
    rng = np.random.default_rng(0)
    side, towns = REACH_M * np.sqrt(count) * 0.6, max(10, count // 5000)
    centres, in_towns = rng.random((towns, 2)) * side, int(count * 0.6)
    xy = np.empty((count, 2))
    xy[:in_towns] = rng.normal(size=(in_towns, 2))
    xy[:in_towns] *= REACH_M * 6
    xy[:in_towns] += centres[rng.integers(0, towns, in_towns)]
    xy[in_towns:] = rng.random((count - in_towns, 2)) * side
    rng.shuffle(xy)
    return xy, rng.integers(0, 2**63, count).astype(np.uint64)


def highest_mb(*, anew: bool = False) -> float:
    """The most memory this process has held at once, from now on where ``anew``."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def ours(count: int) -> dict[str, Any]:
    started = time.perf_counter()
    from skygraft.geo import sampling
    from skygraft.geo.sampling import Grid, Places, ascending, draw, keep, members
    from skygraft.geo.sampling_kernel import Seams

    sampling._FEW = 0
    seams = Seams(np.array([-1], np.int32), np.empty(0, np.int32), np.empty((0, 5, 2)))

    def places(xy: np.ndarray, order: np.ndarray) -> Places:
        zone = np.full(len(xy), 32632, np.int32)
        return Places(order, zone, xy, zone, seams, Grid())

    few = places(np.zeros((1, 2)), ascending(np.zeros(1, np.uint64)))
    draw(members(few, keep(few, REACH_M), REACH_M), keep(few, REACH_M), np.zeros(1, np.uint64), MOST)
    loaded = time.perf_counter() - started
    xy, keys = photos(count)
    before = highest_mb(anew=True)
    start = time.perf_counter()
    order = ascending(keys)
    del keys
    found = places(xy, order)
    centres = keep(found, REACH_M)
    kept = time.perf_counter() - start
    peak = highest_mb()
    start = time.perf_counter()
    its = members(found, centres, REACH_M)
    assigned = time.perf_counter() - start
    keys = photos(count)[1]
    start = time.perf_counter()
    draw(its, centres, keys, MOST)
    facts = {"draw_seconds": time.perf_counter() - start, "load_seconds": loaded}
    owners = np.repeat(np.arange(len(centres.rows)), np.diff(its.starts))
    rows = its.rows[np.lexsort((its.rows, owners))]
    return facts | report(kept, assigned, before, peak, centres.rows, its.starts, rows)


def theirs(count: int) -> dict[str, Any]:
    from scipy.spatial import cKDTree

    xy, keys = photos(count)
    before = highest_mb(anew=True)
    start = time.perf_counter()
    order = np.argsort(keys, kind="stable")
    del keys
    tree = cKDTree(xy, balanced_tree=False, leafsize=32)
    alive, rows = np.ones(count, bool), []
    for first in range(0, count, BATCH):
        candidates = order[first : first + BATCH]
        candidates = candidates[alive[candidates]]
        if len(candidates):
            around = tree.query_ball_point(xy[candidates], REACH_M, p=np.inf, workers=THREADS, return_sorted=False)
            for row, its in zip(candidates.tolist(), around, strict=True):
                if alive[row]:
                    rows.append(row)
                    alive[its] = False
    kept = time.perf_counter() - start
    peak = highest_mb()
    del tree
    chosen = np.array(rows, np.int32)
    start = time.perf_counter()
    tree = cKDTree(xy, balanced_tree=False, leafsize=32)
    members = tree.query_ball_point(xy[chosen], REACH_M, p=np.inf, workers=THREADS, return_sorted=False)
    assigned = time.perf_counter() - start
    starts = np.concatenate([[0], np.cumsum([len(its) for its in members])]).astype(np.int64)
    return report(kept, assigned, before, peak, chosen, starts, np.concatenate([np.sort(its) for its in members]).astype(np.int32))


def report(
    kept: float, assigned: float, before: float, peak: float, rows: np.ndarray, starts: np.ndarray, members: np.ndarray
) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(rows, np.int32).tobytes()).hexdigest()
    of_tiles = hashlib.sha256(starts.tobytes() + np.ascontiguousarray(members, np.int32).tobytes()).hexdigest()
    return {
        "sampling": kept, "assignment": assigned, "kept": len(rows), "pairs": len(members), "digests": [digest, of_tiles],
        "peak_mb": peak, "added_mb": peak - before,
    }  # fmt: skip


def child(side: str, count: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--count", str(count)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def compare(count: int, pairs: int) -> list[dict[str, Any]]:
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    for _ in range(pairs):
        for side, done in runs.items():
            done.append(child(side, count))
    assert len({tuple(run["digests"]) for done in runs.values() for run in done}) == 1, "the sides disagree"
    lines = []
    for task, peer in (("sampling", "cKDTree, batches, 2 threads"), ("assignment", "cKDTree query_ball_point, 2 threads")):
        seconds = {side: [run[task] for run in done] for side, done in runs.items()}
        first = runs["ours"][0]
        lines.append(
            {
                "name": f"{task}_{count:.0e}".replace("e+0", "e"),
                "peer": peer,
                "ours": round(statistics.median(seconds["ours"]), 3),
                "theirs": round(statistics.median(seconds["theirs"]), 3),
                "ratio": round(statistics.median(b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)), 2),
                "unit": "seconds",
                "pairs": pairs,
                "load": os.getloadavg(),
                "counters": {"photos": count, "kept": first["kept"], "pairs": first["pairs"]}
                | {
                    f"{name}_{side}": round(max(run[name] for run in done))
                    for side, done in runs.items()
                    for name in ("peak_mb", "added_mb")
                }
                | {name: round(statistics.median(run[name] for run in runs["ours"]), 3) for name in ("draw_seconds", "load_seconds")},
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a million photos and less")
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side is not None:
        sys.stdout.write(json.dumps({"ours": ours, "theirs": theirs}[arguments.side](arguments.count)) + "\n")
        return
    child("ours", 1000)
    lines: list[dict[str, Any]] = []
    for count, pairs in ((100_000, 3), (1_000_000, 3)) if arguments.quick else ((1_000_000, 5), (10_000_000, 3)):
        for line in compare(count, pairs):
            before = [one for one in lines if one["peer"] == line["peer"]]
            line["counters"]["growth"] = round(line["ours"] / before[-1]["ours"], 1) if before else None
            lines.append(line)
    sys.stdout.write(json.dumps(lines) + "\n")


if __name__ == "__main__":
    main()
