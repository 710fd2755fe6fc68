"""Photos that their owners have taken down: a list of names which the stages respect, so that none of them comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.errors import ConfigError
from skygraft.core.schemas import FORGOTTEN
from skygraft.core.tables import read_table, write_table


def read_wishes(path: Path) -> list[str]:
    """The names in a text file, each once: one a line, empty lines and those that begin with # aside.

    Raises:
        ConfigError: The file is missing, is no text, or names no photo.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a list of photos: {error}") from error
    wishes = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not wishes:
        raise ConfigError(f"{path} names no photo: write one photo_id a line, such as flickr:8412345.")
    return wishes


def read_forgotten(path: Path) -> frozenset[str]:
    """The names on the list; none where there is no list.

    Raises:
        CorruptDataError: The list is broken.
    """
    return frozenset(read_table(FORGOTTEN, path).column("photo_id").to_pylist()) if path.exists() else frozenset()


def remember(path: Path, names: Iterable[str]) -> None:
    """Puts names on the list, whole or not at all."""
    table = pa.table({"photo_id": pa.array(sorted(read_forgotten(path).union(names)), pa.string())})
    write_table(FORGOTTEN, table, path)


def without(photos: pa.Table, names: Collection[str]) -> pa.Table:
    """A table of photos without those on the list."""
    if not names:
        return photos
    return photos.filter(pc.invert(pc.is_in(photos.column("photo_id"), value_set=pa.array(sorted(names), pa.string()))))


def lighter_tiles(tiles: pa.Table, before: pa.Table, after: pa.Table) -> pa.Table:
    """A plan's tiles after some of its pairs went.

    A tile without photos leaves the plan. One that was centred on a photo that went stays in its place, with its pixels, and names the
    first photo that is left.

    Args:
        tiles: The tiles.
        before: All pairs.
        after: Those that are left.
    """
    left: dict[str, list[str]] = {tile: [] for tile in set(_tiles_of_lost(before, after))}
    for tile, photo in zip(after.column("tile_id").to_pylist(), after.column("photo_id").to_pylist(), strict=True):
        if tile in left:
            left[tile].append(photo)
    rows = tiles.select(["tile_id", "n_photos", "centre_photo_id"]).to_pylist()
    for row in rows:
        photos = left.get(row["tile_id"])
        if photos:
            row["n_photos"] = len(photos)
            row["centre_photo_id"] = row["centre_photo_id"] if row["centre_photo_id"] in photos else min(photos)
    for name in ("n_photos", "centre_photo_id"):
        place = tiles.schema.get_field_index(name)
        field = tiles.schema.field(place)
        tiles = tiles.set_column(place, field, pa.array([row[name] for row in rows], field.type))
    return tiles.filter(pa.array([left.get(row["tile_id"]) != [] for row in rows], pa.bool_()))


def _tiles_of_lost(before: pa.Table, after: pa.Table) -> list[str]:
    lost = pc.invert(pc.is_in(before.column("photo_id"), value_set=after.column("photo_id").combine_chunks()))
    tiles: list[str] = before.column("tile_id").filter(lost).to_pylist()
    return tiles
