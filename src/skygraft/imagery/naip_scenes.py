"""Quarter quads of NAIP: items of a catalogue as rows of the scenes table.

A file holds red, green, blue and near infrared of some 6 by 7 km, in the UTM zone of its place on NAD 83. NAD 83 and WGS 84 are taken for
the same, as EPSG's own transformation between them (1188) does: they differ by less than the imagery's own error of some metres, and
pixels that fit the tile's grid stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from skygraft.imagery.scenes import Catalogue, bare_href, outline_of, table_of, time_of

IMAGE = "image"
BANDS = ("R", "G", "B", "N")
# Earth Search's files lie in a bucket of S3.
_SCHEMES = ("https", "http", "s3", "file", "")
_NAD83, _WGS84 = 26900, 32600
# On WGS 84 all zones of the north: where no photograph of NAIP lies, the embedded world does.
_ZONES = {_NAD83: range(1, 24), _WGS84: range(1, 61)}

NAIP_CATALOGUES: Mapping[str, Catalogue] = {
    "planetary_computer": Catalogue(
        "planetary_computer", "https://planetarycomputer.microsoft.com/api/stac/v1", "naip", {IMAGE: "image"}, signed=True
    ),
    "earth_engine": Catalogue(
        "earth_engine", "https://earthengine-highvolume.googleapis.com", "USDA/NAIP/DOQQ", {IMAGE: "image"}, signed=False
    ),
    "earth_search": Catalogue(
        "earth_search", "https://earth-search.aws.element84.com/v1", "naip", {IMAGE: "image"}, signed=False, paid=True
    ),
}


def naip_table(items: Iterable[Mapping[str, Any]], catalogue: Catalogue) -> tuple[pa.Table, list[str]]:
    """Items as rows of the scenes table, each id once, sorted by id.

    Args:
        items: Items as the catalogue gave them, parsed JSON.
        catalogue: Where they are from.

    Returns:
        The table, and one message for each item that was left out because it is malformed.
    """
    return table_of(items, catalogue.name, lambda item: _fields(item, catalogue))


def zone_of(epsg: int) -> int:
    """The UTM zone on WGS 84 of one on NAD 83 or WGS 84.

    Raises:
        ValueError: It is neither.
    """
    for base, zones in _ZONES.items():
        if epsg - base in zones:
            return _WGS84 + epsg - base
    raise ValueError(f"EPSG:{epsg} is no UTM zone of the north on NAD 83 or WGS 84")


def _fields(item: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    properties, asset = item["properties"], item["assets"][catalogue.assets[IMAGE]]
    code = next((place[key] for place in (properties, asset) for key in ("proj:code", "proj:epsg") if place.get(key)), None)
    if code is None:
        raise KeyError("proj:code or proj:epsg")
    epsg = int(str(code).upper().removeprefix("EPSG:"))
    zone_of(epsg)
    transform, shape = (properties.get(key) or asset.get(key) for key in ("proj:transform", "proj:shape"))
    if transform is not None and (transform[1] or transform[3] or transform[0] <= 0 or transform[4] >= 0):
        raise ValueError("proj:transform is not north-up")
    return {
        "geometry": outline_of(item["geometry"]),
        "acquired_at": time_of(properties),
        "crs": f"EPSG:{epsg}",
        "offset_applied": False,
        "assets": [(IMAGE, bare_href(asset["href"], _SCHEMES))],
        "transform": None if transform is None else [float(value) for value in transform[:6]],
        "shape": None if shape is None else [int(value) for value in shape],
    }
