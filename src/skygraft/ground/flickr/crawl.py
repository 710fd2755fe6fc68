"""A search of Flickr from its first question to its last answer: kept answers first, then the service, several requests at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pyarrow as pa

from skygraft.core.errors import EndpointError, ItemError, SkygraftError
from skygraft.ground.flickr.answers import LICENCES
from skygraft.ground.flickr.client import FlickrClient, Page
from skygraft.ground.flickr.journal import PageJournal
from skygraft.ground.flickr.split import Ask, Crawl, Outcome

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0
_ASTRAY_AT_MOST = 40
_NAMED = 10


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
        calls.kept += 1
        if (ask := crawl.claim(name)) is not None:
            crawl.tell(ask, page.answer)
        keep(page.rows)
    licences = journal.licences()
    if licences is None or crawl.waiting:
        with connect() as client:
            if licences is None:
                licences = client.licences()
                journal.add_licences(licences)
            _Asking(crawl, journal, client, keep, calls).run(concurrency)
    _check_licences(licences)
    return calls, LICENCES | licences


@dataclass
class _Asking:
    """The live part of a search: requests under way, and what went wrong first."""

    crawl: Crawl
    journal: PageJournal
    client: FlickrClient
    keep: Callable[[pa.RecordBatch], None]
    calls: Calls
    failure: SkygraftError | None = None
    astray: int = 0
    said: float = field(default_factory=time.monotonic)

    def run(self, concurrency: int) -> None:
        """Asks until nothing is left; after a failure, what is under way is still kept."""
        under_way: dict[Future[Page], Ask] = {}
        with ThreadPoolExecutor(concurrency, thread_name_prefix="search") as pool:
            try:
                while True:
                    while self.failure is None and len(under_way) < concurrency and (ask := self.crawl.take()) is not None:
                        under_way[pool.submit(self.client.page, ask)] = ask
                    if not under_way:
                        break
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        self._finish(under_way.pop(future), future)
            except BaseException:
                # Whoever waits out a pause of the service would keep the pool from ending.
                self.client.stop()
                raise
        if isinstance(self.failure, ItemError):
            kept = self.calls.kept + self.calls.made
            raise EndpointError(
                f"{self.failure} The {kept} answers so far are kept: the same command goes on after them."
            ) from self.failure
        if self.failure is not None:
            raise self.failure

    def _finish(self, ask: Ask, future: Future[Page]) -> None:
        try:
            page = future.result()
        except SkygraftError as error:
            self.failure = self.failure or error
            return
        self.journal.add(ask.key, page)
        self.crawl.tell(ask, page.answer)
        self.keep(page.rows)
        self.calls.made, self.calls.photos = self.calls.made + 1, self.calls.photos + page.rows.num_rows
        self.astray = self.astray + 1 if page.shown and not page.rows.num_rows else 0
        if self.astray >= _ASTRAY_AT_MOST:
            self.failure = self.failure or EndpointError(
                f"the service answered {self.astray} times in a row with photos of other places or times than asked: it does not heed the "
                "question. Check api_url; delete the work folder before the next try."
            )
        if time.monotonic() - self.said >= _SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            _LOG.info("calls=%d photos=%d requests_waiting=%d", self.calls.made, self.calls.photos, self.crawl.waiting)


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
    if outcome.sampled:
        places = f"{outcome.sampled} of {outcome.parts} places"
        _LOG.info("%s: of %s only the first %d pages (pages_a_place) were asked: they have more photos", name, places, outcome.pages)
    if len(outcome.too_many) > _NAMED:
        _LOG.warning("%s: %d parts have more photos than the service gives, and cannot be cut; some of them:", name, len(outcome.too_many))
    for key, total in outcome.too_many[:_NAMED]:
        _LOG.warning("%s: the service counts %d photos in %s, gives no more than its limit, and the part cannot be cut", name, total, key)
    parts, photos = outcome.short
    if parts:
        _LOG.warning("%s: %d parts gave %d photos fewer than the service counted; its counts are estimates", name, parts, photos)
