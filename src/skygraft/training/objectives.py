"""The objectives that pull a satellite embedding to the pooled embedding of the photos taken on its ground.

Notation of the IGARSS'24 paper: ``G_i`` is the pooled photo embedding of place ``i`` (its equation 1),
``s_i`` the satellite embedding, ``sim`` the cosine similarity, ``tau`` the temperature.
"""

from __future__ import annotations

import math
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional


class Direction(StrEnum):
    """Which side is the anchor of the contrast; the other side's batch is what it is told apart from."""

    GROUND_TO_SATELLITE = "ground_to_satellite"
    SATELLITE_TO_GROUND = "satellite_to_ground"
    SYMMETRIC = "symmetric"


def same_place(locations: Tensor) -> Tensor:
    """Pairs of places that share a location and thus cannot be each other's negatives.

    Args:
        locations: (N, K) integers, the locations of the photos of each place; -1 fills the rest.

    Returns:
        (N, N) booleans, true off the diagonal where two places share a location; the diagonal is false.
    """
    known = locations >= 0
    _, names, times = torch.unique(locations[known], return_inverse=True, return_counts=True)
    # Only what stands more than once can be shared. All pairs of all photos would take gigabytes where tiles have 25 of them.
    often = times > 1
    rows = torch.arange(len(locations), device=locations.device)[:, None].expand_as(locations)[known]
    again = often[names]
    held = torch.zeros(len(locations), int(often.sum()), device=locations.device)
    held[rows[again], (often.cumsum(0) - 1)[names[again]]] = 1.0
    return (held @ held.T > 0) & ~torch.eye(len(locations), dtype=torch.bool, device=locations.device)


def pooled_infonce(
    satellite: Tensor,
    ground: Tensor,
    scale: Tensor | float,
    *,
    direction: Direction = Direction.GROUND_TO_SATELLITE,
    masked: Tensor | None = None,
) -> Tensor:
    """InfoNCE in the batch between satellite embeddings and pooled photo embeddings.

    Equation 2 of the IGARSS'24 paper is ``ground_to_satellite``::

        L = -1/N sum_i log( exp(sim(G_i, s_i)/tau) / sum_j exp(sim(G_i, s_j)/tau) )

    SenCLIP's released code contrasts the other way: the sum runs over ``G_j`` with ``s_i`` as the anchor (``satellite_to_ground``).
    ``symmetric`` is the mean of both.

    The direction decides whether text can be asked afterwards. Moving all ``s_j`` by one vector (before they are normalised) adds the same
    to every term of equation 2's fraction: the loss does not hold the tiles where the photos and the texts are, only their order. With
    large steps they drift off, probes still work and zero-shot by text gains nothing. With ``s_i`` as the anchor a move is punished.

    Args:
        satellite: (N, D) embeddings ``s`` of any length.
        ground: (N, D) pooled embeddings ``G`` of any length.
        scale: 1/tau, a number or a scalar tensor that learns.
        direction: Which side is the anchor.
        masked: (N, N) booleans from :func:`same_place`: pairs left out of the denominators.

    Returns:
        The mean loss, a scalar in nats.
    """
    logits = scale * functional.normalize(ground, dim=-1) @ functional.normalize(satellite, dim=-1).T
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    if direction is Direction.GROUND_TO_SATELLITE:
        return functional.cross_entropy(logits, target)
    if direction is Direction.SATELLITE_TO_GROUND:
        return functional.cross_entropy(logits.T, target)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def cosine(satellite: Tensor, ground: Tensor) -> Tensor:
    """The positive-only objective, ``mean(1 - sim(G_i, s_i))``.

    Equation 3 of the IGARSS'24 paper reads ``L = sum_i G_i.s_i / (|G_i| |s_i|)``: minimised as it stands it would push each pair
    apart. What can have been meant differs from it by sign and constants alone, so the gradient here is the paper's with its
    sign turned, divided by N.

    Args:
        satellite: (N, D) embeddings ``s``, any length.
        ground: (N, D) pooled embeddings ``G``, any length.

    Returns:
        The mean loss, a scalar between 0 and 2.
    """
    return (1 - functional.cosine_similarity(satellite, ground, dim=-1)).mean()


class Temperature(nn.Module):
    """The temperature of the contrast, fixed or learned.

    A learned one is kept as CLIP keeps it, ``log(1/tau)``, and held between 0 and ``log(max_scale)``: CLIP and SenCLIP clamp the scale
    at 100. A fixed one may be below 1/100, as the IGARSS'24 paper's 0.007 is (scale 143).

    Args:
        tau: The temperature, or the one that learning starts from.
        learned: Whether it learns.
        max_scale: The highest scale that a learned temperature reaches.
    """

    def __init__(self, tau: float, *, learned: bool = False, max_scale: float = 100.0) -> None:
        super().__init__()
        self.max_log_scale = math.log(max_scale)
        log_scale = torch.tensor(math.log(1 / tau))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)
        self.learned = learned

    def forward(self) -> Tensor:
        """The scale 1/tau that similarities are multiplied by, a scalar."""
        return self.log_scale.exp()

    @torch.no_grad()
    def clamp(self) -> None:
        """Put a learned temperature back into its bounds; to be called after each step of the optimiser."""
        if self.learned:
            self.log_scale.clamp_(0.0, self.max_log_scale)
