"""Photos as they are served: what they really are, whether they are whole, and a hash by which the same picture is known again."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from skygraft.core.errors import PermanentItemError, Reason

MAX_PIXELS = 50_000_000
_FORMATS = {"JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"}
_READ_AS = ("JPEG", "PNG", "WEBP")
_HASH_SIDE = 8
_SCAN = 0xDA
# Start of a frame, in which the size stands, of any kind of coding; tables have three numbers between.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# What Pillow's decoders raise on broken bytes, beside its own errors.
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True)
class ImageFacts:
    """What is known of a picture that decodes to its end.

    Args:
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        width: Pixels.
        height: Pixels.
        sha256: Of the bytes, hexadecimal.
        phash: Perceptual hash, 64 bits (:func:`difference_hash`); none where the picture was not decoded.
    """

    format: str
    width: int
    height: int
    sha256: str
    phash: int | None


def sniff(data: bytes) -> str:
    """What the first bytes say: a picture's format in capitals (``JPEG``), ``html``, ``xml``, ``json``, ``empty`` or ``unknown``."""
    head = data[:512]
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    for magic, name in ((b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"BM", "BMP")):
        if head.startswith(magic):
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        return "empty"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "html"
    if text.startswith((b"<?xml", b"<error")):
        return "xml"
    return "json" if text.startswith((b"{", b"[")) else "unknown"


def inspect(data: bytes, max_pixels: int = MAX_PIXELS, *, decode: bool = True) -> ImageFacts:
    """Decodes a picture to its end and tells what it is.

    A JPEG is decoded at an eighth of its size where the format allows: all of its entropy-coded data is read, so that a cut shows, at a
    fraction of the cost.

    Args:
        data: The bytes as served.
        max_pixels: A picture of more is refused before it is decoded.
        decode: Whether a JPEG is decoded; else its markers are followed and its end looked for, which finds a cut and costs nearly nothing,
            and broken pixels stay unseen.

    Raises:
        PermanentItemError: NOT_AN_IMAGE, TOO_LARGE or CORRUPT_IMAGE.
    """
    kind = sniff(data)
    if kind not in _FORMATS:
        raise PermanentItemError(f"not a picture but {_described(kind)}, {len(data)} bytes", Reason.NOT_AN_IMAGE)
    if kind not in _READ_AS:
        raise PermanentItemError(f"a {kind} picture; only {', '.join(_READ_AS)} are read", Reason.NOT_AN_IMAGE)
    if kind == "JPEG" and not decode:
        return _followed(data, max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
            width, height = picture.size
            _require_few(width, height, max_pixels)
            picture.draft("L", (max(width // 8, 2 * _HASH_SIDE), max(height // 8, 2 * _HASH_SIDE)))
            phash = difference_hash(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PermanentItemError(f"far more than {max_pixels} pixels", Reason.TOO_LARGE) from None
    except _BROKEN as error:
        raise PermanentItemError(f"a {kind} that does not decode to its end ({error})", Reason.CORRUPT_IMAGE) from None
    return ImageFacts(kind, width, height, hashlib.sha256(data).hexdigest(), phash)


def _followed(data: bytes, max_pixels: int) -> ImageFacts:
    """What a JPEG's markers tell of it."""
    try:
        width, height = _size(data)
    except (ValueError, IndexError) as error:
        raise PermanentItemError(f"a JPEG whose markers lead nowhere ({error})", Reason.CORRUPT_IMAGE) from None
    _require_few(width, height, max_pixels)
    return ImageFacts("JPEG", width, height, hashlib.sha256(data).hexdigest(), None)


def _require_few(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PermanentItemError(f"{width} x {height} pixels, more than {max_pixels} are allowed", Reason.TOO_LARGE)


def _size(data: bytes) -> tuple[int, int]:
    """A JPEG's width and height; ValueError unless its end marker stands behind the start of its scan.

    A thumbnail's own markers, inside of a segment before that, do not count.
    """
    place, size = 2, (0, 0)
    while (marker := data[place + 1]) != _SCAN:
        if data[place] != 0xFF:
            raise ValueError("no marker where one must stand")
        if marker in _FRAMES:
            size = int.from_bytes(data[place + 7 : place + 9], "big"), int.from_bytes(data[place + 5 : place + 7], "big")
        # Markers may be led by any number of fill bytes.
        place += 1 if marker == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    if data.rfind(b"\xff\xd9", place) < 0:
        raise ValueError("no end marker")
    if 0 in size:
        raise ValueError("no size")
    return size


def difference_hash(picture: Image.Image) -> int:
    """The 64-bit difference hash (dHash) of a picture.

    The picture is made grey and averaged to 9 x 8 cells; each bit, row by row from the most significant, says whether a cell is brighter
    than its right neighbour. Pictures that differ in size, compression or brightness alone differ in few bits.
    """
    grey = picture.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    cells = np.asarray(grey, dtype=np.int16)
    return int.from_bytes(np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes(), "big")


def _described(kind: str) -> str:
    names = {"html": "an HTML page", "xml": "an XML message", "json": "a JSON message", "empty": "nothing"}
    return names.get(kind, "something unknown")
