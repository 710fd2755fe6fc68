"""A small real configuration: a LUCAS table in a mirror folder, and a photo service that the test scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from skygraft.config.load import load_mapping
from skygraft.config.model import Config

COLUMNS = (
    *("POINT_ID", "NUTS0", "TH_LAT", "TH_LONG", "SURVEY_DATE", "GPS_PREC", "GPS_LAT", "GPS_EW", "GPS_LONG", "OBS_DIST", "OBS_TYPE"),
    *("LC1", "LU1", "PHOTO_POINT", "PHOTO_NORTH", "PHOTO_EAST", "PHOTO_SOUTH", "PHOTO_WEST"),
)
# A name that no test server has: requests reach one through HTTP_PROXY, so that addresses stay when servers change.
SERVICE = "http://photos.test/lucas"
QUICK = {"backoff_s": 0.01, "attempts": 3, "read_timeout_s": 5.0, "deadline_s": 20.0}


def jpeg(seed: int, side: int = 96) -> bytes:
    """A photo-like picture of its own for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def point_id(number: int) -> str:
    return str(48160000 + 2 * number)


def photo_path(number: int, direction: str) -> str:
    """The path that the service's pattern gives."""
    name = point_id(number)
    return f"/lucas/2018/AT/{name[:3]}/{name[3:6]}/{name}{direction}.jpg"


def photo_id(number: int, direction: str) -> str:
    return f"lucas:2018:{point_id(number)}:{direction}"


def write_table(mirror: Path, points: int) -> None:
    """A micro data table with so many points, each with four photos."""
    (mirror / "lucas").mkdir(parents=True, exist_ok=True)
    with (mirror / "lucas" / "points.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(points):
            place = [48.0 + 0.01 * number, 16.0 + 0.01 * number]
            writer.writerow([point_id(number), "AT", *place, "05/07/18", "5", place[0], "1", place[1], "3", "1", "B11", "U111", *["1"] * 5])


def settings(mirror: Path, photos_url: str, network: Mapping[str, Any] | None = None, **photos: Any) -> dict[str, Any]:
    """The configuration's keys."""
    source = {"file": "points.csv", "photos_url": photos_url, "shards": 2, "network": {**QUICK, **(network or {})}, **photos}
    return {"name": "trial", "mirror": str(mirror), "photos": {"lucas": source}}


def configuration(mirror: Path, photos_url: str, network: Mapping[str, Any] | None = None, **photos: Any) -> Config:
    """The configuration itself."""
    return load_mapping(settings(mirror, photos_url, network, **photos), mirror, "trial")


def write_configuration(path: Path, values: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(values)))
    return path
