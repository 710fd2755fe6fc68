"""Training: from tiles and photo embeddings to a model folder."""

from __future__ import annotations

import csv
import io
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.config.model import Config, nearest
from skygraft.config.runs import Run
from skygraft.core.errors import ConfigError
from skygraft.core.files import lock, sha256_file, sweep_temporaries, write_text
from skygraft.core.identity import digest
from skygraft.core.schemas import PAIRS, PHOTOS
from skygraft.core.tables import read_table
from skygraft.embeddings.cache import read_vectors
from skygraft.encoders.clip import FrozenClip
from skygraft.encoders.photo_vectors import PhotoVectors
from skygraft.encoders.satellite import satellite_clip
from skygraft.ground import attribution
from skygraft.ground.photo_rows import UNKNOWN_YEAR, each_once
from skygraft.stages import identities
from skygraft.stages.embed_photos import load_encoder
from skygraft.stages.layout import Layout
from skygraft.training.augment import Geometry
from skygraft.training.batches import Batches
from skygraft.training.data import Examples, Sources, read_examples
from skygraft.training.export import Provenance, export
from skygraft.training.fit import fit
from skygraft.training.module import HISTORY_COLUMNS

_LOG = logging.getLogger(__name__)
Curves = Sequence[Mapping[str, float]]


def run(config: Config, *, run: str) -> None:
    """Trains one run and publishes its model folder and its curves.

    A killed training goes on from its last whole epoch. When the model is published the checkpoint goes, so that a forced run starts anew.

    Args:
        config: The configuration.
        run: Name of the run.

    Raises:
        ConfigError: There is no such run, or its parts do not fit each other.
        CorruptDataError: A table is missing or broken, or embeddings of different encoders meet.
    """
    if run not in config.runs:
        raise ConfigError(f"runs: there is no {run!r}; {nearest(run, config.runs)}")
    layout, section = Layout(config), config.runs[run]
    work = layout.work("train", config.name, run)
    with lock(work / "lock"):
        clip = load_encoder(config.encoders[section.encoder])
        photos = _photo_tables(config, run)
        sources = _sources(config, run, photos)
        _same_encoder(section.encoder, clip, sources.vectors)
        inputs = _digests(config, run) | {"encoder": clip.identity.digest()}
        scratch = work / digest({"identity": identities.run_identity(config, run), "inputs": inputs})
        scratch.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(scratch)
        examples = _examples(section, sources, scratch)
        model = satellite_clip(clip, section.start, config.seed)
        curves = fit(model.visual, section, *_batches(config, section, clip, examples), scratch)
        write_text(layout.run(run) / "history.csv", _csv(curves))
        export(layout.model_folder(run), model, clip, _provenance(config, run, examples, sources, photos, inputs, curves))
        shutil.rmtree(scratch)
    _LOG.info("model=%s val_loss=%s", layout.model_folder(run), curves[-1]["val_loss"])


def _examples(section: Run, sources: Sources, scratch: Path) -> dict[str, Examples]:
    stretch = (section.stretch.low, section.stretch.high)
    return read_examples(sources, ("train", "val"), scratch, pooling=section.pooling, stretch=stretch, min_photos=section.min_photos)


def _photo_tables(config: Config, run: str) -> pa.Table:
    layout, columns = Layout(config), ["photo_id", "location_id", "year", "source", "licence", "author"]
    return each_once([read_table(PHOTOS, layout.photos(photos), columns) for photos in config.plan_of(run).photos])


def _sources(config: Config, run: str, photos: pa.Table) -> Sources:
    layout, section = Layout(config), config.runs[run]
    plan = config.imagery[section.imagery].plan
    shards = [shard for photos in config.plans[plan].photos for shard in layout.embedding_shards(section.encoder, photos)]
    return Sources(
        tiles=layout.tiles(plan),
        pairs=layout.pairs(plan),
        tile_shards=layout.tile_shards(section.imagery),
        locations=dict(zip(photos.column("photo_id").to_pylist(), photos.column("location_id").to_pylist(), strict=True)),
        vectors=read_vectors(shards),
    )


