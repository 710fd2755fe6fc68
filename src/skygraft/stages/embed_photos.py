"""Photo embeddings: each photo goes through the frozen CLIP once, whatever is run again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from skygraft.config.encoders import Encoder as EncoderSection
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError, Reason
from skygraft.core.journal import Journal
from skygraft.core.schemas import embeddings_spec
from skygraft.core.shards import Item, ShardName, ShardStore, Summary
from skygraft.embeddings.cache import Row, StoredPhoto, photo_items, rows_of_other_cuts
from skygraft.embeddings.encode import Encoder
from skygraft.embeddings.outdoor import Judge, load_judge, picture_scores
from skygraft.encoders.clip import FrozenClip, load_clip, use_threads
from skygraft.encoders.outdoor import to_meta
from skygraft.encoders.reference import ModelReference
from skygraft.stages import identities
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)
# Where a second network scores the pictures: photos that are scored, and then encoded, before any of them is safe from a kill.
_SCORED_AT_ONCE = 1024


def reference_of(section: EncoderSection) -> ModelReference:
    """The model that a section of the configuration names."""
    return ModelReference(section.model, section.weights, section.sha256)


def load_encoder(section: EncoderSection) -> FrozenClip:
    """The frozen CLIP that a section of the configuration names."""
    return load_clip(reference_of(section), dtype=section.dtype, device=section.device)


def run(config: Config, *, encoder: str, photos: str, job: int | None = None) -> None:
    """Embeds the photos of one job's photo shards, or of all jobs' one after the other.

    Args:
        config: The configuration.
        encoder: Name of the encoder.
        photos: Name of the photo source.
        job: Which of the source's embedding jobs, from 0; None for all.

    Raises:
        ConfigError: There is no such encoder, photo source or job, the encoder cannot be loaded, or the data folder has another identity.
        CorruptDataError: A photo shard is missing or broken.
    """
    jobs = _jobs(config, encoder, photos, job)
    section = config.encoders[encoder]
    use_threads(section.threads)
    identity = identities.embeddings_identity(config, encoder, photos)
    folder = Layout(config).embedding_shard(encoder, photos, jobs[0]).parent
    identities.check(folder, identity)
    clip = load_encoder(section)
    judge = load_judge(section.outdoor, clip)
    identities.claim(folder, identity)
    meta = identities.meta(config, identity) | clip.identity.to_meta() | to_meta(judge.identity)
    for number in jobs:
        _embed(Layout(config), encoder, photos, number, clip, judge, meta)


def _jobs(config: Config, encoder: str, photos: str, job: int | None) -> list[int]:
    for place, name, known in (("encoders", encoder, config.encoders), ("photos", photos, config.photos)):
        if name not in known:
            raise ConfigError(f"{place}: there is no {name!r}; {nearest(name, known)}")
    total = Layout(config).embedding_jobs(encoder, photos)
    if job is not None and not 0 <= job < total:
        raise ConfigError(f"There is no embedding job {job} of {photos}: they go from 0 to {total - 1}.")
    return [job] if job is not None else list(range(total))


def _embed(layout: Layout, encoder: str, photos: str, job: int, clip: FrozenClip, judge: Judge, meta: dict[str, str]) -> None:
    section = layout.config.encoders[encoder]
    target, name = layout.embedding_shard(encoder, photos, job), ShardName(job, layout.embedding_jobs(encoder, photos))
    # The weights themselves are part of the work folder's name, so that no row of other weights is ever taken over.
    work = layout.work("embed_photos", photos, f"{clip.identity.digest()}-{judge.digest()}")
    store = ShardStore(work, name, embeddings_spec(clip.dimension), target, meta)
    network = Encoder(clip, batch_size=section.batch_size, threads=section.threads, outdoor=judge.sentences)
    with store.open():
        items = photo_items(layout.embedding_inputs(encoder, photos, job))
        for rows in rows_of_other_cuts(work, name, clip.dimension, store.pending(items)):
            store.add(rows)
        for rows in _of_other_judges(work, judge, clip, store.pending(items)):
            store.add(rows)
        for rows in _rows(network, judge, store.pending(items), section.threads):
            store.add(rows)
        summary = store.finish(items)
    _report(network, summary, target, work / f"{name}.journal.jsonl")


def _report(network: Encoder, summary: Summary, target: Path, journal: Path) -> None:
    """Says what was done, and whether the network had to wait for photos: more threads help where it did."""
    clock = network.clock
    with Journal(journal) as notes:
        notes.note(
            event="embedded",
            decoded=network.decoded,
            encoded=network.encoded,
            encoder_worked_s=round(clock.worked, 3),
            encoder_waited_s=round(clock.waited, 3),
        )
    facts = (target, network.decoded, network.encoded, summary.total - network.encoded, 100 * clock.waiting_share, summary)
    _LOG.info("embeddings=%s decoded=%d encoded=%d reused=%d encoder_waited=%.1f%% %s", *facts)


def _of_other_judges(work: Path, judge: Judge, clip: FrozenClip, items: Sequence[Item[StoredPhoto]]) -> Iterator[list[Row]]:
    """Rows that the same encoder made beside other outdoor scores; a network's scores would need the pictures again."""
    if judge.network is not None:
        return
    wanted = {item.key: item for item in items}
    for folder in sorted(work.parent.glob(f"{clip.identity.digest()}-*")):
        if folder == work:
            continue
        for rows in rows_of_other_cuts(folder, None, clip.dimension, list(wanted.values())):
            yield judge.rescored(rows, clip.dimension)
            for row in rows:
                wanted.pop(str(row["photo_id"]), None)


def _rows(network: Encoder, judge: Judge, items: Sequence[Item[StoredPhoto]], threads: int) -> Iterator[list[Row]]:
    """Rows of encoded photos with their scores."""
    if judge.network is None:
        yield from (rows for rows in network.rows(items) if rows)
        return
    for at in range(0, len(items), _SCORED_AT_ONCE):
        part = items[at : at + _SCORED_AT_ONCE]
        scores = picture_scores(judge.network, part, threads)
        for rows in network.rows(part):
            if rows:
                yield [row | {"outdoor": scores.get(str(row["photo_sha256"])) if row["status"] == Reason.OK else None} for row in rows]
