"""GRAFT's sampling: against a naive sampler that knows nothing of grids, tables and seams, and by what its rule promises."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from skygraft.core.errors import ConfigError
from skygraft.core.keys import seeded_keys
from skygraft.geo import sampling, sampling_kernel
from skygraft.geo.sampling import Centres, Grid, Members, at_random, draw, keep, members, places
from skygraft.geo.utm import utm_epsg

KINDS = {
    "equator": (9.0, 0.0),
    "equator and seam": (6.0, 0.0),
    "60 degrees": (9.0, 60.0),
    "78 degrees": (15.0, 78.0),
    "antimeridian": (180.0, -17.0),
    "seam": (12.0, 47.0),
    "Norway": (3.0, 60.0),
    "Norway's corner": (6.0, 64.0),
    "Svalbard": (9.0, 78.0),
    "Svalbard's corner": (21.0, 72.0),
}
SENTINEL2 = Grid(20.0, 2240.0)


def scattered(kind, count, side_m, seed, copies=0.1):
    """Photos in a square around a place, some of them where others are."""
    rng = np.random.default_rng(seed)
    lon0, lat0 = KINDS[kind]
    lat = lat0 + rng.uniform(-0.5, 0.5, count) * side_m / 111_000
    lon = lon0 + rng.uniform(-0.5, 0.5, count) * side_m / 111_000 / np.cos(np.radians(lat0))
    if kind == "antimeridian":
        lon = np.where(lon >= 180, lon - 360, lon)
    again = rng.random(count) < copies
    which = rng.integers(0, count, count)
    return np.where(again, lon[which], lon), np.where(again, lat[which], lat), rng.integers(0, 2**63, count).astype(np.uint64)


def in_all_zones(lon, lat, zones):
    """Metres of places in each of some zones, shape (zones, N, 2)."""
    made = (Transformer.from_crs(4326, int(zone), always_xy=True).transform(lon, lat) for zone in zones)
    return np.stack([np.stack(metres, axis=-1) for metres in made])


def naive(lon, lat, keys, reach, grid):
    """Every photo against all kept centres, in both their zones: the rows and places of those kept, and the photos that are shut out."""
    epsg = np.asarray(utm_epsg(lon, lat))
    zones = np.unique(epsg)
    zone = np.searchsorted(zones, epsg)
    photo = in_all_zones(lon, lat, zones)
    back = [Transformer.from_crs(int(code), 4326, always_xy=True) for code in zones]
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * grid.step_m
    kept, rows, own, shut = np.empty((len(zones), len(lon), 2)), [], np.empty(len(lon), int), []

    def near(place, at):
        count = len(rows)
        here = np.abs(kept[at, :count] - place[at]).max(axis=1) <= reach
        there = np.abs(kept[own[:count], np.arange(count)] - place[own[:count]]).max(axis=1) <= reach
        return (here | there).any()

    for row in np.argsort(keys, kind="stable"):
        place, at = photo[:, row], zone[row]
        if near(place, at):
            continue
        options = [place[at]]
        if grid.step_m:
            corner = np.floor((place[at] - grid.shift_m) / grid.step_m) * grid.step_m + grid.shift_m
            options = sorted(corner + corners, key=lambda option: np.hypot(*(option - place[at])))
        for option in options:
            there = in_all_zones(*back[at].transform(*option), zones)
            there[at] = option
            if not near(there, at):
                kept[:, len(rows)], own[len(rows)] = there, at
                rows.append(row)
                break
        else:
            shut.append(row)
    return np.array(rows), kept[own[: len(rows)], np.arange(len(rows))], shut


@pytest.fixture(params=[0, 10**9], ids=["compiled", "interpreted"])
def either_way(request, monkeypatch):
    monkeypatch.setattr(sampling, "_FEW", request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_five_thousand_photos_give_what_a_quadratic_sampler_gives(kind, monkeypatch) -> None:
    monkeypatch.setattr(sampling, "_FEW", 0)
    lon, lat, keys = scattered(kind, 5000, 30_000, seed=len(kind))
    rows, xy, shut = naive(lon, lat, keys, 1120.0, SENTINEL2)
    found = places(lon, lat, keys, separation_m=1120.0, grid=SENTINEL2)
    centres = keep(found, 1120.0)
    assert centres.rows.tolist() == rows.tolist()
    np.testing.assert_array_equal(centres.xy, xy)
    assert len(rows) > 200 and len(shut) < 25
    its = members(found, centres, 1120.0)
    zones = np.unique(found.epsg)
    metres = in_all_zones(lon, lat, zones)[np.searchsorted(zones, found.epsg[rows])]
    inside = np.abs(metres - xy[:, None]).max(axis=2) <= 1120.0
    for tile, expected in enumerate(inside):
        assert sorted(its.rows[its.starts[tile] : its.starts[tile + 1]]) == np.flatnonzero(expected).tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 10**6),
    st.sampled_from([(112.0, Grid(1.0, 224.0)), (1120.0, SENTINEL2), (1120.0, Grid()), (250.0, Grid(20.0, 10.0)), (56.0, Grid(10.0, 5.0))]),
    st.sampled_from([3.0, 8.0, 25.0]),
)
@example("Svalbard", 33724, (112.0, Grid(1.0, 224.0)), 25.0)
def test_what_the_rule_promises(kind, seed, rule, density) -> None:
    reach, grid = rule
    lon, lat, keys = scattered(kind, 150, reach * density, seed, copies=0.2)
    found = places(lon, lat, keys, separation_m=reach, grid=grid)
    centres = keep(found, reach)
    zones = np.unique(found.epsg)
    zone = np.searchsorted(zones, found.epsg)[centres.rows]
    # Each centre in the zone of each: two are apart in the zones of both.
    spots = np.empty((len(zones), len(zone), 2))
    for at, code in enumerate(zones):
        back = Transformer.from_crs(int(code), 4326, always_xy=True).transform(*centres.xy[zone == at].T)
        spots[:, zone == at] = in_all_zones(*back, zones)
        spots[at, zone == at] = centres.xy[zone == at]
    between = np.abs(spots[zone] - spots[zone, np.arange(len(zone))][:, None]).max(axis=2)
    np.fill_diagonal(between, np.inf)
    assert between.min() > reach
    if grid.step_m:
        assert not np.any((centres.xy - grid.shift_m) % grid.step_m)
    away = np.abs(centres.xy - found.xy[centres.rows]).max(axis=1)
    assert away.max() <= grid.step_m
    # Whatever starts no tile has a centre near it, but for the slivers that the module tells of. Zones are turned against each other by at
    # most 12 degrees, between Svalbard's: what is within the reach in one is within cos 12 + sin 12 = 1.19 times the reach in another.
    photo = in_all_zones(lon, lat, zones)
    near = np.abs(photo[zone] - spots[zone, np.arange(len(zone))][:, None]).max(axis=2)
    assert near.min(axis=0).max() <= reach * 1.19 + grid.step_m
    its = members(found, centres, reach)
    belongs = np.repeat(np.arange(len(zone)), np.diff(its.starts))
    assert sorted(zip(belongs.tolist(), its.rows.tolist(), strict=True)) == sorted(zip(*np.nonzero(near <= reach), strict=True))


def test_the_order_of_the_photos_changes_nothing(either_way) -> None:
    lon, lat, keys = scattered("Norway", 600, 12_000, seed=2)
    order = np.random.default_rng(3).permutation(600)
    results = []
    for taken in (np.arange(600), order):
        found = places(lon[taken], lat[taken], keys[taken], separation_m=1120.0, grid=SENTINEL2)
        centres = keep(found, 1120.0)
        stored = draw(members(found, centres, 1120.0), centres, keys[taken], 5)
        tiles = [set(taken[stored.rows[first:last]]) for first, last in zip(stored.starts, stored.starts[1:], strict=False)]
        results.append((taken[centres.rows].tolist(), centres.xy.tolist(), tiles))
    assert results[0] == results[1]


def test_compiled_and_interpreted_loops_agree(monkeypatch) -> None:
    lon, lat, keys = scattered("Svalbard", 3000, 40_000, seed=4)
    results = []
    for few in (0, 10**9):
        monkeypatch.setattr(sampling, "_FEW", few)
        found = places(lon, lat, keys, separation_m=1120.0, grid=SENTINEL2)
        centres = keep(found, 1120.0)
        stored = draw(members(found, centres, 1120.0), centres, keys, 3)
        results.append([centres.rows.tolist(), centres.xy.tolist(), stored.starts.tolist(), stored.rows.tolist()])
    assert results[0] == results[1] and len(results[0][0]) > 200


def test_at_the_separation_a_photo_belongs_and_beyond_it_starts_a_tile(either_way) -> None:
    keys = np.array([1, 2, 3, 4], np.uint64)
    east = 500_000 + np.array([0.0, 1120.0, -1120.001, 0.0])
    north = 5_000_000 + np.array([0.0, -1120.0, 500.0, 5000.0])
    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(east, north)
    found = places(lon, lat, keys, separation_m=1120.0 + 1e-6, grid=Grid())
    centres = keep(found, 1120.0 + 1e-6)
    assert centres.rows.tolist() == [0, 2, 3]
    its = members(found, centres, 1120.0 + 1e-6)
    assert [sorted(its.rows[first:last]) for first, last in zip(its.starts, its.starts[1:], strict=False)] == [[0, 1], [2], [3]]


def test_the_next_place_of_the_grid_is_taken_where_the_nearest_is_too_near(either_way) -> None:
    # 1125 m east of the first: rounded to 1120, which is not more than 1120.
    east, north = np.array([500_000.0, 501_125.0]), np.array([5_000_000.0, 5_000_000.0])
    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(east, north)
    found = places(lon, lat, np.array([1, 2], np.uint64), separation_m=1120.0, grid=Grid(20.0))
    centres = keep(found, 1120.0)
    assert centres.xy[:, 0].tolist() == [500_000.0, 501_140.0]
    assert centres.xy[:, 1].tolist() == [5_000_000.0, 5_000_000.0]


def test_seasons_do_not_meet(either_way) -> None:
    lon, lat, keys = scattered("equator", 80, 1000, seed=0)
    seasons = np.arange(80) % 4
    found = places(lon, lat, keys, separation_m=1120.0, grid=SENTINEL2, seasons=seasons)
    centres = keep(found, 1120.0)
    assert len(centres.rows) == 4
    its = members(found, centres, 1120.0)
    assert sorted(its.rows.tolist()) == list(range(80))
    belongs = np.repeat(np.arange(4), np.diff(its.starts))
    assert np.array_equal(seasons[its.rows], seasons[centres.rows][belongs])


def test_a_tile_stores_its_share_and_its_centre_always(either_way) -> None:
    lon, lat, keys = scattered("equator", 400, 4000, seed=1)
    found = places(lon, lat, keys, separation_m=1120.0, grid=SENTINEL2)
    centres = keep(found, 1120.0)
    its = members(found, centres, 1120.0)
    apart, alike = (draw(its, centres, keys, 6, apart=way) for way in (True, False))
    for tile, own in enumerate(centres.rows):
        everyone = its.rows[its.starts[tile] : its.starts[tile + 1]]
        first = alike.rows[alike.starts[tile] : alike.starts[tile + 1]]
        rest = sorted(set(everyone) - {own}, key=lambda row: keys[row])[:5]
        assert set(first) == {own, *rest}
        drawn = apart.rows[apart.starts[tile] : apart.starts[tile + 1]]
        assert own in drawn and len(drawn) == len(first) and set(drawn) <= set(everyone)
    assert apart.rows.tolist() != alike.rows.tolist()
    whole = draw(its, centres, keys, 10_000)
    assert whole.rows.tolist() == its.rows.tolist()


def test_a_draw_is_even() -> None:
    # One tile of 30 photos, drawn by 1000 seeds: each photo but the centre's has nine chances in 29.
    names = pa.array([f"flickr:{n}" for n in range(30)])
    its, centre = Members(np.array([0, 30]), np.arange(30, dtype=np.int32)), Centres(np.zeros(1, np.int32), np.zeros((1, 2)))
    seen = sum(np.bincount(draw(its, centre, seeded_keys(seed, names), 10).rows, minlength=30) for seed in range(1000))
    assert seen[0] == 1000
    assert np.abs(seen[1:] - 9000 / 29).max() < 4.5 * np.sqrt(1000 * 9 / 29 * 20 / 29)


def test_random_centres_are_the_first_photos_however_near(either_way) -> None:
    lon, lat, keys = scattered("equator", 500, 3000, seed=5, copies=0.3)
    found = places(lon, lat, keys, separation_m=1120.0, grid=SENTINEL2)
    centres = at_random(found, 100)
    assert len({tuple(spot) for spot in centres.xy}) == 100
    assert np.abs(centres.xy - found.xy[centres.rows]).max() <= 10
    assert (np.diff(keys[centres.rows].astype(float)) > 0).all()
    assert len(at_random(found, 10_000).rows) == len(np.unique(np.floor((found.xy - 2240) / 20 + 0.5), axis=0))


@pytest.mark.parametrize("kind", ["equator and seam", "60 degrees", "Svalbard's corner"])
@pytest.mark.parametrize(("reach", "grid"), [(30.0, Grid(20.0, 3.0)), (112.0, Grid(1.0, 224.0)), (56.0, Grid())])
def test_what_squares_decide_is_what_asking_all_after_each_other_gives(kind, reach, grid, monkeypatch) -> None:
    # Some hundred squares, with towns, and three seasons.
    lon, lat, keys = scattered(kind, 15_000, 1000 * reach, seed=6)
    towns = np.arange(15_000) % 3 > 0
    lon, lat = (np.where(towns, spots[np.arange(15_000) // 300 * 300] + (spots - spots.mean()) / 60, spots) for spots in (lon, lat))
    seasons = np.random.default_rng(7).integers(0, 3, 15_000)
    found = places(lon, lat, keys, separation_m=reach, grid=grid, seasons=seasons)
    monkeypatch.setattr(sampling, "_FEW", 0)
    centres, fates = keep(found, reach), sampling._fates(found, reach)
    assert 0.02 < (fates == sampling_kernel.OPEN).mean() < 0.4 and (fates > sampling_kernel.OPEN).sum() > 1000
    settings = (found.seams, np.full(15_000, sampling_kernel.OPEN, np.uint8), reach, grid.step_m, grid.shift_m)
    sampling_kernel.ask_open(found.order, found.xy, found.layers, *settings)
    rows, on_grid = sampling_kernel.kept_places(found.order, found.xy, *settings[1:2], *settings[3:])
    assert centres.rows.tolist() == rows.tolist()
    np.testing.assert_array_equal(centres.xy, on_grid)


def test_members_are_found_across_squares_in_crowds_and_for_centres_anywhere(either_way) -> None:
    # Tiles at the corner of four squares, with hundreds of photos each, and centres however near to each other.
    reach, rng = 30.0, np.random.default_rng(8)
    corner = 64 * (reach + 1e-3) * np.array([180, 2000])
    east, north = (corner + rng.normal(size=(2000, 2)) * rng.choice([10, 100, 5000], (2000, 1))).T
    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(east, north)
    found = places(lon, lat, rng.permutation(2000).astype(np.uint64), separation_m=reach, grid=Grid())
    centres = at_random(found, 400)
    its = members(found, centres, reach)
    near = np.abs(found.xy[centres.rows][:, None] - found.xy).max(axis=2) <= reach
    assert its.starts.tolist() == [0, *np.cumsum(near.sum(axis=1))] and near.sum(axis=1).max() > 300
    assert its.rows.tolist() == np.nonzero(near)[1].tolist()


@pytest.mark.parametrize("dropped", [0, 30, 60])
def test_rows_ascend_by_key_and_equal_keys_keep_their_order(dropped, either_way) -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 5000, dtype=np.uint64)
    # Some differ in their last bits alone.
    keys[:1000] = keys[1000:2000] ^ np.uint64(1)
    keys[::7] = keys[3]
    keys >>= np.uint64(dropped)
    assert sampling.ascending(keys).tolist() == sorted(range(5000), key=lambda row: (int(keys[row]), row))


def test_no_photos_make_no_tiles(either_way) -> None:
    found = places(np.empty(0), np.empty(0), np.empty(0, np.uint64), separation_m=1120.0, grid=SENTINEL2)
    centres = keep(found, 1120.0)
    assert len(centres.rows) == len(members(found, centres, 1120.0).rows) == 0


def splitmix(value):
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@given(st.integers(0, 2**63), st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=1, max_size=8))
def test_keys_are_those_of_a_plain_loop_whatever_stands_beside_a_name(seed, names) -> None:
    for name, key in zip(names, seeded_keys(seed, pa.array(names, pa.string())).tolist(), strict=True):
        expected, data = splitmix(seed), name.encode()
        for start in range(0, len(data), 8):
            expected = splitmix(expected ^ int.from_bytes(data[start : start + 8], "little"))
        assert key == expected


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(ConfigError, match="zero byte"):
        seeded_keys(0, pa.array(["a\0"]))
