"""The landscape is a pure function of place: any window, any object, any order gives the same ground."""

import numpy as np
import pytest

from skygraft.core.errors import ConfigError
from skygraft.world.classes import CLASSES, FOREST, HIGHWAY, NAMES, RIVER, SEALAKE
from skygraft.world.landscape import Frame, Landscape
from skygraft.world.recipe import CENTRE_EN_KM, Recipe

SIDE = 14


@pytest.fixture(scope="module")
def land() -> Landscape:
    return Landscape(5, Frame.square(SIDE))


def _corner(land: Landscape, row: int, column: int) -> tuple[int, int]:
    x, y = land.nodes[row, column]
    return int(x // 10) * 10, int(y // 10) * 10


def test_overlapping_windows_of_two_landscapes_are_identical(land: Landscape) -> None:
    west, north = _corner(land, 7, 6)
    other = Landscape(5, Frame.square(SIDE))
    wide = land.render(west - 300, north + 450, 170, 150)
    small = other.render(west - 10, north - 70, 64, 64)
    assert np.array_equal(wide[52 : 52 + 64, 29 : 29 + 64], small)


def test_window_does_not_depend_on_what_was_drawn_before() -> None:
    one, two = (Landscape(6, Frame.square(SIDE)) for _ in range(2))
    west, north = _corner(one, 6, 6)
    two.render(west + 900, north + 900, 200, 90)
    assert np.array_equal(one.render(west, north, 80, 80), two.render(west, north, 80, 80))


def test_another_seed_is_another_ground(land: Landscape) -> None:
    west, north = _corner(land, 6, 6)
    other = Landscape(7, Frame.square(SIDE))
    assert (land.render(west, north, 64, 64) != other.render(west, north, 64, 64)).mean() > 0.9


def test_drawn_ground_holds_data_everywhere(land: Landscape) -> None:
    west, north = _corner(land, 8, 4)
    assert land.render(west, north, 128, 128).min() >= 1


def test_edges_off_the_pixel_grid_are_refused(land: Landscape) -> None:
    west, north = _corner(land, 6, 6)
    with pytest.raises(ConfigError, match="multiples"):
        land.render(west + 5, north, 10, 10)


def test_water_is_drawn_where_the_cover_says_water_and_only_there(land: Landscape) -> None:
    """Open water reflects less near infrared than green light, land more."""
    rng = np.random.default_rng(0)
    low, high = land.nodes[3, 3], land.nodes[-4, -4]
    xy = np.stack([rng.uniform(low[0], high[0], 1500), rng.uniform(low[1], high[1], 1500)], axis=1)
    # Points whose surroundings are all of one kind, so that no pixel is mixed.
    around = [land.covers_at(xy + np.array([dx, dy])) for dx in (-25, 0, 25) for dy in (-25, 0, 25)]
    wet = np.array([np.isin(c, (SEALAKE, RIVER)) for c in around])
    plain = wet.all(axis=0) | ~wet.any(axis=0)
    told = wet[4][plain]
    seen = []
    for x, y in xy[plain]:
        pixel = land.render(x // 10 * 10, y // 10 * 10 + 10, 1, 1)[0, 0].astype(float)
        seen.append(pixel[3] < pixel[1])
    assert told.sum() > 50
    assert np.mean(np.array(seen) == told) > 0.995


def test_forest_is_darker_than_every_other_land(land: Landscape) -> None:
    rng = np.random.default_rng(1)
    low, high = land.nodes[3, 3], land.nodes[-4, -4]
    xy = np.stack([rng.uniform(low[0], high[0], 800), rng.uniform(low[1], high[1], 800)], axis=1)
    covers = land.covers_at(xy)
    light = {c: [] for c in range(len(CLASSES))}
    for (x, y), cover in zip(xy, covers, strict=True):
        light[int(cover)].append(float(land.render(x // 10 * 10, y // 10 * 10 + 10, 1, 1)[0, 0, 0]))
    for cover in set(range(len(CLASSES))) - {FOREST, SEALAKE, RIVER, HIGHWAY}:
        assert np.median(light[FOREST]) < np.median(light[cover]), NAMES[cover]


def test_one_place_and_many_places_agree(land: Landscape) -> None:
    rng = np.random.default_rng(2)
    xy = land.nodes[4, 4] + rng.uniform(-2000, 4000, (60, 2))
    many = land.covers_at(xy)
    one = [land.cover_at(float(x), float(y)) for x, y in xy]
    assert [cover for cover, _ in one] == many.tolist()
    assert all(variant in {v.name for v in CLASSES[cover].variants} for cover, variant in one)


def test_rivers_and_highways_pass_their_nodes_and_are_continuous(land: Landscape) -> None:
    for kind, mask in ((RIVER, land.river_nodes), (HIGHWAY, land.highway_nodes)):
        inner = mask.copy()
        inner[[0, -1]] = inner[:, [0, -1]] = False
        assert (land.covers_at(land.nodes[inner]) == kind).all()
        for curve in land.sets[kind].curves:
            steps = np.hypot(*np.diff(curve.points, axis=0).T)
            assert steps.max() < 12.0


def test_areal_classes_share_every_region_evenly() -> None:
    frame = Frame.of(Recipe(seed=2, points=240, chips=200))
    land = Landscape(2, frame)
    covers = np.array([c.cover for c in land.cells]).reshape(frame.rows, frame.columns)
    for region in (frame.point_columns, frame.chip_columns):
        counts = np.bincount(covers[:, slice(*region)].ravel(), minlength=10)
        areal = np.delete(counts, [RIVER, HIGHWAY])
        assert areal.max() - areal.min() <= max(3, 0.12 * areal.mean())


def test_neighbours_are_more_often_alike_than_chance(land: Landscape) -> None:
    covers = np.array([c.cover for c in Landscape(9, Frame.square(30)).cells]).reshape(30, 30)
    alike = (covers[:, 1:] == covers[:, :-1]).mean()
    assert alike > 2 / 8


def test_frame_holds_the_middle_node_of_the_lucas_grid() -> None:
    frame = Frame.of(Recipe(points=240))
    assert frame.east < CENTRE_EN_KM[0] < frame.east + frame.columns
    assert frame.north < CENTRE_EN_KM[1] < frame.north + frame.rows


def test_season_moves_vegetation_alone(land: Landscape) -> None:
    west, north = _corner(land, 5, 5)
    summer, autumn = land.render(west, north, 200, 200), land.render(west, north, 200, 200, month=10)
    ndvi = (summer[..., 3].astype(float) - summer[..., 0]) / (summer[..., 3] + summer[..., 0])
    changed = (summer != autumn).any(axis=-1)
    assert changed[ndvi > 0.45].mean() > 0.5
    assert not changed[ndvi < 0.1].any()
