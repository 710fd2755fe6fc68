"""The 29 statistics, against plain arithmetic on images whose values are known."""

import colorsys

import numpy as np
import pytest

from skygraft.evaluation.floor import DIMENSION, floor_statistics


def test_a_flat_image() -> None:
    rgb = np.full((64, 64, 3), (51, 102, 204), dtype=np.uint8)
    values = floor_statistics(rgb)
    assert values.shape == (DIMENSION,) and values.dtype == np.float32
    np.testing.assert_allclose(values[:3], [0.2, 0.4, 0.8], atol=1e-4)
    np.testing.assert_allclose(values[3:6], 0, atol=1e-4)
    np.testing.assert_allclose(values[6:9], colorsys.rgb_to_hsv(0.2, 0.4, 0.8), atol=0.005)
    np.testing.assert_allclose(values[12:27].reshape(5, 3), [[0.2, 0.4, 0.8]] * 5, atol=1e-6)
    np.testing.assert_allclose(values[27:], 0, atol=1e-7)


def test_order_of_the_statistics_on_a_ramp() -> None:
    down = np.repeat(np.arange(64, dtype=np.uint8)[:, None], 64, axis=1)
    values = floor_statistics(np.stack([down, 2 * down, 3 * down], axis=2))
    ramp = np.arange(64) / 255
    np.testing.assert_allclose(values[:3], ramp.mean() * np.array([1, 2, 3]), rtol=1e-5)
    np.testing.assert_allclose(values[3:6], ramp.std() * np.array([1, 2, 3]), rtol=1e-5)
    for i, q in enumerate((0.05, 0.25, 0.5, 0.75, 0.95)):
        np.testing.assert_allclose(values[12 + 3 * i : 15 + 3 * i], np.quantile(np.repeat(ramp, 64), q) * np.array([1, 2, 3]), rtol=1e-4)
    # Grey is the mean of the channels, twice the first: it steps by 2/255 down and not at all across.
    np.testing.assert_allclose(values[27:], [2 / 255, 0], atol=1e-6)


@pytest.mark.parametrize("turn", [1, 2])
def test_only_texture_sees_a_rotation(turn: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    straight, turned = floor_statistics(rgb), floor_statistics(np.ascontiguousarray(np.rot90(rgb, turn)))
    np.testing.assert_allclose(straight[:27], turned[:27], atol=1e-5)
    np.testing.assert_allclose(straight[27:], turned[27:][:: -1 if turn == 1 else 1], atol=1e-5)
