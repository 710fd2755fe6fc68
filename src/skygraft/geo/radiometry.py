"""Sentinel-2 digital numbers: the offset of newer processing baselines, and the stretch to eight bits."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skygraft.core.errors import PermanentItemError, Reason

OFFSET = 1000
"""What processing baseline 04.00 and later add to every digital number but 0."""

_FIRST_WITH_OFFSET = (4, 0)
_BASELINE = re.compile(r"^[Nn]?(\d{2})\.?(\d{2})$")


def parse_baseline(baseline: str) -> tuple[int, int]:
    """A processing baseline (``05.09`` or ``N0509``) as major and minor number.

    Raises:
        PermanentItemError: It is written in no known way.
    """
    match = _BASELINE.match(baseline)
    if match is None:
        message = f"Processing baseline {baseline!r} is unknown; expected such as 05.09."
        raise PermanentItemError(message, Reason.CORRUPT_SCENE)
    return int(match[1]), int(match[2])


def has_offset(baseline: str, *, offset_applied: bool = False) -> bool:
    """Whether a scene's digital numbers still carry the offset.

    The scene's own baseline decides, not its date: reprocessed scenes of older dates carry the offset as well.

    Args:
        baseline: The scene's processing baseline.
        offset_applied: Whether the catalogue has taken the offset off already (``earthsearch:boa_offset_applied``).

    Raises:
        PermanentItemError: The baseline is written in no known way.
    """
    return parse_baseline(baseline) >= _FIRST_WITH_OFFSET and not offset_applied


def harmonise(numbers: NDArray[np.uint16], baseline: str, *, offset_applied: bool = False) -> NDArray[np.uint16]:
    """Digital numbers as surface reflectance x 10000 on one scale for all baselines.

    From baseline 04.00 on, ``max(DN, 1000) - 1000``: what lies below the offset becomes 0. 0 (no data) stays 0.

    Args:
        numbers: Digital numbers as delivered, any shape; never the scene classification.
        baseline: The scene's processing baseline.
        offset_applied: Whether the catalogue has taken the offset off already.

    Raises:
        PermanentItemError: The baseline is written in no known way.
    """
    if not has_offset(baseline, offset_applied=offset_applied):
        return numbers
    return np.maximum(numbers, np.uint16(OFFSET)) - np.uint16(OFFSET)


def stretch_to_bytes(values: ArrayLike, low: float, high: float) -> NDArray[np.uint8]:
    """Reflectance as eight-bit values by a fixed stretch: ``low`` and below becomes 0, ``high`` and above 255.

    Args:
        values: Reflectance x 10000, any shape.
        low: Darkest value.
        high: Brightest value, above ``low``.
    """
    scaled = (np.asarray(values, np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    stretched: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return stretched
