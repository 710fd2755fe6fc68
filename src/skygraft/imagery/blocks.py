"""Unpacking the blocks of a TIFF file."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.tiff import Layout, corrupt

_PLACE = struct.Struct("9d")
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
        Rows and columns of the block, in this machine's byte order.

    Raises:
        PermanentItemError: The bytes cannot be unpacked.
    """
    shape = layout.block_shape(block)
    if layout.compression not in (_NONE, _DEFLATE, _OLD_DEFLATE) or layout.predictor not in (_NO_PREDICTOR, _HORIZONTAL):
        return _by_gdal(data, layout, shape)
    length = shape[0] * shape[1] * layout.dtype.itemsize
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
        # Each sample is stored as its difference from the one before, as whole numbers modulo the sample's size.
        whole = native.view(f"u{layout.dtype.itemsize}")
        return np.add.accumulate(whole, axis=1, dtype=whole.dtype).view(native.dtype)
    return native


def _by_gdal(data: bytes, layout: Layout, shape: tuple[int, int]) -> NDArray[np.generic]:
    """Lets GDAL unpack the block: a file of this one block is made in memory."""
    import rasterio
    from rasterio.errors import RasterioError

    with rasterio.Env(), rasterio.MemoryFile(_one_block_file(data, layout, shape)) as memory:
        try:
            with memory.open() as dataset:
                samples: NDArray[np.generic] = dataset.read(1)
        except RasterioError as error:
            raise corrupt(f"a block of compression {layout.compression} cannot be unpacked") from error
    return samples


def _one_block_file(data: bytes, layout: Layout, shape: tuple[int, int]) -> bytes:
    rows, columns = shape
    order = ">" if layout.dtype.byteorder == ">" else "<"
    kind = {"u": 1, "i": 2, "f": 3}[layout.dtype.kind]
    bits = layout.dtype.itemsize * 8
    entries = [(256, columns), (257, rows), (258, bits), (259, layout.compression), (262, 1), (277, 1)]
    entries += [(317, layout.predictor), (322, columns), (323, rows), (324, 0), (325, len(data)), (339, kind)]
    place_at = 8 + 2 + 12 * (len(entries) + 2) + 4
    start = place_at + _PLACE.size
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, start if tag == 324 else value) for tag, value in entries)
    # A place on the ground, any, or GDAL warns that there is none.
    directory += struct.pack(f"{order}HHII", 33550, 12, 3, place_at) + struct.pack(f"{order}HHII", 33922, 12, 6, place_at + 24)
    place = struct.pack(f"{order}9d", 1, 1, 0, 0, 0, 0, 0, 0, 0)
    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HIH", 42, 8, len(entries) + 2)
    return head + directory + struct.pack(f"{order}I", 0) + place + data