def _same_encoder(encoder: str, clip: FrozenClip, vectors: PhotoVectors) -> None:
    if clip.identity != vectors.identity:
        raise ConfigError(
            f"encoders.{encoder} is not what made the photo embeddings ({clip.identity.differences(vectors.identity)}): run "
            f"'skygraft embed-photos --encoder {encoder}' for the run's photos again."
        )


def _digests(config: Config, run: str) -> dict[str, str]:
    """sha256 of every file the run learns from."""
    layout, section = Layout(config), config.runs[run]
    plan = config.imagery[section.imagery].plan
    files = [layout.tiles(plan), layout.pairs(plan), *layout.tile_shards(section.imagery)]
    for photos in config.plans[plan].photos:
        files += [layout.photos(photos), *layout.embedding_shards(section.encoder, photos)]
    return {str(path): sha256_file(path) for path in files}


def _batches(config: Config, section: Run, clip: FrozenClip, examples: Mapping[str, Examples]) -> tuple[Batches, Batches]:
    size = clip.identity.preprocessing["size"]
    geometry = Geometry(
        size=size if isinstance(size, int) else int(size[0]),
        crop=section.augmentation.crop_px,
        mean=clip.identity.preprocessing["mean"],
        std=clip.identity.preprocessing["std"],
    )
    made = [
        Batches(examples[split], section.optimiser.batch_size, geometry, section.augmentation, config.seed) for split in ("train", "val")
    ]
    return made[0], made[1]


def _provenance(
    config: Config,
    run: str,
    examples: Mapping[str, Examples],
    sources: Sources,
    photos: pa.Table,
    inputs: Mapping[str, str],
    curves: Curves,
) -> Provenance:
    section, imagery, plan = config.runs[run], config.imagery[config.runs[run].imagery], config.plan_of(run)
    world = f"embedded world, seed {config.world.seed}" if config.world is not None else None
    taught = attribution.of_photos(photos, _taught(config, run, examples["train"], sources.vectors))
    shares = attribution.shares(taught)
    return Provenance(
        name=run,
        configuration=config.name,
        system=section.system,
        imagery=f"{section.imagery} ({world})" if world is not None else section.imagery,
        objective=section.objective.name,
        start=section.start,
        data=world or ", ".join((*plan.photos, section.imagery)),
        bands=imagery.bands,
        gsd_m=plan.gsd_m,
        crop_px=section.augmentation.crop_px or plan.size_px,
        stretch=(section.stretch.low, section.stretch.high),
        pooling=section.pooling,
        photos=plan.photos,
        years=tuple(sorted(set(taught.column("year").to_pylist()) - {UNKNOWN_YEAR})),
        attributions=tuple(asdict(share) for share in shares),
        notices=attribution.notices(share.source for share in shares),
        seed=config.seed,
        torch_threads=section.torch_threads,
        settings=section.identity(),
        imagery_settings=imagery.identity(),
        tiles={split: len(its) for split, its in examples.items()},
        photo_count=int(examples["train"].photos.sum()),
        inputs=inputs,
        note=section.note,
        losses={name: value if math.isfinite(value) else None for name, value in curves[-1].items()},
    )


def _taught(config: Config, run: str, train: Examples, vectors: PhotoVectors) -> pa.ChunkedArray:
    """The photos that the model learnt from: those on its training tiles that have an embedding."""
    pairs = read_table(PAIRS, Layout(config).pairs(config.imagery[config.runs[run].imagery].plan), ["tile_id", "photo_id"])
    pairs = pairs.filter(pc.is_in(pairs.column("tile_id"), value_set=pa.array(train.tile_ids, pa.string())))
    photos = pairs.column("photo_id")
    return photos.filter(pc.is_in(photos, value_set=pa.array(vectors.photo_ids, pa.string())))


def _csv(curves: Curves) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "epoch": int(row["epoch"]) + 1} for row in curves)
    return text.getvalue()
