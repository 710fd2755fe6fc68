"""Aerial pictures as a source of tiles: each piece is asked for once, and a tile is made as soon as its last one is there."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa

from skygraft.config.aerial import Aerial
from skygraft.core.errors import EndpointError, ItemError, Reason
from skygraft.core.fetching import Fetched, fetched
from skygraft.core.http import HttpClient, Request, Response
from skygraft.core.identity import digest
from skygraft.core.shards import Item
from skygraft.geo import mercator
from skygraft.geo.tiles import Tile
from skygraft.imagery.aerial.frames import Place, on_tile, place_of
from skygraft.imagery.aerial.pictures import Picture
from skygraft.imagery.aerial.services import Delivered, MapService, Piece
from skygraft.imagery.aerial.vintage import span
from skygraft.imagery.protocol import Row
from skygraft.imagery.scene_tiles import tiles_of

_DAY_S = 86_400.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A tile that is asked for: where it lies, and the day that its picture should be near."""

    tile: Tile
    target: date | None


@dataclass
class _Job:
    """A tile under way: its pieces and the question of its age by name, and what has come of them."""

    wanted: Wanted
    place: Place
    pieces: Sequence[tuple[Piece, int, int]]
    age: Request | None
    waiting: set[str]
    delivered: dict[str, Delivered] = field(default_factory=dict)
    problems: list[ItemError] = field(default_factory=list)


@dataclass(frozen=True)
class AerialTiles:
    """A map service as a source of tiles.

    Args:
        section: What is asked of it.
        service: The service.
        client: Makes the requests.
    """

    section: Aerial
    service: MapService
    client: HttpClient

    def items(self, tiles: pa.Table) -> list[Item[Wanted]]:
        """Each tile; a row holds while what is asked of the service and the target date stay the same."""
        pixels = self.section.pixels()
        targets = tiles.column("target_date").to_pylist()
        return [
            Item(tile.tile_id, digest([pixels, None if target is None else target.isoformat()]), Wanted(tile, target))
            for tile, target in zip(tiles_of(tiles), targets, strict=True)
        ]

    def rows(self, pending: Sequence[Item[Wanted]]) -> Iterator[Row]:
        """One row for each tile, as they come.

        Raises:
            ConfigError: The service makes no such pictures.
            EndpointError: The service is out of order, or refuses the key.
        """
        if not pending:
            return
        self.service.prepare(self.client)
        jobs = [self._job(item.payload) for item in pending]
        if self.section.grid == "delivered":
            _warn_of_wider_ground(jobs)
        asking = _Asking(self.service, jobs)
        results = fetched(self.client, asking.requests(), process=asking.read, concurrency=self.section.network.concurrency)
        with contextlib.closing(results):
            for result in results:
                if result.error is not None and result.error.reason is Reason.FORBIDDEN and self.service.key is not None:
                    raise EndpointError(f"{result.error}{self.service.advice()} Finished tiles are kept.") from result.error
                for job in asking.settle(result):
                    yield self._row(job)

    def _job(self, wanted: Wanted) -> _Job:
        place = place_of(wanted.tile, self.section.grid, self.service.tile_px << self.service.zoom)
        pieces, age = self.service.pieces(place), self.service.age_request(place)
        return _Job(wanted, place, pieces, age, {piece.name for piece, _, _ in pieces} | ({age.key} if age is not None else set()))

    def _row(self, job: _Job) -> Row:
        """The finished row of a tile."""
        tile_id = job.wanted.tile.tile_id
        if job.problems:
            # What may pass decides: the tile is asked for again, whole.
            worst = min(job.problems, key=lambda problem: (not problem.reason.transient, problem.reason.value, problem.detail))
            return {"tile_id": tile_id, "status": worst.reason.value, "detail": worst.detail}
        picture = _mosaic(job)
        if self.section.grid == "plan":
            picture = on_tile(picture, job.place.frame, job.wanted.tile)
        nodata = float(1.0 - picture.shown.mean())
        if nodata > self.section.max_nodata or not picture.shown.any():
            detail = (
                f"{self.service.label()} has no picture of {nodata:.1%} of the tile"
                if nodata < 1
                else f"{self.service.label()} has no picture"
            )
            return {"tile_id": tile_id, "status": Reason.NO_DATA.value, "detail": detail, "nodata_fraction": [nodata]}
        return {
            "tile_id": tile_id,
            "status": Reason.OK.value,
            **self._dated(job),
            **self._pictured(job, picture),
            "nodata_fraction": [nodata],
        }

    def _dated(self, job: _Job) -> Row:
        """When the pictures were taken: the middle of the span that the service names; the span itself stands in the scene's name."""
        own = job.delivered.pop(job.age.key).vintage if job.age is not None else None
        vintage = own or span(delivered.vintage for delivered in job.delivered.values())
        scene = f"{self.service.label()}:{vintage or 'undated'}"
        middle = vintage.middle() if vintage is not None else None
        return {"scene_id": [scene], "acquired_at": [middle], "days_apart": [_days_apart(middle, job.wanted.target)], "valid": [True]}

    def _pictured(self, job: _Job, picture: Picture) -> Row:
        tile, frame = job.wanted.tile, job.place.frame
        own_grid = self.section.grid == "plan"
        transform = tile.transform if own_grid else frame.transform
        return {
            "crs": f"EPSG:{tile.epsg}" if own_grid else mercator.CRS,
            "transform": list(transform)[:6],
            "gsd_m": tile.gsd_m if own_grid else job.place.gsd_m,
            "bands": list(self.section.bands),
            "dtype": "uint8",
            "shape": [1, 3, *picture.shown.shape],
            "resampling": "bilinear" if own_grid else "none",
            "pixels": np.ascontiguousarray(picture.rgb.transpose(2, 0, 1)).tobytes(),
        }


