"""Lists images for many tiles in one request, and hands them over as a catalogue's items.

A question of :mod:`skygraft.imagery.queries` is a region and a month. Questions of one month are asked together, dozens of regions at once,
and each answer is then given to the questions whose region it touches: so each can be written down, and asked again, by itself.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import shapely
from shapely.affinity import translate

from skygraft.core.errors import EndpointError, ItemError
from skygraft.imagery.catalogue import Items, Searched
from skygraft.imagery.earthengine.images import NAIP, SENTINEL2, listing
from skygraft.imagery.earthengine.session import EarthEngine
from skygraft.imagery.queries import Query
from skygraft.imagery.scenes import CATALOGUES

_LOG = logging.getLogger(__name__)
_OWN = {"index": "system:index", "time": "system:time_start"}


@dataclass(frozen=True)
class Listed:
    """A collection to list.

    Args:
        collection: Its id.
        band: The band whose projection stands for the image's.
        properties: For each property of the answer the image's own.
        together: Questions asked in one request.
        item: Makes a catalogue's item of a feature.
    """

    collection: str
    band: str
    properties: Mapping[str, str]
    together: int
    item: Callable[[Mapping[str, Any]], dict[str, Any]]


def list_scenes(session: EarthEngine, queries: Iterable[Query], listed: Listed, concurrency: int) -> Iterator[Searched]:
    """Asks many questions, and hands over what becomes of each as it comes.

    Args:
        session: An open session.
        queries: The questions.
        listed: Which collection.
        concurrency: Requests under way at once.

    Raises:
        EndpointError: The service as a whole cannot be used; what was handed over is good.
    """

    def ask(together: Sequence[Query]) -> list[Searched]:
        try:
            return answers(together, _items(session, together, listed))
        except ItemError as error:
            return [Searched(query, None, error) for query in together]

    with ThreadPoolExecutor(concurrency, thread_name_prefix="list") as pool:
        waiting = [pool.submit(ask, together) for together in _together(queries, listed.together)]
        try:
            for future in as_completed(waiting):
                yield from future.result()
        except EndpointError:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def answers(queries: Sequence[Query], items: Items) -> list[Searched]:
    """For each question the items that touch its region; an item that seems to touch none goes to all."""
    boxes = [shapely.box(*query.bbox) for query in queries]
    own: list[Items] = [[] for _ in queries]
    for item in items:
        touched = [place for place, box in enumerate(boxes) if _touches(item, box)]
        for place in touched or range(len(queries)):
            own[place].append(item)
    return [Searched(query, found, None) for query, found in zip(queries, own, strict=True)]


def sentinel2_item(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature of Sentinel-2's listing as a catalogue's item: its assets are bands of one image.

    What is missing stays missing: whoever makes a row of it says so. Clouds are per cent of the whole image; the offset of newer baselines
    is off already, as the collection's name says.
    """
    known = dict(feature.get("properties") or {})
    index = known.get("index")
    properties = {
        "datetime": _moment(known.get("time")),
        "eo:cloud_cover": known.get("cloud"),
        "s2:mgrs_tile": known.get("tile"),
        "s2:processing_baseline": known.get("baseline"),
        "proj:code": known.get("crs"),
        "earthsearch:boa_offset_applied": True,
    }
    properties = _known(properties)
    bands = CATALOGUES["earth_engine"].assets.values() if index else ()
    assets = {band: {"href": f"{SENTINEL2}/{index}"} for band in bands}
    return {"id": index, "geometry": feature.get("geometry"), "properties": properties, "assets": assets}


def naip_item(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature of NAIP's listing as a catalogue's item: its asset is the image."""
    known = dict(feature.get("properties") or {})
    index = known.get("index")
    properties = _known({"datetime": _moment(known.get("time")), "proj:code": known.get("crs")})
    assets = {"image": {"href": f"{NAIP}/{index}"}} if index else {}
    return {"id": index, "geometry": feature.get("geometry"), "properties": properties, "assets": assets}


SENTINEL2_IMAGES = Listed(
    SENTINEL2,
    "B2",
    {**_OWN, "cloud": "CLOUDY_PIXEL_PERCENTAGE", "tile": "MGRS_TILE", "baseline": "PROCESSING_BASELINE"},
    together=50,
    item=sentinel2_item,
)
# A square's photographs of all years are a thousand and more.
NAIP_IMAGES = Listed(NAIP, "R", _OWN, together=4, item=naip_item)


def _moment(milliseconds: object) -> str | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if isinstance(milliseconds, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _known(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


def _items(session: EarthEngine, queries: Sequence[Query], listed: Listed) -> Items:
    first, last = queries[0].first, queries[0].last
    asked = listing(listed.collection, [query.bbox for query in queries], first, last, listed.band, listed.properties)
    items = {str(item["id"]): item for item in map(listed.item, session.features(asked))}
    _LOG.debug("images=%d regions=%d from %s to %s", len(items), len(queries), first, last)
    return list(items.values())


def _together(queries: Iterable[Query], most: int) -> Iterator[list[Query]]:
    """Questions of one span of days, so many at once."""

    def span(query: Query) -> tuple[date, date]:
        return query.first, query.last

    for _, members in itertools.groupby(sorted(queries, key=lambda query: (span(query), query)), key=span):
        same = list(members)
        yield from (same[start : start + most] for start in range(0, len(same), most))


def _touches(item: Mapping[str, Any], box: shapely.Polygon) -> bool:
    """Whether an item's outline touches a region, wherever its longitudes are counted from."""
    try:
        outline = shapely.make_valid(shapely.from_geojson(json.dumps(item["geometry"])))
    except (shapely.errors.GEOSException, TypeError, ValueError):
        return False
    return any(shapely.intersects(translate(outline, turn), box) for turn in (0.0, 360.0, -360.0))
