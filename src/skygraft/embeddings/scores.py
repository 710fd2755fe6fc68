"""The outdoor scores out of embedding shards, without the vectors and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.errors import CorruptDataError, Reason
from skygraft.core.schemas import embeddings_spec
from skygraft.core.tables import read_meta, read_table
from skygraft.encoders.identity import EncoderIdentity
from skygraft.encoders.outdoor import META_KEY


def read_outdoor_scores(paths: Sequence[Path]) -> pa.Table:
    """``photo_id`` and ``outdoor`` of some embedding shards; null where a photo has no score.

    Raises:
        CorruptDataError: A shard is missing or broken, has no scores, or two were scored by different means.
    """
    tables, first = [], None
    for path in paths:
        meta = read_meta(path)
        scored_by = (meta.get(META_KEY), EncoderIdentity.from_meta(meta, str(path)))
        if scored_by[0] is None:
            raise CorruptDataError(f"{path} holds no outdoor scores: delete it and run 'skygraft embed-photos'.")
        if first is not None and scored_by != first:
            raise CorruptDataError(
                f"{path} and {paths[0]} were scored by different means: delete the wrong one and run embed_photos again."
            )
        first = scored_by
        table = read_table(embeddings_spec(scored_by[1].dimension), path, ["photo_id", "status", "outdoor"])
        tables.append(table.filter(pc.equal(table.column("status"), Reason.OK.value)).select(["photo_id", "outdoor"]))
    if not tables:
        raise CorruptDataError("There are no embedding shards to read scores from: run embed_photos first.")
    return pa.concat_tables(tables)
