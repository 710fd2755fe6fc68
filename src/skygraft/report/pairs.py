"""Where the pairs of a plan are, and a few of them to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from skygraft.core.errors import Reason
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, TILE_SHARD, TILES
from skygraft.core.tables import read_meta, read_table
from skygraft.ground.duplicates import ALIKE, RULE, SAME_BYTES
from skygraft.ground.photo_rows import each_once
from skygraft.report.examples import Example, Picture, days_of, photo_credits, photo_picture, spread, tile_picture
from skygraft.report.figures import density_figure, map_figure
from skygraft.report.page import PairsSection

_DIRECTIONS = "NESWP"
_PHOTOS = 4
# One that no line is broken at.
_HYPHEN = "\u2011"


def read_photos(paths: Sequence[Path]) -> pa.Table:
    """The photo tables of a plan, without what the report does not show."""
    columns = ["photo_id", "location_id", "direction", "geometry", "captured_at", "year", "nuts0", "licence", "author", "page_url", "lc"]
    return each_once([read_table(PHOTOS, path, columns) for path in paths])


def pairs_section(plan: str, tiles: Path, pairs: Path, photos: pa.Table) -> PairsSection | None:
    """Maps and numbers of a plan; None where it has no tile.

    Args:
        plan: Its name.
        tiles: Its table of tiles.
        pairs: Its table of pairs.
        photos: What :func:`read_photos` gives.
    """
    table = read_table(TILES, tiles, ["geometry", "split"])
    paired = read_table(PAIRS, pairs, ["photo_id"]).column("photo_id")
    if not table.num_rows or not len(paired):
        return None
    centres = shapely.centroid(shapely.from_wkb(table.column("geometry").to_pylist()))
    used = photos.filter(pc.is_in(photos.column("photo_id"), value_set=paired.combine_chunks()))
    places = shapely.from_wkb(used.column("geometry").to_pylist())
    return PairsSection(
        plan,
        map_figure(*_degrees(centres), table.column("split").to_pylist()),
        density_figure(*_degrees(places)),
        table.num_rows,
        used.num_rows,
        len(set(used.column("location_id").to_pylist())),
        _copies(read_meta(tiles)),
    )


def _copies(meta: Mapping[str, str]) -> str | None:
    """What a plan's tables say of the copies it left out."""
    if RULE not in meta:
        return None
    same, alike = int(meta[SAME_BYTES]), int(meta[ALIKE])
    return f"Copies of photos were left out: {same:,} of the same bytes, {alike:,} that look alike ({meta[RULE]})."


def examples(
    tile_shards: Sequence[Path], pairs: Path, photos: pa.Table, shard_of_photo: Callable[[str], Path], count: int, *, drawn: bool = False
) -> tuple[Example, ...]:
    """Good tiles with the good photos of their place.

    Args:
        tile_shards: Shards of an imagery; at most four, evenly apart, are opened.
        pairs: The plan's table of pairs.
        photos: What :func:`read_photos` gives.
        shard_of_photo: The shard that holds a photo's bytes.
        count: How many at most.
        drawn: Whether a program drew the photos.
    """
    known = {row["photo_id"]: row for row in photos.drop_columns(["geometry"]).to_pylist()}
    by_tile: dict[str, list[str]] = {}
    for row in read_table(PAIRS, pairs, ["tile_id", "photo_id"]).to_pylist():
        by_tile.setdefault(row["tile_id"], []).append(row["photo_id"])
    opened = [tile_shards[i] for i in sorted({round(i) for i in np.linspace(0, len(tile_shards) - 1, 4)})] if tile_shards else []
    place: dict[str, Path] = {}
    groups: dict[str, list[str]] = {}
    for shard in opened:
        table = read_table(TILE_SHARD, shard, ["tile_id", "status"])
        for row in table.to_pylist():
            if row["status"] == Reason.OK and row["tile_id"] in by_tile:
                place[row["tile_id"]] = shard
                groups.setdefault(known[by_tile[row["tile_id"]][0]]["lc"] or "", []).append(row["tile_id"])
    chosen = spread({land: sorted(ids) for land, ids in groups.items()}, count)
    rows = _rows(TILE_SHARD.key, {tile: place[tile] for tile in chosen})
    bytes_of = _rows(PHOTO_SHARD.key, {photo: shard_of_photo(photo) for tile in chosen for photo in by_tile[tile]})
    made = (_example(rows[tile], [known[photo] for photo in by_tile[tile]], bytes_of, drawn) for tile in chosen if tile in rows)
    return tuple(example for example in made if example is not None)


def _rows(key: str, where: Mapping[str, Path]) -> dict[str, dict[str, object]]:
    """Single rows of shards; other row groups stay on the disk."""
    found: dict[str, dict[str, object]] = {}
    for shard in sorted(set(where.values())):
        wanted = [name for name, path in where.items() if path == shard]
        for row in pq.read_table(shard, filters=[(key, "in", wanted)]).to_pylist():
            found[row[key]] = row
    return found


def _example(
    tile: Mapping[str, object], photos: Sequence[Mapping[str, object]], rows: Mapping[str, Mapping[str, object]], drawn: bool
) -> Example | None:
    picture = tile_picture(tile)
    if picture is None:
        return None
    ordered = sorted(photos, key=lambda photo: _DIRECTIONS.find(str(photo["direction"] or "?")))
    shown: list[Picture] = []
    seen: list[Mapping[str, object]] = []
    for photo in ordered:
        row = rows.get(str(photo["photo_id"]))
        if row is not None and row["status"] == Reason.OK and isinstance(row["image"], bytes) and len(shown) < _PHOTOS:
            direction = None if photo["direction"] is None else str(photo["direction"])
            small = photo_picture(row["image"], str(photo["photo_id"]), direction)
            if small is not None:
                seen.append(photo)
                shown.append(small)
    first = photos[0]
    acquired = tile["acquired_at"]
    day_seen = acquired[0].date().isoformat() if isinstance(acquired, list) and acquired and acquired[0] is not None else "day not known"
    cover = f", land cover {first['lc']}" if first["lc"] else ""
    clouds = tile["cloud_fraction"]
    if isinstance(clouds, list) and clouds and clouds[0] is not None:
        day_seen += f", {100 * clouds[0]:.0f} % of it cloud"
    caption = f"{first['location_id']}{cover}. Photos {days_of(seen or photos)}, satellite {day_seen}.".replace("-", _HYPHEN)
    return Example(picture, tuple(shown), caption, photo_credits(seen, drawn=drawn))


def _degrees(points: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return shapely.get_x(points), shapely.get_y(points)
