"""Scenes: items of a Sentinel-2 catalogue as rows of the scenes table.

Three catalogues hold the same Level-2A products under different names. Planetary Computer serves the digital numbers as ESA made them,
behind signed addresses; Earth Search has open addresses and says per item whether the offset of newer baselines is already off. Earth
Engine, which is no STAC catalogue, has images instead of files, and the offset is off. Addresses are stored bare: a signature would expire,
and is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import shapely

from skygraft.core.errors import ConfigError, PermanentItemError, Reason
from skygraft.core.schemas import SCENES
from skygraft.geo.radiometry import parse_baseline
from skygraft.geo.utm import is_utm

SCL = "SCL"
GRID_M = 10.0
TEN_METRES = ("B02", "B03", "B04", "B08")
_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
_COMMON = ("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "swir16", "swir22")

_SCHEMES = ("https", "http", "file", "")
Fields = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Catalogue:
    """A collection of a catalogue, such as Sentinel-2 Level-2A.

    Args:
        name: As the configuration calls it.
        url: Address of its API.
        collection: The collection's id.
        assets: Key of each file: Sentinel-2's bands and scene classification, NAIP's one image.
        signed: Whether its addresses need a signature of Planetary Computer.
        paid: Whether its readers pay, and sign with keys of their own.
    """

    name: str
    url: str
    collection: str
    assets: Mapping[str, str]
    signed: bool
    paid: bool = False


CATALOGUES: Mapping[str, Catalogue] = {
    "planetary_computer": Catalogue(
        "planetary_computer",
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        "sentinel-2-l2a",
        {band: band for band in (*_BANDS, SCL)},
        signed=True,
    ),
    "earth_search": Catalogue(
        "earth_search",
        "https://earth-search.aws.element84.com/v1",
        "sentinel-2-l2a",
        {**dict(zip(_BANDS, _COMMON, strict=True)), SCL: "scl"},
        signed=False,
    ),
    "earth_engine": Catalogue(
        "earth_engine",
        "https://earthengine-highvolume.googleapis.com",
        "COPERNICUS/S2_SR_HARMONIZED",
        {**{band: band.replace("B0", "B") for band in _BANDS}, SCL: SCL},
        signed=False,
    ),
}


def check_bands(catalogue: Catalogue, bands: Iterable[str]) -> None:
    """Raises ConfigError for bands that Sentinel-2 Level-2A does not have."""
    unknown = [band for band in bands if band not in catalogue.assets or band == SCL]
    if unknown:
        raise ConfigError(f"imagery.bands: Sentinel-2 Level-2A has no {', '.join(unknown)}; known: {', '.join(_BANDS)}.")


def scene_table(items: Iterable[Mapping[str, Any]], catalogue: Catalogue, bands: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Items as rows of the scenes table, each id once, sorted by id.

    Args:
        items: Items as the catalogue gave them, parsed JSON.
        catalogue: Where they are from.
        bands: Bands whose addresses are kept, beside the scene classification's.

    Returns:
        The table, and one message for each item that was left out because it is malformed.
    """
    return table_of(items, catalogue.name, lambda item: _fields(item, catalogue, bands))


def table_of(items: Iterable[Mapping[str, Any]], catalogue: str, fields: Fields) -> tuple[pa.Table, list[str]]:
    """Items of any collection as rows of the scenes table, each id once, sorted by id.

    Args:
        items: Items as the catalogue gave them, parsed JSON.
        catalogue: The name of the catalogue.
        fields: An item's columns beside its id and catalogue; a KeyError, TypeError or ValueError says what is wrong with it.

    Returns:
        The table, and one message for each item that was left out because it is malformed.
    """
    rows: dict[str, dict[str, Any]] = {}
    rejected: list[str] = []
    for item in items:
        try:
            row = _row(item, catalogue, fields)
        except PermanentItemError as error:
            rejected.append(error.detail)
            continue
        rows.setdefault(row["scene_id"], row)
    return pa.Table.from_pylist([rows[name] for name in sorted(rows)], schema=SCENES.schema()), sorted(set(rejected))


def scene_row(item: Mapping[str, Any], catalogue: Catalogue, bands: Sequence[str]) -> dict[str, Any]:
    """One item as a row of the scenes table.

    Raises:
        PermanentItemError: The item is malformed; the text names it and what is wrong.
    """
    return _row(item, catalogue.name, lambda item: _fields(item, catalogue, bands))


