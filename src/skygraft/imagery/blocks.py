"""Unpacking the blocks of a TIFF file."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.tiff import Entry, Layout, corrupt

_LONG, _DOUBLE, _INLINE = 4, 12, 4
_OFFSETS = 324
_NONE, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
_NO_PREDICTOR, _HORIZONTAL = 1, 2


def decode(data: bytes, layout: Layout, block: int) -> NDArray[np.generic]:
    """The samples of one block.

    Deflate with or without horizontal differences, which Sentinel-2 comes in, is unpacked here; GDAL unpacks whatever else there is.

    Args:
        data: The block's bytes.
        layout: The file's layout.
        block: The block's number.

    Returns:
        Rows and columns of the block, and samples where a pixel has several, in this machine's byte order.

    Raises:
        PermanentItemError: The bytes cannot be unpacked.
    """
    shape = layout.block_shape(block)
    if layout.compression not in (_NONE, _DEFLATE, _OLD_DEFLATE) or layout.predictor not in (_NO_PREDICTOR, _HORIZONTAL):
        return _by_gdal(data, layout, shape)
    length = shape[0] * shape[1] * layout.samples * layout.dtype.itemsize
    if layout.compression != _NONE:
        try:
            data = zlib.decompress(data, bufsize=length)
        except zlib.error as error:
            raise corrupt(f"block {block} cannot be unpacked ({error})") from error
    if len(data) < length:
        raise corrupt(f"block {block} holds {len(data)} bytes; {length} are expected")
    samples = np.frombuffer(data[:length], layout.dtype).reshape(shape)
    native = samples.astype(layout.dtype.newbyteorder("="), copy=False)
    if layout.predictor == _HORIZONTAL:
        # Each sample is stored as its difference from that of the pixel before, as whole numbers modulo the sample's size.
        whole = native.view(f"u{layout.dtype.itemsize}")
        return np.add.accumulate(whole, axis=1, dtype=whole.dtype).view(native.dtype)
    return native


def _by_gdal(data: bytes, layout: Layout, shape: tuple[int, ...]) -> NDArray[np.generic]:
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


def _one_block_file(data: bytes, layout: Layout, shape: tuple[int, ...]) -> bytes:
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
    return head + directory + struct.pack(f"{order}I", 0) + values + data


def _numbers(order: str, tag: int, value: int) -> Entry:
    return Entry(tag, _LONG, 1, struct.pack(f"{order}I", value))
