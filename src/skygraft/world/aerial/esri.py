"""Esri's World Imagery Wayback: a list of dated releases, their tiles, and a map service that tells when each place was flown over."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, time
from urllib.parse import parse_qs

from skygraft.world.aerial.camera import Camera, encoded, flown
from skygraft.world.aerial.grid import TILE_PX, to_pixel
from skygraft.world.aerial.names import WAYBACK, WAYBACK_DAYS, WAYBACK_LIST
from skygraft.world.wire import Request, Response

RELEASES = {"11952": 2016, "23383": 2018, "29260": 2020}
"""Year of the flight behind each release."""
FINEST_ZOOM = 23
"""Level that layer 0 of the flights' days is about; each layer more is one level coarser."""
_TILES = "/arcgis/rest/services/World_Imagery/WMTS/1.0.0/default028mm/MapServer/tile"
_DAYS = re.compile(r"/arcgis/rest/services/World_Imagery_Metadata_(\d{4})_r09/MapServer/(\d{1,2})/query")


class Wayback:
    """The service.

    Args:
        camera: takes the pictures.
    """

    def __init__(self, camera: Camera) -> None:
        """Answer with a camera's pictures."""
        self._camera = camera

    def serve(self, request: Request) -> Response:
        """Answer for the host that is asked."""
        return {WAYBACK: self._tile, WAYBACK_DAYS: self._days, WAYBACK_LIST: self._list}[request.host](request)

    def _list(self, request: Request) -> Response:
        if request.path != "/config.maptiles.arcgis.com/waybackconfig.json":
            return _missing()
        listed = {
            number: {
                "itemID": f"{int(number):032x}",
                "itemTitle": f"World Imagery (Wayback {year}-09-30)",
                "itemURL": f"https://{WAYBACK}{_TILES}/{number}/{{level}}/{{row}}/{{col}}",
                "metadataLayerUrl": f"https://{WAYBACK_DAYS}/arcgis/rest/services/World_Imagery_Metadata_{year}_r09/MapServer",
                "metadataLayerItemID": f"{int(number) + 1:032x}",
                "layerIdentifier": f"WB_{year}_R09",
            }
            for number, year in RELEASES.items()
        }
        return _json(listed)

    def _tile(self, request: Request) -> Response:
        found = re.fullmatch(re.escape(_TILES) + r"/(\d+)/(\d{1,2})/(\d{1,8})/(\d{1,8})", request.path)
        if found is None or found[1] not in RELEASES:
            return _missing()
        level, row, column = (int(part) for part in found.groups()[1:])
        picture = self._camera.tile(level, column, row, RELEASES[found[1]])
        return _missing() if picture is None else Response(200, {"Content-Type": "image/jpeg"}, encoded(picture, "jpeg"))

    def _days(self, request: Request) -> Response:
        """Answer a query of a layer for a point; errors come with status 200, as ArcGIS gives them."""
        found, asked = _DAYS.fullmatch(request.path), {name: values[0] for name, values in parse_qs(request.query).items()}
        if found is None or int(found[1]) not in RELEASES.values():
            return _missing()
        try:
            lon, lat = (float(part) for part in asked["geometry"].split(","))
        except (KeyError, ValueError):
            return _json({"error": {"code": 400, "message": "Unable to complete operation.", "details": ["'geometry' is not valid"]}})
        zoom = FINEST_ZOOM - int(found[2])
        features = []
        if self._camera.covers(lon, lat):
            column, row = (int(place // TILE_PX) for place in to_pixel(zoom, lon, lat))
            day, _ = flown(zoom, column, row, int(found[1]))
            stamp = int(datetime.combine(day, time(), UTC).timestamp() * 1000)
            known = {"SRC_DATE": int(f"{day:%Y%m%d}"), "SRC_DATE2": stamp, "NICE_NAME": "Embedded world", "SRC_RES": 0.5}
            wanted = asked.get("outFields", "*").split(",")
            features.append({"attributes": {name: value for name, value in known.items() if wanted == ["*"] or name in wanted}})
        return _json({"displayFieldName": "NICE_NAME", "features": features})


def _missing() -> Response:
    return Response(404, {"Content-Type": "text/plain; charset=utf-8"}, b"no such tile\n")


def _json(document: object) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps(document).encode())
