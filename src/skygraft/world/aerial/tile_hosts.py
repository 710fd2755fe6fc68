"""Hosts that give the same tiles as Bing under other addresses: Azure Maps, and a plain XYZ template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from skygraft.world.aerial.camera import Camera, american, encoded, flown
from skygraft.world.aerial.grid import TILE_PX
from skygraft.world.wire import Request, Response

_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}


class TileHosts:
    """The services.

    Args:
        camera: takes the pictures.
    """

    def __init__(self, camera: Camera) -> None:
        """Answer with a camera's pictures."""
        self._camera = camera

    def azure(self, request: Request) -> Response:
        """Answer Azure Maps' `Get Map Tile`."""
        asked = dict(parse_qsl(request.query))
        if not (asked.get("subscription-key") or request.headers.get("subscription-key") or request.headers.get("authorization")):
            message = "Missing subscription key: provide `subscription-key` in the query or the headers."
            return _error(401, "Unauthorized", message)
        places = [asked.get(name, "") for name in ("zoom", "x", "y")]
        side = asked.get("tileSize", "256")
        known = request.path == "/map/tile" and asked.get("tilesetId") == "microsoft.imagery" and asked.get("api-version")
        if not known or not all(place.isdigit() for place in places) or side not in ("256", "512"):
            return _error(400, "BadRequest", "The query parameters of Get Map Tile are missing or not valid.")
        zoom, column, row = (int(place) for place in places)
        # Tiles of 512 pixels show the same ground twice as fine.
        finer = int(side) // TILE_PX - 1
        picture = self._camera.mercator(zoom + finer, column * int(side), row * int(side), (int(side), int(side)))
        if picture is None:
            return _error(404, "NotFound", "There is no tile.")
        dates = american(flown(zoom, column, row))
        return Response(200, {"Content-Type": "image/jpeg", "Data-Capture-Date-Range": dates}, encoded(picture, "jpeg"))

    def xyz(self, request: Request) -> Response:
        """Give a tile by `/{z}/{x}/{y}.jpg` or `.png`."""
        found = re.fullmatch(r"/(\d{1,2})/(\d{1,8})/(\d{1,8})\.(jpg|jpeg|png)", request.path)
        if found is None:
            return _missing()
        zoom, column, row = (int(part) for part in found.groups()[:3])
        picture = self._camera.tile(zoom, column, row)
        if picture is None:
            return _missing()
        return Response(200, {"Content-Type": _TYPES[found[4]], "Cache-Control": "max-age=86400"}, encoded(picture, found[4]))


def _missing() -> Response:
    return Response(404, {"Content-Type": "text/plain; charset=utf-8"}, b"no such tile\n")


def _error(status: int, code: str, message: str) -> Response:
    body: Mapping[str, object] = {"error": {"code": code, "message": message}}
    return Response(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode())
