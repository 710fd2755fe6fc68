"""A stand-in for Wikimedia Commons over the scattered photos: MediaWiki's geosearch as a generator of files, and their pictures."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from skygraft.world.scattered import DrawnPhoto
from skygraft.world.static import missing, serve_file
from skygraft.world.wire import Request, Response

API_HOST, PICTURE_HOST = "commons.wikimedia.org", "upload.wikimedia.org"
LIMIT, INFOS = 500, 50
"""Files an answer lists at most, and those of them with a scaled picture: what `continue` says brings the others."""
WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
_AREA_KM2 = 400.0
_LICENCES = {4: "CC BY 2.0", 5: "CC BY-SA 2.0", 7: "No restrictions", 8: "Public domain", 9: "CC0", 10: "Public domain", 11: "CC BY 4.0"}
_LICENCES |= {12: "CC BY-SA 4.0"}


def licence(photo: DrawnPhoto) -> str | None:
    """The licence under which a photo stands on Commons; none for one that may not stand there."""
    return _LICENCES.get(photo.licence)


def file_name(photo: DrawnPhoto) -> str:
    """The file's name there."""
    return f"{photo.title or 'Untitled'} ({photo.id}).jpg".replace("/", "-")


class Commons:
    """The service.

    Args:
        photos: what it may show; those without a free licence it does not have.
    """

    def __init__(self, photos: Sequence[DrawnPhoto]) -> None:
        self._photos = [photo for photo in photos if licence(photo) is not None]
        self._files = {_path(photo): photo for photo in self._photos}

    def serve(self, request: Request) -> Response:
        """Answer the interface, or give a picture."""
        if request.host == PICTURE_HOST:
            return self._picture(request)
        agent = request.headers.get("user-agent", "")
        if not agent or agent.startswith("python-requests"):
            return Response(403, {"Content-Type": "text/plain"}, b"Please set a user-agent and respect our robot policy\n")
        if request.path != "/w/api.php":
            return missing(request)
        return _json(self._query(dict(parse_qsl(request.query))))

    def _query(self, asked: dict[str, str]) -> dict[str, Any]:
        if asked.get("action") != "query" or asked.get("generator") != "geosearch" or asked.get("formatversion") != "2":
            return _error("badvalue", "this stand-in knows action=query, generator=geosearch and formatversion=2")
        try:
            north, west, south, east = map(float, asked["ggsbbox"].split("|"))
        except (KeyError, ValueError):
            return _error("missingparam", "The ggsbbox parameter must hold four numbers.")
        if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
            return _error("invalid-bbox", "Invalid bounding box.")
        if _square_km(west, south, east, north) > _AREA_KM2:
            return _error("toobig", "Bounding box is too big.")
        middle = (west + east) / 2, (south + north) / 2
        inside = [photo for photo in self._photos if west <= photo.longitude <= east and south <= photo.latitude <= north]
        inside.sort(key=lambda photo: (math.dist(middle, (photo.longitude, photo.latitude)), photo.id))
        shown = sorted(inside[: min(int(asked.get("ggslimit", 10)), LIMIT)], key=lambda photo: int(photo.id))
        if not shown:
            return {"batchcomplete": True}
        start = int(asked["iicontinue"].rpartition("|")[2]) if "iicontinue" in asked else 0
        stop = start + INFOS
        width = int(asked.get("iiurlwidth", 0))
        pages = [
            _page(photo, first="iicontinue" not in asked, width=width if start <= number < stop else None)
            for number, photo in enumerate(shown)
        ]
        answer: dict[str, Any] = {"query": {"pages": pages}}
        if stop < len(shown):
            answer["continue"] = {"iicontinue": f"{file_name(shown[stop])}|{stop}", "continue": "||coordinates"}
        else:
            answer["batchcomplete"] = True
        return answer

    def _picture(self, request: Request) -> Response:
        path = unquote(request.path)
        head, _, last = path.rpartition("/")
        if head.startswith("/wikipedia/commons/thumb/"):
            width = last.partition("px-")[0]
            if not width.isdigit() or int(width) not in WIDTHS:
                return Response(400, {"Content-Type": "text/plain"}, b"Use thumbnail sizes listed on https://w.wiki/GHai\n")
            path = head.replace("/thumb/", "/", 1)
        photo = self._files.get(path)
        return missing(request) if photo is None else serve_file(request, photo.file)


def _path(photo: DrawnPhoto) -> str:
    """Where a picture lies: by the first digits of its name's MD5, as MediaWiki has it."""
    name = file_name(photo).replace(" ", "_")
    digits = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"/wikipedia/commons/{digits[0]}/{digits[:2]}/{name}"


def _page(photo: DrawnPhoto, *, first: bool, width: int | None) -> dict[str, Any]:
    """What an answer says of a file; places stand in the first answer alone."""
    name = file_name(photo)
    page: dict[str, Any] = {"pageid": int(photo.id), "ns": 6, "title": f"File:{name}", "imagerepository": "local"}
    if first:
        page["coordinates"] = [{"lat": photo.latitude, "lon": photo.longitude, "primary": True, "globe": "earth"}]
    if width is None:
        return page
    url = f"https://{PICTURE_HOST}{quote(_path(photo))}"
    steps = [step for step in WIDTHS if step >= width]
    scaled = url
    if steps and steps[0] < photo.width:
        last = quote(file_name(photo).replace(" ", "_"))
        scaled = f"{url.replace('/commons/', '/commons/thumb/', 1)}/{steps[0]}px-{last}"
    facts = {
        "LicenseShortName": licence(photo),
        "Artist": f'<a href="//commons.wikimedia.org/wiki/User:{quote(photo.author)}">{photo.author}</a>',
        "DateTimeOriginal": photo.taken.strftime("%Y-%m-%d %H:%M:%S"),
        "ObjectName": photo.title,
        "Categories": "|".join(photo.tags),
    }
    page["imageinfo"] = [
        {
            "url": f"{url}?utm_source=commons.wikimedia.org&utm_campaign=index",
            "thumburl": f"{scaled}?utm_source=commons.wikimedia.org&utm_campaign=index",
            "descriptionurl": f"https://{API_HOST}/wiki/File:{quote(name.replace(' ', '_'))}",
            "mime": "image/jpeg",
            "extmetadata": {fact: {"value": value, "source": "commons-desc-page"} for fact, value in facts.items() if value},
        }
    ]
    return page


def _square_km(west: float, south: float, east: float, north: float) -> float:
    degree = math.radians(1) * 6371.0
    return (north - south) * degree * (east - west) * degree * math.cos(math.radians((south + north) / 2))


def _error(code: str, info: str) -> dict[str, Any]:
    return {"error": {"code": code, "info": info, "docref": f"See https://{API_HOST}/w/api.php for API usage."}, "servedby": "mw-world"}


def _json(document: dict[str, Any]) -> Response:
    return Response(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())
