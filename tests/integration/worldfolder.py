"""A small world in the folder's layout: one scene of two bands in two catalogues, some photos, an archive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

BLOB_HOST = "sentinel2l2a01.blob.core.windows.net"
COG_HOST = "sentinel-cogs.s3.us-west-2.amazonaws.com"
PHOTO_HOST = "gisco-services.ec.europa.eu"
STAC_ROOT = "https://planetarycomputer.microsoft.com/api/stac/v1"
EARTH_SEARCH_ROOT = "https://earth-search.aws.element84.com/v1"
BLOB_PATH = "sentinel2-l2/31/T/DJ/2021/06/01/B04_10m.tif"
SCENE_URL = f"https://{BLOB_HOST}/{BLOB_PATH}"
PIXELS = np.random.default_rng(7).integers(1, 4000, (1, 512, 512), dtype=np.uint16)


def _item(number: int, day: int, cloud: float, href: str) -> dict[str, object]:
    west, south, east, north = 3.0 + number, 45.0, 3.5 + number, 45.5
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/eo/v1.0.0/schema.json"],
        "id": f"scene-{number}",
        "collection": "sentinel-2-l2a",
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": f"2021-06-{day:02d}T10:50:31.024000Z", "eo:cloud_cover": cloud, "s2:mgrs_tile": "31TDJ"},
        "links": [],
        "assets": {"B04": {"href": href, "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"]}},
    }


def _catalogue(folder: Path, href: str, extra: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    collection = {
        "type": "Collection",
        "id": "sentinel-2-l2a",
        "stac_version": "1.0.0",
        "description": "Sentinel-2 Level-2A",
        "license": "proprietary",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]}},
        "links": [],
        **extra,
    }
    (folder / "collections.ndjson").write_text(json.dumps(collection) + "\n")
    # Scene n lies n degrees east, on day 1 + 2n, with 10n per cent of cloud.
    lines = [json.dumps(_item(n, 1 + 2 * n, 10.0 * n, href)) for n in range(7)]
    (folder / "items.ndjson").write_text("\n".join(lines) + "\n")


def write_world(folder: Path) -> Path:
    """Write the world, and return its folder."""
    blob = folder / "http" / BLOB_HOST / BLOB_PATH
    blob.parent.mkdir(parents=True)
    profile = {"driver": "COG", "height": 512, "width": 512, "count": 1, "dtype": "uint16", "crs": "EPSG:32631"}
    with rasterio.open(
        blob, "w", **profile, transform=from_origin(499980, 5000040, 10, 10), compress="DEFLATE", blocksize=256, nodata=0
    ) as scene:
        scene.write(PIXELS)
    cog = folder / "http" / COG_HOST / "sentinel-s2-l2a-cogs" / "B04.tif"
    cog.parent.mkdir(parents=True)
    cog.write_bytes(blob.read_bytes())
    photos = folder / "http" / PHOTO_HOST / "lucas"
    photos.mkdir(parents=True)
    for number in range(4):
        (photos / f"{number}.jpg").write_bytes(bytes([number]) * 5000)
    (folder / "secret.txt").write_text("not of any host")
    _catalogue(folder / "stac" / "planetary", SCENE_URL, {"msft:storage_account": "sentinel2l2a01", "msft:container": "sentinel2-l2"})
    _catalogue(folder / "stac" / "earth_search", f"https://{COG_HOST}/sentinel-s2-l2a-cogs/B04.tif", {})
    return folder
