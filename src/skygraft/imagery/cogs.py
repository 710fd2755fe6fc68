"""Windows of cloud-optimised GeoTIFFs: every block that any window needs is fetched once and unpacked once.

The windows of a scene are read together. Their blocks are sorted by their place in the file, neighbours are asked for in one request, and
requests run at once. Each open file keeps the blocks it unpacked last, for the windows that come next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.blocks import decode
from skygraft.imagery.sources import Source
from skygraft.imagery.tiff import Layout, corrupt, read_layout

_GAP_BYTES = 256 << 10
_RANGE_BYTES = 8 << 20
_KEPT_BYTES = 32 << 20


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, counted from the north-west corner."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class Span:
    """A run of blocks that one request brings.

    Args:
        first: First byte.
        length: Bytes.
        blocks: Number, first byte and length of each block in it.
    """

    first: int
    length: int
    blocks: tuple[tuple[int, int, int], ...] = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """How some windows of a file are read.

    Args:
        windows: The windows.
        needed: The blocks under each window.
        blocks: Unpacked blocks by number; filled as they come.
        spans: The requests that bring the missing ones.
    """

    windows: Sequence[Window]
    needed: Sequence[Sequence[int]]
    blocks: dict[int, NDArray[np.generic]] = field(repr=False)
    spans: Sequence[Span]


class Cog:
    """One open file; used by one thread, with the pool's threads for its requests.

    Args:
        source: Its bytes.
        pool: Runs requests and unpacking.
    """

    def __init__(self, source: Source, pool: Executor) -> None:
        self._source, self._pool = source, pool
        self._layout: Layout | None = None
        self._kept: OrderedDict[int, NDArray[np.generic]] = OrderedDict()

    @property
    def layout(self) -> Layout:
        """The file's layout, read when first asked for.

        Raises:
            ItemError: The file cannot be read or used.
        """
        if self._layout is None:
            self._layout = read_layout(self._source.read)
        return self._layout

    def read(self, windows: Sequence[Window]) -> list[NDArray[np.generic]]:
        """The pixels of several windows; as :func:`read_together` for this file alone."""
        return read_together([(self, windows)], self._pool)[0]

    def plan(self, windows: Sequence[Window]) -> Plan:
        """What is needed for several windows, and what of it is kept from before.

        Raises:
            ItemError: The file's header cannot be read or used.
            ValueError: A window lies outside the file.
        """
        layout = self.layout
        needed = [self._blocks(window) for window in windows]
        wanted = {block for listed in needed for block in listed}
        blocks = {block: self._kept[block] for block in wanted & self._kept.keys()}
        absent = [block for block in wanted - blocks.keys() if layout.counts[block] == 0]
        blocks |= {block: np.zeros(layout.block_shape(block), layout.dtype.newbyteorder("=")) for block in absent}
        return Plan(windows, needed, blocks, list(spans(layout, wanted - blocks.keys())))

    def fetch(self, span: Span) -> dict[int, NDArray[np.generic]]:
        """Asks for a run of blocks and unpacks them.

        Raises:
            ItemError: The request failed or a block is broken.
        """
        data = self._source.read(span.first, span.length)
        if len(data) < span.length:
            raise corrupt(f"it ends at byte {span.first + len(data)}, inside its blocks")
        return {
            block: decode(data[first - span.first : first - span.first + length], self.layout, block)
            for block, first, length in span.blocks
        }

    def cut(self, plan: Plan) -> list[NDArray[np.generic]]:
        """The pixels of a plan's windows, once its blocks are there; they are kept for the next plan."""
        self._keep(plan.blocks)
        return [self._assemble(window, listed, plan.blocks) for window, listed in zip(plan.windows, plan.needed, strict=True)]

    def _blocks(self, window: Window) -> list[int]:
        layout = self.layout
        bottom, right = window.row + window.height, window.column + window.width
        if window.row < 0 or window.column < 0 or bottom > layout.height or right > layout.width:
            raise ValueError(f"{window} lies outside the file's {layout.height} rows and {layout.width} columns")
        rows = range(window.row // layout.block_height, (bottom - 1) // layout.block_height + 1)
        columns = range(window.column // layout.block_width, (right - 1) // layout.block_width + 1)
        return [row * layout.blocks_across + column for row in rows for column in columns]

    def _keep(self, blocks: Mapping[int, NDArray[np.generic]]) -> None:
        for block in sorted(blocks):
            self._kept[block] = blocks[block]
            self._kept.move_to_end(block)
        size = sum(block.nbytes for block in self._kept.values())
        while size > _KEPT_BYTES:
            size -= self._kept.popitem(last=False)[1].nbytes

    def _assemble(self, window: Window, listed: Iterable[int], blocks: Mapping[int, NDArray[np.generic]]) -> NDArray[np.generic]:
        layout = self.layout
        pixels = np.zeros(layout.shape_of(window.height, window.width), layout.dtype.newbyteorder("="))
        for block in listed:
            top, left = (edge * size for edge, size in zip(divmod(block, layout.blocks_across), _size(layout), strict=True))
            data = blocks[block]
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


def read_together(reads: Sequence[tuple[Cog, Sequence[Window]]], pool: Executor) -> list[list[NDArray[np.generic]]]:
    """The pixels of windows of several files, all requests at once.

    Args:
        reads: Files, and rectangles inside each.
        pool: Runs requests and unpacking.

    Returns:
        For each file, rows and columns of each of its windows, and samples where a pixel has several.

    Raises:
        ItemError: A request failed or a block is broken.
        ValueError: A window lies outside its file.
    """
    plans = [cog.plan(windows) for cog, windows in reads]
    jobs = [(cog, plan, span) for (cog, _), plan in zip(reads, plans, strict=True) for span in plan.spans]
    for (_, plan, _), blocks in zip(jobs, pool.map(lambda job: job[0].fetch(job[2]), jobs), strict=True):
        plan.blocks.update(blocks)
    return [cog.cut(plan) for (cog, _), plan in zip(reads, plans, strict=True)]


def spans(layout: Layout, blocks: Iterable[int]) -> Iterator[Span]:
    """The requests that bring some blocks: near neighbours come together, what lies between them is thrown away."""
    run: list[tuple[int, int, int]] = []
    for first, block in sorted((int(layout.offsets[block]), block) for block in blocks):
        length = int(layout.counts[block])
        if run and (first - (run[-1][1] + run[-1][2]) > _GAP_BYTES or first + length - run[0][1] > _RANGE_BYTES):
            yield _span(run)
            run = []
        run.append((block, first, length))
    if run:
        yield _span(run)


def _span(run: list[tuple[int, int, int]]) -> Span:
    # Blocks of equal content may share their bytes, so the last block need not end last.
    return Span(run[0][1], max(first + length for _, first, length in run) - run[0][1], tuple(run))


def _size(layout: Layout) -> tuple[int, int]:
    return layout.block_height, layout.block_width
