"""Bing Maps as far as aerial pictures go: static maps, their metadata, and tiles by quadkey, as the service answered them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, unquote

import numpy as np

from skygraft.world.aerial.camera import FIRST_ZOOM, LAST_ZOOM, Camera, american, encoded, flown
from skygraft.world.aerial.grid import TILE_PX, to_degrees, to_pixel
from skygraft.world.aerial.names import BING
from skygraft.world.aerial.placeholder import NO_TILE, placeholder
from skygraft.world.wire import Request, Response

SHORTEST_KEY = 8
"""Characters of a key that is taken; a shorter one is answered as a wrong one."""
SIZES = ((80, 2000), (80, 1500))
GENERATION = "14245"
_QUIET = {"X-MS-BM-WS-INFO": "0"}
_COPYRIGHT = (
    "Copyright 2026 Microsoft and its suppliers (embedded world: drawn, not photographed). This API cannot be accessed and the "
    "content and any results may not be used, reproduced or transmitted in any manner without express written permission from Microsoft."
)
_SCHEMA = "http://schemas.microsoft.com/search/local/ws/rest/v1"
_KINDS = {"jpeg": "image/jpeg", "jpg": "image/jpeg", "png": "image/png"}


class BadParameterError(Exception):
    """A parameter that the service does not take; the text says which."""


class Bing:
    """The service.

    Args:
        camera: takes the pictures.
    """

    def __init__(self, camera: Camera) -> None:
        """Answer with a camera's pictures."""
        self._camera = camera

    def serve(self, request: Request) -> Response:
        """Answer the interface, or give a tile."""
        if request.host != BING:
            return self._tile(request)
        asked = {name.lower(): value for name, value in parse_qsl(request.query, keep_blank_values=True)}
        key = asked.get("key", "")
        if len(key) < SHORTEST_KEY:
            return _refused(401, "Unauthorized", "InvalidCredentials" if key else "CredentialsMissing", [
                "Access was denied. You may have entered your credentials incorrectly, or you might not have access to the requested "
                "resource or operation."
            ])  # fmt: skip
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        try:
            if [part.lower() for part in parts[:4]] == ["rest", "v1", "imagery", "map"] and len(parts) == 7:
                return self._map(parts[4:], asked)
            if len(parts) in (5, 6) and parts[3].lower() in ("metadata", "basicmetadata"):
                return self._metadata(parts[3:], asked)
        except BadParameterError as error:
            return _refused(400, "Bad Request", "ValidCredentials", ["One or more parameters are not valid.", str(error)])
        return _refused(404, "Not Found", "ValidCredentials", [])

    def _map(self, parts: list[str], asked: Mapping[str, str]) -> Response:
        _check_set(parts[0])
        lat, lon = _place(parts[1])
        zoom = _number(parts[2], "zoomLevel", 0, 21)
        width, height = _size(asked.get("mapsize", "350,350"))
        kind = asked.get("format", "jpeg").lower()
        if kind not in _KINDS:
            raise BadParameterError("format: This parameter value is not valid.")
        across, down = to_pixel(zoom, lon, lat)
        left, top = round(across - width / 2), round(down - height / 2)
        if asked.get("mapmetadata") in ("1", "true"):
            (west, east), (north, south) = to_degrees(zoom, np.array([left, left + width]), np.array([top, top + height]))
            return _found({
                "__type": f"StaticMapMetadata:{_SCHEMA}", "bbox": [float(south), float(west), float(north), float(east)],
                "imageHeight": str(height), "imageWidth": str(width), "pushpins": [], "zoom": str(zoom),
                "mapCenter": {"type": "Point", "coordinates": [str(lat), str(lon)]},
            })  # fmt: skip
        picture = self._camera.mercator(zoom, left, top, (width, height))
        if picture is None:
            blank = np.full((height, width, 3), 243, dtype=np.uint8)
            return Response(200, {"Content-Type": _KINDS[kind], **NO_TILE, **_QUIET}, encoded(blank, kind))
        return Response(200, {"Content-Type": _KINDS[kind], "Cache-Control": "no-cache", **_QUIET}, encoded(picture, kind))

    def _metadata(self, parts: list[str], asked: Mapping[str, str]) -> Response:
        _check_set(parts[1])
        scheme = "https" if asked.get("urischeme") == "https" else "http"
        resource: dict[str, Any] = {
            "__type": f"ImageryMetadata:{_SCHEMA}", "imageHeight": TILE_PX, "imageWidth": TILE_PX, "imageryProviders": None,
            "imageUrl": f"{scheme}://ecn.{{subdomain}}.tiles.virtualearth.net/tiles/a{{quadkey}}.jpeg?g={GENERATION}",
            "imageUrlSubdomains": ["t0", "t1", "t2", "t3"], "vintageEnd": None, "vintageStart": None,
            "zoomMax": LAST_ZOOM, "zoomMin": FIRST_ZOOM,
        }  # fmt: skip
        if len(parts) == 3:
            lat, lon = _place(parts[2])
            zoom = _number(asked.get("zoomlevel", asked.get("zl", "")), "zoomLevel", 1, 21)
            column, row = (int(place // TILE_PX) for place in to_pixel(zoom, lon, lat))
            key = quadkey(zoom, column, row)
            resource |= {"imageUrlSubdomains": None, "zoomMax": zoom, "zoomMin": zoom}
            resource["imageUrl"] = f"{scheme}://ecn.t{key[-1]}.tiles.virtualearth.net/tiles/a{key}.jpeg?g={GENERATION}"
            if FIRST_ZOOM <= zoom <= LAST_ZOOM and self._camera.covers(lon, lat):
                first, last = flown(zoom, column, row)
                resource |= {"vintageStart": _day(first), "vintageEnd": _day(last)}
        if asked.get("include", asked.get("incl", "")).lower() == "imageryproviders":
            resource["imageryProviders"] = [{"attribution": "Embedded world", "coverageAreas": []}]
        if parts[0].lower() == "basicmetadata":
            resource["imageUrl"] = None
        return _found(resource)

    def _tile(self, request: Request) -> Response:
        name = re.fullmatch(r"/tiles/a([0-3]{1,23})\.jpe?g", request.path)
        if name is None:
            return Response(404, {"Content-Type": "text/html"}, b"")
        zoom, column, row = tile_of(name[1])
        picture = self._camera.tile(zoom, column, row)
        if picture is None:
            if dict(parse_qsl(request.query)).get("n") == "z":
                return Response(404, NO_TILE, b"")
            return Response(200, {"Content-Type": "image/png", **NO_TILE}, placeholder())
        body = encoded(picture, "jpeg")
        headers = {
            "Content-Type": "image/jpeg",
            "Cache-Control": "public, max-age=31536000",
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:8]}"',
            "X-VE-TILEMETA-CaptureDatesRange": american(flown(zoom, column, row)),
            "X-VE-TILEMETA-Product-IDs": "209",
        }
        return Response(200, headers, body)


