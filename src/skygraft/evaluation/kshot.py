"""The k-shot task of one model under one protocol: every draw of every shot, one accuracy a shot, and who is taken for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skygraft.core.errors import CorruptDataError
from skygraft.evaluation.benchmarks.eurosat import label_of
from skygraft.evaluation.confusion import confusion_matrix
from skygraft.evaluation.features import FeatureTable
from skygraft.evaluation.intervals import Accuracy, accuracy_intervals
from skygraft.evaluation.probe import fit_probes, scale_by_pool, scale_unit
from skygraft.evaluation.protocol import Probe, Protocol
from skygraft.evaluation.splits import Split
from skygraft.evaluation.zeroshot import classify, classify_centred


@dataclass(frozen=True)
class Scores:
    """Accuracies by shots, and for each the confusion matrix (true class down, predicted across; draws summed)."""

    accuracies: dict[int, Accuracy]
    confusions: dict[int, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class ZeroShotScores:
    """Accuracy and confusion matrix (true class down, predicted across), and the accuracy once a common shift is taken out."""

    accuracy: Accuracy
    centred: float
    confusion: npt.NDArray[np.int64]


def score_kshot(protocol: Protocol, split: Split, features: FeatureTable, probe: Probe) -> Scores:
    """Fit and test every probe of the protocol.

    Args:
        protocol: Shots, seeds, solver and interval.
        split: What it makes of the archive.
        features: Of the tested images and of every image that a draw uses; of the whole pool where ``probe`` standardises by it.
        probe: The protocol's ``probe``, or its ``floor``.

    Raises:
        CorruptDataError: A sample is missing, not finite, or carries another label than its name says.
    """
    pool_ids, supports = _pool(protocol, split, probe)
    pool, test = features.rows(pool_ids), features.rows(split.test)
    _check_labels(features)
    if probe.scale == "unit":
        scaled, tested = scale_unit(pool), scale_unit(test)
    else:
        scaled, tested = scale_by_pool(pool, pool), scale_by_pool(test, pool)
    position = {sample_id: i for i, sample_id in enumerate(split.pool)}
    labels = split.pool_labels[[position[sample_id] for sample_id in pool_ids]]
    solver = protocol.solver
    probes = fit_probes(scaled, labels, supports, c=probe.c, tolerance=solver.tolerance, max_iterations=solver.max_iterations)
    draws = len(protocol.seeds)
    predictions = probes.predict(tested).reshape(len(protocol.shots), draws, len(split.test))
    hits = [shot == split.test_labels for shot in predictions]
    interval = protocol.interval
    accuracies = accuracy_intervals(hits, level=interval.level, resamples=interval.resamples, seed=interval.seed)
    classes = int(split.pool_labels.max()) + 1
    return Scores(
        dict(zip(protocol.shots, accuracies, strict=True)),
        {k: confusion_matrix(split.test_labels, shot, classes) for k, shot in zip(protocol.shots, predictions, strict=True)},
    )


def score_zero_shot(protocol: Protocol, split: Split, features: FeatureTable, classes: npt.NDArray[np.float64]) -> ZeroShotScores:
    """Scores on the protocol's test images, by cosine to ``classes`` of shape (classes, dimension)."""
    tested = features.rows(split.test)
    predictions = classify(tested, classes)
    interval = protocol.interval
    hits = (predictions == split.test_labels)[None]
    accuracy = accuracy_intervals([hits], level=interval.level, resamples=interval.resamples, seed=interval.seed)[0]
    centred = float(np.mean(classify_centred(tested, classes) == split.test_labels))
    return ZeroShotScores(accuracy, centred, confusion_matrix(split.test_labels, predictions, len(classes)))


def _pool(protocol: Protocol, split: Split, probe: Probe) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    """The images to fit from and, for each problem, positions among them."""
    supports = [split.support(shots, seed) for shots in protocol.shots for seed in protocol.seeds]
    if probe.scale == "pool_standardised":
        return split.pool, supports
    used = np.unique(np.concatenate(supports))
    return tuple(split.pool[int(i)] for i in used), [np.searchsorted(used, support) for support in supports]


def _check_labels(features: FeatureTable) -> None:
    wrong = [i for i, sample_id in enumerate(features.sample_ids) if label_of(sample_id) != features.labels[i]]
    if wrong:
        name, label = features.sample_ids[wrong[0]], int(features.labels[wrong[0]])
        raise CorruptDataError(f"{features.origin}: {name} carries label {label}, expected {label_of(name)} (classes in official order)")
