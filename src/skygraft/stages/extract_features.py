"""Features: each image that a protocol names goes through a model once; probes and zero-shot scores start from the file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from skygraft.config.evaluation import FloorModel
from skygraft.config.model import Config
from skygraft.core.files import lock
from skygraft.core.progress import progress
from skygraft.encoders.clip import FrozenClip, use_threads
from skygraft.evaluation.benchmarks.eurosat import EuroSatArchive, decode, label_of, natural_key
from skygraft.evaluation.features import Features, FeatureTable, write_features
from skygraft.evaluation.floor import floor_statistics
from skygraft.stages import identities, scored
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)
_BLOCK = 512


def run(config: Config, *, model: str) -> None:
    """Extracts the features of one scored model.

    Args:
        config: The configuration.
        model: Name of the scored model.

    Raises:
        ConfigError: There is no such model, it has not been made, or a protocol does not fit the archive.
        CorruptDataError: The archive or an image of it is broken.
    """
    task, section, layout = scored.task_of(config), scored.scored(config, model), Layout(config)
    use_threads(scored.THREADS)
    target = layout.features(task.benchmark, model)
    clip = scored.load_scored(config, model)
    with lock(layout.work("extract_features") / f"{config.name}-{model}.lock"), _archive(config) as archive:
        wanted = named_images(config, archive.sample_ids, whole_pool=isinstance(section, FloorModel))
        features = np.concatenate(list(_blocks(clip, archive, wanted, f"features of {model}")))
    meta = identities.meta(config, identities.model_identity(config, model)) | ({} if clip is None else clip.identity.to_meta())
    labels = np.array([label_of(sample_id) for sample_id in wanted], dtype=np.int64)
    write_features(FeatureTable(wanted, labels, features, str(target)), target, meta)
    _LOG.info("features=%s images=%d of %d dimension=%d", target, len(wanted), len(archive.sample_ids), features.shape[1])


def named_images(config: Config, sample_ids: tuple[str, ...], *, whole_pool: bool) -> tuple[str, ...]:
    """The images that the task's protocols name: tested ones, and drawn ones or, to standardise by it, the whole pool."""
    wanted: set[str] = set()
    for protocol in scored.protocols_of(config):
        split = scored.split_of(config, protocol, sample_ids)
        wanted |= set(split.named if whole_pool else split.drawn(protocol))
    return tuple(sorted(wanted, key=natural_key))


def _archive(config: Config) -> EuroSatArchive:
    benchmark = scored.task_of(config).benchmark
    return EuroSatArchive(Layout(config).benchmark_file(benchmark, config.benchmarks[benchmark].file))


def _blocks(clip: FrozenClip | None, archive: EuroSatArchive, wanted: tuple[str, ...], label: str) -> Iterator[Features]:
    """Features in blocks, so that no more pictures than one block's are in memory."""
    with progress(len(wanted), label) as advance:
        for at in range(0, len(wanted), _BLOCK):
            block = wanted[at : at + _BLOCK]
            yield _features(clip, archive, block)
            advance(len(block))


def _features(clip: FrozenClip | None, archive: EuroSatArchive, sample_ids: tuple[str, ...]) -> Features:
    chips = _chips(archive, sample_ids)
    if clip is None:
        return np.stack([floor_statistics(chip) for chip in chips])
    from PIL import Image

    return clip.encode_images(Image.fromarray(chip) for chip in chips)


def _chips(archive: EuroSatArchive, sample_ids: tuple[str, ...]) -> Iterator[npt.NDArray[np.uint8]]:
    for sample_id, data in zip(sample_ids, archive.read_many(sample_ids), strict=True):
        yield decode(data, sample_id)
