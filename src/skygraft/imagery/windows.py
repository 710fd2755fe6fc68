"""Many windows of several files: every block is asked for once and unpacked once, neighbours in one request, requests ahead of their use.

All windows are looked at before the first request. Blocks that lie near each other in their file come in one range, whichever windows they
are for, and are dropped when the last window that needs them has been cut; so windows in the order of the files' rows need little memory.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.tiff import Layout

_GAP_BYTES = 256 << 10
_RANGE_BYTES = 8 << 20
_AHEAD_BYTES = 64 << 20
Blocks = dict[int, NDArray[np.generic]]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, counted from the north-west corner."""

    row: int
    column: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Pixels in it."""
        return self.height * self.width


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


class BlockFile(Protocol):
    """A file of blocks, as :class:`skygraft.imagery.cogs.Cog` is one."""

    @property
    def layout(self) -> Layout:
        """Where its blocks lie."""

    def blocks_under(self, window: Window) -> list[int]:
        """The blocks that a window lies on."""

    def fetch(self, span: Span) -> Blocks:
        """Asks for a run of blocks and unpacks them."""

    def cut(self, window: Window, blocks: Blocks) -> NDArray[np.generic]:
        """The pixels of a window out of the blocks that it lies on."""


Cut = tuple[BlockFile, Window]


def read_windows(groups: Sequence[Sequence[Cut]], pool: Executor) -> Iterator[list[NDArray[np.generic]]]:
    """Reads groups of windows, such as one window of each band of a scene.

    Args:
        groups: Windows that are wanted together, with their files; neighbours in the files should follow each other.
        pool: Runs requests and unpacking.

    Returns:
        For each group, in order, the pixels of its windows: rows and columns, and samples where a pixel has several.

    Raises:
        ItemError: A header cannot be read or used (at once); a request failed or a block is broken (when its window is due).
        ValueError: A window lies outside its file (at once).
    """
    return _Stream(groups, pool).run()


def read_together(reads: Sequence[tuple[BlockFile, Sequence[Window]]], pool: Executor) -> list[list[NDArray[np.generic]]]:
    """All windows of several files at once; for each file the pixels of each of its windows, as :func:`read_windows` gives them."""
    pixels = read_windows([[(cog, window)] for cog, windows in reads for window in windows], pool)
    return [[next(pixels)[0] for _ in windows] for _, windows in reads]


def spans(layout: Layout, blocks: Iterable[int]) -> Iterator[Span]:
    """The requests that bring some blocks: near neighbours come together, what lies between them is thrown away."""
    # Blocks of one colour take next to no bytes of a file, and as much memory as any.
    most = max(1, _AHEAD_BYTES // (math.prod(layout.block_shape(0)) * layout.dtype.itemsize))
    run: list[tuple[int, int, int]] = []
    for first, block in sorted((int(layout.offsets[block]), block) for block in blocks):
        length = int(layout.counts[block])
        apart = run and first - (run[-1][1] + run[-1][2]) > _GAP_BYTES
        if run and (apart or first + length - run[0][1] > _RANGE_BYTES or len(run) == most):
            yield _span(run)
            run = []
        run.append((block, first, length))
    if run:
        yield _span(run)


def _span(run: list[tuple[int, int, int]]) -> Span:
    # Blocks of equal content may share their bytes, so the last block need not end last.
    return Span(run[0][1], max(first + length for _, first, length in run) - run[0][1], tuple(run))


@dataclass(frozen=True)
class _Job:
    """One request: whose, for what, the first group that waits for it, and how many bytes its blocks have when unpacked."""

    cog: BlockFile
    span: Span
    due: int
    size: int


class _Stream:
    """The state of a reading: what was asked for, what is at hand, and how often each block will still be used."""

    def __init__(self, groups: Sequence[Sequence[Cut]], pool: Executor) -> None:
        self._groups, self._pool = groups, pool
        self._needed = [[cog.blocks_under(window) for cog, window in group] for group in groups]
        self._uses: defaultdict[BlockFile, Counter[int]] = defaultdict(Counter)
        due: defaultdict[BlockFile, dict[int, int]] = defaultdict(dict)
        for number, (group, needed) in enumerate(zip(groups, self._needed, strict=True)):
            for (cog, _), blocks in zip(group, needed, strict=True):
                self._uses[cog].update(blocks)
                for block in blocks:
                    due[cog].setdefault(block, number)
        self._jobs = sorted((job for cog, blocks in due.items() for job in _jobs(cog, blocks)), key=lambda job: job.due)
        self._job_of = {(job.cog, block): number for number, job in enumerate(self._jobs) for block, _, _ in job.span.blocks}
        self._waiting: dict[int, Future[Blocks]] = {}
        self._asked = self._ahead = 0
        self._at_hand: defaultdict[BlockFile, Blocks] = defaultdict(dict)

    def run(self) -> Iterator[list[NDArray[np.generic]]]:
        """Cuts the windows of one group after the other."""
        try:
            for group, needed in zip(self._groups, self._needed, strict=True):
                yield [self._cut(cog, window, blocks) for (cog, window), blocks in zip(group, needed, strict=True)]
        finally:
            for future in self._waiting.values():
                future.cancel()

    def _cut(self, cog: BlockFile, window: Window, blocks: Sequence[int]) -> NDArray[np.generic]:
        at_hand, uses = self._at_hand[cog], self._uses[cog]
        for block in blocks:
            if block not in at_hand and (cog, block) in self._job_of:
                self._bring(self._job_of[cog, block])
        pixels = cog.cut(window, {block: at_hand[block] for block in blocks if block in at_hand})
        for block in blocks:
            uses[block] -= 1
            if not uses[block]:
                at_hand.pop(block, None)
        return pixels

    def _bring(self, number: int) -> None:
        """Waits for a request's blocks, with others under way behind it."""
        while self._asked < len(self._jobs) and (self._asked <= number or self._ahead < _AHEAD_BYTES):
            job = self._jobs[self._asked]
            self._waiting[self._asked] = self._pool.submit(job.cog.fetch, job.span)
            self._ahead += job.size
            self._asked += 1
        job = self._jobs[number]
        self._at_hand[job.cog] |= self._waiting.pop(number).result()
        self._ahead -= job.size


def _jobs(cog: BlockFile, due: dict[int, int]) -> Iterator[_Job]:
    """The requests of one file; a block without bytes needs none."""
    layout = cog.layout
    for span in spans(layout, (block for block in due if layout.counts[block])):
        blocks = [block for block, _, _ in span.blocks]
        size = sum(int(np.prod(layout.block_shape(block))) for block in blocks) * layout.dtype.itemsize
        yield _Job(cog, span, min(due[block] for block in blocks), size)
