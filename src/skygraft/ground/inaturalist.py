"""iNaturalist: photos of plants and animals where they live, each under its owner's licence.

Asked is version 1 of its interface (https://api.inaturalist.org/v1/docs/): 200 observations a page, in the order of their numbers and
always above the last one had, since numbered pages end at 10,000. Places that the owner or the species' rarity obscures are left out: they
are drawn at random within some 20 km.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

import pyarrow as pa

from skygraft.core.http import HttpClient, Request
from skygraft.core.http_errors import public_url
from skygraft.ground.answers import Document, ask, entries, part, trouble
from skygraft.ground.areas import Box, Region
from skygraft.ground.daily import DailyLimit
from skygraft.ground.page_log import PageLog
from skygraft.ground.photo_rows import Row, in_days, moment_of, photo_row, photo_table, place_of, plain, within

PER_PAGE = 200
_SIZES = re.compile(r"/(?:square|thumb|small|medium|large|original)\.(?=\w+$)")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Which photos count.

    Args:
        region: Where.
        days: First and last day of observation; none for any.
        licences: Allowed licences, as the interface writes them (``cc-by``).
        max_accuracy_m: Places less sure than this, or of unknown sureness, are left out.
        size: Which picture is fetched later.
    """

    region: Region
    days: tuple[date | None, date | None]
    licences: tuple[str, ...]
    max_accuracy_m: float
    size: str


def search(client: HttpClient, api_url: str, choice: Choice, log: PageLog, limit: DailyLimit) -> None:
    """Asks for all observations of an area, page after page.

    Args:
        client: Makes the requests.
        api_url: The service's address.
        choice: Which photos count.
        log: What has been answered, and where answers go.
        limit: Counts the day's requests, every try of them.

    Raises:
        ItemError: The service refuses, or failed at every try; what was answered is kept.
        EndpointError: It is dead, asks for too long a pause, or the day's requests are used up.
    """
    for box in choice.region.boxes:
        above = 0
        while True:
            name = f"{','.join(f'{edge:.7f}' for edge in box)};{above}"
            following = log.following(name)
            if following is None:
                following, photos = _page(client, api_url, choice, box, above, limit)
                log.add(name, following, photos)
                _LOG.info("observations above %d: %d photos", above, photos.num_rows)
            if not following:
                break
            above = int(following)


def _page(client: HttpClient, api_url: str, choice: Choice, box: Box, above: int, limit: DailyLimit) -> tuple[str, pa.Table]:
    """The last number of a page, empty where no more follow, and its photos."""
    west, south, east, north = box
    first, last = choice.days
    asked = {
        "swlng": west,
        "swlat": south,
        "nelng": east,
        "nelat": north,
        "geo": "true",
        "geoprivacy": "open",
        "taxon_geoprivacy": "open",
        "acc_below": math.floor(choice.max_accuracy_m) + 1,
        "photos": "true",
        "photo_license": ",".join(choice.licences),
        "order_by": "id",
        "order": "asc",
        "per_page": PER_PAGE,
        "id_above": above,
    }
    asked |= {name: day.isoformat() for name, day in (("d1", first), ("d2", last)) if day is not None}
    url, name = f"{api_url}?{urlencode(asked, safe=',')}", f"inaturalist {box} {above}"
    request = Request(url, key=name, before=lambda: limit.take(client.clock))

    def read(answer: Document) -> tuple[str, pa.Table]:
        if "error" in answer or "results" not in answer:
            raise trouble(request, f"the service says {plain(answer.get('error')) or 'nothing of results'}")
        left = answer.get("total_results")
        observations = entries(answer["results"])
        numbers = [number for each in observations if isinstance(number := each.get("id"), int) and number > above]
        if not numbers:
            if observations or (isinstance(left, int) and left > 0):
                raise trouble(request, f"a page with none of {left} observations above {above}")
            return "", photo_table([])
        fresh = [each for each in observations if each.get("id") in numbers]
        complete = isinstance(left, int) and left <= len(numbers)
        return "" if complete else str(max(numbers)), photo_table([row for each in fresh for row in _rows(each, choice)])

    return ask(client, request, read)


def _rows(observation: Document, choice: Choice) -> Iterator[Row]:
    """A row for each photo of an observation that counts."""
    if observation.get("obscured") or any(observation.get(name) not in (None, "", "open") for name in ("geoprivacy", "taxon_geoprivacy")):
        return
    place = _place(observation)
    accuracy = observation.get("positional_accuracy")
    if not isinstance(accuracy, (int, float)) or not 0 <= accuracy <= choice.max_accuracy_m:
        return
    if place is None or not within(choice.region, place):
        return
    # The observer's own day, as the service compares it.
    if not in_days(moment_of(observation.get("observed_on")), choice.days):
        return
    captured, tags = moment_of(observation.get("time_observed_at")) or moment_of(observation.get("observed_on")), observation.get("tags")
    for photo in entries(observation.get("photos")):
        licence, url = str(photo.get("license_code") or "").lower(), photo.get("url")
        if licence not in choice.licences or not isinstance(url, str) or not isinstance(photo.get("id"), int) or photo.get("hidden"):
            continue
        yield photo_row(
            "inaturalist",
            str(photo["id"]),
            place,
            _SIZES.sub(f"/{choice.size}.", public_url(url)),
            accuracy_m=float(accuracy),
            captured_at=captured,
            licence=short_name(licence),
            author=plain(part(observation, "user", "name")) or plain(part(observation, "user", "login")),
            page_url=plain(observation.get("uri")),
            title=plain(observation.get("species_guess")) or plain(part(observation, "taxon", "name")),
            tags=[tag for tag in tags if isinstance(tag, str)] or None if isinstance(tags, list) else None,
        )


def _place(observation: Document) -> tuple[float, float] | None:
    spot = part(observation, "geojson", "coordinates")
    if isinstance(spot, list) and len(spot) == 2:
        return place_of(*spot)
    latitude, _, longitude = str(observation.get("location") or "").partition(",")
    return place_of(longitude, latitude)


def short_name(code: str) -> str:
    """A licence as people write it (``CC BY-NC``), from its code (``cc-by-nc``)."""
    return code.upper().replace("CC-", "CC ", 1)