class _Asking:
    """The requests of all tiles, each made once, and who waits for which answer.

    Args:
        service: The service.
        jobs: The tiles, neighbours beside each other: what they share is kept until the last of them has it.
    """

    def __init__(self, service: MapService, jobs: Sequence[_Job]) -> None:
        self._service, self._jobs = service, jobs
        self._pieces = {piece.name: piece for job in jobs for piece, _, _ in job.pieces}
        self._waiting: dict[str, list[_Job]] = {}
        for job in jobs:
            for name in job.waiting:
                self._waiting.setdefault(name, []).append(job)

    def requests(self) -> Iterator[Request]:
        """What is asked, tile by tile."""
        asked: set[str] = set()
        for job in self._jobs:
            own = [self._service.request(piece) for piece, _, _ in job.pieces] + ([job.age] if job.age is not None else [])
            for request in own:
                if request.key not in asked:
                    asked.add(request.key)
                    yield request

    def read(self, request: Request, answer: Response) -> Delivered:
        """What an answer holds; called in the threads that ask."""
        piece = self._pieces.get(request.key)
        return Delivered(None, self._service.read_age(answer)) if piece is None else self._service.read(piece, answer)

    def settle(self, result: Fetched[Delivered]) -> Iterator[_Job]:
        """Hands an answer to those who wait for it; the tiles that have all of theirs now."""
        name = result.request.key
        for job in self._waiting.pop(name, ()):
            job.waiting.discard(name)
            if result.value is not None:
                job.delivered[name] = result.value
            elif name in self._pieces or (result.error is not None and result.error.reason.transient):
                job.problems += [result.error] if result.error is not None else []
            else:
                # Nobody will ever say how old the picture is: it is undated.
                job.delivered[name] = Delivered(None, None)
            if not job.waiting:
                yield job
                job.delivered.clear()


def _warn_of_wider_ground(jobs: Sequence[_Job]) -> None:
    """Says where pictures as delivered show more ground than the plan reckons with, which keeps splits apart by its own metres."""
    wider = [job.place for job in jobs if job.place.gsd_m > job.wanted.tile.gsd_m]
    if wider:
        widest = max(place.gsd_m for place in wider)
        _LOG.warning(
            "%d of %d tiles show more ground than the plan's gsd_m says, at up to %.3f m a pixel: neighbours of different splits may share "
            "some. Raise gsd_m to %.2f, or set grid: plan",
            *(len(wider), len(jobs), widest, widest + 0.005),
        )


def _mosaic(job: _Job) -> Picture:
    """A frame's pixels out of its pieces; black where there are none."""
    size = job.place.frame.size_px
    rgb, shown = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.bool_)
    for piece, column, row in job.pieces:
        picture = job.delivered[piece.name].picture
        if picture is None:
            continue
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + piece.size_px, size), min(column + piece.size_px, size)
        inner = (slice(top - row, bottom - row), slice(left - column, right - column))
        rgb[top:bottom, left:right] = np.where(picture.shown[inner][..., None], picture.rgb[inner], 0)
        shown[top:bottom, left:right] = picture.shown[inner]
    return Picture(rgb, shown)


def _days_apart(middle: datetime | None, target: date | None) -> float | None:
    """Days from the target date to the middle of the span, negative before it."""
    if middle is None or target is None:
        return None
    return (middle - datetime.combine(target, time(12), UTC)).total_seconds() / _DAY_S
