"""The spatial split: shares, determinism, and the distance between splits."""

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.errors import ConfigError
from skygraft.geo.splits import BUFFER, block_splits, minimum_distance, spatial_split
from skygraft.geo.tiles import snap_centres
from skygraft.geo.utm import from_utm, to_utm, utm_epsg, wrap_longitude

_GEOD = pyproj.Geod(ellps="WGS84")


def _plan(lon, lat, size=100):
    epsg = utm_epsg(lon, lat)
    x, y = np.empty_like(lon), np.empty_like(lat)
    for code in np.unique(epsg):
        rows = epsg == code
        x[rows], y[rows] = snap_centres(*to_utm(lon[rows], lat[rows], int(code)), gsd_m=10.0, size_px=size)
        lon[rows], lat[rows] = from_utm(x[rows], y[rows], int(code))
    return epsg, x, y, lon, lat


def _split(epsg, x, y, lon, lat, *, seed=0, block=5000.0, size=100):
    distance = minimum_distance(10.0, size)
    return spatial_split(epsg, x, y, lon, lat, block_m=block, val=0.25, test=0.25, seed=seed, distance_m=distance)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(0.0, 0.02), (6.0, 45.0), (12.0, 60.0), (3.0, 60.0), (-180.0, 65.0), (180.0, -20.0), (9.0, 78.0), (33.0, 80.0)]),
    st.integers(0, 10_000),
    st.sampled_from([2000.0, 5000.0]),
)
def test_centres_of_different_splits_are_a_diagonal_apart_on_the_ground_and_in_utm(centre, seed, block) -> None:
    rng = np.random.default_rng(seed)
    metres = rng.uniform(-6000, 6000, (2, 150))
    lon = wrap_longitude(centre[0] + metres[0] / 111_320 / np.cos(np.radians(centre[1])))
    epsg, x, y, lon, lat = _plan(lon, centre[1] + metres[1] / 111_320)
    splits = _split(epsg, x, y, lon, lat, seed=seed, block=block)
    first, second = np.triu_indices(len(splits), 1)
    differ = (splits[first] != splits[second]) & (splits[first] != BUFFER) & (splits[second] != BUFFER)
    first, second = first[differ], second[differ]
    _, _, ground = _GEOD.inv(lon[first], lat[first], lon[second], lat[second])
    assert np.all(np.asarray(ground) >= 1000 * np.sqrt(2))
    same = epsg[first] == epsg[second]
    assert np.all(np.hypot(x[first] - x[second], y[first] - y[second])[same] >= 1000 * np.sqrt(2))


def test_the_rule_against_a_naive_loop() -> None:
    rng = np.random.default_rng(3)
    epsg, x, y, lon, lat = _plan(6.0 + rng.uniform(-0.1, 0.1, 300), 45.0 + rng.uniform(-0.1, 0.1, 300))
    splits = _split(epsg, x, y, lon, lat)
    base = block_splits(epsg, x, y, block_m=5000.0, val=0.25, test=0.25, seed=0)
    expected = list(base)

    def near(one, others):
        return any(_GEOD.inv(lon[one], lat[one], lon[k], lat[k])[2] < 1000 * np.sqrt(2) * 1.0005 for k in others)

    for split, above in (("val", ("test",)), ("train", ("test", "val"))):
        kept = [k for k in range(300) if expected[k] in above]
        for k in range(300):
            if base[k] == split and near(k, kept):
                expected[k] = BUFFER
    assert splits.tolist() == expected
    assert {"train", "val", "test", BUFFER} == set(expected)


def test_no_test_tile_is_given_up_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    columns = _plan(rng.uniform(5.5, 6.5, 400), rng.uniform(44.5, 45.5, 400))
    splits = _split(*columns)
    base = block_splits(*columns[:3], block_m=5000.0, val=0.25, test=0.25, seed=0)
    assert np.array_equal(splits == "test", base == "test")
    order = rng.permutation(400)
    assert np.array_equal(_split(*(column[order] for column in columns)), splits[order])


def test_blocks_go_as_a_whole_and_shares_are_kept() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 900_000, 20_000), rng.uniform(0, 900_000, 20_000)
    splits = block_splits(np.full(20_000, 32631), x, y, block_m=10_000.0, val=0.1, test=0.2, seed=7)
    blocks = {}
    for split, i, j in zip(splits, x // 10_000, y // 10_000, strict=True):
        blocks.setdefault((i, j), set()).add(split)
    assert all(len(found) == 1 for found in blocks.values())
    shares = {name: sum(name in found for found in blocks.values()) / len(blocks) for name in ("test", "val")}
    assert abs(shares["test"] - 0.2) < 0.02 and abs(shares["val"] - 0.1) < 0.02
    other = block_splits(np.full(20_000, 32631), x, y, block_m=10_000.0, val=0.1, test=0.2, seed=8)
    assert (other != splits).any()


def test_golden_split_does_not_change_between_versions() -> None:
    splits = block_splits([32631] * 8, np.arange(8) * 1000.0, [0.0] * 8, block_m=1000.0, val=0.25, test=0.25, seed=0)
    assert splits.tolist() == ["test", "val", "train", "val", "val", "test", "test", "train"]


@pytest.mark.parametrize(("val", "test", "block"), [(-0.1, 0.1, 1.0), (0.6, 0.6, 1.0), (0.1, 0.1, 0.0)])
def test_shares_that_make_no_sense_are_refused(val: float, test: float, block: float) -> None:
    with pytest.raises(ConfigError, match="Split of blocks"):
        block_splits([32631], [0.0], [0.0], block_m=block, val=val, test=test, seed=0)


def test_no_tiles_and_one_split_alone() -> None:
    nothing = np.empty(0)
    assert len(_split(np.empty(0, int), nothing, nothing, nothing, nothing)) == 0
    all_train = spatial_split([32631], [5e5], [5e6], [3.0], [45.1], block_m=1e4, val=0, test=0, seed=0, distance_m=1e3)
    assert all_train.tolist() == ["train"]
