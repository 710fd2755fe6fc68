"""Linear probes: all multinomial logistic regressions of a model solved together.

A k-shot table takes sixty small problems a model (six shots, ten draws). Solved one by one they cost mostly overhead; here the draws of
one shot go through the same batched matrix products. Each problem is the one that scikit-learn's ``LogisticRegression(C=c)`` solves: the
sum of the cross entropies times c, plus half the squared weights, the intercept free of penalty (of two classes scikit-learn makes one
weight vector, which is another problem: there are always more here).

Two exact changes of variables make it small and well scaled. Features are centred within each support (the free intercept takes the
shift up), and rotated into the support's own principal axes, so that a problem has as many dimensions as images at most and the bound of
the Hessian is diagonal (Boehning, 1992). Newton's method with conjugate gradients, preconditioned by that bound, then meets the tolerance
in a few steps; Armijo's rule, for each problem apart, keeps every step downhill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from skygraft.core.errors import SkygraftError

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_CG_STEPS = 200
_ARMIJO = 1e-4
_HALVINGS = 40
_TEST_ROWS = 4096


@dataclass(frozen=True)
class Probes:
    """Fitted probes.

    ``weights`` has shape (problems, dimension, classes), ``intercepts`` (problems, classes); ``gradient`` is the largest entry of the
    gradient left in each problem, ``iterations`` the Newton steps of the slowest.
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
    max_iterations: int = 100,
) -> Probes:
    """Fit one probe for each support.

    Args:
        features: The pool, shape (n, dimension), scaled as the protocol says.
        labels: Class indices of the pool, shape (n,).
        supports: Positions in the pool, one array for each problem; sizes may differ.
        c: Inverse strength of the regularisation, as scikit-learn's ``C``.
        tolerance: Largest entry of the gradient of (sum of cross entropies + weights² / 2c) at which a problem counts as solved.
        max_iterations: Newton steps allowed.

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
        x = torch.from_numpy(np.asarray(features[positions], dtype=np.float64))
        if not bool(torch.isfinite(x).all()):
            raise SkygraftError("a feature is not finite (nan or infinity): extract this model's features again")
        y = torch.nn.functional.one_hot(torch.from_numpy(labels[positions]), classes).to(torch.float64)
        solution = _solve(x, y, 1.0 / c, tolerance, max_iterations)
        weights[members], intercepts[members] = solution.weights, solution.intercepts
        gradient[members] = solution.gradient
        iterations = max(iterations, solution.iterations)
    return Probes(weights, intercepts, gradient, iterations)


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
    axes, spectrum = _principal_axes(centred)
    ones = torch.ones((*x.shape[:2], 1), dtype=x.dtype)
    z = torch.cat([centred @ axes, ones], dim=2)
    decay = torch.full((z.shape[2], 1), penalty, dtype=x.dtype)
    decay[-1] = 0.0
    bound = torch.cat([spectrum, torch.full((len(x), 1), float(x.shape[1]), dtype=x.dtype)], dim=1)
    preconditioner = 0.5 * bound[:, :, None] + decay
    solution, gradient, iterations = _newton(z, y, decay, preconditioner, tolerance, max_iterations)
    weights = axes @ solution[:, :-1]
    intercepts = solution[:, -1] - (mean @ weights).squeeze(1)
    # The penalty makes each weight vector's sum over the classes zero; the intercepts' is free, and takes zero too.
    intercepts = intercepts - intercepts.mean(dim=1, keepdim=True)
    return Probes(weights, intercepts, gradient.numpy(), iterations)


def _principal_axes(centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal axes (problems, dimension, r) that span each support, and the squared spread along each (problems, r)."""
    _, n, dimension = centred.shape
    if dimension <= n:
        spectrum, axes = torch.linalg.eigh(centred.transpose(1, 2) @ centred)
        return axes, spectrum.clamp_min(0.0)
    spectrum, sides = torch.linalg.eigh(centred @ centred.transpose(1, 2))
    spectrum = spectrum.clamp_min(0.0)
    # Directions without spread carry no weight at the optimum: their axis is left at zero rather than made of rounding.
    kept = spectrum > spectrum.amax(dim=1, keepdim=True) * 1e-13
    lengths = torch.where(kept, spectrum.sqrt(), torch.inf)
    axes = (centred.transpose(1, 2) @ sides) / lengths[:, None, :]
    return axes, torch.where(kept, spectrum, 0.0)


