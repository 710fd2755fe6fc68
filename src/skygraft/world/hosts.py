"""Who answers for which production host of the embedded world, with what faults."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from skygraft.world.access import AccessLog, LoggedRequest
from skygraft.world.aerial.hosts import AerialHosts
from skygraft.world.asgi import Application, ask
from skygraft.world.earthengine_account import HOSTS as EARTH_ENGINE
from skygraft.world.faults import Faults, instead, page_before, spoil
from skygraft.world.items import read_documents
from skygraft.world.open_photos import OpenPhotos
from skygraft.world.scattered import TABLE
from skygraft.world.signatures import BLOB_DOMAIN, Signer
from skygraft.world.static import StaticHosts
from skygraft.world.wire import Request, Response

if TYPE_CHECKING:
    from skygraft.world.earthengine import EarthEngineService
    from skygraft.world.flickr import Flickr


@dataclass(frozen=True)
class Catalogue:
    """A STAC API: its host, the path it stands below, its folder's name in the world, and whether its pages say `numberMatched`."""

    host: str
    root: str
    name: str
    title: str
    matched: bool


PLANETARY = Catalogue(
    "planetarycomputer.microsoft.com",
    "/api/stac/v1",
    "planetary",
    "Microsoft Planetary Computer STAC API",
    matched=False,
)
EARTH_SEARCH = Catalogue("earth-search.aws.element84.com", "/v1", "earth_search", "Earth Search by Element 84", matched=True)
FLICKR = "api.flickr.com"
_SAS = "/api/sas/v1/"


class World:
    """Answers for every host.

    Args:
        folder: of the drawn world, with `http` and `stac`.
        faults: what goes wrong.
        log: where requests are written, or None.
        token_seconds: how long a signature is good.
        refresh_token: of the one user of the world's Earth Engine, or None.
    """

    def __init__(self, folder: Path, faults: Faults, log: AccessLog | None, token_seconds: int, refresh_token: str | None = None) -> None:
        self._static = StaticHosts(folder / "http")
        self._faults = faults
        self._log = log
        self._folder = folder
        self._flickr: Flickr | None = None
        self._earth_engine: EarthEngineService | None = None
        self._refresh_token = refresh_token
        self._open_photos = OpenPhotos(folder, token_seconds)
        self._aerial = AerialHosts(folder)
        self._applications: dict[str, Application] = {}
        documents = read_documents(folder / "stac" / PLANETARY.name / "collections.ndjson")
        account, container = "msft:storage_account", "msft:container"
        places = {one["id"]: (str(one[account]), str(one[container])) for one in documents if {account, container} <= one.keys()}
        self._signer = Signer(token_seconds, places)

    async def answer(self, request: Request) -> Response:
        """The answer to a request, faulty where a rule says so, logged before it leaves."""
        rule = self._faults.take(request)
        if rule is None:
            response = await self._true_answer(request)
        else:
            if rule.kind == "delay":
                await asyncio.sleep(rule.seconds)
            replaced = instead(rule, request)
            asked = page_before(request) if rule.kind == "repeat" and request.host == FLICKR else request
            response = spoil(rule, request, await self._true_answer(asked)) if replaced is None else replaced
        if self._log is not None:
            unsent = response.flaw is not None and response.flaw.reset and not response.flaw.stop
            status = 0 if unsent else response.status
            wanted = request.headers.get("range")
            self._log.write(LoggedRequest(request.method, request.host, request.path, status, wanted, response.sent_length(request.method)))
        return response

    async def _true_answer(self, request: Request) -> Response:
        for catalogue in (PLANETARY, EARTH_SEARCH):
            if request.host == catalogue.host and (request.path + "/").startswith(catalogue.root + "/"):
                return await self._search(catalogue, request)
        if request.host == PLANETARY.host and request.path.startswith(_SAS):
            return self._signer.serve(request)
        if request.host == FLICKR and (self._folder / TABLE).exists():
            return self._photos(request)
        if request.host in EARTH_ENGINE:
            return self._computed(request)
        if (serve := self._open_photos.of(request.host)) is not None:
            return serve(request)
        aerial = self._aerial.of(request.host)
        if aerial is None and not self._static.knows(request.host):
            return _unknown(request.host)
        if request.host.endswith(BLOB_DOMAIN) and (refusal := self._signer.refusal(request)) is not None:
            return refusal
        return self._static.serve(request) if aerial is None else aerial(request)

    def _photos(self, request: Request) -> Response:
        if self._flickr is None:
            from skygraft.world.flickr import Flickr

            self._flickr = Flickr(self._folder)
        return self._flickr.serve(request)

    def _computed(self, request: Request) -> Response:
        if self._earth_engine is None:
            from skygraft.world.earthengine_scenes import service_of

            self._earth_engine = service_of(self._folder, self._refresh_token)
        return self._earth_engine.answer(request)

    async def _search(self, catalogue: Catalogue, request: Request) -> Response:
        folder = self._folder / "stac" / catalogue.name
        if not folder.is_dir():
            return _unknown(request.host)
        if catalogue.name not in self._applications:
            # Imported when first asked: half of a process's start, and most verbs never search.
            # The module makes settings of its own as it is imported, and warns that they are the defaults: they are not ours.
            logging.getLogger("stac_fastapi.types.config").setLevel(logging.ERROR)
            from skygraft.world.stac import build_catalogue

            more = self._aerial.catalogue() if catalogue is PLANETARY else (None, [])
            self._applications[catalogue.name] = build_catalogue(folder, title=catalogue.title, matched=catalogue.matched, more=more)
        return await ask(self._applications[catalogue.name], request, catalogue.root)


def _unknown(host: str) -> Response:
    text = f"{host}: this host is not part of the embedded world\n"
    return Response(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())
