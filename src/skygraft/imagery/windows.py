"""Many windows of several files: every block is asked for once and unpacked once, neighbours in one request, requests ahead of their use.

All windows are looked at before the first request. Blocks that lie near each other in their file come in one range, whichever windows they
are for. As soon as a block is unpacked its pixels are put into all windows that lie on it, and it is dropped; so windows in the order of
the files' rows need little memory. Blocks are unpacked by as many threads as there are cores, which take the same memory for one block
after the other: fresh memory, which the system blanks page by page, would cost half as much as the unpacking.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from threading import Lock, Semaphore
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skygraft.imagery.tiff import Layout, corrupt

_GAP_BYTES = 256 << 10
_RANGE_BYTES = 8 << 20
_SLACK_BYTES = 1 << 20
# Ranges that are under way, and windows that wait for one.
_AHEAD_BYTES = 128 << 20
_UNPACKED_BYTES = 64 << 20
_KEPT_BYTES = 64 << 20
Pixels = NDArray[np.generic]


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

    def blank(self, window: Window) -> Pixels:
        """The pixels of a window before any block has been put into it."""

    def fetch(self, span: Span, room: memoryview) -> memoryview:
        """Asks for a run of blocks, which may be laid down in ``room``: it is as long as they are."""

    def unpack(self, block: int, data: memoryview, cuts: Sequence[tuple[Window, Pixels]]) -> None:
        """Unpacks a block and puts its pixels into the windows that lie on it."""


Cut = tuple[BlockFile, Window]


def read_windows(groups: Sequence[Sequence[Cut]], pool: Executor) -> Iterator[list[Pixels]]:
    """Reads groups of windows, such as one window of each band of a scene.

    Args:
        groups: Windows that are wanted together, with their files; neighbours in the files should follow each other.
        pool: Runs requests.

    Returns:
        For each group, in order, the pixels of its windows: rows and columns, and samples where a pixel has several.

    Raises:
        ItemError: A header cannot be read or used (at once); a request failed or a block is broken (when its window is due).
        ValueError: A window lies outside its file (at once).
    """
    return _Stream(groups, pool).run()


def read_together(reads: Sequence[tuple[BlockFile, Sequence[Window]]], pool: Executor) -> list[list[Pixels]]:
    """All windows of several files at once; for each file the pixels of each of its windows, as :func:`read_windows` gives them."""
    pixels = read_windows([[(cog, window)] for cog, windows in reads for window in windows], pool)
    return [[next(pixels)[0] for _ in windows] for _, windows in reads]


def spans(layout: Layout, blocks: Iterable[int]) -> Iterator[Span]:
    """The requests that bring some blocks: near neighbours come together, what lies between them is thrown away."""
    # Blocks of one colour take next to no bytes of a file, and as much memory as any in the windows that lie on them.
    unpacked = math.prod(layout.block_shape(0)) * layout.dtype.itemsize
    most = max(1, _UNPACKED_BYTES // unpacked)
    # Packing makes hardly anything longer, and memory is taken by what the header says.
    most_bytes = 2 * unpacked + _SLACK_BYTES
    run: list[tuple[int, int, int]] = []
    for first, block in sorted((int(layout.offsets[block]), block) for block in blocks):
        length = int(layout.counts[block])
        if length > most_bytes:
            raise corrupt(f"block {block} takes {length} bytes; at most {most_bytes} are expected")
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


@dataclass(eq=False)
class _Group:
    """Windows that are wanted together: which, the requests that they wait for, and their pixels since the first of these is under way."""

    number: int
    cuts: Sequence[Cut]
    jobs: dict[_Job, None] = field(default_factory=dict)
    pixels: list[Pixels] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the pixels that are held."""
        return sum(pixels.nbytes for pixels in self.pixels)


