"""Scores of one model on EuroSAT: k-shot probes, zero-shot by class prompts, and who is taken for whom."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from skygraft.config.evaluation import FloorModel
from skygraft.config.model import Config
from skygraft.core.files import lock
from skygraft.encoders.clip import use_threads
from skygraft.evaluation.benchmarks.eurosat import CLASSES, EuroSatArchive
from skygraft.evaluation.confusion import recalls
from skygraft.evaluation.features import FeatureTable, read_features
from skygraft.evaluation.intervals import Accuracy
from skygraft.evaluation.kshot import score_kshot, score_zero_shot
from skygraft.evaluation.protocol import Protocol
from skygraft.evaluation.scores import (
    CONFUSION_COLUMNS,
    KSHOT_COLUMNS,
    NONE,
    ModelFacts,
    Row,
    share,
    write_scores,
    zeroshot_columns,
)
from skygraft.evaluation.splits import Split
from skygraft.evaluation.zeroshot import class_embeddings, load_prompts, prompt_names
from skygraft.stages import scored
from skygraft.stages.layout import Layout
from skygraft.version import __version__

_LOG = logging.getLogger(__name__)
_BENCHMARK = "eurosat"
Matrix = npt.NDArray[np.int64]


def run(config: Config, *, model: str) -> None:
    """Scores one model under every protocol of the task.

    Args:
        config: The configuration.
        model: Name of the scored model.

    Raises:
        ConfigError: There is no such model or protocol.
        CorruptDataError: The features or the archive are broken, or of other images than the protocols name.
    """
    task, layout, facts = scored.task_of(config), Layout(config), scored.facts_of(config, model)
    use_threads(scored.THREADS)
    features = read_features(layout.features(task.benchmark, model))
    data = scored.data_name(config, task.benchmark)
    with EuroSatArchive(layout.benchmark_file(task.benchmark, config.benchmarks[task.benchmark].file)) as archive:
        sample_ids = archive.sample_ids
    splits = [(protocol, scored.split_of(config, protocol, sample_ids)) for protocol in scored.protocols_of(config)]
    kshot, confusion = _kshot_rows(config, facts, splits, features, data)
    zeroshot: list[Row] = []
    for prompts, classes in _class_vectors(config, model):
        for protocol, split in splits:
            row, cells = _zero_shot(facts, protocol, split, features, prompts, classes, data)
            zeroshot.append(row)
            confusion += cells
    with lock(layout.work("evaluate_eurosat_kshot") / f"{config.name}-{model}.lock"):
        tables = ((KSHOT_COLUMNS, kshot), (zeroshot_columns(CLASSES), zeroshot), (CONFUSION_COLUMNS, confusion))
        for path, (columns, rows) in zip(layout.kshot_parts(model), tables, strict=True):
            write_scores(path, columns, rows)


def _kshot_rows(
    config: Config, facts: ModelFacts, splits: Sequence[tuple[Protocol, Split]], features: FeatureTable, data: str
) -> tuple[list[Row], list[Row]]:
    """The k-shot rows and the confusion matrices' cells."""
    is_floor = isinstance(scored.scored(config, facts.model), FloorModel)
    rows: list[Row] = []
    cells: list[Row] = []
    for protocol, split in splits:
        scores = score_kshot(protocol, split, features, protocol.floor if is_floor else protocol.probe)
        for shots, accuracy in scores.accuracies.items():
            extra = {"shots": shots, "seeds": len(protocol.seeds)}
            rows.append(facts.columns() | extra | _common(accuracy, protocol, split, data))
            cells += _cells(facts, protocol, shots, NONE, scores.confusions[shots])
        words = ", ".join(f"{shots}: {100 * one.value:.1f}" for shots, one in scores.accuracies.items())
        _LOG.info("model=%s protocol=%s accuracy by shots, %%: %s", facts.model, protocol.name, words)
    return rows, cells


def _common(accuracy: Accuracy, protocol: Protocol, split: Split, data: str) -> dict[str, object]:
    bounds = {"accuracy": share(accuracy.value), "ci_low": share(accuracy.low), "ci_high": share(accuracy.high)}
    return {**bounds, "n_test": len(split.test), "protocol": protocol.name, "data": data, "version": __version__}


def _zero_shot(
    facts: ModelFacts,
    protocol: Protocol,
    split: Split,
    features: FeatureTable,
    prompts: str,
    classes: npt.NDArray[np.float64],
    data: str,
) -> tuple[Row, list[Row]]:
    scores = score_zero_shot(protocol, split, features, classes)
    found = {f"recall_{name}": share(value) for name, value in zip(CLASSES, recalls(scores.confusion), strict=True)}
    extra = {"prompts": prompts, "centred_accuracy": share(scores.centred)}
    row = facts.columns() | extra | _common(scores.accuracy, protocol, split, data) | found
    return row, _cells(facts, protocol, 0, prompts, scores.confusion)


def _class_vectors(config: Config, model: str) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """The class embeddings by each prompt file, the configured one first; none for a model without a text tower."""
    clip = scored.load_scored(config, model) if scored.has_text(config, model) else None
    if clip is None:
        return
    first = scored.task_of(config).prompts
    for name in dict.fromkeys((first, *prompt_names(_BENCHMARK))):
        yield name, class_embeddings(load_prompts(_BENCHMARK, name, CLASSES), CLASSES, clip.encode_text)


def _cells(facts: ModelFacts, protocol: Protocol, shots: int, prompts: str, matrix: Matrix) -> list[Row]:
    return [
        {
            "model": facts.model,
            "protocol": protocol.name,
            "shots": shots,
            "prompts": prompts,
            "true": CLASSES[true],
            "predicted": CLASSES[predicted],
            "count": int(matrix[true, predicted]),
        }
        for true in range(len(CLASSES))
        for predicted in range(len(CLASSES))
    ]
