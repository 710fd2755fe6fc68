"""Photo embeddings: each photo goes through the frozen CLIP once, whatever is run again."""

from __future__ import annotations

import logging

from skygraft.config.encoders import Encoder as EncoderSection
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError
from skygraft.core.schemas import embeddings_spec
from skygraft.core.shards import ShardName, ShardStore
from skygraft.embeddings.cache import photo_items, rows_of_other_cuts
from skygraft.embeddings.encode import Encoder
from skygraft.encoders.clip import FrozenClip, load_clip, use_threads
from skygraft.encoders.reference import ModelReference
from skygraft.stages import identities
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)


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
    identities.claim(folder, identity)
    meta = identities.meta(config, identity) | clip.identity.to_meta()
    for number in jobs:
        _embed(Layout(config), encoder, photos, number, clip, meta)


def _jobs(config: Config, encoder: str, photos: str, job: int | None) -> list[int]:
    for place, name, known in (("encoders", encoder, config.encoders), ("photos", photos, config.photos)):
        if name not in known:
            raise ConfigError(f"{place}: there is no {name!r}; {nearest(name, known)}")
    total = Layout(config).embedding_jobs(encoder, photos)
    if job is not None and not 0 <= job < total:
        raise ConfigError(f"There is no embedding job {job} of {photos}: they go from 0 to {total - 1}.")
    return [job] if job is not None else list(range(total))


def _embed(layout: Layout, encoder: str, photos: str, job: int, clip: FrozenClip, meta: dict[str, str]) -> None:
    section = layout.config.encoders[encoder]
    target, name = layout.embedding_shard(encoder, photos, job), ShardName(job, layout.embedding_jobs(encoder, photos))
    # The weights themselves are part of the work folder's name, so that no row of other weights is ever taken over.
    work = layout.work("embed_photos", photos, clip.identity.digest())
    store = ShardStore(work, name, embeddings_spec(clip.dimension), target, meta)
    network = Encoder(clip, batch_size=section.batch_size, threads=section.threads)
    with store.open():
        items = photo_items(layout.embedding_inputs(encoder, photos, job))
        for rows in rows_of_other_cuts(work, name, clip.dimension, store.pending(items)):
            store.add(rows)
        for rows in network.rows(store.pending(items)):
            if rows:
                store.add(rows)
        summary = store.finish(items)
    _LOG.info("embeddings=%s encoded=%d reused=%d %s", target, network.encoded, summary.total - network.encoded, summary)
