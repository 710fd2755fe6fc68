"""Probes solved together against scikit-learn's, one by one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skygraft.core.errors import SkygraftError
from skygraft.evaluation.probe import fit_probes, scale_by_pool, scale_unit


def _problem(dimension: int, classes: int, seed: int, offset: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, dimension))
    labels = generator.integers(0, classes, 3000)
    return 0.4 * centres[labels] + generator.normal(size=(3000, dimension)) + offset, labels


def _supports(labels: np.ndarray, shots: tuple[int, ...], draws: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    groups = [np.flatnonzero(labels[:1500] == c) for c in range(labels.max() + 1)]
    return [np.concatenate([generator.choice(g, k, replace=False) for g in groups]) for k in shots for _ in range(draws)]


@pytest.mark.parametrize(
    ("dimension", "classes", "c", "unit"),
    [
        (29, 10, 1.0, False),
        (128, 10, 10.0, True),
        (512, 10, 1.0, True),
        (64, 3, 100.0, True),
        (16, 3, 0.1, False),
        (300, 25, 3.0, True),
        (600, 25, 10.0, False),
    ],
)
def test_equals_scikit_learn(dimension: int, classes: int, c: float, unit: bool) -> None:
    features, labels = _problem(dimension, classes, seed=dimension)
    features = scale_unit(features) if unit else features
    supports = _supports(labels, (1, 2, 5, 20), 2)
    probes = fit_probes(features[:1500], labels[:1500], supports, c=c, tolerance=1e-8)
    predictions = probes.predict(features[1500:])
    for i, support in enumerate(supports):
        peer = LogisticRegression(C=c, solver="newton-cg", max_iter=1000, tol=1e-10).fit(features[support], labels[support])
        assert abs((peer.predict(features[1500:]) == labels[1500:]).mean() - (predictions[i] == labels[1500:]).mean()) <= 0.002
        margin = features[1500:] @ probes.weights[i].numpy() + probes.intercepts[i].numpy()
        logits = margin - margin.max(axis=1, keepdims=True)
        ours = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(ours, peer.predict_proba(features[1500:]), atol=2e-4)


@pytest.mark.parametrize("shots", [1, 5, 20])
def test_a_shots_accuracy_equals_that_of_scikit_learn_as_it_comes(shots: int) -> None:
    features, labels = _problem(256, 10, seed=5)
    features = scale_unit(features)
    supports = _supports(labels, (shots,), 10)
    ours = fit_probes(features[:1500], labels[:1500], supports, c=10.0).predict(features[1500:])
    peers = [LogisticRegression(C=10.0, max_iter=1000).fit(features[s], labels[s]).predict(features[1500:]) for s in supports]
    assert abs((np.array(peers) == labels[1500:]).mean() - (ours == labels[1500:]).mean()) <= 0.002


def test_a_problem_does_not_depend_on_its_neighbours() -> None:
    features, labels = _problem(40, 5, seed=2)
    supports = _supports(labels, (1, 3), 4)
    together = fit_probes(features[:1500], labels[:1500], supports, c=5.0)
    alone = fit_probes(features[:1500], labels[:1500], [supports[6]], c=5.0)
    np.testing.assert_allclose(together.weights[6].numpy(), alone.weights[0].numpy(), atol=1e-6)


def test_the_gradient_left_is_within_the_tolerance() -> None:
    features, labels = _problem(60, 4, seed=3)
    supports = _supports(labels, (2, 10), 2)
    probes = fit_probes(features[:1500], labels[:1500], supports, c=7.0, tolerance=1e-8)
    x, y = features[supports[3]], np.eye(4)[labels[supports[3]]]
    logits = x @ probes.weights[3].numpy() + probes.intercepts[3].numpy()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # In the support's own axes each entry is within 40 x 1e-8; a turn of 60 axes can gather them at most 60-fold.
    assert np.abs(x.T @ (p - y) + probes.weights[3].numpy() / 7.0).max() < 2.5e-5
    assert np.abs((p - y).sum(axis=0)).max() < 4.1e-7


def test_degenerate_supports_are_solved() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    same = np.ones((6, 4))
    probes = fit_probes(same, labels, [np.arange(3), np.arange(3)], c=1.0)
    assert probes.predict(same).tolist() == [[0] * 6] * 2
    repeated = np.vstack([np.eye(3), np.eye(3)])
    assert fit_probes(repeated, labels, [np.arange(6)], c=1.0).predict(repeated)[0].tolist() == labels.tolist()


def test_features_that_are_not_finite_are_refused() -> None:
    features = np.ones((4, 3))
    features[2, 1] = np.nan
    with pytest.raises(SkygraftError, match="not finite"):
        fit_probes(features, np.array([0, 1, 0, 1]), [np.array([2, 3])], c=1.0)


def test_a_tolerance_out_of_reach_is_said() -> None:
    features, labels = _problem(20, 3, seed=1)
    with pytest.raises(SkygraftError, match=r"2 of 2 probes did not meet the tolerance .* solver\.max_iterations"):
        fit_probes(features, labels, _supports(labels, (5,), 2), c=10.0, tolerance=1e-9, max_iterations=1)


def test_scaling() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    assert scale_unit(rows).tolist() == [[0.6, 0.8], [0.0, 0.0], [0.0, 1.0]]
    pool = np.random.default_rng(0).normal(3, 2, (50, 4))
    np.testing.assert_allclose(scale_by_pool(rows.repeat(2, 1), pool), StandardScaler().fit(pool).transform(rows.repeat(2, 1)))
    pool[:, 1] = 7.0
    assert (scale_by_pool(pool, pool)[:, 1] == 0).all()