@dataclass(eq=False)
class _Job:
    """One request: whose, for what, the first group that waits for it, the windows on each block, and what is left to do."""

    cog: BlockFile
    span: Span
    due: int
    uses: dict[int, list[tuple[_Group, int]]]
    asked: Future[Future[None]] | None = None

    def run(self, cuts: dict[int, list[tuple[Window, Pixels]]]) -> Future[None]:
        """Asks for the blocks, and has another thread unpack them."""
        room = _ROOMS.take(self.span.length)
        data = self.cog.fetch(self.span, room.data[: self.span.length])
        _WAITING.acquire()
        try:
            return _unpackers().submit(self._unpack, data, room, cuts)
        except RuntimeError:
            # The process ends: those who wait behind this one must not hold it up.
            _WAITING.release()
            raise

    def _unpack(self, data: memoryview, room: NDArray[np.uint8], cuts: dict[int, list[tuple[Window, Pixels]]]) -> None:
        try:
            for block, first, length in self.span.blocks:
                self.cog.unpack(block, data[first - self.span.first :][:length], cuts[block])
            _ROOMS.give(room)
        finally:
            _WAITING.release()


class _Rooms:
    """Memory that blocks come into, taken again for others: fresh memory, which the system blanks page by page, takes longer to fill."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)
        self._kept, self._lock = 0, Lock()

    def take(self, length: int) -> NDArray[np.uint8]:
        """Room for so many bytes or for up to twice as many."""
        size = 1 << (length - 1).bit_length()
        with self._lock:
            if self._free[size]:
                self._kept -= size
                return self._free[size].pop()
        return np.empty(size, np.uint8)

    def give(self, room: NDArray[np.uint8]) -> None:
        """Keeps it for whoever needs such a one next; nobody may look at it any more."""
        with self._lock:
            if self._kept + len(room) <= _KEPT_BYTES:
                self._kept += len(room)
                self._free[len(room)].append(room)


_ROOMS = _Rooms()
# Whose blocks are unpacked or wait for that: were there more, each would lie in memory of its own.
_WAITING = Semaphore(16)


class _Stream:
    """The state of a reading: what was asked for, and how many bytes that takes."""

    def __init__(self, groups: Sequence[Sequence[Cut]], pool: Executor) -> None:
        self._groups, self._pool = [_Group(number, cuts) for number, cuts in enumerate(groups)], pool
        uses: defaultdict[BlockFile, defaultdict[int, list[tuple[_Group, int]]]] = defaultdict(lambda: defaultdict(list))
        for group in self._groups:
            for place, (cog, window) in enumerate(group.cuts):
                for block in cog.blocks_under(window):
                    uses[cog][block].append((group, place))
        self._jobs = sorted((job for cog in uses for job in _jobs(cog, uses[cog])), key=lambda job: job.due)
        for job in self._jobs:
            for group in (group for used in job.uses.values() for group, _ in used):
                group.jobs[job] = None
        self._next = self._held = 0

    def run(self) -> Iterator[list[Pixels]]:
        """Gives the windows of one group after the other."""
        try:
            for group in self._groups:
                for job in group.jobs:
                    self._bring(job)
                self._begin(group)
                self._held -= group.size
                pixels, group.pixels = group.pixels, []
                yield pixels
        finally:
            for job in self._jobs[: self._next]:
                if job.asked is not None:
                    job.asked.cancel()

    def _bring(self, job: _Job) -> None:
        """Waits until a request's blocks are in their windows, with others under way behind it."""
        while self._next < len(self._jobs) and (self._held < _AHEAD_BYTES or self._jobs[self._next].due <= job.due):
            self._ask(self._jobs[self._next])
            self._next += 1
        if job.asked is not None:
            job.asked.result().result()
            job.asked = None
            self._held -= job.span.length

    def _ask(self, job: _Job) -> None:
        cuts: dict[int, list[tuple[Window, Pixels]]] = {}
        for block, used in job.uses.items():
            for group, _ in used:
                self._begin(group)
            cuts[block] = [(group.cuts[place][1], group.pixels[place]) for group, place in used]
        job.uses = {}
        job.asked = self._pool.submit(job.run, cuts)
        self._held += job.span.length

    def _begin(self, group: _Group) -> None:
        if not group.pixels:
            group.pixels = [cog.blank(window) for cog, window in group.cuts]
            self._held += group.size


def _jobs(cog: BlockFile, uses: dict[int, list[tuple[_Group, int]]]) -> Iterator[_Job]:
    """The requests of one file; a block without bytes needs none."""
    layout = cog.layout
    for span in spans(layout, (block for block in uses if layout.counts[block])):
        used = {block: uses[block] for block, _, _ in span.blocks}
        yield _Job(cog, span, min(groups[0][0].number for groups in used.values()), used)


@cache
def _unpackers() -> Executor:
    """Threads that unpack, for all readings: as many as there are cores."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), "unpack")
