"""Parquet tables: what is written, what is refused, and that equal rows give equal bytes."""

from __future__ import annotations

import datetime
import itertools
import json
import random
import time
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import skygraft
from skygraft.core import tables
from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, SCENES, TILE_SHARD, TILES, embeddings_spec, features_spec
from skygraft.core.tables import Column, TableSpec, conform, read_meta, read_table, write_table

THINGS = TableSpec(
    "things",
    3,
    (
        Column("name", pa.string(), "its name"),
        Column("size", pa.int32(), "metres", nullable=True),
        Column("image", pa.large_binary(), "bytes", nullable=True),
    ),
    key="name",
)
ALL = (PHOTOS, PHOTO_SHARD, TILES, PAIRS, SCENES, TILE_SHARD, embeddings_spec(8), features_spec(8))


def things(count: int = 5) -> pa.Table:
    draw = random.Random(count)
    rows = [{"name": f"n{i}", "size": None if i % 3 == 0 else i, "image": draw.randbytes(50)} for i in range(count)]
    return pa.Table.from_pylist(rows, schema=THINGS.schema())


def place(lon: float, lat: float) -> bytes:
    return bytes(shapely.to_wkb(shapely.Point(lon, lat)))


# Writing and reading


def test_round_trip_with_what_the_file_says_about_itself(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.parquet"
    write_table(THINGS, things(), path, meta={"seed": "7"})
    assert read_table(THINGS, path).to_pylist() == things().to_pylist()
    assert read_meta(path) == {"table": "things", "schema_version": "3", "skygraft_version": skygraft.__version__, "seed": "7"}


def test_some_columns_in_the_order_asked_for(tmp_path: Path) -> None:
    write_table(THINGS, things(), tmp_path / "t.parquet")
    assert read_table(THINGS, tmp_path / "t.parquet", ["size", "name"]).column_names == ["size", "name"]


def test_columns_come_in_any_order_and_leave_in_the_written_one(tmp_path: Path) -> None:
    write_table(THINGS, things().select(["image", "name", "size"]), tmp_path / "t.parquet")
    assert pq.read_schema(tmp_path / "t.parquet").names == ["name", "size", "image"]


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_every_table_of_the_flow_can_be_empty_and_describes_its_columns(spec: TableSpec, tmp_path: Path) -> None:
    write_table(spec, spec.empty(), tmp_path / "t.parquet")
    assert read_table(spec, tmp_path / "t.parquet").num_rows == 0
    for field in pq.read_schema(tmp_path / "t.parquet"):
        assert len(field.metadata[b"description"]) > 2
    assert set(spec.key.split(", ")) <= set(pq.read_schema(tmp_path / "t.parquet").names)


# Refusals


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (things().drop_columns(["size"]), r"lacks columns \['size'\]"),
        (things().append_column("extra", pa.array([1] * 5)), r"unknown ones \['extra'\]"),
        (things().set_column(1, "size", pa.array(["many"] * 5)), "another type"),
        (things().set_column(1, "size", pa.array([[1]] * 5)), "another type"),
        (things().set_column(1, "size", pa.array([1 << 40] * 5)), "another type"),
        (things().set_column(0, "name", pa.array(["a", None, "c", "d", "e"])), "column 'name' has missing values"),
    ],
)
def test_a_table_that_does_not_follow_its_schema_is_not_written(table: pa.Table, said: str, tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    with pytest.raises(CorruptDataError, match=said):
        write_table(THINGS, table, path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CorruptDataError, match="the place given"):
        conform(THINGS, table, "the place given")


def test_an_embedding_of_another_length_is_refused(tmp_path: Path) -> None:
    row = {"sample_id": "a", "label": 1, "embedding": bytes(4 * 7)}
    with pytest.raises(CorruptDataError, match="another type"):
        write_table(features_spec(8), pa.Table.from_pylist([row]), tmp_path / "f.parquet")


def test_another_table_and_another_version_are_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    write_table(THINGS, things(), path)
    with pytest.raises(CorruptDataError, match=r"holds table 'things', schema version 3; expected table 'pairs', schema version 1"):
        read_table(PAIRS, path)
    newer = TableSpec("things", 4, THINGS.columns, "name")
    with pytest.raises(CorruptDataError, match=r"schema version 3; expected table 'things', schema version 4\. Delete it"):
        read_table(newer, path)


def test_a_file_of_someone_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({b"other": b"\xff\xfe binary"}), path)
    with pytest.raises(CorruptDataError, match=r"holds table 'unknown', schema version unknown"):
        read_table(THINGS, path)


