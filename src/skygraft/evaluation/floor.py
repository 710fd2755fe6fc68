"""The floor of a k-shot table: 29 statistics of colour and texture, which cost nothing and see no shape.

A model whose features do not beat them has learned nothing that a histogram does not know.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

DIMENSION: Final = 29
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def floor_statistics(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The statistics of one image.

    Args:
        rgb: Array of shape (rows, columns, 3), 0 to 255, taken as 0 to 1.

    Returns:
        Shape (29,): means and standard deviations of R, G, B (6) and of H, S, V (6); the 5, 25, 50, 75 and 95 % quantiles, each for
        R, G, B (15); mean absolute differences of the grey image down and across (2).
    """
    values = rgb.astype(np.float32) / 255
    hsv = np.asarray(Image.fromarray(rgb).convert("HSV"), dtype=np.float32) / 255
    grey = values.mean(axis=2)
    texture = np.abs(np.diff(grey, axis=0)).mean(), np.abs(np.diff(grey, axis=1)).mean()
    quantiles = np.quantile(values.reshape(-1, 3), _QUANTILES, axis=0).ravel()
    moments = [function(image, axis=(0, 1)) for image in (values, hsv) for function in (np.mean, np.std)]
    return np.concatenate([*moments, quantiles, texture]).astype(np.float32)
