"""Wikimedia Commons: freely licensed photos by place.

Asked is MediaWiki's own interface, ``list=geosearch`` as a generator of files (https://www.mediawiki.org/wiki/Extension:GeoData): a box
of at most 20 by 20 km, at most 500 files, with no way to the files after these. Scaled pictures are told for 50 files a request; what
``continue`` says brings the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from typing import Any
from urllib.parse import urlencode

from skygraft.core.errors import PermanentItemError, QuotaError, Reason
from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.ground.answers import Document, ask, entries, part, trouble
from skygraft.ground.areas import Box, Region
from skygraft.ground.box_search import Found
from skygraft.ground.photo_rows import Row, moment_of, photo_row, photo_table, place_of, plain, within

CELL_DEGREES = 0.16
"""Side of the boxes that a search starts with: 18 km, since the service refuses more than 400 square kilometres."""
LIMIT = 500
_MIMES = ("image/jpeg", "image/png", "image/webp")
_BUSY = {"ratelimited", "maxlag", "readonly"}
_METADATA = "LicenseShortName|Artist|DateTimeOriginal|ObjectName|Categories"
_ENDING = re.compile(r"\.\w{3,4}$")


class Commons:
    """The service.

    Args:
        api_url: Its address.
        width: Of the scaled picture, pixels; the service serves its own steps alone.
        region: Files outside it are left out.
    """

    def __init__(self, api_url: str, width: int, region: Region) -> None:
        self._api_url, self._width, self._region = api_url, width, region

    def search(self, client: HttpClient, box: Box) -> Found:
        """The photos of a box.

        Raises:
            ItemError: The service refuses, or failed at every try.
        """
        asked = self._asked(box)
        files: defaultdict[int, dict[str, Any]] = defaultdict(dict)
        seen: set[str] = set()
        further: dict[str, str] = {}
        while True:
            request = Request(f"{self._api_url}?{urlencode({**asked, **further})}", key=f"commons {box}")
            answer = ask(client, request, partial(_checked, request))
            for page in entries(part(answer, "query", "pages")):
                if isinstance(page.get("pageid"), int):
                    files[page["pageid"]] |= page
            more = part(answer, "continue")
            if not isinstance(more, dict) or not more:
                break
            further = {str(name): str(value) for name, value in more.items()}
            if (token := urlencode(sorted(further.items()))) in seen:
                raise trouble(request, "its pages go round in a circle")
            seen.add(token)
        rows = [row for number, page in sorted(files.items()) if (row := self._row(number, page)) is not None]
        return Found(photo_table(rows), len(files) < LIMIT)

    def _asked(self, box: Box) -> dict[str, Any]:
        """The parameters of a search."""
        west, south, east, north = box
        return {
            "action": "query",
            "format": "json",
            "formatversion": 2,
            "maxlag": 5,
            "generator": "geosearch",
            "ggsbbox": f"{north:.7f}|{west:.7f}|{south:.7f}|{east:.7f}",
            "ggsnamespace": 6,
            "ggslimit": LIMIT,
            "ggsprimary": "primary",
            "prop": "imageinfo|coordinates",
            "colimit": LIMIT,
            "coprimary": "primary",
            "coprop": "globe",
            "iiprop": "url|mime|extmetadata",
            "iiextmetadatafilter": _METADATA,
            "iiurlwidth": self._width,
        }

    def _row(self, number: int, page: Document) -> Row | None:
        """A file's row; none for what is no photo, has no place in the area, or no licence."""
        info = next(iter(entries(page.get("imageinfo"))), None)
        spot = next((each for each in entries(page.get("coordinates")) if each.get("globe", "earth") == "earth"), None)
        place = place_of(spot.get("lon"), spot.get("lat")) if spot is not None else None
        if info is None or place is None or info.get("mime") not in _MIMES or not within(self._region, place):
            return None
        licence = plain(part(info, "extmetadata", "LicenseShortName", "value"))
        url = info.get("thumburl") or info.get("url")
        if licence is None or not isinstance(url, str):
            return None
        title = plain(part(info, "extmetadata", "ObjectName", "value")) or str(page.get("title", "")).removeprefix("File:")
        tags = plain(part(info, "extmetadata", "Categories", "value"))
        return photo_row(
            "commons",
            str(number),
            place,
            public_url(url),
            licence=licence,
            author=plain(part(info, "extmetadata", "Artist", "value")),
            captured_at=moment_of(plain(part(info, "extmetadata", "DateTimeOriginal", "value"))),
            page_url=plain(info.get("descriptionurl")),
            title=_ENDING.sub("", title) or None,
            tags=[tag.strip() for tag in tags.split("|") if tag.strip()] if tags else None,
        )


def _checked(request: Request, answer: Document) -> Document:
    """The answer, unless it says with status 200 that it is none."""
    if "error" not in answer:
        return answer
    code, info = str(part(answer, "error", "code")), str(part(answer, "error", "info"))
    what = f"the service says {code!r}: {info}"
    if code in _BUSY:
        raise QuotaError(f"{public_url(request.url)}: {what}. What to do: run the same command again later.", Reason.THROTTLED)
    if code.startswith("internal_api_error") or code in ("timeout", "geosearch-search-error", "search-backend-error"):
        raise trouble(request, what)
    raise PermanentItemError(f"{public_url(request.url)}: {what}.", Reason.BAD_REQUEST)
