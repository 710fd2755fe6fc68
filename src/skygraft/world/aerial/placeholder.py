"""The picture that stands for a missing tile."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import cv2
import numpy as np

PLACEHOLDER_BYTES = 1033
"""Length of Bing's own."""
NO_TILE = {"X-VE-Tile-Info": "no-tile"}


@lru_cache(maxsize=1)
def placeholder() -> bytes:
    """Return the grey PNG that stands for a missing tile, of the true one's length."""
    picture = np.full((256, 256, 3), 243, dtype=np.uint8)
    cv2.rectangle(picture, (108, 112), (148, 142), (200, 200, 200), 2)
    cv2.circle(picture, (128, 127), 9, (200, 200, 200), 2)
    ok, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    body = data.tobytes()
    if not ok or len(body) > PLACEHOLDER_BYTES - 14:
        raise ValueError("the placeholder cannot be made")
    # A comment before the last chunk fills the file up.
    note = b"Note\0" + b" " * (PLACEHOLDER_BYTES - len(body) - 17)
    chunk = struct.pack(">I", len(note)) + b"tEXt" + note + struct.pack(">I", zlib.crc32(b"tEXt" + note))
    return body[:-12] + chunk + body[-12:]
