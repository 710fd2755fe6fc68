"""A stand-in for Mapillary over the scattered photos: the interface of version 4, and pictures whose addresses expire."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from skygraft.world.scattered import DrawnPhoto
from skygraft.world.static import missing, serve_file
from skygraft.world.wire import Request, Response

API_HOST, PICTURE_HOST = "graph.mapillary.com", "scontent.xx.fbcdn.net"
LIMIT, SQUARE_DEGREES = 2000, 0.01
_KEY = b"the embedded world holds nothing that is secret"
_SIZES = ("thumb_256_url", "thumb_1024_url", "thumb_2048_url", "thumb_original_url")


class Mapillary:
    """The service.

    Args:
        photos: what it shows.
        seconds: how long a picture's address is good.
    """

    def __init__(self, photos: Sequence[DrawnPhoto], seconds: int) -> None:
        self._photos = {photo.id: photo for photo in photos}
        self._seconds = seconds

    def serve(self, request: Request) -> Response:
        """Answer the interface, or give a picture."""
        if request.host == PICTURE_HOST:
            return self._picture(request)
        asked = dict(parse_qsl(request.query))
        if not (asked.get("access_token") or request.headers.get("authorization", "").removeprefix("OAuth").strip()):
            return _refused(400, "Invalid OAuth access token - Cannot parse access token", 190)
        if request.path == "/images":
            return self._search(asked)
        photo = self._photos.get(request.path.strip("/"))
        if photo is None:
            return _refused(404, "Unsupported get request. Object does not exist", 100)
        return _json(200, self._told(photo, asked.get("fields", "id")))

    def _search(self, asked: Mapping[str, str]) -> Response:
        try:
            west, south, east, north = map(float, asked["bbox"].split(","))
            limit = int(asked.get("limit", LIMIT))
        except (KeyError, ValueError):
            return _refused(400, "(#100) Param bbox must hold four numbers", 100)
        if (east - west) * (north - south) >= SQUARE_DEGREES or not (west < east and south < north):
            return _refused(400, "(#100) bbox must be smaller than 0.01 degrees square", 100)
        if not 1 <= limit <= LIMIT:
            return _refused(400, f"(#100) Param limit must be at most {LIMIT}", 100)
        first, last = _stamp(asked.get("start_captured_at"), datetime.min), _stamp(asked.get("end_captured_at"), datetime.max)
        found = [
            photo
            for photo in self._photos.values()
            if west <= photo.longitude <= east and south <= photo.latitude <= north and first <= photo.taken <= last
        ]
        return _json(200, {"data": [self._told(photo, asked.get("fields", "id")) for photo in found[:limit]]})

    def _told(self, photo: DrawnPhoto, fields: str) -> dict[str, Any]:
        spot = {"type": "Point", "coordinates": [photo.longitude, photo.latitude]}
        known: dict[str, Any] = {
            "captured_at": int(photo.taken.replace(tzinfo=UTC).timestamp() * 1000),
            "geometry": spot,
            "computed_geometry": spot,
            "camera_type": "perspective",
            "creator": {"username": photo.author, "id": "1"},
        }
        known |= {size: self._address(photo) for size in _SIZES}
        return {"id": photo.id} | {name: known[name] for name in fields.split(",") if name in known}

    def _address(self, photo: DrawnPhoto) -> str:
        end = f"{int(time.time()) + self._seconds:x}"
        return f"https://{PICTURE_HOST}/m1/v/t6/{photo.id}.jpg?oh={_signature(photo.id, end)}&oe={end}"

    def _picture(self, request: Request) -> Response:
        name, asked = request.path.rpartition("/")[2].removesuffix(".jpg"), dict(parse_qsl(request.query))
        photo = self._photos.get(name)
        if photo is None:
            return missing(request)
        end = asked.get("oe", "0")
        if not hmac.compare_digest(_signature(name, end), asked.get("oh", "")) or int(end, 16) <= time.time():
            return Response(403, {"Content-Type": "text/plain"}, b"URL signature expired")
        return serve_file(request, photo.file)


def _signature(name: str, end: str) -> str:
    return hmac.new(_KEY, f"{name} {end}".encode(), hashlib.sha256).hexdigest()[:32]


def _stamp(text: str | None, otherwise: datetime) -> datetime:
    return otherwise if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)


def _refused(status: int, message: str, code: int) -> Response:
    return _json(status, {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "world"}})


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(document).encode())
