"""Linear probes: all multinomial logistic regressions of a model solved together.

A k-shot table takes sixty small problems a model (six shots, ten draws). Solved one by one they cost mostly overhead; here the draws of
one shot go through the same batched matrix products. Each problem is the one that scikit-learn's ``LogisticRegression(C=c)`` solves: the
sum of the cross entropies times c, plus half the squared weights, the intercept free of penalty (of two classes scikit-learn makes one
weight vector, which is another problem: there are always more here).

Two exact changes of variables make it small and well scaled. Features are centred within each support (the free intercept takes the
shift up), and small supports are rotated into their own principal axes, so that a problem has as many dimensions as images at most and
the bound of the Hessian (Boehning, 1992) is diagonal. L-BFGS starts from the inverse of that bound and takes two products with the
features a step; every problem has its own step length and history, so that none depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from skygraft.core.errors import SkygraftError
from skygraft.evaluation.logistic import minimise

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_TEST_ROWS = 4096
_CHEAP = 256


@dataclass(frozen=True)
class Probes:
    """Fitted probes.

    ``weights`` has shape (problems, dimension, classes), ``intercepts`` (problems, classes); ``gradient`` is the largest entry of the
    gradient left in each problem, a mean over its images, ``iterations`` the steps of the slowest.
    """

    weights: torch.Tensor
    intercepts: torch.Tensor
    gradient: Floats
    iterations: int

    def predict(self, features: npt.NDArray[np.floating]) -> Labels:
        """Class indices of shape (problems, n) for features of shape (n, dimension); ties go to the lower class."""
        problems, dimension, classes = self.weights.shape
        flat = self.weights.permute(1, 0, 2).reshape(dimension, problems * classes)
        out = np.empty((problems, len(features)), dtype=np.int64)
        for start in range(0, len(features), _TEST_ROWS):
            rows = torch.from_numpy(np.asarray(features[start : start + _TEST_ROWS], dtype=np.float64))
            logits = (rows @ flat).reshape(len(rows), problems, classes) + self.intercepts
            out[:, start : start + len(rows)] = logits.argmax(dim=2).T.numpy()
        return out


def fit_probes(
    features: npt.NDArray[np.floating],
    labels: Labels,
    supports: Sequence[Labels],
    *,
    c: float,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
) -> Probes:
    """Fit one probe for each support.

    Args:
        features: The pool, shape (n, dimension), scaled as the protocol says.
        labels: Class indices of the pool, shape (n,).
        supports: Positions in the pool, one array for each problem; sizes may differ.
        c: Inverse strength of the regularisation, as scikit-learn's ``C``.
        tolerance: A problem counts as solved when no entry of the gradient, divided by the number of images, exceeds it; scikit-learn's
            ``tol`` means the same and is 1e-4.
        max_iterations: Steps allowed.

    Raises:
        SkygraftError: A feature is not finite, or a problem did not meet the tolerance.
    """
    classes = int(labels.max()) + 1
    dimension = features.shape[1]
    weights = torch.zeros((len(supports), dimension, classes), dtype=torch.float64)
    intercepts = torch.zeros((len(supports), classes), dtype=torch.float64)
    gradient = np.zeros(len(supports))
    iterations = 0
    sizes = [len(support) for support in supports]
    for size in sorted(set(sizes)):
        members = [i for i, n in enumerate(sizes) if n == size]
        positions = np.stack([supports[i] for i in members])
        x, y = _tensors(features[positions], labels[positions], classes)
        solution = _solve(x, y, 1.0 / c, tolerance, max_iterations)
        weights[members], intercepts[members] = solution.weights, solution.intercepts
        gradient[members] = solution.gradient
        iterations = max(iterations, solution.iterations)
    return Probes(weights, intercepts, gradient, iterations)


def _tensors(features: npt.NDArray[np.floating], labels: Labels, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(np.asarray(features, dtype=np.float64))
    if not bool(torch.isfinite(x).all()):
        raise SkygraftError("a feature is not finite (nan or infinity): extract this model's features again")
    return x, torch.nn.functional.one_hot(torch.from_numpy(labels), classes).to(torch.float64)


def scale_unit(features: npt.NDArray[np.floating]) -> Floats:
    """Each row divided by its length; a row of zeros stays one."""
    values = np.asarray(features, dtype=np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: Floats = values / np.where(lengths > 0, lengths, 1.0)
    return scaled


def scale_by_pool(features: npt.NDArray[np.floating], pool: npt.NDArray[np.floating]) -> Floats:
    """Each column less the pool's mean, divided by the pool's standard deviation; a constant column stays at zero."""
    reference = np.asarray(pool, dtype=np.float64)
    spread = reference.std(axis=0)
    scaled: Floats = (np.asarray(features, dtype=np.float64) - reference.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _solve(x: torch.Tensor, y: torch.Tensor, penalty: float, tolerance: float, max_iterations: int) -> Probes:
    """Solve problems of equal size: ``x`` (problems, n, dimension), ``y`` one-hot (problems, n, classes)."""
    mean = x.mean(dim=1, keepdim=True)
    centred = x - mean
    coordinates, spectrum, axes = _coordinates(centred)
    ones = torch.ones((*x.shape[:2], 1), dtype=x.dtype)
    z = torch.cat([coordinates, ones], dim=2)
    decay = torch.full((z.shape[2], 1), penalty, dtype=x.dtype)
    decay[-1] = 0.0
    bound = torch.cat([spectrum, torch.full((len(x), 1), float(x.shape[1]), dtype=x.dtype)], dim=1)
    preconditioner = 0.5 * bound[:, :, None] + decay
    solution, gradient, iterations = minimise(z, y, decay, preconditioner, tolerance, max_iterations)
    weights = solution[:, :-1] if axes is None else axes @ solution[:, :-1]
    intercepts = solution[:, -1] - (mean @ weights).squeeze(1)
    # The penalty makes each weight vector's sum over the classes zero; the intercepts' is free, and takes zero too.
    intercepts = intercepts - intercepts.mean(dim=1, keepdim=True)
    return Probes(weights, intercepts, gradient.numpy(), iterations)


def _coordinates(centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The support in its own principal axes where that is worth its cost, else as it is.

    Returns:
        Coordinates (problems, n, r), the squared spread along each (problems, r), and the axes (problems, dimension, r); no axes where the
        coordinates are the features themselves.
    """
    _, n, dimension = centred.shape
    if dimension <= _CHEAP and dimension <= n:
        spectrum, axes = torch.linalg.eigh(centred.transpose(1, 2) @ centred)
        return centred @ axes, spectrum.clamp_min(0.0), axes
    if n > max(_CHEAP, dimension // 2):
        # Little would be left out, and finding the axes costs more than the steps that they save.
        return centred, (centred * centred).sum(dim=1), None
    spectrum, sides = torch.linalg.eigh(centred @ centred.transpose(1, 2))
    spectrum = spectrum.clamp_min(0.0)
    # Directions without spread carry no weight at the optimum: their axis is left at zero rather than made of rounding.
    kept = spectrum > spectrum.amax(dim=1, keepdim=True) * 1e-13
    lengths = torch.where(kept, spectrum.sqrt(), torch.inf)
    axes = (centred.transpose(1, 2) @ sides) / lengths[:, None, :]
    return centred @ axes, torch.where(kept, spectrum, 0.0), axes
