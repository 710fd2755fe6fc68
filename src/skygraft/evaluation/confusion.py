"""Which class is taken for which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def confusion_matrix(labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """Counts of shape (classes, classes): true class down, predicted class across.

    Args:
        labels: True class indices of the test images, shape (n,).
        predictions: Predicted ones, shape (n,) or (draws, n); draws are summed.
        classes: Number of classes.
    """
    truth = np.broadcast_to(labels, predictions.shape)
    cells = np.bincount((truth * classes + predictions).ravel(), minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def recalls(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of each true class that was found, shape (classes,); nan for a class without images."""
    totals = matrix.sum(axis=1)
    shares: npt.NDArray[np.float64] = np.divide(np.diag(matrix), totals, out=np.full(len(matrix), np.nan), where=totals > 0)
    return shares
