"""Searching a STAC catalogue so that its bad days do no harm: real retries, an end to waiting, and pages that are checked.

pystac-client's own default does not try a failed POST again, forgets a timeout on opening, follows next links for ever, and takes an
answer that is no page at all for an empty one. Its search is used; its pages are read and checked here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import requests
import urllib3
from pystac import Link
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.exceptions import APIError
from pystac_client.item_search import ItemSearch
from pystac_client.stac_api_io import StacApiIO

from skygraft.config.network import Network
from skygraft.core.errors import EndpointError, ItemError, Reason, TransientError
from skygraft.core.http_errors import Problem, problem_of_exception, problem_of_status
from skygraft.imagery.patience import within
from skygraft.imagery.queries import Query
from skygraft.imagery.scenes import Catalogue

_LOG = logging.getLogger(__name__)
_PAGE = 250
_STATUSES = (408, 429, 500, 502, 503, 504)
_EXHAUSTED = re.compile(r"too many (\d{3}) error responses")
_BARREN_PAGES = 3
Items = list[dict[str, Any]]


@dataclass(frozen=True)
class Searched:
    """What became of one question.

    Args:
        query: The question.
        items: Items as parsed JSON, each id once; none where it failed.
        error: Why it failed, or none.
    """

    query: Query
    items: Items | None
    error: ItemError | None


class Searcher:
    """Asks one catalogue; usable from several threads, each with a connection of its own.

    Args:
        catalogue: Which one.
        network: Limits and patience.
        url: Another address than the catalogue's own.
        bands: Bands whose assets are asked for, where the catalogue can leave others out.
    """

    def __init__(self, catalogue: Catalogue, network: Network, *, url: str | None = None, bands: Iterable[str] = ()) -> None:
        self._catalogue, self._network = catalogue, network
        self._url = url or catalogue.url
        self._assets = sorted(catalogue.assets[band] for band in bands)
        self._idle: SimpleQueue[tuple[Client, StacApiIO]] = SimpleQueue()

    def search(self, query: Query) -> Items:
        """All items that answer a question, each once, in the catalogue's order.

        Raises:
            ItemError: The catalogue failed for good; transient errors were tried again within the network's attempts and deadline.
        """
        deadline = time.monotonic() + self._network.deadline_s
        for attempt in range(1, self._network.attempts + 1):
            left = max(0.1, deadline - time.monotonic())
            try:
                return within(left, lambda: self._materialised(query), f"search of {self._catalogue.name} for {query}")
            except (APIError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problem, final = _problem(error)
                wait = self._network.backoff_s * 2 ** (attempt - 1)
                if final or attempt == self._network.attempts or time.monotonic() + wait >= deadline:
                    raise problem.error(self._url, attempt) from error
                _LOG.info("search %s failed (%s), attempt %d", query, problem.what, attempt)
                time.sleep(wait)
        raise AssertionError("unreachable: the last attempt raises")

    def _materialised(self, query: Query) -> Items:
        """Reads all pages before anything is done with them: a listing left open for long dies on the server."""
        client, io = self._client()
        found: dict[str, dict[str, Any]] = {}
        followed: set[str] = set()
        barren = 0
        for page in _pages(io, self._search(client, query)):
            before = len(found)
            for item in page["features"]:
                found.setdefault(str(item.get("id")), item)
            barren = barren + 1 if len(found) == before else 0
            link = _next(page)
            fingerprint = json.dumps([link.get("href"), link.get("body")], sort_keys=True) if link else ""
            if link and (fingerprint in followed or barren >= _BARREN_PAGES):
                if _matched(page) == len(found):
                    break
                what = f"the catalogue's pages go in a circle after {len(found)} items"
                raise TransientError(f"{self._url}: {what} ({query}); try again later.", Reason.SERVER_ERROR, what)
            followed.add(fingerprint)
        # A client whose search failed is dropped with its connections.
        self._idle.put((client, io))
        return list(found.values())

    def _search(self, client: Client, query: Query) -> ItemSearch:
        fields = None
        if self._assets and client.conforms_to(ConformanceClasses.FIELDS):
            fields = {"include": ["id", "geometry", "bbox", "properties", *(f"assets.{name}" for name in self._assets)]}
        return client.search(
            collections=[self._catalogue.collection], bbox=list(query.bbox), datetime=query.datetime, limit=_PAGE, fields=fields
        )

    def _client(self) -> tuple[Client, StacApiIO]:
        """A client that nobody uses: its session is not made for several threads."""
        with contextlib.suppress(Empty):
            return self._idle.get_nowait()
        timeout = self._network.read_timeout_s
        io = StacApiIO(max_retries=_retry(self._network), timeout=timeout)
        # open() resets the timeout of the connection it is given: it must be told as well.
        return Client.open(self._url, stac_io=io, timeout=timeout), io


def _pages(io: StacApiIO, search: ItemSearch) -> Iterator[dict[str, Any]]:
    """The pages of a search; an answer that is no page raises ValueError, an empty page does not end the listing."""
    parameters = search.get_parameters()
    page = io.read_json(search.url, method=search.method, parameters=parameters)
    while True:
        if not isinstance(page, dict) or not isinstance(page.get("features"), list):
            raise ValueError("no FeatureCollection")
        yield page
        link = _next(page)
        if link is None:
            return
        page = io.read_json(Link.from_dict(link), parameters=parameters)


def _next(page: dict[str, Any]) -> dict[str, Any] | None:
    return next((link for link in page.get("links", []) if link.get("rel") == "next"), None)


def search_all(searcher: Searcher, queries: Iterable[Query], network: Network) -> Iterator[Searched]:
    """Asks many questions, several at once, and hands over what becomes of each as it comes.

    Raises:
        EndpointError: So many failed in a row that the catalogue is taken for dead; what was handed over is good.
    """

    def ask(query: Query) -> Searched:
        try:
            return Searched(query, searcher.search(query), None)
        except ItemError as error:
            return Searched(query, None, error)

    failures = 0
    with ThreadPoolExecutor(network.concurrency, thread_name_prefix="search") as pool:
        waiting = [pool.submit(ask, query) for query in queries]
        for future in as_completed(waiting):
            searched = future.result()
            yield searched
            failures = failures + 1 if searched.error is not None and searched.error.reason.transient else 0
            if failures >= network.dead_after and searched.error is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                raise EndpointError(f"{failures} searches in a row failed, the last: {searched.error}") from searched.error


def _retry(network: Network) -> urllib3.Retry:
    class Capped(urllib3.Retry):
        """Obeys Retry-After, but never beyond the deadline."""

        def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
            wait = super().get_retry_after(response)
            return None if wait is None else min(wait, network.deadline_s)

    # Without allowed_methods=None a POST is never tried again, whatever the status list says.
    return Capped(
        total=network.attempts - 1,
        backoff_factor=network.backoff_s,
        status_forcelist=_STATUSES,
        allowed_methods=None,
        respect_retry_after_header=True,
    )


def _problem(error: Exception) -> tuple[Problem, bool]:
    """What an error of the client means, and whether trying again is pointless because it was done, or would not help."""
    if not isinstance(error, APIError):
        return Problem(Reason.SERVER_ERROR, "an answer that is no STAC page", answered=True), False
    code = getattr(error, "status_code", None)
    if code is not None:
        problem = problem_of_status(int(code), {}, str(error).encode(), time.time())
        return problem, not problem.reason.transient
    exhausted = _EXHAUSTED.search(str(error))
    if exhausted is not None:
        return problem_of_status(int(exhausted[1]), {}, b"", time.time()), True
    problem = problem_of_exception(error)
    return problem, isinstance(error.__context__, requests.exceptions.ConnectionError) and "Max retries" in str(error)


def _matched(page: dict[str, Any]) -> int | None:
    matched = page.get("numberMatched", (page.get("context") or {}).get("matched"))
    return None if matched is None else int(matched)
