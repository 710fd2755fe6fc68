"""Unpacking the blocks of a TIFF file."""

from __future__ import annotations

import math
import struct
from typing import cast

import numpy as np
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray

from skygraft.geo.compiled import compiled
from skygraft.imagery.tiff import Entry, Layout, corrupt

_LONG, _DOUBLE, _INLINE = 4, 12, 4
_OFFSETS = 324
_NONE, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
_NO_PREDICTOR, _HORIZONTAL = 1, 2
_MOST_BYTES = 256 << 20
# The package types its exception as an instance of one.
_UNPACKING_ERROR = cast(type[Exception], igzip_lib.IsalError)


def decode(data: bytes | memoryview, layout: Layout, block: int, rows: range) -> NDArray[np.generic]:
    """The samples of some rows of one block.

    Deflate with or without horizontal differences, which Sentinel-2 comes in, is unpacked here, and no further than to the last of the
    rows: of blocks that one window lies on, that is two thirds. GDAL unpacks whatever else there is.

    Args:
        data: The block's bytes.
        layout: The file's layout.
        block: The block's number.
        rows: Of the block, as they follow each other.

    Returns:
        Rows and columns, and samples where a pixel has several, in this machine's byte order.

    Raises:
        PermanentItemError: The bytes cannot be unpacked, or the block's last row is among the rows and its checksum is wrong.
    """
    shape = layout.block_shape(block)
    if layout.compression not in (_NONE, _DEFLATE, _OLD_DEFLATE) or layout.predictor not in (_NO_PREDICTOR, _HORIZONTAL):
        return _by_gdal(data, layout, shape)[rows.start : rows.stop]
    row = math.prod(shape[1:]) * layout.dtype.itemsize
    if shape[0] * row > _MOST_BYTES:
        raise corrupt(f"block {block} would have {shape[0] * row} bytes; {_MOST_BYTES} are the most")
    length = rows.stop * row
    if layout.compression != _NONE:
        # One byte more than the block has, so that the checksum behind the last one is looked at.
        data = _inflated(data, length + (rows.stop == shape[0]), block)
    if len(data) < length:
        raise corrupt(f"block {block} holds {len(data)} bytes up to row {rows.stop}; {length} are expected")
    samples = np.frombuffer(data, layout.dtype, len(rows) * row // layout.dtype.itemsize, rows.start * row).reshape(len(rows), *shape[1:])
    native = samples.astype(layout.dtype.newbyteorder("="), copy=False)
    if layout.predictor == _HORIZONTAL:
        whole = native.view(f"u{layout.dtype.itemsize}").reshape(len(rows), -1)
        return undo_differences(whole, layout.samples).view(native.dtype).reshape(native.shape)
    return native


def _inflated(data: bytes | memoryview, most: int, block: int) -> bytes:
    """The first bytes of what a block unpacks to, whatever a hostile one would go on to."""
    try:
        unpacked: bytes = isal_zlib.decompressobj().decompress(data, most)
    except _UNPACKING_ERROR as error:
        raise corrupt(f"block {block} cannot be unpacked ({error})") from error
    return unpacked


def undo_differences(stored: NDArray[np.unsignedinteger], samples: int) -> NDArray[np.unsignedinteger]:
    """Values that are stored as their differences from those of the pixel before, as whole numbers modulo their size.

    Args:
        stored: Rows, and the samples of one pixel after the other.
        samples: Of a pixel.
    """
    values = np.empty_like(stored)
    _sum_rows(stored, values, samples)
    return values


@compiled
def _sum_rows(stored: NDArray[np.unsignedinteger], values: NDArray[np.unsignedinteger], samples: int) -> None:
    width = stored.shape[1]
    for row in range(stored.shape[0]):
        # The first loop is the second with a step that the compiler knows.
        if samples == 1:
            total = stored[row, 0]
            values[row, 0] = total
            for at in range(1, width):
                total += stored[row, at]
                values[row, at] = total
        else:
            for sample in range(samples):
                total = stored[row, sample]
                values[row, sample] = total
                for at in range(sample + samples, width, samples):
                    total += stored[row, at]
                    values[row, at] = total


def _by_gdal(data: bytes | memoryview, layout: Layout, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Lets GDAL unpack the block: a file of this one block is made in memory."""
    import rasterio
    from rasterio.errors import RasterioError

    with rasterio.Env(), rasterio.MemoryFile(_one_block_file(data, layout, shape)) as memory:
        try:
            with memory.open() as dataset:
                samples: NDArray[np.generic] = dataset.read()
        except RasterioError as error:
            raise corrupt(f"a block of compression {layout.compression} cannot be unpacked") from error
    # Bands first become bands last.
    return np.ascontiguousarray(samples.transpose(1, 2, 0)).reshape(shape)


def _one_block_file(data: bytes | memoryview, layout: Layout, shape: tuple[int, ...]) -> bytes:
    """A TIFF file of this block alone, packed as it is; all that says how is taken over from its own file."""
    order = layout.order
    rows, columns = shape[:2]
    entries = [_numbers(order, tag, value) for tag, value in ((256, columns), (257, rows), (322, columns), (323, rows), (325, len(data)))]
    # A place on the ground, any, or GDAL warns that there is none; an address that is known only below.
    place = ((33550, (1.0, 1.0, 0.0)), (33922, (0.0,) * 6))
    entries += [Entry(tag, _DOUBLE, len(values), struct.pack(f"{order}{len(values)}d", *values)) for tag, values in place]
    entries += [*layout.coding, _numbers(order, _OFFSETS, 0)]
    entries.sort(key=lambda entry: entry.tag)
    apart = 8 + 2 + 12 * len(entries) + 4
    start = apart + sum(len(entry.values) for entry in entries if len(entry.values) > _INLINE)
    directory, values = b"", b""
    for entry in entries:
        own = struct.pack(f"{order}I", start) if entry.tag == _OFFSETS else entry.values
        if len(own) > _INLINE:
            own, values = struct.pack(f"{order}I", apart + len(values)), values + own
        directory += struct.pack(f"{order}HHI", entry.tag, entry.kind, entry.count) + own.ljust(_INLINE, b"\0")
    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return head + directory + struct.pack(f"{order}I", 0) + values + bytes(data)


def _numbers(order: str, tag: int, value: int) -> Entry:
    return Entry(tag, _LONG, 1, struct.pack(f"{order}I", value))