def quadkey(zoom: int, column: int, row: int) -> str:
    """Return the quadkey of a tile: a digit a level, the column's bit plus twice the row's; (3, 5) at level 3 is 213."""
    return "".join(str((column >> k & 1) | (row >> k & 1) << 1) for k in range(zoom - 1, -1, -1))


def tile_of(key: str) -> tuple[int, int, int]:
    """Return level, column and row of a quadkey."""
    column = row = 0
    for digit in key:
        column, row = column << 1 | int(digit) & 1, row << 1 | int(digit) >> 1
    return len(key), column, row


def _check_set(name: str) -> None:
    if name.lower() != "aerial":
        raise BadParameterError("imagerySet: the embedded world has Aerial alone.")


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadParameterError("centerPoint: This parameter value is not valid.") from error
    if not (abs(lat) <= 85.05 and abs(lon) <= 180):
        raise BadParameterError("centerPoint: This parameter value is out of range.")
    return lat, lon


def _number(text: str, name: str, low: int, high: int) -> int:
    if not text.isdigit() or not low <= int(text) <= high:
        raise BadParameterError(f"{name}: This parameter value is out of range.")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2:
        raise BadParameterError("mapSize: This parameter value is not valid.")
    (low, high), (lowest, highest) = SIZES
    return _number(parts[0], "mapSize", low, high), _number(parts[1], "mapSize", lowest, highest)


def _day(day: date) -> str:
    return f"{day:%d %b %Y} GMT"


def _found(resource: dict[str, Any]) -> Response:
    return _json(200, "OK", "ValidCredentials", {"resourceSets": [{"estimatedTotal": 1, "resources": [resource]}]})


def _refused(status: int, words: str, credentials: str, details: list[str]) -> Response:
    return _json(status, words, credentials, {"errorDetails": details, "resourceSets": []})


def _json(status: int, words: str, credentials: str, more: Mapping[str, Any]) -> Response:
    document = {
        "authenticationResultCode": credentials, "brandLogoUri": f"http://{BING}/Branding/logo_powered_by.png", "copyright": _COPYRIGHT,
        **more, "statusCode": status, "statusDescription": words, "traceId": "embedded-world",
    }  # fmt: skip
    return Response(status, {"Content-Type": "application/json; charset=utf-8", **_QUIET}, json.dumps(document).encode())
