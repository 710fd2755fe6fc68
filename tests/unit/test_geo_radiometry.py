"""Offsets by baseline, the stretch, clouds and the order of fetching."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.geo.clouds import CLOUD_CODES, cloud_fraction, nodata_fraction
from skygraft.geo.ordering import even_shards, fetch_order, hilbert
from skygraft.geo.radiometry import harmonise, parse_baseline, stretch_to_bytes

_NUMBERS = np.array([0, 1, 999, 1000, 1001, 2500, 65535], np.uint16)
_AS_IS = [0, 1, 999, 1000, 1001, 2500, 65535]
_SHIFTED = [0, 0, 0, 0, 1, 1500, 64535]


@pytest.mark.parametrize(
    ("baseline", "applied", "expected"),
    [
        ("02.08", False, _AS_IS),
        ("03.01", False, _AS_IS),
        ("04.00", False, _SHIFTED),
        ("05.00", False, _SHIFTED),
        ("05.11", False, _SHIFTED),
        ("N0509", False, _SHIFTED),
        ("10.00", False, _SHIFTED),
        ("05.00", True, _AS_IS),
        ("03.01", True, _AS_IS),
    ],
)
def test_offset_goes_by_baseline_and_no_data_stays(baseline: str, applied: bool, expected: list[int]) -> None:
    result = harmonise(_NUMBERS, baseline, offset_applied=applied)
    assert result.dtype == np.uint16 and result.tolist() == expected


def test_the_input_is_left_as_it_is() -> None:
    before = _NUMBERS.copy()
    harmonise(_NUMBERS, "05.00")
    assert np.array_equal(before, _NUMBERS)


@pytest.mark.parametrize("baseline", ["", "five", "5", "99.99.99", "05-00"])
def test_an_unknown_baseline_is_no_guess(baseline: str) -> None:
    with pytest.raises(PermanentItemError, match="unknown") as caught:
        parse_baseline(baseline)
    assert caught.value.reason is Reason.CORRUPT_SCENE


def test_stretch_golden() -> None:
    assert stretch_to_bytes([0, 1, 5, 6, 1500, 2999, 3000, 9000], 0, 3000).tolist() == [0, 0, 0, 1, 128, 255, 255, 255]
    assert stretch_to_bytes([0, 500, 1000, 1500], 500, 1000).tolist() == [0, 0, 255, 255]


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 11)))
def test_cloud_share_against_a_naive_loop(seed: int, codes: set[int]) -> None:
    scl = np.random.default_rng(seed).integers(0, 12, (7, 5)).astype(np.uint8)
    cloudy = sum(int(value) in codes for value in scl.ravel())
    missing = sum(int(value) == 0 for value in scl.ravel())
    assert cloud_fraction(scl, sorted(codes)) == pytest.approx(cloudy / 35)
    assert nodata_fraction(scl) == pytest.approx(missing / 35)


def test_default_clouds_are_shadow_medium_high_and_cirrus() -> None:
    scl = np.arange(12, dtype=np.uint8)
    assert [bool(cloud_fraction(scl[k : k + 1])) for k in range(12)] == [k in (3, 8, 9, 10) for k in range(12)]
    assert CLOUD_CODES == (3, 8, 9, 10)


def test_hilbert_visits_every_cell_once_and_steps_to_neighbours() -> None:
    side = 16
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(side), np.arange(side)))
    position = hilbert(column, row, order=4)
    assert sorted(position.tolist()) == list(range(side * side))
    order = np.argsort(position)
    steps = np.abs(np.diff(column[order])) + np.abs(np.diff(row[order]))
    assert (steps == 1).all()


def test_fetch_order_goes_by_zone_square_month_then_place() -> None:
    epsg = [32632, 32631, 32631, 32631, 32631]
    x = [150_000.0, 250_000.0, 150_000.0, 150_000.0, 150_010.0]
    y = [50_000.0] * 5
    months = [1, 1, 7, 6, 7]
    assert fetch_order(epsg, x, y, months, list("abcde")).tolist() == [3, 2, 4, 1, 0]
    assert fetch_order([1, 1], [0.0, 0.0], [0.0, 0.0], [1, 1], ["b", "a"]).tolist() == [1, 0]


@settings(max_examples=50)
@given(st.integers(0, 500), st.integers(1, 40))
def test_shards_are_runs_of_near_equal_length(count: int, total: int) -> None:
    shards = even_shards(count, total)
    assert (np.diff(shards) >= 0).all()
    sizes = np.bincount(shards, minlength=total)
    assert len(sizes) == total and sizes.sum() == count and sizes.max() - sizes.min() <= 1
