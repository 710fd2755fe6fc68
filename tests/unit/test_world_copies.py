"""Copies of photos in the world's Flickr: somebody else's uploads of a picture are found, and no other photo is taken for one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import shapely
from tests.unit.test_world_flickr import World

from skygraft.config.duplicates import Duplicates
from skygraft.ground.duplicates import copies
from skygraft.ground.images import inspect

FIELDS = [("photo_id", pa.string()), ("captured_at", pa.timestamp("us", "UTC")), ("geometry", pa.binary()), ("sha256", pa.string())]
SCHEMA = pa.schema([*FIELDS, ("phash", pa.uint64())])


def test_uploads_of_the_same_picture_are_left_out_and_no_other_photo(tmp_path: Path) -> None:
    world = World(tmp_path)
    rows = []
    for name, row in world.rows.items():
        # The service lists some photos that its host has lost.
        if world.file(name).exists():
            facts = inspect(world.file(name).read_bytes())
            place = shapely.to_wkb(shapely.Point(row["longitude"], row["latitude"]))
            rows.append({"photo_id": name, "geometry": place, "sha256": facts.sha256, "phash": facts.phash})
    table = pa.Table.from_pylist(rows, SCHEMA)
    there = {str(row["photo_id"]) for row in rows}
    again = [{str(one["photo_id"]), str(one["copy_of"])} for one in world.truth if one["fate"] == "reupload"]
    again = [pair for pair in again if pair <= there]
    found = copies(table, table, Duplicates())
    left_out = {*found.same_bytes, *found.alike}
    assert left_out <= set().union(*again)
    assert all(len(pair & left_out) < 2 for pair in again if not any(pair & other for other in again if other != pair))
    assert sum(bool(pair & left_out) for pair in again) >= 0.8 * len(again) > 0
