"""Intervals over draws and test images, on simulated tables whose true accuracy is known."""

import numpy as np
import pytest
from scipy import stats

from skygraft.evaluation.intervals import accuracy_intervals


def _simulate(generator: np.random.Generator, draws: int, images: int, by_draw: float, by_image: float) -> np.ndarray:
    effect = generator.normal(0, by_draw, (draws, 1)) + generator.normal(0, by_image, (1, images))
    return effect + generator.logistic(size=(draws, images)) > -1.0


def _truth(by_draw: float, by_image: float) -> float:
    effect = np.random.default_rng(9).normal(0, np.hypot(by_draw, by_image), 400_000)
    return float((1 / (1 + np.exp(-1.0 - effect))).mean())


@pytest.mark.parametrize(("draws", "images", "by_draw", "by_image"), [(10, 200, 0.3, 1.5), (10, 600, 0.5, 1.0), (20, 200, 0.05, 3.0)])
def test_covers_the_truth_about_as_often_as_it_says(draws: int, images: int, by_draw: float, by_image: float) -> None:
    generator, truth, trials = np.random.default_rng(1), _truth(by_draw, by_image), 200
    tables = [_simulate(generator, draws, images, by_draw, by_image) for _ in range(trials)]
    # Each table its own resampling, as in use: a shared one would tie the trials together.
    results = [accuracy_intervals([table], resamples=200, seed=i)[0] for i, table in enumerate(tables)]
    covered = np.mean([result.low <= truth <= result.high for result in results])
    # 200 trials at 95 %: three standard errors are 4.6 points; the pigeonhole bootstrap is conservative, never short.
    assert 0.904 <= covered <= 0.999


def test_both_sources_widen_it() -> None:
    generator = np.random.default_rng(3)

    def width(by_draw: float, by_image: float) -> float:
        results = accuracy_intervals([_simulate(generator, 10, 500, by_draw, by_image)], seed=1)[0]
        return results.high - results.low

    calm = np.mean([width(0.0, 0.0) for _ in range(10)])
    assert np.mean([width(0.6, 0.0) for _ in range(10)]) > 2 * calm
    assert np.mean([width(0.0, 6.0) for _ in range(10)]) > 1.5 * calm


def test_one_draw_agrees_with_the_binomial() -> None:
    hits = np.zeros((1, 400), dtype=bool)
    hits[0, :300] = True
    result = accuracy_intervals([hits], resamples=4000)[0]
    low, high = stats.binom.interval(0.95, 400, 0.75)
    assert result.value == 0.75
    assert result.low == pytest.approx(low / 400, abs=0.006)
    assert result.high == pytest.approx(high / 400, abs=0.006)


def test_all_right_and_all_wrong_keep_an_honest_bound() -> None:
    right, wrong = accuracy_intervals([np.ones((10, 200), bool), np.zeros((10, 200), bool)], resamples=100)
    # The exact bound solves p^200 = 0.025.
    assert right.high == right.value == 1.0 and right.low == pytest.approx(0.025 ** (1 / 200))
    assert wrong.low == wrong.value == 0.0 and wrong.high == pytest.approx(1 - 0.025 ** (1 / 200))


def test_the_value_is_inside_and_the_seed_decides() -> None:
    tables = [np.random.default_rng(s).random((10, 150)) < p for s, p in enumerate((0.02, 0.5, 0.99))]
    first, again, other = (accuracy_intervals(tables, resamples=500, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first != other
    for table, result in zip(tables, first, strict=True):
        assert 0.0 <= result.low <= result.value <= result.high <= 1.0
        assert result.value == pytest.approx(table.mean())


def test_tables_scored_together_equal_tables_scored_alone() -> None:
    tables = [np.random.default_rng(s).random((10, 300)) < 0.7 for s in range(3)]
    together = accuracy_intervals(tables, resamples=400)
    alone = [accuracy_intervals([table], resamples=400)[0] for table in tables]
    for a, b in zip(together, alone, strict=True):
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-6)
