"""NAIP as a source of tiles: chosen on the scenes table, and put together where a tile crosses several quads."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from skygraft.config.naip import Naip
from skygraft.core.errors import ItemError, PermanentItemError, Reason
from skygraft.core.identity import digest
from skygraft.core.shards import Item
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose_quads import Mosaic, QuadChoice, choose_quads
from skygraft.imagery.cogs import Cog
from skygraft.imagery.protocol import Row
from skygraft.imagery.quads import Part, Quad, columns_of, read_parts
from skygraft.imagery.scene_tiles import tiles_of
from skygraft.imagery.sources import Source

_LOG = logging.getLogger(__name__)
_BATCH = 64
_AHEAD = 2
Work = tuple[Tile, QuadChoice]
Outcome = Part | ItemError
Read = list[tuple[str, int, Outcome]]
"""Tile, row of the quad, and what the quad shows of the tile."""


@dataclass
class QuadRequest:
    """A tile to read, how far down its candidates the work has come, and what is at hand of the present one."""

    tile: Tile
    candidates: Sequence[Mosaic]
    tried: list[tuple[Reason, str]] = field(default_factory=list)
    parts: dict[int, Outcome] = field(default_factory=dict)

    @property
    def mosaic(self) -> Mosaic:
        """The candidate to ask now."""
        return self.candidates[len(self.tried)]

    def settle(self, quads: Mapping[int, Quad], options: Naip) -> Row | None:
        """The finished row once all parts are there, or none where the tile goes on to its next candidate.

        Args:
            quads: The quad of each row that candidates name.
            options: Bands and limits.
        """
        mosaic, named = self.mosaic, [quads[scene] for scene in self.mosaic.scenes]
        parts = [self.parts[scene] for scene in mosaic.scenes]
        self.parts = {}
        for quad, part in zip(named, parts, strict=True):
            if isinstance(part, ItemError):
                return self._without(part, f"{quad.scene_id}: {part.detail}")
        shown = [part for part in parts if isinstance(part, Part)]
        try:
            columns = columns_of(named, self.tile, shown, mosaic.days_apart, options)
        except PermanentItemError as error:
            return self._without(error, f"{'+'.join(quad.scene_id for quad in named)}: {error.detail}")
        detail = f"after {len(self.tried)} other candidates: {self.tried[0][1]}" if self.tried else None
        return {"tile_id": self.tile.tile_id, "status": Reason.OK.value, "detail": detail, **columns}

    def _without(self, error: ItemError, what: str) -> Row | None:
        """What a candidate that does not do makes of the tile: a passing failure ends the matter, or other quads would win by accident."""
        if error.reason.transient:
            return {"tile_id": self.tile.tile_id, "status": error.reason.value, "detail": what}
        self.tried.append((error.reason, what))
        if len(self.tried) < len(self.candidates):
            return None
        detail = "; ".join(dict.fromkeys(text for _, text in self.tried))
        return {"tile_id": self.tile.tile_id, "status": self.tried[0][0].value, "detail": detail}


class QuadReader(Protocol):
    """Reads tiles of some quads: out of their files, or computed by a service."""

    def rows(self, requests: Sequence[QuadRequest]) -> Iterator[Row]:
        """One row for each request, as they come; ``made_from`` is left to the caller."""


@dataclass(frozen=True)
class QuadTiles:
    """NAIP as a source of tiles.

    Args:
        section: Bands, years and order.
        scenes: The scenes table.
        reader: Makes a reader of the quads that candidates name.
    """

    section: Naip
    scenes: pa.Table
    reader: Callable[[Mapping[int, Quad]], QuadReader]

    def items(self, tiles: pa.Table) -> list[Item[Work]]:
        """Each tile with its candidates; a row holds while they and all that changes pixels stay the same."""
        names = self.scenes.column("scene_id").to_pylist()
        pixels = self.section.pixels()
        items = []
        for tile, choice in zip(tiles_of(tiles), choose_quads(tiles, self.scenes, self.section), strict=True):
            found = [[[names[scene] for scene in mosaic.scenes], mosaic.days_apart] for mosaic in choice.candidates]
            items.append(Item(tile.tile_id, digest([pixels, found, choice.reason.value, choice.detail]), (tile, choice)))
        return items

    def rows(self, pending: Sequence[Item[Work]]) -> Iterator[Row]:
        """One row for each tile, as they come.

        Raises:
            EndpointError: The storage, its signatures or the service are out of order.
        """
        requests: list[QuadRequest] = []
        for tile, choice in (item.payload for item in pending):
            if choice.candidates:
                requests.append(QuadRequest(tile, choice.candidates))
            else:
                yield {"tile_id": tile.tile_id, "status": choice.reason.value, "detail": choice.detail}
        windows = [scene for request in requests for scene in request.mosaic.scenes]
        if windows:
            _LOG.info("windows=%d scenes=%d windows_per_scene=%.1f", len(windows), len(set(windows)), len(windows) / len(set(windows)))
        wanted = sorted({scene for request in requests for mosaic in request.candidates for scene in mosaic.scenes})
        named = (Quad.from_row(row) for row in self.scenes.take(pa.array(wanted, pa.int64())).to_pylist())
        yield from self.reader(dict(zip(wanted, named, strict=True))).rows(requests)


@dataclass(frozen=True)
class FileQuads:
    """Reads tiles out of the quads' files, quad by quad.

    Args:
        options: Bands, limits and resampling.
        quads: The quad of each row that candidates name.
        open_source: Gives the bytes behind a bare address.
    """

    options: Naip
    quads: Mapping[int, Quad]
    open_source: Callable[[str], Source]

    def rows(self, requests: Sequence[QuadRequest]) -> Iterator[Row]:
        """One row for each request, as they come.

        Raises:
            EndpointError: The storage or its signatures are out of order.
        """
        pending = {request.tile.tile_id: request for request in requests}
        at_once = self.options.network.concurrency
        with ThreadPoolExecutor(at_once, "quad") as units, ThreadPoolExecutor(at_once, "range") as ranges:
            while pending:
                for row in self._round(pending, units, ranges):
                    del pending[row["tile_id"]]
                    yield row

    def _round(self, requests: Mapping[str, QuadRequest], units: Executor, ranges: Executor) -> Iterator[Row]:
        """Asks the quads of every request's next candidate; finished rows as they come."""
        groups: dict[int, list[Tile]] = defaultdict(list)
        for request in requests.values():
            for scene in request.mosaic.scenes:
                groups[scene].append(request.tile)
        # Neighbouring quads have neighbouring names, so that few tiles wait for their other parts.
        todo = sorted(groups, key=lambda scene: self.quads[scene].scene_id, reverse=True)
        for read in _few_ahead(todo, units, lambda scene: self._quad(scene, self.quads[scene], groups[scene], ranges), self.options):
            for tile_id, scene, outcome in read:
                request = requests[tile_id]
                request.parts[scene] = outcome
                if len(request.parts) == len(request.mosaic.scenes):
                    row = request.settle(self.quads, self.options)
                    if row is not None:
                        yield row

    def _quad(self, scene: int, quad: Quad, tiles: Sequence[Tile], ranges: Executor) -> Read:
        """Reads a quad's parts of all its tiles."""
        ordered = sorted(tiles, key=lambda tile: (-tile.y, tile.x, tile.tile_id))
        cog = Cog(self.open_source(quad.href), ranges)
        found: Read = []
        for start in range(0, len(ordered), _BATCH):
            batch = ordered[start : start + _BATCH]
            try:
                parts = read_parts(quad, batch, cog, self.options, ranges)
            except ItemError as error:
                _LOG.warning("scene %s: %s", quad.scene_id, error)
                return found + [(tile.tile_id, scene, error) for tile in ordered[start:]]
            found += [(tile.tile_id, scene, part) for tile, part in zip(batch, parts, strict=True)]
        return found


def _few_ahead(todo: list[int], units: Executor, read: Callable[[int], Read], options: Naip) -> Iterator[Read]:
    """What becomes of each quad, as it comes; few are read ahead of whoever takes them, for each holds its pixels until then."""
    running: set[Future[Read]] = set()
    try:
        while todo or running:
            while todo and len(running) < _AHEAD * options.network.concurrency:
                running.add(units.submit(read, todo.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in running:
            future.cancel()
