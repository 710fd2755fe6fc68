"""Fields of the services' answers that are missing or of another kind: a photo is left out, or lacks that fact; nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.servers.standin import StandIn, scattered, stand_in

from skygraft.core.errors import ItemError
from skygraft.core.http import HttpClient, HttpPolicy
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import conform
from skygraft.ground import inaturalist
from skygraft.ground.areas import Region
from skygraft.ground.commons import Commons
from skygraft.ground.daily import DailyLimit
from skygraft.ground.mapillary import Mapillary
from skygraft.ground.page_log import PageLog
from skygraft.ground.photo_rows import merged
from skygraft.world import commons as commons_service
from skygraft.world import inaturalist as inaturalist_service
from skygraft.world import mapillary as mapillary_service
from skygraft.world.wire import Request, Response

BOX = (10.36, 48.68, 10.43, 48.73)
PHOTOS_THERE = scattered(60)
ABSENT = object()
ODD: list[Any] = [ABSENT, None, "", "x", 7, -1.5, True, [], [None], {}, {"value": None}]
SERVED: dict[str, Any] = {
    "commons": commons_service.Commons(PHOTOS_THERE).serve,
    "mapillary": mapillary_service.Mapillary(PHOTOS_THERE, 60).serve,
    "inaturalist": inaturalist_service.INaturalist(PHOTOS_THERE).serve,
}
PATHS = {"commons": "/w/api.php", "mapillary": "/images", "inaturalist": "/v1/observations"}


def asked(source: str, server: StandIn, place: Path) -> pa.Table:
    region, url = Region((BOX,)), server.base + PATHS[source]
    with HttpClient(HttpPolicy(attempts=1, user_agent="test")) as client:
        if source == "commons":
            return Commons(url, 960, region).search(client, BOX).photos
        if source == "mapillary":
            return Mapillary(url, "token", "thumb_1024_url", (None, None), region).search(client, BOX).photos
        choice = inaturalist.Choice(region, (None, None), ("cc0", "cc-by", "cc-by-sa", "cc-by-nc"), 100.0, "medium")
        with PageLog(place / "answers.log") as log:
            inaturalist.search(client, url, choice, log, DailyLimit(place / "requests.txt", 100, "it"))
            return merged(log.photos())


def paths_of(value: Any, below: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of a document, the first entry of a list standing for all."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield (*below, key)
            yield from paths_of(entry, (*below, key))
    elif isinstance(value, list) and value:
        yield from paths_of(value[0], (*below, 0))


def changed(document: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """The document with one value taken out or replaced, where it has it."""
    if path not in list(paths_of(document)):
        return document
    copy = json.loads(json.dumps(document))
    parent = copy
    for step in path[:-1]:
        parent = parent[step]
    if odd is ABSENT:
        del parent[path[-1]]
    else:
        parent[path[-1]] = odd
    return copy


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_no_field_that_is_missing_or_odd_breaks_a_search(source: str, tmp_path: Path) -> None:
    bend: list[Callable[[Any], Any]] = []
    true: list[Any] = []

    def spoil(number: int, request: Request, response: Response) -> Response:
        assert isinstance(response.body, bytes)
        document = json.loads(response.body)
        if not true:
            true.append(document)
        return Response(200, response.headers, json.dumps(bend[0](document) if bend else document).encode())

    with stand_in(SERVED[source], spoil) as server:
        whole = asked(source, server, tmp_path)
        names = set(whole.column("photo_id").to_pylist())
        assert len(names) >= 3
        paths, lost, refused = list(paths_of(true[0])), 0, 0
        for number, (path, odd) in enumerate((path, odd) for path in paths for odd in ODD):
            bend[:] = [lambda document, path=path, odd=odd: changed(document, path, odd)]
            place = tmp_path / str(number)
            try:
                table = conform(PHOTOS, asked(source, server, place), f"{path} {odd}")
            except ItemError:
                refused += 1
                continue
            found = set(table.column("photo_id").to_pylist())
            # A record that was bent may be left out, or tell another number as its own; every other stays.
            assert len(names - found) <= 2 or len(path) <= 2, (path, odd)
            lost += bool(names - found)
    assert len(paths) >= 12
    assert lost > 10
    assert refused < 0.5 * len(paths) * len(ODD)
