"""A search of Flickr from its first question to its last answer: kept answers first, then the service, several requests at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pyarrow as pa

from skygraft.core.errors import EndpointError, ItemError, SkygraftError
from skygraft.ground.flickr import FlickrClient, Page
from skygraft.ground.flickr_answers import LICENCES
from skygraft.ground.flickr_journal import PageJournal
from skygraft.ground.flickr_split import Ask, Crawl, Outcome

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0
_ASTRAY_AT_MOST = 40


@dataclass
class Calls:
    """How many answers were taken over, and how many calls were made."""

    kept: int = 0
    made: int = 0
    photos: int = 0


def search(
    crawl: Crawl,
    journal: PageJournal,
    connect: Callable[[], AbstractContextManager[FlickrClient]],
    concurrency: int,
    keep: Callable[[pa.RecordBatch], None],
) -> tuple[Calls, dict[int, str]]:
    """Runs a crawl to its end.

    Args:
        crawl: What to ask.
        journal: Kept answers, open; new ones are added as they come.
        connect: Opens the way to the service; called only where something is left to ask.
        concurrency: Requests under way at once.
        keep: Given the photos of every answer, once each.

    Returns:
        What it took, and the licences' short names by number.

    Raises:
        SkygraftError: The service failed; answers so far are kept.
    """
    calls = Calls()
    for name, page in journal.pages():
        ask = crawl.claim(name)
        if ask is not None:
            _take(crawl, ask, page, keep)
            calls.kept += 1
    licences = journal.licences()
    if licences is None or crawl.waiting:
        with connect() as client:
            if licences is None:
                licences = client.licences()
                journal.add_licences(licences)
            _ask(crawl, journal, client, concurrency, keep, calls)
    _check_licences(licences)
    return calls, LICENCES | licences


def _ask(
    crawl: Crawl, journal: PageJournal, client: FlickrClient, concurrency: int, keep: Callable[[pa.RecordBatch], None], calls: Calls
) -> None:
    """Asks until nothing is left; after a failure, what is under way is still kept."""
    under_way: dict[Future[Page], Ask] = {}
    failure: SkygraftError | None = None
    said, astray = time.monotonic(), 0
    with ThreadPoolExecutor(concurrency, thread_name_prefix="search") as pool:
        while True:
            while failure is None and len(under_way) < concurrency and (ask := crawl.take()) is not None:
                under_way[pool.submit(client.page, ask)] = ask
            if not under_way:
                break
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                ask = under_way.pop(future)
                try:
                    page = future.result()
                except SkygraftError as error:
                    failure = failure or error
                    continue
                journal.add(ask.key, page)
                _take(crawl, ask, page, keep)
                calls.made, calls.photos = calls.made + 1, calls.photos + page.rows.num_rows
                astray = astray + 1 if page.shown and not page.rows.num_rows else 0
            if astray >= _ASTRAY_AT_MOST:
                failure = failure or EndpointError(
                    f"the service answered {astray} times in a row with photos of other places or times than asked: it does not heed the "
                    "question. Check api_url; delete the work folder before the next try."
                )
            if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                _LOG.info("calls=%d photos=%d requests_waiting=%d", calls.made, calls.photos, crawl.waiting)
    if failure is not None:
        raise _told(failure, calls) from failure


def _take(crawl: Crawl, ask: Ask, page: Page, keep: Callable[[pa.RecordBatch], None]) -> None:
    crawl.tell(ask, page.answer)
    keep(page.rows)


def _told(failure: SkygraftError, calls: Calls) -> SkygraftError:
    """The failure of one request as that of the search, which can go on."""
    if not isinstance(failure, ItemError):
        return failure
    return EndpointError(f"{failure} The {calls.kept + calls.made} answers so far are kept: the same command goes on after them.")


def _check_licences(said: dict[int, str]) -> None:
    for number, name in sorted(said.items()):
        if LICENCES.get(number, name) != name:
            _LOG.warning(
                "licence %d is %r by the service, %r by the built-in table: the service's word counts", number, name, LICENCES[number]
            )
        elif number not in LICENCES:
            _LOG.warning("licence %d (%r) is new: this version of skygraft does not know it", number, name)


def tell_outcome(outcome: Outcome, name: str) -> None:
    """Logs what a user should know of a search: parts that are too full, and counts that were not reached."""
    for key, total in outcome.too_many:
        _LOG.warning("%s: the service counts %d photos in %s, gives no more than its limit, and the part cannot be cut", name, total, key)
    parts, photos = outcome.short
    if parts:
        _LOG.warning("%s: %d parts gave %d photos fewer than the service counted; its counts are estimates", name, parts, photos)
