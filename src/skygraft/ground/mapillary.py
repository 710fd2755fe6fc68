"""Mapillary: street-level photos under CC BY-SA.

Asked is version 4 of its interface (https://www.mapillary.com/developer/api-documentation): boxes below 0.01 square degrees, at most 2,000
photos each, with no further pages. The addresses of pictures expire: what stands in tables is the photo's own address on the interface,
which tells a fresh one right before the picture is fetched. The user's token travels in a header alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import HttpClient, Request, Response
from skygraft.core.schemas import PHOTOS
from skygraft.ground.answers import Document, ask, entries, part
from skygraft.ground.areas import Box, Region
from skygraft.ground.box_search import Found
from skygraft.ground.photo_rows import Row, believable, in_days, photo_row, photo_table, place_of, plain, within

API_URL = "https://graph.mapillary.com"
"""Root of the interface: what stands in tables, wherever it is really asked."""
CELL_DEGREES = 0.08
"""Side of the boxes that a search starts with: 0.0064 square degrees."""
LIMIT = 2000
LICENCE = "CC BY-SA 4.0"
TOKEN = "MAPILLARY_TOKEN"
_FIELDS = "id,captured_at,geometry,computed_geometry,camera_type,creator"
_ROUND = ("spherical", "equirectangular")
_UNNAMED = "a contributor to Mapillary"


def headers(token: str) -> Mapping[str, str]:
    """What a request carries beside its address."""
    return {"Authorization": f"OAuth {token}"}


class Mapillary:
    """The service.

    Args:
        api_url: Its address of images.
        token: The user's own.
        size: Which picture is fetched later: ``thumb_1024_url`` and its like.
        days: First and last day on which a photo was taken; none for any.
        region: Photos outside it are left out.
    """

    def __init__(self, api_url: str, token: str, size: str, days: tuple[date | None, date | None], region: Region) -> None:
        self._api_url, self._headers, self._size, self._days, self._region = api_url, headers(token), size, days, region

    def search(self, client: HttpClient, box: Box) -> Found:
        """The photos of a box; one that the service cannot answer as a whole counts as holding more than it shows.

        Raises:
            ItemError: The service refuses, or failed at every try.
        """
        asked = {"fields": _FIELDS, "bbox": ",".join(f"{edge:.7f}" for edge in box), "limit": LIMIT}
        first, last = self._days
        if first is not None:
            asked["start_captured_at"] = f"{first.isoformat()}T00:00:00Z"
        if last is not None:
            asked["end_captured_at"] = f"{last.isoformat()}T23:59:59Z"
        request = Request(f"{self._api_url}?{urlencode(asked, safe=',')}", key=f"mapillary {box}", headers=self._headers)
        try:
            images = ask(client, request, lambda document: entries(document.get("data")))
        except TransientError as error:
            # It says with status 500 that a box holds too much. Only a large box is worth the doubt whether it means that.
            if error.reason is not Reason.SERVER_ERROR or box[2] - box[0] < CELL_DEGREES / 3:
                raise
            return Found(PHOTOS.empty(), whole=False)
        except PermanentItemError as error:
            raise PermanentItemError(f"{error} Check the token in {TOKEN}.", error.reason, error.detail) from error
        rows = [row for image in images if (row := self._row(image)) is not None]
        return Found(photo_table(rows), len(images) < LIMIT)

    def _row(self, image: Document) -> Row | None:
        """A photo's row; none for a sphere, and for what has no place in the area or was taken on other days than asked."""
        name = str(image.get("id", ""))
        spots = (part(image, geometry, "coordinates") for geometry in ("computed_geometry", "geometry"))
        places = [place for spot in spots if isinstance(spot, list) and len(spot) >= 2 and (place := place_of(spot[0], spot[1]))]
        if not name.isdecimal() or not places or image.get("camera_type") in _ROUND or not within(self._region, places[0]):
            return None
        captured = _moment(image.get("captured_at"))
        if not in_days(captured, self._days):
            return None
        return photo_row(
            "mapillary",
            name,
            places[0],
            f"{API_URL}/{name}?fields={self._size}",
            licence=LICENCE,
            author=plain(part(image, "creator", "username")) or _UNNAMED,
            captured_at=captured,
            page_url=f"https://www.mapillary.com/app/?pKey={name}",
        )


def picture(client: HttpClient, answer: Response) -> Response:
    """The picture behind what the interface says of a photo.

    Args:
        client: Makes the request; the token is not sent along, the address carries its own signature.
        answer: To the address that stands in the table.

    Raises:
        ItemError: There is no picture of that size, or it cannot be had.
    """
    try:
        told = json.loads(answer.content)
    except (ValueError, RecursionError):
        raise TransientError("the interface answered with something that is no JSON", Reason.SERVER_ERROR) from None
    addresses = [value for name, value in told.items() if name.startswith("thumb_")] if isinstance(told, dict) else []
    if not addresses or not isinstance(addresses[0], str):
        raise PermanentItemError("the interface names no picture of that size", Reason.NOT_FOUND)
    try:
        return client.get(Request(addresses[0], foreign=True))
    except PermanentItemError as error:
        if error.reason is Reason.FORBIDDEN:
            # The address has expired: another try begins with a fresh one.
            raise TransientError(f"{error}", Reason.SIGNATURE, error.detail) from error
        raise


def _moment(milliseconds: object) -> datetime | None:
    """A time of the interface, milliseconds since 1970 UTC."""
    try:
        return believable(datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None
