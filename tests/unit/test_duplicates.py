"""Copies of photos: against a search that compares every pair, and by what stays."""

from __future__ import annotations

import datetime as dt
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rows import table

from skygraft.config.duplicates import Duplicates
from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.tables import write_table
from skygraft.ground.duplicates import copies, near_pairs, read_marks

PHOTOS = pa.schema([("photo_id", pa.string()), ("captured_at", pa.timestamp("us", tz="UTC")), ("geometry", pa.binary())])
MARKS = pa.schema([("photo_id", pa.string()), ("sha256", pa.string()), ("phash", pa.uint64())])
DAY = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
GEOD = pyproj.Geod(ellps="WGS84")
# Hashes near a few centres, so that pairs at every small distance occur, and free ones.
CENTRES = (0, 0xFFFF_FFFF_FFFF_FFFF, 0x0123_4567_89AB_CDEF)


@st.composite
def hashes(draw: st.DrawFn) -> int:
    value = draw(st.sampled_from(CENTRES) | st.integers(0, 2**64 - 1))
    for bit in draw(st.lists(st.integers(0, 63), max_size=6)):
        value ^= 1 << bit
    return value


def row(name: str, phash: int | None, lon: float = 7.0, lat: float = 50.0, when: dt.datetime | None = DAY, sha256: str | None = "") -> dict:
    own = name if sha256 == "" else sha256
    return {"photo_id": name, "captured_at": when, "geometry": shapely.to_wkb(shapely.Point(lon, lat)), "sha256": own, "phash": phash}


def found(rows: list[dict], rule: Duplicates = Duplicates()) -> tuple[set[str], set[str]]:  # noqa: B008
    photos = pa.Table.from_pylist([{name: its[name] for name in PHOTOS.names} for its in rows], PHOTOS)
    marks = pa.Table.from_pylist([{name: its[name] for name in MARKS.names} for its in rows][::-1], MARKS)
    its = copies(photos, marks, rule)
    assert len(set(its.same_bytes) | set(its.alike)) == len(its.same_bytes) + len(its.alike)
    return set(its.same_bytes), set(its.alike)


@settings(deadline=None)
@given(
    st.lists(st.tuples(hashes(), st.tuples(*[st.integers(-3, 3)] * 3)), max_size=60),
    st.integers(0, 8),
    st.sampled_from([0.5, 1.5, 2.5, 99.0]),
)
def test_the_pairs_are_those_of_comparing_all(photos: list[tuple[int, tuple[int, ...]]], bits: int, within: float) -> None:
    wanted = {
        (a, b)
        for (a, (left, here)), (b, (right, there)) in combinations(enumerate(photos), 2)
        if (left ^ right).bit_count() <= bits and sum((x - y) ** 2 for x, y in zip(here, there, strict=True)) <= within**2
    }
    places = np.array([place for _, place in photos], float).reshape(-1, 3)
    pairs = near_pairs(np.array([value for value, _ in photos], np.uint64), places, bits, within)
    assert sorted(map(tuple, pairs.tolist())) == sorted(wanted)


# Along a meridian, steps of 400 m: no distance comes near the thresholds, however it is measured.
PLACES = st.integers(0, 5)


@settings(deadline=None)
@given(
    st.lists(st.tuples(hashes(), PLACES, st.sampled_from([None, 0, 1, 2]), st.integers(0, 15)), max_size=25),
    st.sampled_from([0, 2, 4]),
    st.sampled_from([100.0, 600.0, 1000.0]),
    st.sampled_from([(7.0, 0.0), (180.0, 65.0), (-71.0, -33.0)]),
    st.randoms(use_true_random=False),
)
def test_what_stays_is_told_by_a_plain_reading_of_the_rule(
    drawn: list[tuple[int, int, int | None, int]], bits: int, within: float, origin: tuple[float, float], chance: random.Random
) -> None:
    rows = [
        row(
            f"p{n:02d}",
            phash,
            origin[0],
            origin[1] + place * 400 / 111_200,
            None if day is None else DAY + dt.timedelta(day),
            f"s{bytes_of}",
        )
        for n, (phash, place, day, bytes_of) in enumerate(drawn)
    ]
    last = DAY + dt.timedelta(999)
    ordered = sorted(rows, key=lambda its: (its["captured_at"] or last, its["photo_id"]))
    same, alike, single, kept = set(), set(), [], []
    for its in ordered:
        if its["sha256"] in {one["sha256"] for one in single}:
            same.add(its["photo_id"])
        else:
            single.append(its)
    for its in single:
        if any((its["phash"] ^ one["phash"]).bit_count() <= bits and metres(its, one) <= within for one in kept):
            alike.add(its["photo_id"])
        else:
            kept.append(its)
    chance.shuffle(rows)
    assert found(rows, Duplicates(max_phash_bits=bits, within_m=within)) == (same, alike)


def metres(left: dict, right: dict) -> float:
    here, there = shapely.from_wkb(left["geometry"]), shapely.from_wkb(right["geometry"])
    return GEOD.inv(here.x, here.y, there.x, there.y)[2]


def test_the_first_taken_stays_then_the_first_by_name_and_one_without_a_day_comes_last() -> None:
    late = DAY + dt.timedelta(days=1)
    assert found([row("b", 1), row("a", 1, when=late), row("c", 1, when=None)]) == (set(), {"a", "c"})
    assert found([row("b", 1), row("a", 1)]) == (set(), {"b"})


def test_the_same_bytes_are_one_photo_anywhere_and_lookalikes_only_nearby() -> None:
    assert found([row("a", 1, sha256="x"), row("b", 1, lon=-120.0, sha256="x")]) == ({"b"}, set())
    assert found([row("a", 1), row("b", 1, lon=7.1)]) == (set(), set())
    assert found([row("a", 1), row("b", 1, lon=7.001)]) == (set(), {"b"})
    assert found([row("a", 1, lon=179.9995), row("b", 1, lon=-179.9995)]) == (set(), {"b"})


def test_a_chain_keeps_its_members_that_differ() -> None:
    assert found([row("a", 0b0), row("b", 0b1111), row("c", 0b1111_1111)]) == (set(), {"b"})


def test_photos_without_bytes_are_nobodys_copy() -> None:
    assert found([row("a", None, sha256=None), row("b", None, sha256=None), row("c", 7)]) == (set(), set())
    assert found([]) == (set(), set())


def test_a_great_many_equal_hashes_at_one_place_cost_no_square_of_pairs() -> None:
    # A square of pairs would be 2e8 here, and fill the memory.
    many = [row(f"p{n:06d}", 0) for n in range(20_000)]
    same, alike = found(many)
    assert same == set() and alike == {its["photo_id"] for its in many[1:]}


def test_marks_are_read_from_shards(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        rows = [{"photo_id": name, "status": "ok", "made_from": "x", "sha256": name, "phash": 2**63 + number, "image": b"x"}]
        write_table(PHOTO_SHARD, table(PHOTO_SHARD, rows), tmp_path / f"{name}.parquet")
    marks = read_marks([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert marks.to_pylist() == [{"photo_id": "a", "sha256": "a", "phash": 2**63}, {"photo_id": "b", "sha256": "b", "phash": 2**63 + 1}]
    with pytest.raises(CorruptDataError, match="fetch-photos"):
        read_marks([tmp_path / "c.parquet"])
