"""Searching a service box by box: a box whose answer is full is cut in four, until every part is whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from skygraft.core.errors import SkygraftError, TransientError
from skygraft.core.http import HttpClient
from skygraft.core.progress import progress
from skygraft.ground.areas import Box, Region
from skygraft.ground.grid import quarters
from skygraft.ground.page_log import PageLog

SMALLEST = 1e-5
"""Side of the smallest box that is asked for, degrees (about a metre): what stands closer together cannot be told apart by place."""
_CUT = "cut"
_TOLERATED = 5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """One answer.

    Args:
        photos: A table of photos.
        whole: Whether the box holds no more than these.
    """

    photos: pa.Table
    whole: bool


class Service(Protocol):
    """A service that is asked by boxes."""

    def search(self, client: HttpClient, box: Box) -> Found:
        """What a box holds; called in several threads."""


def search_boxes(client: HttpClient, service: Service, region: Region, cells: Sequence[Box], log: PageLog, concurrency: int) -> None:
    """Asks for every cell, and for the parts of those that hold more than one answer shows.

    Args:
        client: Makes the requests.
        service: Whom to ask.
        region: The area of interest: parts outside it are not asked for.
        cells: Boxes that cover it.
        log: What has been answered, and where answers go.
        concurrency: Boxes under way at once.

    Raises:
        ItemError: The service refuses; what was answered is kept.
        EndpointError: It is dead, or asks for too long a pause.
        SkygraftError: Some boxes failed for passing reasons; the same command asks for these again.
    """
    wave, failed = list(cells), list[TransientError]()
    crowded, guard = 0, threading.Lock()

    def ask(box: Box) -> None:
        nonlocal crowded
        found = service.search(client, box)
        small = min(box[2] - box[0], box[3] - box[1]) <= SMALLEST
        # Kept by the thread that asked, before it asks for anything else: a killed search has nothing to ask for again.
        with guard:
            crowded += not found.whole and small
            log.add(_name(box), "" if found.whole or small else _CUT, found.photos)

    while wave:
        asked = [box for box in wave if log.following(_name(box)) is None]
        with progress(len(asked), "boxes") as advance:
            _ask_all(client, ask, asked, concurrency, failed, advance)
        cut = [box for box in wave if log.following(_name(box)) == _CUT]
        wave = [part for box in cut for part in quarters(box) if region.touches(part)]
    if crowded:
        _LOG.warning("%d boxes of a metre hold more photos than the service shows at once: the rest of them is not had", crowded)
    if failed:
        raise SkygraftError(
            f"{len(failed)} boxes failed; the others are kept, and the same command asks for these again. First: {failed[0]}"
        )


def _ask_all(
    client: HttpClient,
    ask: Callable[[Box], None],
    boxes: Sequence[Box],
    concurrency: int,
    failed: list[TransientError],
    advance: Callable[[int], None],
) -> None:
    """Asks for boxes in several threads; one that fails for a passing reason is noted, any other error ends the search."""
    with ThreadPoolExecutor(concurrency, thread_name_prefix="search") as pool:
        try:
            for future in _spread(pool, boxes, ask, 2 * concurrency):
                try:
                    future.result()
                except TransientError as error:
                    failed.append(error)
                    _LOG.warning("%s", error)
                    if len(failed) >= _TOLERATED:
                        raise
                advance(1)
        except BaseException:
            # The threads that still wait for an answer or for their turn must not be waited for.
            client.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _spread(pool: ThreadPoolExecutor, boxes: Sequence[Box], ask: Callable[[Box], None], most: int) -> Iterator[Future[None]]:
    """Finished futures as they come, at most so many under way."""
    under_way: set[Future[None]] = set()
    waiting = iter(boxes)
    while True:
        while len(under_way) < most and (box := next(waiting, None)) is not None:
            under_way.add(pool.submit(ask, box))
        if not under_way:
            return
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        yield from done


def _name(box: Box) -> str:
    return ",".join(f"{edge:.7f}" for edge in box)
