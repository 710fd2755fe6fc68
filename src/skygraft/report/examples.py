"""Tiles beside the photos of their place: the pairs that a model learns from, as people see them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from skygraft.core.errors import PermanentItemError
from skygraft.encoders.decode import decode

_TILE_SIDE: Final = 200
_PHOTO_SIDE: Final = 150
_STRETCH: Final = 3000.0
_RGB: Final = ("B04", "B03", "B02")


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI and what it shows, in words."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Credit:
    """Whom photos are by and under which licence, and the page of a single one for people."""

    words: str
    page: str | None


@dataclass(frozen=True)
class Example:
    """A tile, its photos, what is known of both, and whose the photos are, in their order."""

    tile: Picture
    photos: tuple[Picture, ...]
    caption: str
    credits: tuple[Credit, ...] = ()


def tile_picture(row: Mapping[str, object]) -> Picture | None:
    """A tile's true colours, reflectance 0 to 0.3 taking 0 to 255; None where it lacks red, green or blue.

    Args:
        row: A row of a tile shard: ``pixels`` with ``bands``, ``dtype`` and ``shape`` (times, bands, rows, columns).
    """
    bands = [str(band) for band in _sequence(row["bands"])]
    names = _RGB if set(_RGB) <= set(bands) else ("R", "G", "B")
    if not set(names) <= set(bands):
        return None
    pixels = np.frombuffer(bytes(row["pixels"]), dtype=str(row["dtype"])).reshape([int(n) for n in _sequence(row["shape"])])  # type: ignore[call-overload]
    rgb = pixels[0][[bands.index(name) for name in names]].transpose(1, 2, 0)
    top = 255.0 if rgb.dtype == np.uint8 else _STRETCH
    image = Image.fromarray(np.clip(rgb.astype(np.float32) / top * 255, 0, 255).astype(np.uint8))
    image = image.resize((_TILE_SIDE, _TILE_SIDE), Image.Resampling.NEAREST if image.width < _TILE_SIDE else Image.Resampling.LANCZOS)
    return Picture(jpeg_uri(image), f"satellite tile {row['tile_id']}", str(row["tile_id"]))


def photo_picture(data: bytes, photo_id: str, direction: str | None) -> Picture | None:
    """A photo's thumbnail; None where its pixels are broken, which a source that does not decode its photos lets through."""
    try:
        small = ImageOps.fit(decode(data), (_PHOTO_SIDE, _PHOTO_SIDE), Image.Resampling.LANCZOS)
    except PermanentItemError:
        return None
    towards = {"N": "north", "E": "east", "S": "south", "W": "west", "P": "the point"}.get(direction or "", "no known direction")
    return Picture(jpeg_uri(small), f"ground photo {photo_id}, looking to {towards}", direction or "photo")


def photo_credits(photos: Sequence[Mapping[str, object]], *, drawn: bool) -> tuple[Credit, ...]:
    """Whose some photos are: one entry for all where they are of one author and licence, else one for each; none where nobody is stated.

    Args:
        photos: Rows with ``author``, ``licence`` and ``page_url``.
        drawn: Whether a program drew them, so that their table names people who took none of them.
    """
    terms = [", ".join(str(photo[name]) for name in ("author", "licence") if photo[name]) for photo in photos]
    if not any(terms):
        return ()
    prefix = "drawn; its table names " if drawn else ""
    if len(set(terms)) == 1 and not any(photo["page_url"] for photo in photos):
        return (Credit(prefix + terms[0], None),)
    pages = [None if drawn else _web(photo["page_url"]) for photo in photos]
    return tuple(Credit(prefix + (its or "author and licence not stated"), page) for its, page in zip(terms, pages, strict=True))


def days_of(photos: Sequence[Mapping[str, object]]) -> str:
    """When photos were taken: a day or the first and the last one, and the year of those without a day.

    Args:
        photos: Rows with ``captured_at`` and ``year``.
    """
    days = sorted({taken.date().isoformat() if isinstance(taken := its["captured_at"], datetime) else str(its["year"]) for its in photos})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _web(address: object) -> str | None:
    """An address that a page may link to."""
    return address if isinstance(address, str) and address.startswith(("https://", "http://")) else None


def spread(groups: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """Up to ``count`` keys, taken from the groups in turn, so that rare kinds of land are seen too."""
    queues = [list(keys) for _, keys in sorted(groups.items())]
    chosen: list[str] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return list(value)


def jpeg_uri(image: Image.Image) -> str:
    """A picture as a data URI, so that the page needs no other file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
