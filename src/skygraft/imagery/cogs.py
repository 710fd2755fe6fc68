"""Cloud-optimised GeoTIFFs: which blocks a window lies on, how they are brought, and how the window is cut out of them.

Reading goes through :mod:`skygraft.imagery.windows`, which looks at all windows before it asks for the first block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

import numpy as np

from skygraft.imagery.blocks import decode
from skygraft.imagery.sources import Source
from skygraft.imagery.tiff import Layout, corrupt
from skygraft.imagery.windows import Pixels, Span, Window, read_together, read_windows, spans

_WINDOW_BYTES = 256 << 20


class Cog:
    """One open file; its blocks may be brought by many threads.

    Args:
        source: Its bytes.
        pool: Runs requests.
    """

    def __init__(self, source: Source, pool: Executor) -> None:
        self._source, self._pool = source, pool
        self._layout: Layout | None = None

    @property
    def layout(self) -> Layout:
        """The file's layout, read when first asked for; several threads should not be the first.

        Raises:
            ItemError: The file cannot be read or used.
        """
        if self._layout is None:
            self._layout = self._source.layout()
        return self._layout

    def read(self, windows: Sequence[Window]) -> list[Pixels]:
        """The pixels of several windows; as :func:`skygraft.imagery.windows.read_together` for this file alone."""
        return read_together([(self, windows)], self._pool)[0]

    def blocks_under(self, window: Window) -> list[int]:
        """The blocks that a window lies on.

        Raises:
            ItemError: The file's header cannot be read or used, or its pixels are so small that the window would fill the memory.
            ValueError: The window lies outside the file.
        """
        layout = self.layout
        size = window.size * layout.samples * layout.dtype.itemsize
        if size > _WINDOW_BYTES:
            raise corrupt(f"a tile would be {window.height} x {window.width} of its pixels, {size} bytes; {_WINDOW_BYTES} are the most")
        bottom, right = window.row + window.height, window.column + window.width
        if window.row < 0 or window.column < 0 or bottom > layout.height or right > layout.width:
            raise ValueError(f"{window} lies outside the file's {layout.height} rows and {layout.width} columns")
        if not window.size:
            return []
        rows = range(window.row // layout.block_height, (bottom - 1) // layout.block_height + 1)
        columns = range(window.column // layout.block_width, (right - 1) // layout.block_width + 1)
        return [row * layout.blocks_across + column for row in rows for column in columns]

    def blank(self, window: Window) -> Pixels:
        """The pixels of a window as they are where there is no block: 0."""
        return np.zeros(self.layout.shape_of(window.height, window.width), self.layout.dtype.newbyteorder("="))

    def fetch(self, span: Span, room: memoryview) -> memoryview:
        """Asks for a run of blocks.

        Args:
            span: The run.
            room: As long as it; its bytes may be laid there.

        Raises:
            ItemError: The request failed, or the file ends inside the run.
        """
        data = memoryview(self._source.read(span.first, span.length, room))
        if len(data) < span.length:
            raise corrupt(f"it ends at byte {span.first + len(data)}, inside its blocks")
        return data

    def unpack(self, block: int, data: memoryview, cuts: Sequence[tuple[Window, Pixels]]) -> None:
        """Unpacks a block and puts its pixels into the windows that lie on it.

        Args:
            block: Its number.
            data: Its bytes.
            cuts: The windows, and their pixels.

        Raises:
            PermanentItemError: The block is broken.
        """
        layout = self.layout
        row, column = divmod(block, layout.blocks_across)
        top, left = row * layout.block_height, column * layout.block_width
        height, width = layout.block_shape(block)[:2]
        rows = [_common(window.row, window.height, top, height) for window, _ in cuts]
        first = min(start for start, _ in rows)
        samples = decode(data, layout, block, range(first - top, max(end for _, end in rows) - top))
        for (window, pixels), (start, end) in zip(cuts, rows, strict=True):
            west, east = _common(window.column, window.width, left, width)
            part = samples[start - first : end - first, west - left : east - left]
            pixels[start - window.row : end - window.row, west - window.column : east - window.column] = part


def _common(one: int, length: int, other: int, other_length: int) -> tuple[int, int]:
    """Where two runs of rows or columns overlap: the first of them, and the first behind them."""
    return max(one, other), min(one + length, other + other_length)


def open_together(cogs: Iterable[Cog], pool: Executor) -> None:
    """Reads the headers of several files at once.

    Raises:
        ItemError: One cannot be read or used.
    """
    for _ in pool.map(lambda cog: cog.layout, cogs):
        pass


__all__ = ["Cog", "Span", "Window", "open_together", "read_together", "read_windows", "spans"]
