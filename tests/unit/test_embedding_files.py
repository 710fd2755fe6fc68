"""An embedding table opened by other programs: the vectors are there as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.core.schemas import embeddings_spec
from skygraft.core.shards import Item
from skygraft.core.tables import write_table
from skygraft.embeddings.cache import StoredPhoto, failed_row, ok_row

DIMENSION = 512
Reader = Callable[[Path], list[tuple[str, bytes | None, float | None]]]


@pytest.fixture
def raw() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(7, DIMENSION)).astype(np.float32) * 3


@pytest.fixture
def path(tmp_path: Path, raw: NDArray[np.float32]) -> Path:
    """Seven photos with embeddings, and one without."""
    spec = embeddings_spec(DIMENSION)
    items = [Item(f"lucas:2018:{row}:N", f"digest {row}", StoredPhoto(tmp_path, f"digest {row}")) for row in range(8)]
    rows = [ok_row(item, vector) for item, vector in zip(items, raw, strict=False)]
    rows.append(failed_row(items[-1], PermanentItemError("broken", Reason.CORRUPT_IMAGE)))
    names = spec.schema().names
    table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=spec.schema())
    write_table(spec, table, tmp_path / "shard.parquet")
    return tmp_path / "shard.parquet"


def by_duckdb(path: Path) -> list[tuple[str, bytes | None, float | None]]:
    return duckdb.sql(f"SELECT photo_id, embedding, norm FROM '{path}' ORDER BY photo_id").fetchall()


def by_polars(path: Path) -> list[tuple[str, bytes | None, float | None]]:
    return pl.read_parquet(path).sort("photo_id").select("photo_id", "embedding", "norm").rows()


def by_pandas(path: Path) -> list[tuple[str, bytes | None, float | None]]:
    frame = pd.read_parquet(path).sort_values("photo_id")
    return list(zip(frame["photo_id"], frame["embedding"], frame["norm"], strict=True))


@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_pandas])
def test_others_open_the_file_and_decode_the_vectors(path: Path, raw: NDArray[np.float32], read: Reader) -> None:
    *good, (name, nothing, _) = read(path)
    assert [row[0] for row in good] == [f"lucas:2018:{row}:N" for row in range(7)]
    assert (name, nothing) == ("lucas:2018:7:N", None)
    for (_, embedding, norm), vector in zip(good, raw, strict=True):
        assert embedding is not None
        decoded = np.frombuffer(embedding, "<f2").astype(np.float32) * np.float32(norm)
        np.testing.assert_allclose(decoded, vector, atol=2e-3 * np.abs(vector).max())


def test_vectors_are_neither_compressed_nor_put_into_a_dictionary(path: Path) -> None:
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert columns["embedding"].compression == "UNCOMPRESSED"
    assert "RLE_DICTIONARY" not in columns["embedding"].encodings
    assert columns["photo_id"].compression == "ZSTD"


def test_duckdb_finds_rows_by_status(path: Path) -> None:
    assert duckdb.sql(f"SELECT status, count(*) FROM '{path}' GROUP BY status ORDER BY status").fetchall() == [
        ("corrupt_image", 1),
        ("ok", 7),
    ]
