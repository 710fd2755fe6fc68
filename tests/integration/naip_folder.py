"""A small archive of NAIP under production names: quarter quads drawn here, and real files of the mirror."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from rasterio.transform import from_origin

BLOB_HOST = "naipeuwest.blob.core.windows.net"
BUCKET = "naip-analytic"
BUCKET_HOST = f"{BUCKET}.s3.us-west-2.amazonaws.com"


@dataclass(frozen=True)
class QuadSpec:
    """One quad: of its own file where one is given, else drawn."""

    name: str
    day: dt.date
    west: float = 600_000.0
    north: float = 4_400_000.0
    size: int = 800
    gsd: float = 1.0
    epsg: int = 26911
    seed: int = 0
    compress: str = "DEFLATE"
    file: Path | None = None

    @property
    def path(self) -> str:
        """Its path in the storage."""
        return f"naip/v002/{self.day.year}/{self.name}.tif"

    def stored(self, folder: Path) -> Path:
        """Where the world keeps it."""
        return folder / "http" / BLOB_HOST / self.path


def write_naip(folder: Path, quads: Sequence[QuadSpec]) -> Path:
    """Writes files and both catalogues."""
    for quad in quads:
        quad.stored(folder).parent.mkdir(parents=True, exist_ok=True)
        if quad.file is None:
            _draw(quad, quad.stored(folder))
        else:
            quad.stored(folder).write_bytes(quad.file.read_bytes())
        paid = folder / "http" / BUCKET_HOST / quad.path
        paid.parent.mkdir(parents=True, exist_ok=True)
        paid.write_bytes(quad.stored(folder).read_bytes())
    collection = {
        "type": "Collection",
        "id": "naip",
        "stac_version": "1.0.0",
        "description": "NAIP",
        "license": "proprietary",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2010-01-01T00:00:00Z", None]]}},
        "links": [],
        "msft:storage_account": "naipeuwest",
        "msft:container": "naip",
    }
    for name, root in (("planetary", f"https://{BLOB_HOST}"), ("earth_search", f"s3://{BUCKET}")):
        catalogue = folder / "stac" / name
        catalogue.mkdir(parents=True, exist_ok=True)
        (catalogue / "items.ndjson").write_text("".join(json.dumps(_item(quad, quad.stored(folder), root)) + "\n" for quad in quads))
        (catalogue / "collections.ndjson").write_text(json.dumps(collection) + "\n")
    return folder


def _draw(quad: QuadSpec, path: Path) -> None:
    rng = np.random.default_rng(quad.seed)
    row, column = np.mgrid[0 : quad.size, 0 : quad.size]
    waves = [120 + 80 * np.sin(column / (5 + band) + quad.seed) * np.cos(row / 7) for band in range(4)]
    picture = (np.stack(waves) + rng.integers(1, 30, (4, quad.size, quad.size))).astype(np.uint8)
    profile = {"driver": "COG", "height": quad.size, "width": quad.size, "count": 4, "dtype": "uint8", "compress": quad.compress}
    place = {"crs": f"EPSG:{quad.epsg}", "transform": from_origin(quad.west, quad.north, quad.gsd, quad.gsd)}
    with rasterio.open(path, "w", **profile, **place, blocksize=256, overview_resampling="nearest") as dataset:
        dataset.write(picture)


def _item(quad: QuadSpec, path: Path, root: str) -> dict[str, Any]:
    with rasterio.open(path) as dataset:
        west, south, east, north = dataset.bounds
        transform, shape = list(dataset.transform), list(dataset.shape)
    to_degrees = pyproj.Transformer.from_crs(quad.epsg, 4326, always_xy=True).transform
    lon, lat = to_degrees([west, east, east, west, west], [north, north, south, south, north])
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.0.0/schema.json"],
        "id": quad.name,
        "collection": "naip",
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "geometry": {"type": "Polygon", "coordinates": [[[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]]},
        "properties": {
            "datetime": f"{quad.day.isoformat()}T16:00:00Z",
            "gsd": quad.gsd,
            "naip:year": str(quad.day.year),
            "proj:epsg": quad.epsg,
            "proj:shape": shape,
            "proj:transform": transform,
        },
        "links": [],
        "assets": {"image": {"href": f"{root}/{quad.path}", "type": "image/tiff; application=geotiff"}},
    }
