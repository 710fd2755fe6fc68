"""Sixty k-shot probes of a model: ours, solved together, against scikit-learn's LogisticRegression, one by one.

    python benchmarks/kshot_probes.py [--quick]

Both fit the same draws (six shots, ten draws) of the same unit features and predict the same 5,000 test images, in turns in one process.
Accuracies must agree within 0.002: each shot's with scikit-learn as it comes, and single probes' with a scikit-learn that solves as exactly
as we do. Its linear algebra has one thread, which suits problems of this size best and keeps it from fighting for the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skygraft.evaluation.probe import fit_probes, scale_unit

SHOTS, DRAWS, C = (1, 2, 5, 10, 15, 20), 10, 10.0
CASES = ((1024, 10), (512, 45))
Data = tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]


def make_data(dimension: int, classes: int) -> Data:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(classes, dimension))
    labels = generator.integers(0, classes, 10_000)
    features = scale_unit(0.25 * centres[labels] + generator.normal(size=(10_000, dimension)) + 0.5)
    groups = [np.flatnonzero(labels[:5000] == c) for c in range(classes)]
    seeds = [np.random.default_rng(seed) for _ in SHOTS for seed in range(DRAWS)]
    shots = [k for k in SHOTS for _ in range(DRAWS)]
    supports = [np.concatenate([g.choice(group, k, replace=False) for group in groups]) for g, k in zip(seeds, shots, strict=True)]
    return features[:5000], labels[:5000], supports, features[5000:], labels[5000:]


def ours(data: Data) -> np.ndarray:
    pool, labels, supports, test, truth = data
    return (fit_probes(pool, labels, supports, c=C).predict(test) == truth).mean(axis=1)


def theirs(data: Data, **settings: object) -> np.ndarray:
    pool, labels, supports, test, truth = data
    with threadpool_limits(1, user_api="blas"):
        peers = (LogisticRegression(C=C, **({"max_iter": 1000} | settings)).fit(pool[s], labels[s]) for s in supports)
        return np.array([(peer.predict(test) == truth).mean() for peer in peers])


def timed(function: Callable[[Data], np.ndarray], data: Data) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = function(data)
    return time.perf_counter() - start, result


def compare(dimension: int, classes: int, pairs: int) -> dict[str, object]:
    data = make_data(dimension, classes)
    ours(data)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(pairs):
        seconds, mine = timed(ours, data)
        times["ours"].append(seconds)
        seconds, peer = timed(theirs, data)
        times["theirs"].append(seconds)
    some = slice(0, None, 7)
    exact = theirs((*data[:2], data[2][some], *data[3:]), solver="newton-cg", tol=1e-9)
    single = float(np.abs(mine[some] - exact).max())
    shots = float(np.abs((mine - peer).reshape(len(SHOTS), DRAWS).mean(axis=1)).max())
    if max(single, shots) > 0.002:
        raise SystemExit(f"results differ: a probe by {single:.4f} of accuracy, a shot by {shots:.4f}")
    return {
        "name": f"k-shot, {dimension} dimensions, {classes} classes",
        "peer": "scikit-learn LogisticRegression, one by one",
        "ours": statistics.median(times["ours"]),
        "theirs": statistics.median(times["theirs"]),
        "ratio": statistics.median(b / a for a, b in zip(times["ours"], times["theirs"], strict=True)),
        "unit": "s",
        "pairs": pairs,
        "load": os.getloadavg()[0],
        "counters": {"probes": len(SHOTS) * DRAWS, "difference_of_a_probe": single, "difference_of_a_shot": shots},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pairs")
    pairs = 2 if parser.parse_args().quick else 5
    results = []
    for dimension, classes in CASES:
        results.append(compare(dimension, classes, pairs))
        print(json.dumps(results[-1], indent=2))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
