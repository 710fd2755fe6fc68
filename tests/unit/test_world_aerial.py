"""Pictures from the air: the same place is the same in every request, and shows the class that the landscape says."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import map_coordinates
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skygraft.world.aerial.grid import mercator_grid, mercator_gsd, to_degrees, to_pixel, utm_grid
from skygraft.world.aerial.picture import photograph
from skygraft.world.classes import ANNUAL, CLASSES, FOREST, HIGHWAY, RIVER, SEALAKE
from skygraft.world.landscape import Frame, Landscape

SIDE = 16
BACK = Transformer.from_crs(32632, 4326, always_xy=True)


@pytest.fixture(scope="module")
def land() -> Landscape:
    return Landscape(5, Frame.square(SIDE))


def _pixel(x: float, y: float, zoom: int) -> tuple[int, int]:
    across, down = to_pixel(zoom, *BACK.transform(x, y))
    return int(across), int(down)


def _mercator(land: Landscape, zoom: int, left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    return photograph(land, mercator_grid(zoom, left - 1, top - 1, width + 2, height + 2))


def _upright(land: Landscape, west: float, north: float, width: int, height: int, gsd: float, year: int = 2018) -> NDArray[np.uint8]:
    return photograph(land, utm_grid(west - gsd, north + gsd, width + 2, height + 2, gsd), year)


def _sites(land: Landscape, cover: int, count: int) -> NDArray[np.float64]:
    """Places whose surroundings of 60 m are all of one class; a river's or highway's lie on its middle."""
    rng = np.random.default_rng(cover)
    low, high = land.nodes[3, 3], land.nodes[-4, -4]
    if cover in land.sets:
        points = land.sets[cover].points[land.sets[cover].half_width > 7.5]
        points = points[((points > low) & (points < high)).all(axis=1)]
        return points[rng.permutation(len(points))[:count]]
    xy = np.stack([rng.uniform(low[0], high[0], 4000), rng.uniform(low[1], high[1], 4000)], axis=1)
    around = [land.covers_at(xy + np.array([dx, dy])) == cover for dx in (-60, 0, 60) for dy in (-60, 0, 60)]
    return xy[np.all(around, axis=0)][:count]


@pytest.mark.parametrize("zoom", [16, 18])
def test_two_requests_show_a_place_alike(land: Landscape, zoom: int) -> None:
    """A second landscape, drawn from nothing else, asked for a smaller window: the same bytes, whatever covers it."""
    other = Landscape(5, Frame.square(SIDE))
    rng = np.random.default_rng(zoom)
    low, high = land.nodes[3, 3], land.nodes[-4, -4]
    for x, y in rng.uniform(low, high, (25, 2)):
        left, top = _pixel(x, y, zoom)
        wide = _mercator(land, zoom, left, top, 110, 90)
        assert np.array_equal(wide[17 : 17 + 40, 33 : 33 + 64], _mercator(other, zoom, left + 33, top + 17, 64, 40))


def test_two_upright_windows_show_a_place_alike(land: Landscape) -> None:
    rng = np.random.default_rng(3)
    for x, y in rng.uniform(land.nodes[3, 3], land.nodes[-4, -4], (12, 2)).round():
        wide = _upright(land, x, y, 96, 96, 1.0)
        assert np.array_equal(wide[11 : 11 + 50, 40 : 40 + 50], _upright(land, x + 40, y - 11, 50, 50, 1.0))


def test_projections_show_the_same_ground(land: Landscape) -> None:
    """A Mercator picture brought to UTM by an independent way, through degrees pixel by pixel, is the upright picture."""
    zoom, apart = 16, []
    gsd = mercator_gsd(zoom)
    rng = np.random.default_rng(4)
    for x, y in rng.uniform(land.nodes[3, 3], land.nodes[-4, -4], (12, 2)):
        left, top = _pixel(x, y, zoom)
        mercator = _mercator(land, zoom, left - 60, top - 60, 120, 120)
        upright = _upright(land, x - 30 * gsd, y + 30 * gsd, 60, 60, gsd)
        grid = utm_grid(x - 30 * gsd, y + 30 * gsd, 60, 60, gsd)
        places = [to_pixel(zoom, *BACK.transform(a, b)) for a, b in zip(grid.x.ravel(), grid.y.ravel(), strict=True)]
        at = np.array(places).T - np.array([[left - 60], [top - 60]]) - 0.5
        brought = map_coordinates(mercator[..., 1].astype(float), at[::-1], order=1).reshape(60, 60)
        shifted = map_coordinates(mercator[..., 1].astype(float), at[::-1] + 2.0, order=1).reshape(60, 60)
        apart.append([np.abs(brought - upright[..., 1]).mean(), np.abs(shifted - upright[..., 1]).mean()])
    same, moved = np.mean(apart, axis=0)
    # Interpolation alone blurs; two pixels aside it is another picture.
    assert same < 3.0
    assert moved > 2 * same


def test_lattice_of_projected_places_is_exact_to_centimetres() -> None:
    grid = mercator_grid(18, 35_480_321, 23_070_123, 500, 300)
    lon, lat = to_degrees(18, 35_480_321 + np.arange(500) + 0.5, np.full(500, 23_070_123 + 150.5))
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(lon, lat)
    assert np.abs(grid.x[150] - x).max() < 0.01
    assert np.abs(grid.y[150] - y).max() < 0.01
    step = np.hypot(np.diff(x), np.diff(y)).mean()
    assert grid.gsd == pytest.approx(step, rel=0.02)


def test_near_infrared_tells_water_where_the_landscape_says_water(land: Landscape) -> None:
    """Pixel by pixel against the landscape's own look-up; trees that lean over a bank and shadows are the rest."""
    rng = np.random.default_rng(6)
    agree, wet = [], []
    lakes, rivers = _sites(land, SEALAKE, 6), _sites(land, RIVER, 12)
    for x, y in np.concatenate([lakes, rivers, rng.uniform(land.nodes[3, 3], land.nodes[-4, -4], (14, 2))]).round():
        picture = _upright(land, x - 90, y + 90, 60, 60, 3.0)
        grid = utm_grid(x - 90, y + 90, 60, 60, 3.0)
        told = np.isin(land.covers_at(np.stack([grid.x.ravel(), grid.y.ravel()], axis=1)), (SEALAKE, RIVER)).reshape(60, 60)
        seen = (picture[..., 3] < 45) & (picture[..., 3].astype(int) < picture[..., 1])
        agree.append((seen == told).mean())
        wet.append(told.mean())
    assert 0.2 < np.mean(wet) < 0.8
    assert np.mean(agree) > 0.97
    assert min(agree) > 0.85


