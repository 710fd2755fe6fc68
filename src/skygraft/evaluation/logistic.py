"""Multinomial logistic regressions of equal size in one batch, by L-BFGS.

Every problem has its own history and step length, so that none depends on its neighbours; a step costs two products with the features.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from skygraft.core.errors import SkygraftError

_HISTORY = 10
_ARMIJO = 1e-4
_HALVINGS = 40


def minimise(
    z: torch.Tensor, y: torch.Tensor, decay: torch.Tensor, preconditioner: torch.Tensor, tolerance: float, max_iterations: int
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Solves all problems of a batch.

    Args:
        z: Features with a last column of ones, shape (problems, n, r).
        y: One-hot labels, shape (problems, n, classes).
        decay: Penalty of each row of the weights, shape (r, 1); zero for the intercept's.
        preconditioner: A diagonal that bounds the Hessian, shape (problems, r, 1).
        tolerance: Largest entry of the gradient, divided by n, at which a problem is solved.
        max_iterations: Steps allowed.

    Returns:
        Weights (problems, r, classes), the gradient's largest entries as a mean over images (problems,), and the steps taken.

    Raises:
        SkygraftError: A problem did not meet the tolerance.
    """
    zt = z.transpose(1, 2)
    w = torch.zeros((z.shape[0], z.shape[2], y.shape[2]), dtype=z.dtype)
    logits = torch.zeros_like(y)
    loss, p = _loss(logits, y, decay, w)
    gradient = zt @ (p - y)
    history: deque[_Pair] = deque(maxlen=_HISTORY)
    for iteration in range(max_iterations + 1):
        worst = gradient.abs().amax(dim=(1, 2)) / z.shape[1]
        unsolved = worst > tolerance
        if not bool(unsolved.any()):
            return w, worst, iteration
        # Solved problems stand still: they stay bit for bit what they were.
        step = _direction(gradient, history, preconditioner) * unsolved[:, None, None]
        slope_of_logits = z @ step
        length, loss, p = _line_search(logits, slope_of_logits, y, decay, w, step, loss, _dot(gradient, step).flatten())
        step *= length
        logits = torch.addcmul(logits, slope_of_logits, length)
        w = w + step
        fresh = (zt @ (p - y)).addcmul_(decay, w)
        history.append(_Pair.of(step, fresh - gradient))
        gradient = fresh
    raise SkygraftError(
        f"{int(unsolved.sum())} of {len(w)} probes did not meet the tolerance {tolerance:g} in {max_iterations} steps "
        f"(gradient {float(worst.max()):.3g}): raise the protocol's solver.max_iterations or solver.tolerance"
    )


@dataclass(frozen=True)
class _Pair:
    """A step, the change of the gradient along it, and the inverse of their product; all zero where there is no curvature to learn."""

    step: torch.Tensor
    change: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, step: torch.Tensor, change: torch.Tensor) -> _Pair:
        curvature = _dot(step, change)
        return cls(step, change, torch.where(curvature > 0, 1 / curvature.clamp_min(1e-300), 0.0))


def _direction(gradient: torch.Tensor, history: deque[_Pair], preconditioner: torch.Tensor) -> torch.Tensor:
    """Minus the inverse Hessian's estimate times the gradient (Nocedal's two loops)."""
    q = gradient.clone()
    parts = []
    for pair in reversed(history):
        part = pair.scale * _dot(pair.step, q)
        q.addcmul_(pair.change, part, value=-1)
        parts.append(part)
    q /= preconditioner
    if history:
        newest = history[-1]
        stretch = newest.scale * _dot(newest.change, newest.change / preconditioner)
        q *= torch.where(stretch > 0, 1 / stretch.clamp_min(1e-300), 1.0)
    for pair, part in zip(history, reversed(parts), strict=True):
        q.addcmul_(pair.step, part - pair.scale * _dot(pair.change, q))
    return q.neg_()


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product of each problem, shape (problems, 1, 1)."""
    return a.reshape(len(a), 1, -1) @ b.reshape(len(b), -1, 1)


def _loss(logits: torch.Tensor, y: torch.Tensor, decay: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The objective of each problem, shape (problems,), and the class probabilities."""
    log_p = torch.log_softmax(logits, dim=2)
    return -(log_p * y).sum(dim=(1, 2)) + 0.5 * (decay * w * w).sum(dim=(1, 2)), log_p.exp()


def _line_search(
    logits: torch.Tensor,
    slope_of_logits: torch.Tensor,
    y: torch.Tensor,
    decay: torch.Tensor,
    w: torch.Tensor,
    step: torch.Tensor,
    loss: torch.Tensor,
    slope: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Halve each problem's step until its loss falls enough (Armijo); logits are linear in the step, so no trial costs a product.

    Returns:
        Lengths of shape (problems, 1, 1), zero where no step lowers the loss, and the loss and probabilities there.
    """
    length = torch.ones((len(loss), 1, 1), dtype=loss.dtype)
    # Near the optimum the fall drowns in the rounding of the loss: accept what does not rise by more than that.
    slack = 1e-13 * loss.abs()
    for _ in range(_HALVINGS):
        trial, p = _loss(logits + length * slope_of_logits, y, decay, w + length * step)
        good = trial <= loss + _ARMIJO * length.flatten() * slope + slack
        if bool(good.all()):
            return length, trial, p
        length = torch.where(good[:, None, None], length, 0.5 * length)
    length = torch.where(good[:, None, None], length, 0.0)
    return length, *_loss(logits + length * slope_of_logits, y, decay, w + length * step)
