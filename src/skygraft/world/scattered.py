"""The scattered photos of a built world as all services may read them: the same pictures stand in several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

PICTURE_HOST = "live.staticflickr.com"
TABLE, TRUTH = "flickr.parquet", "flickr_truth.parquet"
"""Files of the world's folder: what the Flickr service knows of the photos, and what only the world knows."""


@dataclass(frozen=True)
class DrawnPhoto:
    """A scattered photo whose file is there, for services that show the same photos.

    Attributes:
        id: number as text.
        longitude: degrees, as told.
        latitude: degrees, as told.
        taken: local time, without a zone.
        author: name.
        licence: Flickr's number; 0 is all rights reserved.
        title: of the photo, perhaps empty.
        tags: words.
        width: pixels.
        height: pixels.
        file: JPEG.
    """

    id: str
    longitude: float
    latitude: float
    taken: datetime
    author: str
    licence: int
    title: str
    tags: tuple[str, ...]
    width: int
    height: int
    file: Path


def drawn_photos(folder: Path) -> list[DrawnPhoto]:
    """Return the scattered photos of a built world whose files are there, by id."""
    import pyarrow.parquet as pq

    rows = sorted(pq.read_table(folder / TABLE).to_pylist(), key=lambda row: int(row["id"]))
    return [photo for photo in (_drawn(folder, row) for row in rows) if photo.file.exists()]


def _drawn(folder: Path, row: Mapping[str, Any]) -> DrawnPhoto:
    taken, tags = datetime.fromisoformat(row["taken"]), tuple(row["tags"].split())
    file = folder / "http" / PICTURE_HOST / row["path"]
    place = row["longitude"], row["latitude"]
    return DrawnPhoto(row["id"], *place, taken, row["owner_name"], row["license"], row["title"], tags, row["width"], row["height"], file)
