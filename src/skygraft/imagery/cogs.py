"""Cloud-optimised GeoTIFFs: which blocks a window lies on, how they are brought, and how the window is cut out of them.

Reading goes through :mod:`skygraft.imagery.windows`, which looks at all windows before it asks for the first block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.blocks import decode
from skygraft.imagery.sources import Source
from skygraft.imagery.tiff import Layout, corrupt
from skygraft.imagery.windows import Blocks, Span, Window, read_together, read_windows, spans

_WINDOW_BYTES = 256 << 20


class Cog:
    """One open file; its blocks may be brought by many threads.

    Args:
        source: Its bytes.
        pool: Runs requests and unpacking.
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

    def read(self, windows: Sequence[Window]) -> list[NDArray[np.generic]]:
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

    def fetch(self, span: Span) -> Blocks:
        """Asks for a run of blocks and unpacks them.

        Raises:
            ItemError: The request failed or a block is broken.
        """
        data = memoryview(self._source.read(span.first, span.length))
        if len(data) < span.length:
            raise corrupt(f"it ends at byte {span.first + len(data)}, inside its blocks")
        return {
            block: decode(data[first - span.first : first - span.first + length], self.layout, block)
            for block, first, length in span.blocks
        }

    def cut(self, window: Window, blocks: Blocks) -> NDArray[np.generic]:
        """The pixels of a window out of the blocks that it lies on; 0 where there is no block."""
        layout = self.layout
        pixels = np.zeros(layout.shape_of(window.height, window.width), layout.dtype.newbyteorder("="))
        for block, data in blocks.items():
            row, column = divmod(block, layout.blocks_across)
            top, left = row * layout.block_height, column * layout.block_width
            first_row, last_row = max(window.row, top), min(window.row + window.height, top + data.shape[0])
            first_column, last_column = max(window.column, left), min(window.column + window.width, left + data.shape[1])
            pixels[first_row - window.row : last_row - window.row, first_column - window.column : last_column - window.column] = data[
                first_row - top : last_row - top, first_column - left : last_column - left
            ]
        return pixels


def open_together(cogs: Iterable[Cog], pool: Executor) -> None:
    """Reads the headers of several files at once.

    Raises:
        ItemError: One cannot be read or used.
    """
    for _ in pool.map(lambda cog: cog.layout, cogs):
        pass


__all__ = ["Cog", "Span", "Window", "open_together", "read_together", "read_windows", "spans"]
