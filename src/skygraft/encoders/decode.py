"""A photo's bytes as a picture: the first step of the preprocessing, and so a part of each embedding's identity."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageOps

from skygraft.core.errors import PermanentItemError, Reason

# What Pillow's decoders raise on broken bytes, beside its own errors.
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError, struct.error, zlib.error)


def decode(data: bytes) -> Image.Image:
    """A photo's bytes as an upright RGB picture of its full size.

    Raises:
        PermanentItemError: The bytes are no whole picture, or one too large to be opened safely.
    """
    with opened(data) as picture:
        upright: Image.Image = ImageOps.exif_transpose(picture)
        return upright.convert("RGB")


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """A picture whose pixels are not read yet.

    Raises:
        PermanentItemError: Here, or inside the ``with`` block where the pixels are read: the bytes are no whole picture, or one too large
            to be opened safely.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise PermanentItemError(f"the picture is too large to be opened ({error})", Reason.TOO_LARGE) from error
    except _BROKEN as error:
        raise PermanentItemError(f"the picture cannot be decoded ({error})", Reason.CORRUPT_IMAGE) from error
