"""The outdoor score of an encoder's photos, as its section of the configuration asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skygraft.config.outdoor import OutdoorCheckpoint, OutdoorScore, OutdoorSentences
from skygraft.core.errors import PermanentItemError
from skygraft.core.identity import digest
from skygraft.core.shards import Item
from skygraft.embeddings.cache import Row, StoredPhoto
from skygraft.embeddings.photo_bytes import stored_bytes
from skygraft.encoders.clip import FrozenClip
from skygraft.encoders.outdoor import SentenceScore, load_sentences, sentence_score
from skygraft.encoders.scenes import SceneNetwork, load_scene_network

_BATCH = 64


@dataclass(frozen=True)
class Judge:
    """Who scores the photos: sentences on the embedding, a network of its own on the picture, or nobody.

    Args:
        sentences: Scores embeddings.
        network: Scores pictures.
    """

    sentences: SentenceScore | None = None
    network: SceneNetwork | None = None

    @property
    def identity(self) -> dict[str, Any] | None:
        """What the scores are made of, beside the encoder; None where there are none."""
        judge = self.sentences or self.network
        return None if judge is None else judge.identity

    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for the identity."""
        return digest(self.identity)

    def rescored(self, rows: Sequence[Row], dimension: int) -> list[Row]:
        """Rows that another judge's run has encoded, with this one's scores: no photo is decoded or encoded for it."""
        good = [row for row in rows if row["embedding"] is not None]
        if self.sentences is None or not good:
            return [row | {"outdoor": None} for row in rows]
        units = np.frombuffer(b"".join(row["embedding"] for row in good), "<f2").reshape(-1, dimension)  # type: ignore[misc]
        scores = dict(zip((row["photo_id"] for row in good), self.sentences.of_units(units).tolist(), strict=True))
        return [row | {"outdoor": scores.get(row["photo_id"])} for row in rows]


def load_judge(section: OutdoorScore, clip: FrozenClip) -> Judge:
    """Who scores the photos of an encoder.

    Raises:
        ConfigError: The sentences or the checkpoint are not there, or are none.
        CorruptDataError: The checkpoint cannot be read.
    """
    if isinstance(section, OutdoorSentences):
        return Judge(sentences=sentence_score(load_sentences(section), clip.encode_text, float(clip.model.logit_scale.exp())))
    if isinstance(section, OutdoorCheckpoint):
        return Judge(network=load_scene_network(section, clip.device))
    return Judge()


def picture_scores(network: SceneNetwork, items: Sequence[Item[StoredPhoto]], threads: int) -> dict[str, float]:
    """The network's scores by the photos' sha256; broken pictures have none.

    Raises:
        CorruptDataError: A photo shard changed since the items were listed.
    """
    found: dict[str, float] = {}
    each = {item.payload.sha256: item for item in items if item.payload.sha256 is not None}
    with ThreadPoolExecutor(threads) as pool:
        for batch in stored_bytes(list(each.values()), _BATCH):
            prepared = pool.map(lambda data: _prepared(network, data), [data for _, data in batch])
            good = [(item.made_from, tensor) for (item, _), tensor in zip(batch, prepared, strict=True) if tensor is not None]
            if good:
                scores = network.probabilities(torch.stack([tensor for _, tensor in good])).tolist()
                found |= dict(zip((sha256 for sha256, _ in good), scores, strict=True))
    return found


def _prepared(network: SceneNetwork, data: bytes) -> Tensor | None:
    try:
        return network.prepare(data)
    except PermanentItemError:
        return None
