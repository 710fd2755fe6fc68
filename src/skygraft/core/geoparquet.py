"""The GeoParquet metadata of our tables with a place: points and boxes in EPSG:4326, as WKB."""

from __future__ import annotations

import json


def geo_metadata(column: str) -> str:
    """The ``geo`` entry (GeoParquet 1.1) for one WKB column in longitude and latitude.

    The coordinate system is left out: the standard's default is OGC:CRS84, longitude before latitude, which is what we write.
    """
    columns = {column: {"encoding": "WKB", "geometry_types": []}}
    return json.dumps({"version": "1.1.0", "primary_column": column, "columns": columns}, sort_keys=True)
