"""Reading a shard's tiles: grouped by scene, several scenes at once, down each tile's list of candidates.

In the first round every tile is asked of its best scene. Those that the scene turned out to show cloudy, with gaps, or not at all go on to
their next one. A passing failure of the network ends the matter for now: the tile would otherwise come from another scene by accident.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from queue import SimpleQueue
from typing import Any

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import ItemError, Reason
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose import Candidate
from skygraft.imagery.cogs import Cog
from skygraft.imagery.scenes import SCL
from skygraft.imagery.sentinel2 import Scene, Taken, take_tiles
from skygraft.imagery.sources import Source

_LOG = logging.getLogger(__name__)
_ROW_OF_BLOCKS_M = 5120.0
Row = dict[str, Any]
Outcome = Taken | BaseException | None


@dataclass
class TileRequest:
    """A tile to read, and how far down its candidates the work has come.

    Args:
        tile: The tile.
        candidates: Scenes that may show it, best first; at least one.
        tried: Why each candidate so far did not do.
    """

    tile: Tile
    candidates: Sequence[Candidate]
    tried: list[tuple[Reason, str]] = field(default_factory=list)

    @property
    def candidate(self) -> Candidate | None:
        """The scene to ask next."""
        return self.candidates[len(self.tried)] if len(self.tried) < len(self.candidates) else None

    def settle(self, taken: Taken, scenes: Mapping[int, Scene]) -> Row | None:
        """The finished row, or none where the tile goes on to its next scene.

        Args:
            taken: What became of the tile in the scene that was asked.
            scenes: The scene of each row that candidates name.
        """
        candidate = self.candidate
        if candidate is None:
            raise AssertionError("unreachable: a request without candidates is not asked")
        scene = scenes[candidate.scene]
        if taken.columns is not None:
            columns = {**taken.columns, "acquired_at": [scene.acquired_at.astimezone(UTC)], "days_apart": [candidate.days_apart]}
            detail = f"after {len(self.tried)} other scenes: {self.tried[0][1]}" if self.tried else None
            return {"tile_id": taken.tile_id, "status": Reason.OK.value, "detail": detail, **columns}
        if taken.reason.transient:
            return {"tile_id": taken.tile_id, "status": taken.reason.value, "detail": f"{scene.scene_id}: {taken.detail}"}
        self.tried.append((taken.reason, f"{scene.scene_id}: {taken.detail}"))
        return self.failure() if self.candidate is None else None

    def failure(self) -> Row:
        """The row of a tile that no scene shows: the best scene's reason, and what every scene had to say."""
        reason = self.tried[0][0]
        detail = "; ".join(dict.fromkeys(text for _, text in self.tried))
        return {"tile_id": self.tile.tile_id, "status": reason.value, "detail": detail}


@dataclass(frozen=True)
class Reader:
    """Reads tiles of scenes.

    Args:
        options: Bands and limits.
        scenes: The scene of each row that candidates name.
        open_source: Gives the bytes behind a bare address.
        concurrency: Scenes read at once, and requests under way at once.
    """

    options: Sentinel2
    scenes: Mapping[int, Scene]
    open_source: Callable[[str], Source]
    concurrency: int

    def rows(self, requests: Sequence[TileRequest]) -> Iterator[Row]:
        """One row for each request, as they come; ``made_from`` is left to the caller.

        Raises:
            EndpointError: A service as a whole is out of order; rows handed over are good.
        """
        pending = {request.tile.tile_id: request for request in requests}
        with ThreadPoolExecutor(self.concurrency, "scene") as units, ThreadPoolExecutor(self.concurrency, "range") as ranges:
            while pending:
                for taken in self._round(list(pending.values()), units, ranges):
                    row = pending[taken.tile_id].settle(taken, self.scenes)
                    if row is not None:
                        del pending[taken.tile_id]
                        yield row

    def _round(self, requests: Sequence[TileRequest], units: Executor, ranges: Executor) -> Iterator[Taken]:
        """Asks every request's next scene; outcomes as they come."""
        groups: dict[int, list[TileRequest]] = defaultdict(list)
        for request in requests:
            if request.candidate is not None:
                groups[request.candidate.scene].append(request)
        outcomes: SimpleQueue[Outcome] = SimpleQueue()
        waiting = [units.submit(self._scene, scene, groups[scene], ranges, outcomes) for scene in sorted(groups)]
        try:
            for _ in waiting:
                while (outcome := outcomes.get()) is not None:
                    if isinstance(outcome, BaseException):
                        raise outcome
                    yield outcome
        finally:
            for future in waiting:
                future.cancel()

    def _scene(self, index: int, requests: Sequence[TileRequest], ranges: Executor, outcomes: SimpleQueue[Outcome]) -> None:
        """Reads a scene's tiles along its rows of blocks; ends with none, or with an error that is no item's own."""
        try:
            scene = self.scenes[index]
            tiles = sorted((request.tile for request in requests), key=lambda tile: (-(tile.y // _ROW_OF_BLOCKS_M), tile.x, tile.tile_id))
            cogs = {band: Cog(self.open_source(scene.assets[band]), ranges) for band in (*self.options.bands, SCL)}
            left = {tile.tile_id for tile in tiles}
            try:
                for taken in take_tiles(scene, tiles, cogs, self.options, ranges):
                    left.remove(taken.tile_id)
                    outcomes.put(taken)
            except ItemError as error:
                _LOG.warning("scene %s: %s", scene.scene_id, error)
                for tile_id in sorted(left):
                    outcomes.put(Taken(tile_id, None, error.reason, error.detail))
            outcomes.put(None)
        except BaseException as error:
            outcomes.put(error)
