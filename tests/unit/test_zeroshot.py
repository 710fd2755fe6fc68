"""Zero-shot classification: by cosine, and what a common shift of all images hides."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from skygraft.evaluation.zeroshot import classify, classify_centred


def _clusters(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class vectors, and unit images near the one of their label."""
    draw = np.random.default_rng(seed)
    classes = np.linalg.qr(draw.normal(size=(16, 16)))[0][:5]
    labels = np.repeat(np.arange(5), 8)
    images = classes[labels] + draw.normal(0, 0.05, (40, 16))
    return classes, labels, images


@given(st.integers(0, 50))
def test_classes_are_those_of_the_largest_cosine(seed: int) -> None:
    draw = np.random.default_rng(seed)
    features, classes = draw.normal(size=(30, 8)) * draw.uniform(0.1, 9, (30, 1)), draw.normal(size=(6, 8))
    assert classify(features, classes / np.linalg.norm(classes, axis=1, keepdims=True)).tolist() == (
        cosine_similarity(features, classes).argmax(axis=1).tolist()
    )


@given(st.integers(0, 50))
def test_a_common_shift_hides_the_classes_from_cosine_and_not_from_the_centred_one(seed: int) -> None:
    classes, labels, images = _clusters(seed)
    assert (classify(images, classes) == labels).all()
    shifted = images + 2 * classes[1]
    assert (classify(shifted, classes) == labels).mean() <= 0.2
    assert (classify_centred(shifted, classes) == labels).mean() > 0.9