def test_a_file_that_lacks_a_column_it_claims_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    write_table(THINGS, things(), path)
    pq.write_table(pq.read_table(path).drop_columns(["size"]), path)
    with pytest.raises(CorruptDataError, match=r"things\.parquet.*'size'"):
        read_table(THINGS, path)


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"nowhere\.parquet is missing: run the stage that makes it"):
        read_table(THINGS, tmp_path / "nowhere.parquet")
    with pytest.raises(CorruptDataError, match=r"tiles\.parquet is missing: run 'skygraft plan-tiles'"):
        read_table(TILES, tmp_path / "tiles.parquet")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    write_table(THINGS, things(500), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CorruptDataError, match=r"things\.parquet.*Delete it and run the stage again"):
        read_table(THINGS, path)


def test_garbled_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    write_table(THINGS, things(2000), path)
    content = bytearray(path.read_bytes())
    content[200:20_000] = bytes(19_800)
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match="cannot be read"):
        read_table(THINGS, path)


# Bytes


@given(cuts=st.lists(st.integers(0, 400), max_size=5), masked=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_same_rows_give_the_same_bytes_however_they_lie_in_memory(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], masked: bool
) -> None:
    draw = random.Random(0)
    rows = [{"name": f"n{i}", "size": i, "image": draw.randbytes(3000)} for i in range(400)]
    folder = tmp_path_factory.mktemp("bytes")
    whole = pa.Table.from_pylist(rows, schema=THINGS.schema())
    edges = [0, *sorted(cuts), 400]
    pieces = pa.concat_tables([whole.slice(start, stop - start) for start, stop in itertools.pairwise(edges)])
    if masked:
        # A validity bitmap although nothing is missing, as `take` leaves it.
        pieces = pa.concat_tables([pieces, pa.Table.from_pylist([{"name": "x"}], schema=THINGS.schema())]).take(list(range(400)))
    write_table(THINGS, whole, folder / "a.parquet")
    write_table(THINGS, pieces, folder / "b.parquet")
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


def test_no_clock_gets_into_the_bytes(tmp_path: Path) -> None:
    write_table(THINGS, things(), tmp_path / "a.parquet")
    second = int(time.time())
    while int(time.time()) == second:
        pass
    write_table(THINGS, things(), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_row_groups_stay_below_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 100_000)
    rows = [{"name": f"{i:04d}", "image": np.random.default_rng(i).bytes(8000)} for i in range(200)]
    write_table(THINGS, pa.Table.from_pylist(rows, schema=THINGS.schema()), tmp_path / "t.parquet")
    found = pq.ParquetFile(tmp_path / "t.parquet").metadata
    sizes = [found.row_group(group).total_byte_size for group in range(found.num_row_groups)]
    assert sum(found.row_group(group).num_rows for group in range(found.num_row_groups)) == 200
    assert 16 <= len(sizes) <= 18
    assert max(sizes) <= 101_000
    assert found.row_group(0).column(2).compression == "ZSTD"


# Places


def test_geoparquet_is_read_by_geopandas(tmp_path: Path) -> None:
    row = {
        "photo_id": "lucas:2018:48162806:N", "source": "lucas", "location_id": "48162806", "direction": "N", "geometry": place(16.3, 48.2),
        "captured_at": datetime.datetime(2018, 6, 1, tzinfo=datetime.UTC), "year": 2018, "nuts0": "AT", "url": "https://example.eu/a.jpg",
    }  # fmt: skip
    table = pa.Table.from_pylist([row, {**row, "photo_id": "b", "geometry": place(-9.1, 38.7)}], schema=PHOTOS.schema())
    write_table(PHOTOS, table, tmp_path / "photos.parquet")
    frame = geopandas.read_parquet(tmp_path / "photos.parquet")
    assert [(point.x, point.y) for point in frame.geometry] == [(16.3, 48.2), (-9.1, 38.7)]
    assert frame.crs is not None
    assert frame.crs.is_geographic
    assert frame.geometry.name == "geometry"
    assert frame.to_crs("EPSG:3035").geometry.iloc[0].x == pytest.approx(4_790_000, abs=20_000)


def test_geo_metadata_follows_the_standard(tmp_path: Path) -> None:
    write_table(TILES, TILES.empty(), tmp_path / "tiles.parquet")
    geo = json.loads(pq.read_schema(tmp_path / "tiles.parquet").metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    assert b"geo" not in pq.ParquetFile(_written(PAIRS, tmp_path / "pairs.parquet")).schema_arrow.metadata


def _written(spec: TableSpec, path: Path) -> Path:
    write_table(spec, spec.empty(), path)
    return path
