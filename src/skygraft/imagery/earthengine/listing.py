"""Lists Sentinel-2 images for many tiles in one request, and hands them over as a catalogue's items.

A question of :mod:`skygraft.imagery.queries` is a region and a month. Questions of one month are asked together, dozens of regions at once,
and each answer is then given to the questions whose region it touches: so each can be written down, and asked again, by itself.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, date, datetime
from typing import Any

import shapely
from shapely.affinity import translate

from skygraft.core.errors import EndpointError, ItemError
from skygraft.imagery.catalogue import Items, Searched
from skygraft.imagery.earthengine.images import SENTINEL2, listing
from skygraft.imagery.earthengine.session import EarthEngine
from skygraft.imagery.queries import Query
from skygraft.imagery.scenes import CATALOGUES

_LOG = logging.getLogger(__name__)
_TOGETHER = 50
_PROPERTIES = {
    "index": "system:index",
    "time": "system:time_start",
    "cloud": "CLOUDY_PIXEL_PERCENTAGE",
    "tile": "MGRS_TILE",
    "baseline": "PROCESSING_BASELINE",
}
_GRID_BAND = "B2"


def list_scenes(session: EarthEngine, queries: Iterable[Query], concurrency: int) -> Iterator[Searched]:
    """Asks many questions, and hands over what becomes of each as it comes.

    Args:
        session: An open session.
        queries: The questions.
        concurrency: Requests under way at once.

    Raises:
        EndpointError: The service as a whole cannot be used; what was handed over is good.
    """

    def ask(together: Sequence[Query]) -> list[Searched]:
        try:
            return answers(together, _items(session, together))
        except ItemError as error:
            return [Searched(query, None, error) for query in together]

    with ThreadPoolExecutor(concurrency, thread_name_prefix="list") as pool:
        waiting = [pool.submit(ask, together) for together in _together(queries)]
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


def item_of(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature of the listing as a catalogue's item: its assets are bands of one image.

    What is missing stays missing: whoever makes a row of it says so. Clouds are per cent of the whole image; the offset of newer baselines
    is off already, as the collection's name says.
    """
    known = dict(feature.get("properties") or {})
    milliseconds = known.get("time")
    index = known.get("index")
    properties = {
        "datetime": datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if isinstance(milliseconds, int | float) else None,
        "eo:cloud_cover": known.get("cloud"),
        "s2:mgrs_tile": known.get("tile"),
        "s2:processing_baseline": known.get("baseline"),
        "proj:code": known.get("crs"),
        "earthsearch:boa_offset_applied": True,
    }
    properties = {name: value for name, value in properties.items() if value is not None}
    bands = CATALOGUES["earth_engine"].assets.values() if index else ()
    assets = {band: {"href": f"{SENTINEL2}/{index}"} for band in bands}
    return {"id": index, "geometry": feature.get("geometry"), "properties": properties, "assets": assets}


def _items(session: EarthEngine, queries: Sequence[Query]) -> Items:
    first, last = queries[0].first, queries[0].last
    features = session.features(listing(SENTINEL2, [query.bbox for query in queries], first, last, _GRID_BAND, _PROPERTIES))
    items = {str(item["id"]): item for item in map(item_of, features)}
    _LOG.debug("images=%d regions=%d from %s to %s", len(items), len(queries), first, last)
    return list(items.values())


def _together(queries: Iterable[Query]) -> Iterator[list[Query]]:
    """Questions of one span of days, so many at once."""

    def span(query: Query) -> tuple[date, date]:
        return query.first, query.last

    for _, members in itertools.groupby(sorted(queries, key=lambda query: (span(query), query)), key=span):
        listed = list(members)
        yield from (listed[start : start + _TOGETHER] for start in range(0, len(listed), _TOGETHER))


def _touches(item: Mapping[str, Any], box: shapely.Polygon) -> bool:
    """Whether an item's outline touches a region, wherever its longitudes are counted from."""
    try:
        outline = shapely.make_valid(shapely.from_geojson(json.dumps(item["geometry"])))
    except (shapely.errors.GEOSException, TypeError, ValueError):
        return False
    return any(shapely.intersects(translate(outline, turn), box) for turn in (0.0, 360.0, -360.0))
