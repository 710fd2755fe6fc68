"""A cloud-optimised GeoTIFF that nobody has written: its header is computed, its tiles are drawn when their bytes are asked for.

Every tile is a DEFLATE stream of stored blocks, so that its length is known before it is drawn; readers meet tiles, overviews,
predictor and codec as in the true files. Only ground that somebody looks at is ever drawn.
"""

from __future__ import annotations

import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
BANDS = 4
RAW = BLOCK * BLOCK * BANDS
STORED = 65535
TILE_BYTES = 2 + RAW + 5 * -(-RAW // STORED) + 4
"""Length of every tile's stream: head, stored blocks with five bytes each before them, checksum."""
_SHORT, _LONG, _DOUBLE = 3, 4, 12
_FORMATS = {_SHORT: "H", _LONG: "I", _DOUBLE: "d"}

Draw = Callable[[float, float, int, float], NDArray[np.uint8]]
"""Draws a tile: west, north in metres, pixels a side, metres a pixel."""


@dataclass(frozen=True)
class Level:
    """Full resolution or an overview.

    Attributes:
        columns: pixels.
        rows: pixels.
        gsd: metres a pixel.
        first: where its first tile's bytes begin.
    """

    columns: int
    rows: int
    gsd: float
    first: int

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.columns // BLOCK)

    @property
    def tiles(self) -> int:
        """Tiles in all."""
        return self.across * -(-self.rows // BLOCK)


class DrawnCog:
    """The file.

    Args:
        west: easting of the left edge, metres.
        north: northing of the upper edge.
        size: columns and rows.
        gsd: metres a pixel.
        epsg: reference system.
        draw: draws tiles.
    """

    def __init__(self, west: float, north: float, size: tuple[int, int], gsd: float, epsg: int, draw: Draw) -> None:
        """Lay the file out; nothing is drawn yet."""
        self._west, self._north, self._epsg, self._draw = west, north, epsg, draw
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        shapes = [(*size, gsd)]
        while max(shapes[-1][:2]) > BLOCK:
            columns, rows, coarse = shapes[-1]
            shapes.append((-(-columns // 2), -(-rows // 2), coarse * 2))
        # The coarsest level's tiles come first, as a cloud-optimised file has them.
        at, levels = self._head_bytes(shapes), []
        for columns, rows, coarse in reversed(shapes):
            level = Level(columns, rows, coarse, at)
            levels.append(level)
            at += level.tiles * TILE_BYTES
        self.levels = tuple(reversed(levels))
        self.length = at

    def _head_bytes(self, shapes: list[tuple[int, int, float]]) -> int:
        levels = [Level(columns, rows, gsd, 0) for columns, rows, gsd in shapes]
        return len(self._header(levels))

    @cached_property
    def header(self) -> bytes:
        """Everything before the first tile."""
        return self._header(self.levels)

    def _header(self, levels: list[Level] | tuple[Level, ...]) -> bytes:
        parts, at = [b"II*\0" + struct.pack("<I", 8)], 8
        for number, level in enumerate(levels):
            parts.append(_directory(self._tags(level, number), at, last=number == len(levels) - 1))
            at += len(parts[-1])
        return b"".join(parts)

    def _tags(self, level: Level, number: int) -> list[tuple[int, int, list[int] | list[float]]]:
        """Return tag, type and values of a level, in rising order."""
        offsets = [level.first + k * TILE_BYTES for k in range(level.tiles)]
        tags: list[tuple[int, int, list[int] | list[float]]] = [
            (254, _LONG, [int(number > 0)]), (256, _LONG, [level.columns]), (257, _LONG, [level.rows]), (258, _SHORT, [8] * BANDS),
            (259, _SHORT, [8]), (262, _SHORT, [2]), (277, _SHORT, [BANDS]), (284, _SHORT, [1]), (317, _SHORT, [2]), (322, _SHORT, [BLOCK]),
            (323, _SHORT, [BLOCK]), (324, _LONG, offsets), (325, _LONG, [TILE_BYTES] * level.tiles), (338, _SHORT, [0]),
            (339, _SHORT, [1] * BANDS),
        ]  # fmt: skip
        if number == 0:
            keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, self._epsg]
            tags += [
                (33550, _DOUBLE, [level.gsd, level.gsd, 0.0]), (33922, _DOUBLE, [0.0, 0.0, 0.0, self._west, self._north, 0.0]),
                (34735, _SHORT, keys),
            ]  # fmt: skip
        return tags

    def blocks(self, start: int, length: int) -> Iterator[bytes]:
        """Yield a part of the file's bytes, a tile's at a time."""
        stop = start + length
        if start < len(self.header):
            yield self.header[start:stop]
        for level in reversed(self.levels):
            end = level.first + level.tiles * TILE_BYTES
            low, high = max(start, level.first), min(stop, end)
            for number in range((low - level.first) // TILE_BYTES, -(-(high - level.first) // TILE_BYTES)) if low < high else ():
                at = level.first + number * TILE_BYTES
                yield self._tile(level, number)[max(low - at, 0) : high - at]

    def _tile(self, level: Level, number: int) -> bytes:
        key = level.first + number
        if key not in self._kept:
            row, column = divmod(number, level.across)
            side = BLOCK * level.gsd
            self._kept[key] = _stored(self._draw(self._west + column * side, self._north - row * side, BLOCK, level.gsd))
            # A reader asks for a tile in several ranges, then never again.
            while len(self._kept) > 12:
                self._kept.popitem(last=False)
        return self._kept[key]


def _directory(tags: list[tuple[int, int, list[int] | list[float]]], at: int, *, last: bool) -> bytes:
    """Return a directory of tags with its long values behind it, for the place `at` in the file."""
    entries, values = b"", b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, kind, content in tags:
        packed = struct.pack(f"<{len(content)}{_FORMATS[kind]}", *content)
        if len(packed) <= 4:
            field = packed.ljust(4, b"\0")
        else:
            field = struct.pack("<I", behind + len(values))
            values += packed + b"\0" * (-len(packed) % 2)
        entries += struct.pack("<HHI", tag, kind, len(content)) + field
    following = 0 if last else behind + len(values)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + values


def _stored(pixels: NDArray[np.uint8]) -> bytes:
    """Return a tile (256, 256, 4) as a zlib stream of stored blocks, each sample less the one to its left."""
    raw = np.concatenate([pixels[:, :1], pixels[:, 1:] - pixels[:, :-1]], axis=1).tobytes()
    parts = [b"\x78\x01"]
    for start in range(0, RAW, STORED):
        block = raw[start : start + STORED]
        parts += [struct.pack("<BHH", start + STORED >= RAW, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(parts) + struct.pack(">I", zlib.adler32(raw))
