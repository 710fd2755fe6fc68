"""Photo embeddings as training takes them up: arrays, and who made them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.encoders.identity import EncoderIdentity


@dataclass(frozen=True)
class PhotoVectors:
    """Embeddings of photos, all by one encoder.

    Args:
        photo_ids: N names.
        units: (N, D) float16, of unit length.
        norms: (N,) float32; the raw embedding of a photo is ``units * norms``.
        identity: The encoder.
    """

    photo_ids: list[str]
    units: NDArray[np.float16]
    norms: NDArray[np.float32]
    identity: EncoderIdentity
