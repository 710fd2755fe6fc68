"""The layout of a TIFF file: where its blocks lie and how they are packed.

Read by ourselves and not through a library, for reasons that were measured (processor time of one thread; a block of 512 x 512 pixels of
16 bits, and ranges of 1.2 MB). GDAL tells a refused, throttled or broken request in the middle of a file as "not recognized as being in a
supported file format", so that nothing can be done about it; its warnings hold the signature; it keeps the interpreter lock while it
opens a file over the network; and it asks four times as often for windows that share blocks. async-tiff unpacks a block in 2.8 ms, where
isal and a compiled sum take 0.9 ms. obstore, which it is made for, brings a range for 0.9 ms and our own client for 1.4 ms; that is a
tenth of the work, and does not make up for retries, signatures, limits that all processes share, and kinds of errors, which would be ours
to add in any case.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skygraft.core.errors import PermanentItemError, Reason

ReadRange = Callable[[int, int], bytes]
"""Bytes of a file by first byte and length; fewer only where the file ends."""

_HEADER_BYTES = 32768
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMPY = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS_PER_STRIP = 256, 257, 258, 259, 277, 278
_STRIP_OFFSETS, _STRIP_COUNTS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT = 273, 279, 317, 322, 323
_TILE_OFFSETS, _TILE_COUNTS, _FORMAT, _PIXEL_SCALE, _TIEPOINT, _GEO_KEYS = 324, 325, 339, 33550, 33922, 34735
_RASTER_TYPE, _PIXEL_IS_POINT = 1025, 2
_PHOTOMETRIC, _PLANES, _EXTRA, _JPEG_TABLES, _SUBSAMPLING, _BLACK_AND_WHITE, _LERC = 262, 284, 338, 347, 530, 532, 50674
_CODING = (_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PREDICTOR, _EXTRA, _FORMAT, _JPEG_TABLES, _SUBSAMPLING, _BLACK_AND_WHITE, _LERC)
_SEPARATE = 2
# Some headers are made up: no block and no header of a real file is anywhere near.
_BLOCK_BYTES = 256 << 20
_MOST_HEADER_BYTES = 64 << 20
_PIXEL_M, _FURTHEST_M = (1e-3, 1e6), 1e9
_KINDS = {1: "u", 2: "i", 3: "f"}


@dataclass(frozen=True)
class Entry:
    """A tag as it stands in a file.

    Args:
        tag: Its number.
        kind: TIFF's number of its type.
        count: Values.
        values: Their bytes, in the file's order.
    """

    tag: int
    kind: int
    count: int
    values: bytes = field(repr=False)


@dataclass(frozen=True)
class Layout:
    """The full-resolution picture of a file, whose samples of one pixel stand side by side.

    Args:
        width: Columns.
        height: Rows.
        block_width: Columns of a block.
        block_height: Rows of a block; the last strip of an untiled file has fewer.
        tiled: Whether blocks are tiles, padded to their full size at the edges.
        dtype: Of a sample, with the file's byte order.
        compression: TIFF's number of it.
        predictor: TIFF's number of it.
        offsets: First byte of each block, row by row.
        counts: Bytes of each block; 0 where there is no data.
        pixel_m: Width of a pixel, metres.
        pixel_height_m: Height of a pixel, metres.
        west: West edge of the first pixel, metres.
        north: North edge of the first pixel, metres.
        samples: Values of a pixel.
        order: The file's byte order, ``<`` or ``>``.
        coding: The tags that say how a block is packed.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    tiled: bool
    dtype: np.dtype[np.generic]
    compression: int
    predictor: int
    offsets: NDArray[np.int64] = field(repr=False)
    counts: NDArray[np.int64] = field(repr=False)
    pixel_m: float
    pixel_height_m: float
    west: float
    north: float
    samples: int = 1
    order: str = "<"
    coding: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def blocks_across(self) -> int:
        """Blocks in a row of blocks."""
        return -(-self.width // self.block_width)

    def block_shape(self, block: int) -> tuple[int, ...]:
        """Rows and columns that a block's bytes hold, and samples where a pixel has several."""
        rows = self.block_height if self.tiled else min(self.block_height, self.height - block * self.block_height)
        return self.shape_of(rows, self.block_width)

    def shape_of(self, rows: int, columns: int) -> tuple[int, ...]:
        """The shape of so many rows and columns of pixels as an array."""
        return (rows, columns) if self.samples == 1 else (rows, columns, self.samples)


def read_layout(read: ReadRange) -> Layout:
    """Reads the layout of a TIFF or BigTIFF file, in one request for a cloud-optimised one.

    Args:
        read: Gives bytes of the file.

    Raises:
        PermanentItemError: This is no TIFF file, or none that can be read so; the text says what it is instead.
    """
    head = read(0, _HEADER_BYTES)

    def part(first: int, length: int) -> bytes:
        if length > _MOST_HEADER_BYTES:
            raise corrupt(f"a part of its header has {length} bytes; at most {_MOST_HEADER_BYTES} are expected")
        data = head[first : first + length] if first + length <= len(head) else read(first, length)
        if len(data) < length:
            raise corrupt("it ends inside its header")
        return data

    try:
        return _layout(_Directory(head, part))
    except (struct.error, KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise corrupt(f"its header makes no sense ({type(error).__name__}: {error})") from error


class _Directory:
    """The first directory of a file: tags and their values."""

    def __init__(self, head: bytes, part: ReadRange) -> None:
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 16 else 0
        if order is None or version not in (42, 43):
            kind = "a web page" if head.lstrip()[:1] == b"<" else "empty" if not head else "something else"
            raise corrupt(f"it is no TIFF file but {kind}")
        self.order, self._part, big = order, part, version == 43
        self._inline, entry, counter = (8, 20, "Q") if big else (4, 12, "H")
        self._pointer = f"{order}{'Q' if big else 'I'}"
        at = struct.unpack(self._pointer, head[8:16] if big else head[4:8])[0]
        size = struct.calcsize(counter)
        number = struct.unpack(order + counter, part(at, size))[0]
        body = part(at + size, number * entry)
        self._entries: dict[int, tuple[int, int, bytes]] = {}
        for row in range(number):
            raw = body[row * entry : (row + 1) * entry]
            tag, kind = struct.unpack(f"{order}HH", raw[:4])
            count = struct.unpack(f"{order}{'Q' if big else 'I'}", raw[4 : 4 + self._inline])[0]
            self._entries[tag] = (kind, count, raw[4 + self._inline :])

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def entry(self, tag: int) -> Entry:
        """A tag with all its values; they may lie elsewhere in the file."""
        kind, count, raw = self._entries[tag]
        length = count * _SIZES[kind]
        if length > self._inline:
            raw = self._part(struct.unpack(self._pointer, raw)[0], length)
        return Entry(tag, kind, count, raw[:length])

    def array(self, tag: int) -> NDArray[np.generic]:
        """All values of a tag."""
        entry = self.entry(tag)
        return np.frombuffer(entry.values, self.order + _NUMPY[entry.kind])

    def number(self, tag: int, default: int | None = None) -> int:
        """The first value of a tag."""
        if tag not in self._entries and default is not None:
            return default
        return int(self.array(tag)[0])


def _layout(tags: _Directory) -> Layout:
    samples = tags.number(_SAMPLES, 1)
    if samples > 1 and tags.number(_PLANES, 1) == _SEPARATE:
        raise corrupt(f"its {samples} samples a pixel lie in planes of their own; expected is that they stand side by side")
    tiled = _TILE_WIDTH in tags
    width, height = tags.number(_WIDTH), tags.number(_HEIGHT)
    scale, tie = tags.array(_PIXEL_SCALE).astype(float), tags.array(_TIEPOINT).astype(float)
    # A file may give the places of its pixels' centres instead of their corners.
    corner = -0.5 if _centred(tags) else 0.0
    layout = Layout(
        width=width,
        height=height,
        block_width=tags.number(_TILE_WIDTH) if tiled else width,
        block_height=tags.number(_TILE_HEIGHT) if tiled else min(height, tags.number(_ROWS_PER_STRIP, height)),
        tiled=tiled,
        dtype=_dtype(tags, samples),
        compression=tags.number(_COMPRESSION, 1),
        predictor=tags.number(_PREDICTOR, 1),
        offsets=tags.array(_TILE_OFFSETS if tiled else _STRIP_OFFSETS).astype(np.int64),
        counts=tags.array(_TILE_COUNTS if tiled else _STRIP_COUNTS).astype(np.int64),
        pixel_m=float(scale[0]),
        pixel_height_m=float(scale[1]),
        west=float(tie[3] + (corner - tie[0]) * scale[0]),
        north=float(tie[4] - (corner - tie[1]) * scale[1]),
        samples=samples,
        order=tags.order,
        coding=tuple(tags.entry(tag) for tag in _CODING if tag in tags),
    )
    size = math.prod(layout.block_shape(0)) * layout.dtype.itemsize
    if not 0 < size <= _BLOCK_BYTES:
        raise corrupt(f"a block of it has {size} bytes; at most {_BLOCK_BYTES} are expected")
    expected = layout.blocks_across * -(-height // layout.block_height)
    if len(layout.offsets) != expected or len(layout.counts) != expected:
        raise corrupt(f"it lists {len(layout.offsets)} blocks; {expected} are expected")
    _check_numbers(layout)
    return layout


def _check_numbers(layout: Layout) -> None:
    """Refuses what no arithmetic can be done with: pixels of no size, a place that is no number, blocks before the file's first byte."""
    if layout.width <= 0 or layout.height <= 0:
        raise corrupt(f"it has {layout.width} columns and {layout.height} rows")
    least, most = _PIXEL_M
    if not (least <= layout.pixel_m <= most and least <= layout.pixel_height_m <= most):
        raise corrupt(f"its pixels are of {layout.pixel_m:g} x {layout.pixel_height_m:g} m; between {least:g} and {most:g} are expected")
    if not (abs(layout.west) <= _FURTHEST_M and abs(layout.north) <= _FURTHEST_M):
        raise corrupt(f"it lies at {layout.west:g} m east and {layout.north:g} m north, which is nowhere")
    if (layout.offsets < 0).any() or (layout.counts < 0).any():
        raise corrupt("some of its blocks lie at no place of a file")


def _dtype(tags: _Directory, samples: int) -> np.dtype[np.generic]:
    """The type of a sample; all samples of a pixel are of one."""
    bits = tags.array(_BITS) if _BITS in tags else np.ones(1, np.uint16)
    formats = tags.array(_FORMAT) if _FORMAT in tags else np.ones(1, np.uint16)
    if len(set(bits.tolist())) > 1 or len(set(formats.tolist())) > 1 or len(bits) not in (1, samples) or int(bits[0]) % 8:
        raise corrupt(f"its samples have {bits.tolist()} bits of formats {formats.tolist()}; whole bytes of one format are expected")
    return np.dtype(f"{tags.order}{_KINDS[int(formats[0])]}{int(bits[0]) // 8}")


def _centred(tags: _Directory) -> bool:
    if _GEO_KEYS not in tags:
        return False
    keys = tags.array(_GEO_KEYS).astype(int).reshape(-1, 4)
    return bool(((keys[:, 0] == _RASTER_TYPE) & (keys[:, 3] == _PIXEL_IS_POINT)).any())


def corrupt(what: str) -> PermanentItemError:
    """The error for a file that cannot be used."""
    return PermanentItemError(f"The scene's file cannot be used: {what}.", Reason.CORRUPT_SCENE)