def _row(item: Mapping[str, Any], catalogue: str, fields: Fields) -> dict[str, Any]:
    name = str(item.get("id") or "without id")
    try:
        if not item.get("id"):
            raise ValueError("it has no id")
        return {"scene_id": name, "catalogue": catalogue, **fields(item)}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.errors.GEOSException) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise PermanentItemError(f"Item {name} of {catalogue} is malformed: {what}; left out.", Reason.CORRUPT_SCENE) from error


def _fields(item: Mapping[str, Any], catalogue: Catalogue, bands: Sequence[str]) -> dict[str, Any]:
    properties = item["properties"]
    chosen = {band: item["assets"][catalogue.assets[band]] for band in (*bands, SCL)}
    transform, shape = _grid(chosen)
    baseline = properties.get("s2:processing_baseline")
    if baseline is None:
        raise KeyError("s2:processing_baseline")
    cloud = properties.get("eo:cloud_cover")
    return {
        "geometry": outline_of(item["geometry"]),
        "acquired_at": time_of(properties),
        "crs": _crs([properties, *chosen.values()]),
        "mgrs_tile": _mgrs(properties),
        "cloud_cover": None if cloud is None else float(cloud),
        "processing_baseline": "{:02d}.{:02d}".format(*parse_baseline(str(baseline))),
        "offset_applied": bool(properties.get("earthsearch:boa_offset_applied", False)),
        "assets": [(band, bare_href(asset["href"])) for band, asset in chosen.items()],
        "transform": transform,
        "shape": shape,
    }


def bare_href(href: str, schemes: Collection[str] = _SCHEMES) -> str:
    """An address without query and fragment: what may be stored, and what is signed again before each read."""
    parts = urlsplit(href)
    if parts.scheme not in schemes:
        raise ValueError(f"address of scheme {parts.scheme!r}; expected one of {', '.join(filter(None, schemes))}")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def outline_of(geometry: Mapping[str, Any]) -> bytes:
    """A GeoJSON polygon as WKB; a ValueError where it is none."""
    shape = shapely.from_geojson(json.dumps(geometry))
    if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty:
        raise ValueError("its geometry is no polygon")
    outline: bytes = shapely.to_wkb(shape if shape.is_valid else shapely.make_valid(shape))
    return outline


def time_of(properties: Mapping[str, Any]) -> datetime:
    """When an item was acquired, UTC."""
    text = properties.get("datetime") or properties["start_datetime"]
    moment = datetime.fromisoformat(str(text))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _crs(places: Iterable[Mapping[str, Any]]) -> str:
    """The zone by ``proj:code`` (projection extension 2) or ``proj:epsg`` (1), of the item or of an asset."""
    for place in places:
        code = place.get("proj:code") or place.get("proj:epsg")
        if code is None:
            continue
        epsg = int(str(code).upper().removeprefix("EPSG:"))
        if not is_utm(epsg):
            raise ValueError(f"EPSG:{epsg} is no UTM zone")
        return f"EPSG:{epsg}"
    raise KeyError("proj:code or proj:epsg")


def _mgrs(properties: Mapping[str, Any]) -> str | None:
    tile = properties.get("s2:mgrs_tile") or properties.get("grid:code")
    return None if tile is None else str(tile).removeprefix("MGRS-").removeprefix("T")


def _grid(assets: Mapping[str, Mapping[str, Any]]) -> tuple[list[float] | None, list[int] | None]:
    """The scene's 10 m grid by a 10 m band, else by any band's extent: all bands of a scene share it."""
    ordered = sorted(assets, key=lambda band: band not in TEN_METRES)
    for band in ordered:
        transform, shape = assets[band].get("proj:transform"), assets[band].get("proj:shape")
        if transform is None or shape is None:
            continue
        a, b, c, d, e, f = (float(value) for value in transform[:6])
        if b or d or a <= 0 or e >= 0:
            raise ValueError(f"proj:transform of {band} is not north-up")
        rows, columns = round(shape[0] * -e / GRID_M), round(shape[1] * a / GRID_M)
        return [GRID_M, 0.0, c, 0.0, -GRID_M, f], [rows, columns]
    return None, None
