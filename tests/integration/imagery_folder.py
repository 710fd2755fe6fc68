"""A small Sentinel-2 archive under production names: scenes with clouds, gaps, two baselines and two zones, and photos that lie in them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyproj
import rasterio
import shapely
from rasterio.transform import from_origin

from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import write_table

BLOB_HOST = "sentinel2l2a01.blob.core.windows.net"
COG_HOST = "sentinel-cogs.s3.us-west-2.amazonaws.com"
BANDS = ("B04", "B03", "B02")
ES_KEYS = {"B04": "red", "B03": "green", "B02": "blue", "SCL": "scl"}
ES_FILES = {"B04": "B04", "B03": "B03", "B02": "B02", "SCL": "SCL"}
WEST, NORTH = 499980.0, 5000040.0
Paint = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class SceneSpec:
    """One scene: `paint` changes its classification (rows and columns of 20 m), which is vegetation elsewhere.

    A `real` file of all bands but B10, in their order, gives the pixels instead of a drawing.
    """

    name: str
    day: dt.date
    cloud: float = 5.0
    baseline: str = "02.12"
    epsg: int = 32631
    west: float = WEST
    north: float = NORTH
    size: int = 1024
    seed: int = 0
    paint: Paint | None = None
    gap_rows: int = 0
    boa_offset_applied: bool = False
    real: Path | None = None

    def href(self, band: str) -> str:
        """Its bare address at Planetary Computer."""
        return f"https://{BLOB_HOST}/{self.path(band)}"

    def path(self, band: str) -> str:
        """Its path in the container."""
        return f"sentinel2-l2/{self.name}/{band}_{20 if band == 'SCL' else 10}m.tif"

    def file(self, folder: Path, band: str) -> Path:
        """Where the world keeps it."""
        return folder / "http" / BLOB_HOST / self.path(band)


def write_archive(folder: Path, scenes: Sequence[SceneSpec], *, blocksize: int = 256) -> Path:
    """Writes files and both catalogues."""
    for scene in scenes:
        _write_files(folder, scene, blocksize)
    _write_catalogue(folder / "stac" / "planetary", [_item(scene, planetary=True) for scene in scenes])
    _write_catalogue(folder / "stac" / "earth_search", [_item(scene, planetary=False) for scene in scenes])
    return folder


def write_photos(path: Path, places: Sequence[tuple[float, float, dt.date]], epsg: int = 32631) -> None:
    """Writes a photos table of places in metres, two photos each."""
    to_degrees = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform
    rows = []
    for number, (x, y, day) in enumerate(places):
        for direction in "NS":
            rows.append(
                dict.fromkeys(PHOTOS.schema().names)
                | {
                    "photo_id": f"p{number:04d}:{direction}",
                    "source": "lucas",
                    "location_id": f"p{number:04d}",
                    "direction": direction,
                    "geometry": shapely.to_wkb(shapely.Point(*to_degrees(x, y))),
                    "captured_at": dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC),
                    "year": day.year,
                    "url": "https://example.org/photo.jpg",
                }
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(PHOTOS, pa.Table.from_pylist(rows, schema=PHOTOS.schema()), path)


def places_in(scene: SceneSpec, count: int, day: dt.date, seed: int = 0) -> list[tuple[float, float, dt.date]]:
    """Places at least a tile's side inside a scene."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform(600, scene.size * 10 - 600, (count, 2))
    return [(scene.west + east, scene.north - south, day) for east, south in inside]


def _numbers(scene: SceneSpec, band: str) -> np.ndarray:
    if scene.real is not None:
        with rasterio.open(scene.real) as dataset:
            return dataset.read(int(band[1:])).astype(np.uint16)
    rng = np.random.default_rng([scene.seed, BANDS.index(band)])
    y, x = np.mgrid[0 : scene.size, 0 : scene.size]
    waves = 1500 + 900 * np.sin(x / 17 + scene.seed) * np.cos(y / 23)
    numbers = (waves + rng.integers(0, 300, waves.shape) + (1000 if scene.baseline >= "04.00" else 0)).astype(np.uint16)
    numbers[: scene.gap_rows] = 0
    return numbers


def _write_files(folder: Path, scene: SceneSpec, blocksize: int) -> None:
    scl = np.full((scene.size // 2, scene.size // 2), 4, np.uint8)
    scl[: scene.gap_rows // 2] = 0
    if scene.paint is not None:
        scene.paint(scl)
    arrays = {band: _numbers(scene, band) for band in BANDS} | {"SCL": scl}
    for band, array in arrays.items():
        path = scene.file(folder, band)
        path.parent.mkdir(parents=True, exist_ok=True)
        gsd = 20 if band == "SCL" else 10
        profile = {"driver": "COG", "height": array.shape[0], "width": array.shape[1], "count": 1, "dtype": array.dtype, "nodata": 0}
        place = {"crs": f"EPSG:{scene.epsg}", "transform": from_origin(scene.west, scene.north, gsd, gsd)}
        with rasterio.open(path, "w", **profile, **place, compress="DEFLATE", predictor=2, blocksize=blocksize) as dataset:
            dataset.write(array, 1)
        public = folder / "http" / COG_HOST / "cogs" / scene.name / f"{ES_FILES[band]}.tif"
        public.parent.mkdir(parents=True, exist_ok=True)
        public.write_bytes(path.read_bytes())


def _item(scene: SceneSpec, *, planetary: bool) -> dict[str, object]:
    side = scene.size * 10
    x = [scene.west, scene.west + side, scene.west + side, scene.west, scene.west]
    y = [scene.north, scene.north, scene.north - side, scene.north - side, scene.north]
    lon, lat = pyproj.Transformer.from_crs(scene.epsg, 4326, always_xy=True).transform(x, y)
    ring = [[float(a), float(b)] for a, b in zip(lon, lat, strict=True)]
    assets = {}
    for band in (*BANDS, "SCL"):
        gsd = 20.0 if band == "SCL" else 10.0
        shape = [int(side / gsd)] * 2
        href = scene.href(band) if planetary else f"https://{COG_HOST}/cogs/{scene.name}/{ES_FILES[band]}.tif"
        assets[band if planetary else ES_KEYS[band]] = {
            "href": href,
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "proj:shape": shape,
            "proj:transform": [gsd, 0.0, scene.west, 0.0, -gsd, scene.north],
        }
    properties: dict[str, object] = {
        "datetime": f"{scene.day.isoformat()}T10:50:31.024000Z",
        "eo:cloud_cover": scene.cloud,
        "proj:epsg": scene.epsg,
        "s2:processing_baseline": scene.baseline,
        "s2:mgrs_tile": "31TDK",
    }
    if not planetary:
        properties["earthsearch:boa_offset_applied"] = scene.boa_offset_applied
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.0.0/schema.json"],
        "id": scene.name,
        "collection": "sentinel-2-l2a",
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
        "links": [],
        "assets": assets,
    }


def _write_catalogue(folder: Path, items: Sequence[dict[str, object]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    collection = {
        "type": "Collection",
        "id": "sentinel-2-l2a",
        "stac_version": "1.0.0",
        "description": "Sentinel-2 Level-2A",
        "license": "proprietary",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]}},
        "links": [],
        "msft:storage_account": "sentinel2l2a01",
        "msft:container": "sentinel2-l2",
    }
    (folder / "collections.ndjson").write_text(json.dumps(collection) + "\n")
    (folder / "items.ndjson").write_text("".join(json.dumps(item) + "\n" for item in items))
