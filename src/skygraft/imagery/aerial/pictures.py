"""Pictures of map services: hostile until they decode, at the size that was asked for, to red, green and blue."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import Response

_MAGIC = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"RIFF", "WEBP"))
_MODES = ("L", "LA", "RGB", "RGBA", "P")
# What Pillow's decoders raise on broken bytes, beside its own errors.
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        rgb: (H, W, 3) bytes as delivered.
        shown: (H, W) where there is a picture.
    """

    rgb: NDArray[np.uint8] = field(repr=False)
    shown: NDArray[np.bool_] = field(repr=False)


def decode(answer: Response, size_px: int, placeholders: Collection[str] = ()) -> Picture | None:
    """Decodes a square picture; none where it shows nothing: a known placeholder, a single colour, or transparent all over.

    Args:
        answer: The service's.
        size_px: The side that was asked for.
        placeholders: sha256 of pictures that stand for no imagery.

    Raises:
        PermanentItemError: NOT_AN_IMAGE or CORRUPT_IMAGE.
        TransientError: The service shows a page of its own in place of a picture, or the picture may have been cut on the way.
    """
    data = answer.content
    if not data or hashlib.sha256(data).hexdigest() in placeholders:
        return None
    kind = next((name for magic, name in _MAGIC if data.startswith(magic)), None)
    if kind is None:
        raise _no_picture(data)
    try:
        return _decoded(data, kind, size_px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PermanentItemError("a picture of far more pixels than were asked for", Reason.TOO_LARGE) from None
    except _BROKEN as error:
        what = f"a {kind} that does not decode to its end ({type(error).__name__})"
        if not answer.measured:
            raise TransientError(f"{what}; its length was not declared", Reason.TRUNCATED) from None
        raise PermanentItemError(what, Reason.CORRUPT_IMAGE) from None


def _decoded(data: bytes, kind: str, size_px: int) -> Picture | None:
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:
        # The header is believed for this alone: nothing larger is ever unpacked.
        if image.size != (size_px, size_px):
            found = f"a picture of {image.width} x {image.height} pixels where {size_px} x {size_px} were asked for"
            raise PermanentItemError(found, Reason.NOT_AN_IMAGE)
        if image.mode not in _MODES:
            raise PermanentItemError(
                f"a picture of mode {image.mode}; expected 8 bits of grey or of red, green and blue", Reason.NOT_AN_IMAGE
            )
        transparent = "A" in image.mode or "transparency" in image.info
        pixels = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    rgb = np.ascontiguousarray(pixels[:, :, :3])
    shown = pixels[:, :, 3] > 0 if transparent else np.ones(pixels.shape[:2], np.bool_)
    # No photograph is of one colour: services fill so what lies outside of their survey.
    filler = (rgb == rgb[0, 0]).all()
    return None if filler or not shown.any() else Picture(rgb, shown)


def _no_picture(data: bytes) -> PermanentItemError | TransientError:
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<", b"{", b"[")):
        # Such pages tell of maintenance, of a proxy that wants a password, of a quota: the picture itself may be there later.
        return TransientError("a page in place of a picture", Reason.SERVER_ERROR)
    return PermanentItemError(f"not a picture but something unknown, {len(data)} bytes", Reason.NOT_AN_IMAGE)