def test_highways_lie_where_their_curves_do(land: Landscape) -> None:
    for x, y in _sites(land, HIGHWAY, 15):
        patch = _upright(land, x - 60, y + 60, 60, 60, 2.0).astype(int)
        grid = utm_grid(x - 60, y + 60, 60, 60, 2.0)
        xy = np.stack([grid.x.ravel(), grid.y.ravel()], axis=1)
        on = land.highways.inside(xy).reshape(60, 60)
        grey = np.abs(patch[..., 0] - patch[..., 2]) < 14
        assert grey[on].mean() > 0.75


def test_a_person_of_statistics_names_the_classes(land: Landscape) -> None:
    """A linear reader of six plain numbers a band learns on one half of the places and names the other half's classes."""
    facts, names = [], []
    for cover in range(len(CLASSES)):
        for x, y in _sites(land, cover, 16):
            left, top = _pixel(x, y, 16)
            picture = _mercator(land, 16, left - 32, top - 32, 64, 64)[..., :3].astype(float)
            steps = [np.abs(np.diff(picture, axis=axis)).mean(axis=(0, 1)) for axis in (0, 1)]
            facts.append(
                np.concatenate([picture.mean(axis=(0, 1)), picture.std(axis=(0, 1)), *steps, *np.quantile(picture, [0.1, 0.9], (0, 1))])
            )
            names.append(cover)
    table, truth = StandardScaler().fit_transform(np.array(facts)), np.array(names)
    learn = np.arange(len(truth)) % 2 == 0
    reader = LogisticRegression(max_iter=2000, C=3.0).fit(table[learn], truth[learn])
    assert reader.score(table[~learn], truth[~learn]) > 0.75


def test_crops_move_on_and_all_else_stays(land: Landscape) -> None:
    alike = {}
    for cover in (ANNUAL, FOREST):
        x, y = _sites(land, cover, 1)[0]
        # A wide picture of several fields; what light and film do changes all pixels by one factor.
        one, two = (np.log(_upright(land, x - 300, y + 300, 200, 200, 3.0, year).astype(float)) for year in (2018, 2020))
        inside = land.covers_at(np.stack([g.ravel() for g in _places(x - 300, y + 300, 200, 3.0)], axis=1)).reshape(200, 200) == cover
        alike[cover] = np.corrcoef(one[..., 0][inside], two[..., 0][inside])[0, 1]
    assert alike[FOREST] > 0.98
    assert alike[ANNUAL] < 0.8


def _places(west: float, north: float, side: int, gsd: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = utm_grid(west, north, side, side, gsd)
    return grid.x, grid.y


def test_coarse_and_fine_levels_show_one_ground(land: Landscape) -> None:
    """Four pixels of a level are one of the level above; what is finer than a pixel may differ."""
    rng = np.random.default_rng(8)
    tones = []
    for x, y in rng.uniform(land.nodes[3, 3], land.nodes[-4, -4], (30, 2)):
        left, top = _pixel(x, y, 16)
        coarse = _mercator(land, 16, left, top, 40, 40)[..., :3].astype(float)
        fine = _mercator(land, 17, 2 * left, 2 * top, 80, 80)[..., :3].astype(float)
        tones.append([coarse.mean(axis=(0, 1)), fine.mean(axis=(0, 1))])
    coarse_tones, fine_tones = np.array(tones).transpose(1, 0, 2)
    assert np.abs(coarse_tones - fine_tones).mean() < 4
    assert np.corrcoef(coarse_tones.ravel(), fine_tones.ravel())[0, 1] > 0.98
