"""The embedded world's scenes as Earth Engine's images: the same files, under its names, on its terms.

Images come from the items of the world's Planetary Computer. The offset of newer baselines is off, as the collection's name says, and Cloud
Score+ stands beside each image: low where the scene's own classification sees clouds.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import shapely

from skygraft.world.earthengine import EarthEngineService
from skygraft.world.earthengine_account import PROJECT
from skygraft.world.earthengine_pixels import Band, Stored
from skygraft.world.items import read_documents

_SENTINEL2 = "COPERNICUS/S2_SR_HARMONIZED"
_CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
_COLLECTION = "sentinel-2-l2a"
_OFFSET = 1000
_CLOUDS = {3: 0.35, 8: 0.3, 9: 0.05, 10: 0.45}
_SCORES = tuple((code, _CLOUDS.get(code, 0.9)) for code in range(1, 12))


def service_of(folder: Path, refresh_token: str | None) -> EarthEngineService:
    """The service with a world's scenes.

    Args:
        folder: Of the drawn world, with ``http`` and ``stac``.
        refresh_token: Of the user that is known.
    """
    images: dict[str, Stored] = {}
    for item in read_documents(folder / "stac" / "planetary" / "items.ndjson"):
        if item["collection"] == _COLLECTION:
            index = _index(item)
            images[f"{_SENTINEL2}/{index}"] = _image(folder, item, index)
            images[f"{_CLOUD_SCORE}/{index}"] = _cloud_score(folder, item, index)
    return EarthEngineService(images, PROJECT, refresh_token=refresh_token)


def _index(item: dict[str, Any]) -> str:
    """Sensing time twice and the square, and the product's name: no two are the same."""
    own = item["properties"]
    moment = f"{datetime.fromisoformat(own['datetime']):%Y%m%dT%H%M%S}"
    return f"{moment}_{item['id']}_T{own['s2:mgrs_tile']}"


def _image(folder: Path, item: dict[str, Any], index: str) -> Stored:
    own = item["properties"]
    offset = _OFFSET if own["s2:processing_baseline"] >= "04.00" else 0
    bands, gsd = {}, {}
    for name, asset in item["assets"].items():
        known = name.replace("B0", "B")
        bands[known] = Band(_file(folder, asset["href"]), offset=0 if name == "SCL" else offset)
        gsd[known] = float(asset["proj:transform"][0])
    properties = _properties(item, index) | {
        "CLOUDY_PIXEL_PERCENTAGE": own["eo:cloud_cover"],
        "MGRS_TILE": own["s2:mgrs_tile"],
        "PROCESSING_BASELINE": own["s2:processing_baseline"],
    }
    return Stored(bands, own["proj:epsg"], gsd, properties, _outline(item))


def _cloud_score(folder: Path, item: dict[str, Any], index: str) -> Stored:
    file = _file(folder, item["assets"]["SCL"]["href"])
    bands = {name: Band(file, codes=_SCORES) for name in ("cs", "cs_cdf")}
    return Stored(bands, item["properties"]["proj:epsg"], dict.fromkeys(bands, 10.0), _properties(item, index), _outline(item))


def _properties(item: dict[str, Any], index: str) -> dict[str, Any]:
    moment = datetime.fromisoformat(item["properties"]["datetime"])
    return {"system:index": index, "system:time_start": round(moment.timestamp() * 1000)}


def _file(folder: Path, href: str) -> Path:
    parts = urlsplit(href)
    return folder / "http" / str(parts.hostname) / unquote(parts.path).lstrip("/")


def _outline(item: dict[str, Any]) -> shapely.Geometry:
    return shapely.from_geojson(json.dumps(item["geometry"]))
