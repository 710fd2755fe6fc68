"""The embedding cache: one row for each photo, found again by the photo's own bytes.

A row holds while the photo's sha256 is the one it was made from; the files of one encoder never meet another's (:func:`read_vectors`). Half
precision keeps the direction to about 1e-3 of the unit vector's components and halves the bytes; the norm is kept beside it in full.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skygraft.core.errors import CorruptDataError, PermanentItemError, Reason
from skygraft.core.schemas import PHOTO_SHARD, embeddings_spec
from skygraft.core.shards import Item, ShardName
from skygraft.core.tables import read_meta, read_table
from skygraft.encoders.identity import EncoderIdentity
from skygraft.encoders.photo_vectors import PhotoVectors

_LOG = logging.getLogger(__name__)
Row = dict[str, object]


@dataclass(frozen=True)
class StoredPhoto:
    """Where a photo's bytes lie.

    Args:
        shard: The photo shard's file.
        sha256: Of the bytes; None where the photo could not be had.
        refusal: Why there are no bytes, for people.
    """

    shard: Path
    sha256: str | None
    refusal: str | None = None


def photo_items(shards: Sequence[Path]) -> list[Item[StoredPhoto]]:
    """The photos of some photo shards as items of an embedding shard; their bytes are not read.

    Raises:
        CorruptDataError: A shard is missing or broken.
    """
    items = []
    for shard in shards:
        table = read_table(PHOTO_SHARD, shard, ["photo_id", "status", "sha256"])
        for photo_id, status, sha256 in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if status == Reason.OK:
                items.append(Item(photo_id, sha256, StoredPhoto(shard, sha256)))
            else:
                items.append(Item(photo_id, f"status {status}", StoredPhoto(shard, None, f"the photo was not had: {status}")))
    return items


def ok_row(item: Item[StoredPhoto], raw: NDArray[np.float32], outdoor: float | None = None) -> Row:
    """The row of an encoded photo.

    Args:
        item: The photo.
        raw: Its embedding (D,) as the network gave it.
        outdoor: The probability of an outdoor picture, where somebody asks for it.
    """
    norm = float(np.linalg.norm(raw))
    if not np.isfinite(norm) or norm == 0.0:
        error = PermanentItemError(f"the encoder gave a vector of length {norm}: try dtype float32", Reason.CORRUPT_IMAGE)
        return failed_row(item, error)
    unit = (raw / norm).astype("<f2").tobytes()
    return _row(item, Reason.OK) | {"photo_sha256": item.payload.sha256, "embedding": unit, "norm": norm, "outdoor": outdoor}


def failed_row(item: Item[StoredPhoto], error: PermanentItemError) -> Row:
    """The row of a photo that cannot be encoded."""
    return _row(item, error.reason) | {"photo_sha256": item.payload.sha256, "detail": str(error)}


def absent_row(item: Item[StoredPhoto]) -> Row:
    """The row of a photo whose bytes were never had."""
    return _row(item, Reason.NO_PHOTO) | {"detail": item.payload.refusal}


def _row(item: Item[StoredPhoto], status: Reason) -> Row:
    return {"photo_id": item.key, "status": status.value, "made_from": item.made_from}


def rows_of_other_cuts(folder: Path, name: ShardName | None, dimension: int, items: Sequence[Item[StoredPhoto]]) -> Iterator[list[Row]]:
    """Rows for ``items`` out of files that were cut into another number of shards, so that a new number costs no encoding.

    Args:
        folder: The encoder's work folder.
        name: The shard that is worked on; files of its own cut are not read. None: files of every cut are, in another's folder.
        dimension: Length of an embedding.
        items: What is needed.
    """
    needed = {item.made_from: item for item in items if item.payload.sha256 is not None}
    for path in sorted(folder.glob("*-of-*.parquet")) if needed else []:
        if name is not None and path.stem.endswith(f"-of-{name.total:04d}"):
            continue
        try:
            table = read_table(embeddings_spec(dimension), path)
        except CorruptDataError as error:
            _LOG.warning("not taken over: %s", error)
            continue
        table = table.filter(pc.is_in(table.column("made_from"), pa.array(list(needed), pa.string())))
        by_content = {row["made_from"]: row for row in table.to_pylist()}
        yield [by_content[item.made_from] | {"photo_id": item.key} for item in items if item.made_from in by_content]


def read_vectors(paths: Sequence[Path]) -> PhotoVectors:
    """All good embeddings of some shards.

    Raises:
        CorruptDataError: A shard is missing or broken, or two were made by different encoders.
    """
    if not paths:
        raise CorruptDataError("There are no embedding shards to read: run embed_photos first.")
    identity = one_identity(paths)
    spec = embeddings_spec(identity.dimension)
    tables = [read_table(spec, path, ["photo_id", "status", "embedding", "norm"]) for path in paths]
    table = pa.concat_tables(tables)
    table = table.filter(pc.equal(table.column("status"), Reason.OK.value)).combine_chunks()
    units = _halves(table.column("embedding"), identity.dimension)
    return PhotoVectors(table.column("photo_id").to_pylist(), units, table.column("norm").to_numpy().astype(np.float32), identity)


def _halves(column: pa.ChunkedArray, dimension: int) -> NDArray[np.float16]:
    """Fixed-size binary values without nulls as (N, D) float16, seen in place."""
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if len(chunk) == 0:
        return np.empty((0, dimension), np.float16)
    return np.frombuffer(chunk.buffers()[1], "<f2", len(chunk) * dimension, chunk.offset * 2 * dimension).reshape(-1, dimension)


def one_identity(paths: Sequence[Path]) -> EncoderIdentity:
    """The encoder that made all of some shards.

    Raises:
        CorruptDataError: They were made by different ones; the text names two files and what differs.
    """
    first = EncoderIdentity.from_meta(read_meta(paths[0]), str(paths[0]))
    for path in paths[1:]:
        other = EncoderIdentity.from_meta(read_meta(path), str(path))
        if other != first:
            raise CorruptDataError(
                f"{paths[0]} and {path} were made by different encoders ({first.differences(other)}). Embeddings never mix: delete the "
                "wrong one and run embed_photos again."
            )
    return first