def _newton(
    z: torch.Tensor, y: torch.Tensor, decay: torch.Tensor, preconditioner: torch.Tensor, tolerance: float, max_iterations: int
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Damped Newton for all problems at once; gives the solution, the gradient's largest entries and the steps taken."""
    w = torch.zeros((z.shape[0], z.shape[2], y.shape[2]), dtype=z.dtype)
    loss, p = _loss(z, y, decay, w)
    zt = z.transpose(1, 2)
    for iteration in range(max_iterations + 1):
        gradient = zt @ (p - y) + decay * w
        worst = gradient.abs().amax(dim=(1, 2))
        open_ = worst > tolerance
        if not bool(open_.any()):
            return w, worst, iteration
        if iteration == max_iterations:
            break

        def hessian(v: torch.Tensor, p: torch.Tensor = p) -> torch.Tensor:
            u = z @ v
            return zt @ (p * (u - (p * u).sum(dim=2, keepdim=True))) + decay * v

        step = _conjugate_gradients(hessian, -gradient * open_[:, None, None], preconditioner)
        w, loss, p = _line_search(z, y, decay, w, step, loss, p, (gradient * step).sum(dim=(1, 2)))
    unsolved = int(open_.sum())
    raise SkygraftError(
        f"{unsolved} of {len(w)} probes did not meet the tolerance {tolerance:g} in {max_iterations} steps "
        f"(gradient {float(worst.max()):.3g}): raise the protocol's solver.max_iterations or solver.tolerance"
    )


def _loss(z: torch.Tensor, y: torch.Tensor, decay: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The objective of each problem, shape (problems,), and the class probabilities."""
    logits = z @ w
    log_p = torch.log_softmax(logits, dim=2)
    loss = -(log_p * y).sum(dim=(1, 2)) + 0.5 * (decay * w * w).sum(dim=(1, 2))
    return loss, log_p.exp()


def _conjugate_gradients(
    hessian: Callable[[torch.Tensor], torch.Tensor], target: torch.Tensor, preconditioner: torch.Tensor
) -> torch.Tensor:
    """Solve hessian(v) = target for each problem, to a residual that shrinks with the gradient (superlinear convergence)."""
    v = torch.zeros_like(target)
    residual = target.clone()
    size = residual.flatten(1).norm(dim=1)
    goal = size * torch.clamp(size.sqrt(), max=0.1)
    scaled = residual / preconditioner
    direction = scaled.clone()
    energy = (residual * scaled).sum(dim=(1, 2))
    for _ in range(_CG_STEPS):
        active = residual.flatten(1).norm(dim=1) > goal
        if not bool(active.any()):
            break
        image = hessian(direction)
        curvature = (direction * image).sum(dim=(1, 2))
        length = torch.where(active & (curvature > 0), energy / curvature.clamp_min(1e-300), 0.0)[:, None, None]
        v = v + length * direction
        residual = residual - length * image
        scaled = residual / preconditioner
        fresh = (residual * scaled).sum(dim=(1, 2))
        direction = scaled + (fresh / energy.clamp_min(1e-300))[:, None, None] * direction
        energy = fresh
    return v


def _line_search(
    z: torch.Tensor,
    y: torch.Tensor,
    decay: torch.Tensor,
    w: torch.Tensor,
    step: torch.Tensor,
    loss: torch.Tensor,
    p: torch.Tensor,
    slope: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Halve each problem's step until its loss falls enough; a problem that cannot fall further stays where it is."""
    length = torch.ones_like(loss)
    # Near the optimum the fall drowns in the rounding of the loss: accept what does not rise by more than that.
    slack = 1e-14 * loss.abs()
    for _ in range(_HALVINGS):
        candidate = w + length[:, None, None] * step
        new_loss, new_p = _loss(z, y, decay, candidate)
        good = new_loss <= loss + _ARMIJO * length * slope + slack
        if bool(good.all()):
            return candidate, new_loss, new_p
        length = torch.where(good, length, 0.5 * length)
    keep = good[:, None, None]
    return torch.where(keep, candidate, w), torch.where(good, new_loss, loss), torch.where(keep, new_p, p)
