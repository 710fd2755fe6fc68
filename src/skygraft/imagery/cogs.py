"""Windows of cloud-optimised GeoTIFFs: every block that any window needs is fetched once and unpacked once.

The windows of a scene are read together. Their blocks are sorted by their place in the file, neighbours are asked for in one request, and
requests run at once. Each open file keeps the blocks it unpacked last, for the windows that come next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.imagery.blocks import decode
from skygraft.imagery.planetary import Signer
from skygraft.imagery.tiff import Layout, corrupt, read_layout

_GAP_BYTES = 256 << 10
_RANGE_BYTES = 8 << 20
_KEPT_BYTES = 32 << 20
_PARTIAL = 206


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


class Source(Protocol):
    """The bytes of one file."""

    def read(self, first: int, length: int) -> bytes:
        """Bytes from ``first`` on; fewer only where the file ends."""


@dataclass(frozen=True)
class HttpSource:
    """A file over HTTP.

    Args:
        href: Its bare address.
        client: Makes the requests, with retries and limits.
        signer: Signs the address before each request.
    """

    href: str
    client: HttpClient
    signer: Signer

    def read(self, first: int, length: int) -> bytes:
        """Asks for a range of bytes; a refused signature is renewed once.

        Raises:
            ItemError: The request failed; SIGNATURE where the renewed one was refused as well.
            EndpointError: The service as a whole is out of order.
        """
        url = self.signer.sign(self.href)
        try:
            return self._get(url, first, length)
        except PermanentItemError as error:
            renewed = self.signer.renew(self.href, url) if error.reason is Reason.FORBIDDEN else None
            if renewed is None:
                raise
        try:
            return self._get(renewed, first, length)
        except PermanentItemError as error:
            if error.reason is not Reason.FORBIDDEN:
                raise
            raise TransientError(
                f"{public_url(self.href)}: storage refuses a fresh signature; check this machine's clock, then run skygraft retry-failed.",
                Reason.SIGNATURE,
                "storage refuses a fresh signature",
            ) from error

    def _get(self, url: str, first: int, length: int) -> bytes:
        asked = Request(url, key=f"{self.href}:{first}", headers={"Range": f"bytes={first}-{first + length - 1}"})
        try:
            answer = self.client.get(asked)
        except PermanentItemError as error:
            if "HTTP 416" in error.detail:
                return b""
            raise
        if answer.status == _PARTIAL:
            return answer.content
        if first and len(answer.content) < first + length:
            what = "the whole file was sent where a part was asked for, and it is not the file"
            raise TransientError(f"{public_url(self.href)}: {what}; run skygraft retry-failed.", Reason.SERVER_ERROR, what)
        return answer.content[first : first + length]


@dataclass(frozen=True)
class FileSource:
    """A file on this machine, such as one of a mirror."""

    path: Path

    def read(self, first: int, length: int) -> bytes:
        """Reads the bytes.

        Raises:
            PermanentItemError: The file is missing.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(first)
                return file.read(length)
        except FileNotFoundError as error:
            raise PermanentItemError(f"{self.path} is missing.", Reason.NOT_FOUND, "the file is missing") from error


def source_of(href: str, client: HttpClient, signer: Signer) -> Source:
    """The bytes behind a bare address or a path."""
    parts = urlsplit(href)
    if parts.scheme in ("http", "https"):
        return HttpSource(href, client, signer)
    return FileSource(Path(unquote(parts.path) if parts.scheme == "file" else href))


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
        """The pixels of several windows.

        Args:
            windows: Rectangles inside the file.

        Returns:
            Rows and columns of each window.

        Raises:
            ItemError: A request failed or a block is broken.
            ValueError: A window lies outside the file.
        """
        needed = [self._blocks(window) for window in windows]
        blocks = self._load({block for listed in needed for block in listed})
        return [self._assemble(window, listed, blocks) for window, listed in zip(windows, needed, strict=True)]

    def _blocks(self, window: Window) -> list[int]:
        layout = self.layout
        bottom, right = window.row + window.height, window.column + window.width
        if window.row < 0 or window.column < 0 or bottom > layout.height or right > layout.width:
            raise ValueError(f"{window} lies outside the file's {layout.height} rows and {layout.width} columns")
        rows = range(window.row // layout.block_height, (bottom - 1) // layout.block_height + 1)
        columns = range(window.column // layout.block_width, (right - 1) // layout.block_width + 1)
        return [row * layout.blocks_across + column for row in rows for column in columns]

    def _load(self, wanted: set[int]) -> Mapping[int, NDArray[np.generic]]:
        """Unpacked blocks, from what is kept and from the file."""
        blocks = {block: self._kept[block] for block in wanted & self._kept.keys()}
        layout = self.layout
        absent = [block for block in wanted - blocks.keys() if layout.counts[block] == 0]
        blocks |= {block: np.zeros(layout.block_shape(block), layout.dtype.newbyteorder("=")) for block in absent}
        for loaded in list(self._pool.map(self._fetch, spans(layout, wanted - blocks.keys()))):
            blocks |= loaded
        self._keep(blocks)
        return blocks

    def _fetch(self, span: Span) -> dict[int, NDArray[np.generic]]:
        data = self._source.read(span.first, span.length)
        if len(data) < span.length:
            raise corrupt(f"it ends at byte {span.first + len(data)}, inside its blocks")
        return {
            block: decode(data[first - span.first : first - span.first + length], self.layout, block)
            for block, first, length in span.blocks
        }

    def _keep(self, blocks: Mapping[int, NDArray[np.generic]]) -> None:
        for block in sorted(blocks):
            self._kept[block] = blocks[block]
            self._kept.move_to_end(block)
        size = sum(block.nbytes for block in self._kept.values())
        while size > _KEPT_BYTES:
            size -= self._kept.popitem(last=False)[1].nbytes

    def _assemble(self, window: Window, listed: Iterable[int], blocks: Mapping[int, NDArray[np.generic]]) -> NDArray[np.generic]:
        layout = self.layout
        pixels = np.zeros((window.height, window.width), layout.dtype.newbyteorder("="))
        for block in listed:
            top, left = (edge * size for edge, size in zip(divmod(block, layout.blocks_across), _size(layout), strict=True))
            data = blocks[block]
            first_row, last_row = max(window.row, top), min(window.row + window.height, top + data.shape[0])
            first_column, last_column = max(window.column, left), min(window.column + window.width, left + data.shape[1])
            pixels[first_row - window.row : last_row - window.row, first_column - window.column : last_column - window.column] = data[
                first_row - top : last_row - top, first_column - left : last_column - left
            ]
        return pixels


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
