"""Photos show what stands there: subject against the land cover, and pixels against the subject."""

import numpy as np
import pytest

from skygraft.world import classes
from skygraft.world.backdrop import Day
from skygraft.world.captions import caption
from skygraft.world.classes import CLASSES, HIGHWAY, RIVER
from skygraft.world.ground import Shot, encode, take
from skygraft.world.landscape import Frame, Landscape
from skygraft.world.noise import rng_of
from skygraft.world.photos import find_view
from skygraft.world.views import View, look


@pytest.fixture(scope="module")
def land() -> Landscape:
    return Landscape(11, Frame.square(16))


def _fan(x: float, y: float, bearing: float) -> np.ndarray:
    """Places in a fan of 66 degrees and 165 m, dense; an oracle of its own for what can be in view."""
    angle = np.deg2rad(bearing + np.linspace(-33, 33, 23))[:, None]
    reach = np.linspace(4, 165, 41)[None, :]
    return np.stack([x + np.sin(angle) * reach, y + np.cos(angle) * reach], axis=-1).reshape(-1, 2)


def test_subject_stands_in_the_fan_of_view(land: Landscape) -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        x, y = land.nodes[4, 4] + rng.uniform(0, 7000, 2)
        bearing = float(rng.choice([0, 90, 180, 270]))
        view = look(land, x, y, bearing)
        covers = land.covers_at(_fan(x, y, bearing))
        assert view.cover in covers
        if len(np.unique(covers)) == 1:
            assert view.cover == covers[0] and view.share == pytest.approx(1.0)


def test_river_and_highway_are_seen_only_where_one_lies_ahead(land: Landscape) -> None:
    rng = np.random.default_rng(1)
    for kind in (RIVER, HIGHWAY):
        curves = land.sets[kind]
        ahead = behind = 0
        for _ in range(60):
            i = int(rng.integers(100, len(curves.points) - 100))
            normal = np.array([-curves.tangents[i, 1], curves.tangents[i, 0]])
            x, y = curves.points[i] + normal * (curves.half_width[i] + 6)
            toward = float(np.rad2deg(np.arctan2(-normal[0], -normal[1])))
            ahead += look(land, x, y, toward).cover == kind
            away = look(land, x, y, toward + 180)
            behind += away.cover == kind and not (land.covers_at(_fan(x, y, toward + 180)) == kind).any()
        assert ahead >= 50
        assert behind == 0


def _picture(cover: int, variant: str, seed: int) -> np.ndarray:
    view = View(cover, variant, 1.0, classes.FOREST, 0.3, 10.0, 0.0, 16.0)
    return take(view, Shot(Day("clear", 6), 128), rng_of(seed, variant)).astype(float)


@pytest.mark.parametrize(
    ("cover", "variant", "holds"),
    [
        (classes.PASTURE, "meadow", lambda r, g, b: g > r and g > b + 20),
        (classes.ANNUAL, "bare", lambda r, g, b: r > g > b),
        (classes.ANNUAL, "rape", lambda r, g, b: r > b + 60 and g > b + 60),
        (classes.SEALAKE, "lake", lambda r, g, b: b > r),
        (classes.RIVER, "stream", lambda r, g, b: b > r - 25),
        (classes.HIGHWAY, "motorway", lambda r, g, b: max(r, g, b) - min(r, g, b) < 40),
    ],
)
def test_ground_of_the_picture_has_the_colour_of_its_subject(cover: int, variant: str, holds) -> None:
    right = sum(holds(*_picture(cover, variant, seed)[56:70, 40:90].mean(axis=(0, 1))) for seed in range(20))
    assert right >= 18


def test_sky_stands_above_the_ground_in_open_country() -> None:
    for seed in range(10):
        image = _picture(classes.PASTURE, "meadow", seed)
        assert image[:15, :, 2].mean() > image[70:, :, 2].mean() + 40


def test_photos_repeat_and_differ_by_stream() -> None:
    view = View(classes.RESIDENTIAL, "houses", 1.0, classes.FOREST, 0.3, 0.0, 0.0, 8.0)
    shot = Shot(Day("cloudy", 7), 144)
    one, same, other = (take(view, shot, rng_of(1, name)) for name in ("a", "a", "b"))
    assert one.shape == (108, 144, 3)
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert encode(one, 88)[:2] == b"\xff\xd8"


def test_every_class_can_be_found_plainly_in_view(land: Landscape) -> None:
    for cover in range(len(CLASSES)):
        view = find_view(land, cover, rng_of(3, cover))
        assert view.cover == cover and view.share > 0.5


def test_captions_name_the_variant_or_the_class() -> None:
    rng = np.random.default_rng(0)
    for cover in CLASSES:
        for variant in cover.variants:
            texts = [caption(variant.name, Day("hazy", 4), rng) for _ in range(40)]
            assert all(any(word in text for word in cover.phrases + variant.words) for text in texts)
            assert len(set(texts)) > 10
