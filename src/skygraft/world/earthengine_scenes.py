"""The embedded world's scenes as Earth Engine's images: the same files, under its names, on its terms.

Images come from the items of the world's Planetary Computer. The offset of newer baselines is off, as the collection's name says, and Cloud
Score+ stands beside each image: low where the scene's own classification sees clouds.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from skygraft.world.aerial.hosts import MANIFEST
from skygraft.world.aerial.quads import GSD, Quad, quads_of
from skygraft.world.aerial.quads import item as item_of
from skygraft.world.earthengine import EarthEngineService
from skygraft.world.earthengine_account import PROJECT
from skygraft.world.earthengine_pixels import Band, Drawn, Stored
from skygraft.world.items import read_documents
from skygraft.world.recipe import EPSG

if TYPE_CHECKING:
    from skygraft.world.aerial.camera import Camera

_SENTINEL2 = "COPERNICUS/S2_SR_HARMONIZED"
_CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
_NAIP = "USDA/NAIP/DOQQ"
_COLLECTION = "sentinel-2-l2a"
_NAIP_COLLECTION = "naip"
_BASELINE = "s2:processing_baseline"
_OFFSET = 1000
_CLOUDS = {3: 0.35, 8: 0.3, 9: 0.05, 10: 0.45}
_SCORES = tuple((code, _CLOUDS.get(code, 0.9)) for code in range(1, 12))


def service_of(folder: Path, refresh_token: str | None) -> EarthEngineService:
    """The service with a world's scenes.

    Args:
        folder: Of the drawn world, with ``http`` and ``stac``; its manifest says where photographs were taken from the air.
        refresh_token: Of the user that is known.
    """
    images: dict[str, Stored] = {}
    for item in read_documents(folder / "stac" / "planetary" / "items.ndjson"):
        if item["collection"] == _COLLECTION and _BASELINE in item["properties"]:
            index = _index(item)
            images[f"{_SENTINEL2}/{index}"] = _image(folder, item, index)
            images[f"{_CLOUD_SCORE}/{index}"] = _cloud_score(folder, item, index)
        elif item["collection"] == _NAIP_COLLECTION:
            images[f"{_NAIP}/{item['id']}"] = _quad(folder, item)
    if (folder / MANIFEST).exists():
        images |= _photographs(folder)
    return EarthEngineService(images, PROJECT, refresh_token=refresh_token)


def _quad(folder: Path, item: dict[str, Any]) -> Stored:
    """A photograph that lies as a file in the world's storage."""
    own = item["properties"]
    file = _file(folder, item["assets"]["image"]["href"])
    bands = {name: Band(file, number) for number, name in enumerate("RGBN", start=1)}
    return Stored(bands, own["proj:epsg"], dict.fromkeys(bands, float(own["gsd"])), _properties(item, item["id"]), _outline(item))


def _photographs(folder: Path) -> dict[str, Stored]:
    """NAIP's photographs, drawn where they are looked at."""
    from skygraft.world.aerial.camera import Camera

    camera = Camera(folder)
    images = {}
    for quad in quads_of(camera.recipe):
        drawn = _photograph(camera, quad)
        document = item_of(quad)
        bands = {name: Band(drawn, number) for number, name in enumerate("RGBN", start=1)}
        properties = _properties(document, quad.name)
        images[f"{_NAIP}/{quad.name}"] = Stored(bands, EPSG, dict.fromkeys(bands, GSD), properties, _outline(document))
    return images


def _photograph(camera: Camera, quad: Quad) -> Drawn:
    @lru_cache(maxsize=4)
    def draw(column: int, row: int, width: int, height: int) -> NDArray[np.generic]:
        west, north = quad.west + column * GSD, quad.north - row * GSD
        return camera.upright(west, north, (width, height), GSD, quad.day.year)

    # The four bands of a request look at the same window.
    return Drawn(
        EPSG, Affine(GSD, 0.0, quad.west, 0.0, -GSD, quad.north), quad.columns, quad.rows,
        lambda window: draw(window.col_off, window.row_off, window.width, window.height),
    )  # fmt: skip


def _index(item: dict[str, Any]) -> str:
    """Sensing time twice and the square, and the product's name: no two are the same."""
    own = item["properties"]
    moment = f"{datetime.fromisoformat(own['datetime']):%Y%m%dT%H%M%S}"
    return f"{moment}_{item['id']}_T{own['s2:mgrs_tile']}"


def _image(folder: Path, item: dict[str, Any], index: str) -> Stored:
    own = item["properties"]
    offset = _OFFSET if own[_BASELINE] >= "04.00" else 0
    bands, gsd = {}, {}
    for name, asset in item["assets"].items():
        known = name.replace("B0", "B")
        bands[known] = Band(_file(folder, asset["href"]), offset=0 if name == "SCL" else offset)
        gsd[known] = float(asset["proj:transform"][0])
    properties = _properties(item, index) | {
        "CLOUDY_PIXEL_PERCENTAGE": own["eo:cloud_cover"],
        "MGRS_TILE": own["s2:mgrs_tile"],
        "PROCESSING_BASELINE": own[_BASELINE],
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
