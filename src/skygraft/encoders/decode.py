"""A photo's bytes as a picture: the first step of the preprocessing, and so a part of each embedding's identity."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageOps

from skygraft.core.errors import PermanentItemError, Reason

DECODER = "pillow, exif orientation applied, RGB"
# What Pillow's decoders raise on broken bytes, beside its own errors.
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError, struct.error, zlib.error)


def decode(data: bytes) -> Image.Image:
    """A photo's bytes as an upright RGB picture.

    Raises:
        PermanentItemError: The bytes are no whole picture, or one too large to be opened safely.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            upright: Image.Image = ImageOps.exif_transpose(picture)
            return upright.convert("RGB")
    except Image.DecompressionBombError as error:
        raise PermanentItemError(f"the picture is too large to be opened ({error})", Reason.TOO_LARGE) from error
    except _BROKEN as error:
        raise PermanentItemError(f"the picture cannot be decoded ({error})", Reason.CORRUPT_IMAGE) from error
