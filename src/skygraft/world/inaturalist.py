"""A stand-in for iNaturalist over the scattered photos: observations of two photos, some of them with obscured or unsure places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl

from skygraft.world.scattered import DrawnPhoto
from skygraft.world.static import missing, serve_file
from skygraft.world.wire import Request, Response

API_HOST, PICTURE_HOST = "api.inaturalist.org", "inaturalist-open-data.s3.amazonaws.com"
PER_PAGE, DEEPEST = 200, 10_000
_LICENCES = {1: "cc-by-nc-sa", 2: "cc-by-nc", 3: "cc-by-nc-nd", 4: "cc-by", 5: "cc-by-sa", 6: "cc-by-nd", 9: "cc0"}
_OBSCURED_BY_DEGREES = 0.1
Document = dict[str, Any]


class INaturalist:
    """The service.

    Args:
        photos: what it shows.

    Attributes:
        observations: what it knows, by number.
    """

    def __init__(self, photos: Sequence[DrawnPhoto]) -> None:
        self._photos = {photo.id: photo for photo in photos}
        ordered = sorted(photos, key=lambda photo: int(photo.id))
        self.observations = [_observation(number, ordered[2 * number : 2 * number + 2]) for number in range((len(ordered) + 1) // 2)]

    def serve(self, request: Request) -> Response:
        """Answer the interface, or give a picture."""
        if request.host == PICTURE_HOST:
            _, _, name, _ = [*request.path.split("/"), "", "", ""][:4]
            photo = self._photos.get(name)
            return missing(request) if photo is None else serve_file(request, photo.file)
        if request.path != "/v1/observations":
            return _json(404, {"error": "Not Found", "status": 404})
        asked = dict(parse_qsl(request.query))
        try:
            return self._search(asked)
        except (KeyError, ValueError):
            return _json(422, {"error": "Unprocessable Entity", "status": 422})

    def _search(self, asked: Mapping[str, str]) -> Response:
        page, size = int(asked.get("page", 1)), min(int(asked.get("per_page", 30)), PER_PAGE)
        if page * size > DEEPEST:
            return _json(
                403, {"error": "Result window is too large, page * per_page must be less than or equal to: [10000]", "status": 403}
            )
        found = [one for one in self.observations if _matches(one, asked)]
        if (asked.get("order_by"), asked.get("order")) != ("id", "asc"):
            found.reverse()
        start = (page - 1) * size
        shown = found[start : start + size]
        return _json(200, {"total_results": len(found), "page": page, "per_page": size, "results": shown})


def _observation(number: int, photos: Sequence[DrawnPhoto]) -> Document:
    """An observation of up to two photos, at the place of the first; the number decides what is wrong with it."""
    first = photos[0]
    longitude, latitude = first.longitude, first.latitude
    hidden, rare, nowhere = number % 11 == 3, number % 13 == 4, number % 17 == 5
    if hidden or rare:
        longitude, latitude = longitude + _OBSCURED_BY_DEGREES, latitude
    there: Document = (
        {} if nowhere else {"geojson": {"type": "Point", "coordinates": [longitude, latitude]}, "location": f"{latitude},{longitude}"}
    )
    return {
        "id": 1000 + number,
        "observed_on": first.taken.date().isoformat(),
        "time_observed_at": first.taken.replace(tzinfo=UTC).isoformat(),
        "positional_accuracy": None if number % 5 == 1 else 1500 if number % 7 == 2 else 5 + number % 20,
        "geoprivacy": "obscured" if hidden else None,
        "taxon_geoprivacy": "obscured" if rare else "open",
        "obscured": hidden or rare,
        "uri": f"https://www.inaturalist.org/observations/{1000 + number}",
        "species_guess": first.title or None,
        "tags": list(first.tags),
        "user": {"login": first.author.lower(), "name": first.author},
        "photos": [
            {
                "id": int(photo.id),
                "license_code": _LICENCES.get(photo.licence),
                "attribution": f"(c) {photo.author}",
                "url": f"https://{PICTURE_HOST}/photos/{photo.id}/square.jpg?1545345",
                "hidden": False,
            }
            for photo in photos
        ],
        **there,
    }


def _matches(one: Document, asked: Mapping[str, str]) -> bool:
    """Whether an observation answers a search; parameters that this stand-in does not know change nothing."""
    if one["id"] <= int(asked.get("id_above", 0)):
        return False
    if "swlng" in asked:
        west, south, east, north = (float(asked[name]) for name in ("swlng", "swlat", "nelng", "nelat"))
        longitude, latitude = one.get("geojson", {}).get("coordinates", (1e9, 1e9))
        if not (west <= longitude <= east and south <= latitude <= north):
            return False
    if any(asked.get(name) == "open" and one[name] not in (None, "open") for name in ("geoprivacy", "taxon_geoprivacy")):
        return False
    accuracy = one["positional_accuracy"]
    if "acc_below" in asked and (accuracy is None or accuracy >= float(asked["acc_below"])):
        return False
    licences = asked.get("photo_license", "").split(",")
    if "photo_license" in asked and not any(photo["license_code"] in licences for photo in one["photos"]):
        return False
    observed = str(one["observed_on"])
    return asked.get("d1", "") <= observed <= asked.get("d2", "9999")


def _json(status: int, document: Document) -> Response:
    return Response(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())
