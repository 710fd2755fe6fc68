"""Many requests at once: a pool of threads, a bounded number under way, results handed over as they come."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from skygraft.core.errors import ItemError
from skygraft.core.http import HttpClient, Request, Response, Stopped, Trace

Value = TypeVar("Value")
# Between two looks of an idle thread at whether there is room for it now, seconds.
_LOOK_S = 0.25
# For so long results are gathered before they are handed over: to be woken for each one takes longer than to take it in.
_GATHER_S = 0.004


@dataclass(frozen=True)
class Fetched(Generic[Value]):
    """What became of one request.

    Args:
        request: The request.
        value: What ``process`` made of the answer, or none.
        error: Why there is no value, or none.
        trace: What it took.
    """

    request: Request
    value: Value | None
    error: ItemError | None
    trace: Trace = field(repr=False)


@dataclass
class _Pool(Generic[Value]):
    """What the threads of one call share."""

    client: HttpClient
    process: Callable[[Request, Response], Value]
    requests: Iterator[Request]
    threads: int
    under_way: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    # No thread that waits for room is needed any more.
    through: threading.Event = field(default_factory=threading.Event)
    results: SimpleQueue[Fetched[Value] | BaseException | None] = field(default_factory=SimpleQueue)

    def work(self, number: int) -> None:
        """Takes requests until there are none; an error that is no item's own goes to the caller.

        Args:
            number: Which thread this is: one for which there is no room takes no request, and leaves the others alone.
        """
        try:
            with contextlib.suppress(Stopped):
                while (request := self.next_request(number)) is not None:
                    self.results.put(self.fetch(request))
            self.results.put(None)
        except BaseException as error:
            # A thread's error would die with it: the caller's thread raises it.
            self.results.put(error)

    def end(self) -> None:
        """Lets every thread stop after the request it is at."""
        self.ended.set()
        self.through.set()
        self.under_way.release(self.threads)

    def next_request(self, number: int) -> Request | None:
        """The next request, once there is room for it and for its result."""
        while number >= self.client.room() and not self.through.wait(_LOOK_S):
            pass
        self.under_way.acquire()
        with self.lock:
            request = None if self.ended.is_set() else next(self.requests, None)
        if request is None:
            self.through.set()
        return request

    def fetch(self, request: Request) -> Fetched[Value]:
        """One request, to its result."""
        trace = Trace()
        try:
            return Fetched(request, self.process(request, self.client.get(request, trace)), None, trace)
        except ItemError as error:
            return Fetched(request, None, error, trace)


def fetch_many(
    client: HttpClient,
    requests: Iterable[Request],
    on_result: Callable[[Fetched[Value]], None],
    *,
    process: Callable[[Response], Value],
    concurrency: int = 16,
    before_waiting: Callable[[], None] = lambda: None,
) -> None:
    """Gets many URLs, in any order.

    Args:
        client: Makes the requests, within its limits per host.
        requests: What to get; drawn as there is room.
        on_result: Called in the caller's thread, once a request.
        process: Turns an answer into the result's value; called in the pool's threads, so that the caller only keeps. An ItemError it
            raises is the item's result.
        before_waiting: Called in the caller's thread when there is no further result yet, and at the end: what was put aside is kept then.
        concurrency: Threads; at most twice as many results wait for the caller.

    Raises:
        EndpointError: A host is dead or asks for too long a pause; results so far were handed over.
    """
    results = fetched(client, requests, process=lambda _, answer: process(answer), concurrency=concurrency, before_waiting=before_waiting)
    with contextlib.closing(results):
        for result in results:
            on_result(result)


def fetched(
    client: HttpClient,
    requests: Iterable[Request],
    *,
    process: Callable[[Request, Response], Value],
    concurrency: int = 16,
    before_waiting: Callable[[], None] = lambda: None,
) -> Generator[Fetched[Value], None, None]:
    """Gets many URLs, in any order, for a caller who takes the results one by one; close it, or exhaust it.

    Args:
        client: Makes the requests, within its limits per host.
        requests: What to get; drawn as there is room.
        process: As for :func:`fetch_many`, with the request too.
        concurrency: Threads; at most twice as many results wait for the caller.
        before_waiting: As for :func:`fetch_many`.

    Raises:
        EndpointError: A host is dead or asks for too long a pause; results so far were handed over.
    """
    pool = _Pool(client, process, iter(requests), concurrency, threading.Semaphore(2 * concurrency))
    threads = [threading.Thread(target=pool.work, args=(n,), name=f"fetch-{n}", daemon=True) for n in range(concurrency)]
    for thread in threads:
        thread.start()
    try:
        yield from _hand_over(pool, before_waiting, len(threads))
    finally:
        pool.end()
    for thread in threads:
        thread.join()


def _hand_over(pool: _Pool[Value], before_waiting: Callable[[], None], threads: int) -> Iterator[Fetched[Value]]:
    """Passes results on until every thread has ended; the first error that is no item's own is raised then, and nothing new is begun."""
    fatal: BaseException | None = None
    while threads:
        if pool.results.empty():
            before_waiting()
            if threads > 1:
                time.sleep(_GATHER_S)
        result = pool.results.get()
        if isinstance(result, Fetched):
            pool.under_way.release()
            yield result
            continue
        threads -= 1
        if result is not None:
            fatal = fatal or result
            pool.end()
    before_waiting()
    if fatal is not None:
        raise fatal
