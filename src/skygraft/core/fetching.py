"""Many requests at once: a bounded number under way, results handed over as they come.

One thread watches the connections (:mod:`skygraft.core.lanes`). What has to wait goes to other threads, of which there are as many as are
needed at once; so does what is to be made of an answer, unless it takes next to no time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from skygraft.core.errors import DeadHostError, ItemError, TransientError
from skygraft.core.host_gate import HostGate
from skygraft.core.http import Begun, HttpClient, Request, Response, Stopped, Trace, usable
from skygraft.core.lanes import Lanes, Task

Value = TypeVar("Value")
# Between two looks at whether there is room for more by now, seconds; where a host is known to have none, more often.
_LOOK_S, _LOOK_SOON_S = 0.25, 0.05
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


@dataclass(frozen=True)
class _Work:
    """What a thread of its own is to do for a request: make it, or what is left of it, and process the answer.

    Args:
        task: The request.
        begun: What has been done of it, or none.
        answer: Its answer, or none.
    """

    task: Task
    begun: Begun | None = None
    answer: Response | None = None


class _Fetching(Generic[Value]):
    """The state of one call.

    Args:
        client: Makes the requests.
        requests: What to get.
        process: Turns an answer into a value.
        concurrency: Requests under way at most; twice as many results wait for the caller.
        processors: Threads that process answers at once; 0: the one that watches.
        many_hosts: Whether the requests go to several hosts.
    """

    def __init__(
        self,
        client: HttpClient,
        requests: Iterator[Request],
        process: Callable[[Request, Response], Value],
        concurrency: int,
        *,
        processors: int,
        many_hosts: Callable[[], bool],
    ) -> None:
        self._client, self._requests, self._process, self._many_hosts = client, requests, process, many_hosts
        self._concurrency, self._processors = concurrency, processors
        self._room_to_process = threading.Semaphore(max(1, processors))
        self.results: SimpleQueue[Fetched[Value] | BaseException | None] = SimpleQueue()
        self._lanes = Lanes(client, self._answered, lambda task, begun: self._hand(_Work(task, begun)))
        self._ended = threading.Event()
        self._drawn = False
        self._lock = threading.Lock()
        self._works: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        # Requests and answers that are with the threads, or wait for one; requests whose results the caller has not taken.
        self._asking = self._processing = self._open = 0
        # What is to be asked of hosts that have no connection to spare at the moment.
        self._queues: dict[HostGate, deque[Task]] = {}

    def taken(self) -> None:
        """Makes room for another result."""
        with self._lock:
            self._open -= 1
            awaited = self._open == 2 * self._concurrency - 1
        if awaited:
            self._lanes.wake()

    def end(self) -> None:
        """Begins nothing more."""
        self._ended.set()
        self._lanes.wake()

    def run(self) -> None:
        """Makes all requests; an error that is no item's own goes to the caller, and so does, at last, a none."""
        try:
            self._watch()
        except BaseException as error:
            # A thread's error would die with it: the caller's thread raises it.
            self.results.put(error)
        finally:
            self.results.put(None)

    def _watch(self) -> None:
        try:
            while self._go_on():
                self._lanes.watch(_LOOK_SOON_S if self._queues else _LOOK_S)
        except BaseException:
            self._lanes.abandon()
            raise
        finally:
            for _ in self._threads:
                self._works.put(None)
            for thread in self._threads:
                thread.join()
            self._lanes.close()

    def _go_on(self) -> bool:
        """Begins what may be begun; whether anything is under way."""
        if self._ended.is_set():
            self._queues.clear()
        for gate, queue in list(self._queues.items()):
            while queue and self._lanes.begin(queue[0]):
                queue.popleft()
            if not queue:
                del self._queues[gate]
        under_way, room = self._under_way(), min(self._concurrency, self._client.room())
        while under_way < room and not self._no_more() and self._open < 2 * self._concurrency:
            request = next(self._requests, None)
            if request is None:
                self._drawn = True
                break
            with self._lock:
                self._open += 1
            self._begin(Task(request))
            under_way = self._under_way()
        return under_way > 0 or not self._no_more()

    def _no_more(self) -> bool:
        return self._drawn or self._ended.is_set()

    def _under_way(self) -> int:
        return len(self._lanes) + self._asking + self._processing + sum(map(len, self._queues.values()))

    def _begin(self, task: Task) -> None:
        if not usable(task.request.url):
            # Whoever makes it says what is wrong with it.
            self._hand(_Work(task))
            return
        gate = self._client.gate(task.request.url)
        if gate in self._queues or not self._lanes.begin(task):
            self._queues.setdefault(gate, deque()).append(task)

    def _answered(self, task: Task, answer: Response) -> None:
        if self._processors:
            self._hand(_Work(task, answer=answer))
        else:
            self.results.put(self._result(_Work(task, answer=answer)))

    def _hand(self, work: _Work) -> None:
        """Gives work to the threads, of which there are as many as are needed at once."""
        needed = self._count(work, 1)
        if len(self._threads) < needed:
            thread = threading.Thread(target=self._work, name=f"fetch-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._works.put(work)

    def _work(self) -> None:
        while (work := self._works.get()) is not None:
            try:
                self.results.put(self._result(work))
            except Stopped:
                self._ended.set()
            except BaseException as error:
                self.results.put(error)
            self._count(work, -1)
            self._lanes.wake()

    def _count(self, work: _Work, change: int) -> int:
        """Keeps count of what is with the threads; how many of them that takes."""
        with self._lock:
            if work.answer is None:
                self._asking += change
            else:
                self._processing += change
            return self._asking + min(self._processing, self._processors)

    def _result(self, work: _Work) -> Fetched[Value]:
        request, trace = work.task.request, work.task.trace
        try:
            answer = self._client.get(request, trace, work.begun) if work.answer is None else work.answer
            with self._room_to_process:
                return Fetched(request, self._process(request, answer), None, trace)
        except ItemError as error:
            return Fetched(request, None, error, trace)
        except DeadHostError as error:
            if not self._many_hosts() or self._client.cut_off():
                raise
            # In the words of those that died with it: which of them were asked is chance.
            return Fetched(request, None, TransientError(str(error), error.reason, error.what), trace)


def fetch_many(
    client: HttpClient,
    requests: Iterable[Request],
    on_result: Callable[[Fetched[Value]], None],
    *,
    process: Callable[[Response], Value],
    concurrency: int = 16,
    processors: int | None = None,
    many_hosts: Callable[[], bool] = lambda: False,
    before_waiting: Callable[[], None] = lambda: None,
) -> None:
    """Gets many URLs, in any order.

    Args:
        client: Makes the requests, within its limits per host.
        requests: What to get; drawn as there is room.
        on_result: Called in the caller's thread, once a request.
        process: Turns an answer into the result's value; called in other threads, so that the caller only keeps. An ItemError it raises is
            the item's result.
        concurrency: Requests under way at most; twice as many results wait for the caller.
        processors: Threads that process answers at once; 0, where it takes next to no time: the one that watches the connections; none:
            as many as there may be requests, for who waits in ``process``.
        many_hosts: Asked when a host is dead: whether the requests go to others too. Then those to the dead one fail, and the work goes on
            unless no host answers at all.
        before_waiting: Called in the caller's thread when there is no further result yet, and at the end: what was put aside is kept then.

    Raises:
        EndpointError: A host is dead or asks for too long a pause; results so far were handed over.
    """
    results = fetched(
        client,
        requests,
        process=lambda _, answer: process(answer),
        concurrency=concurrency,
        processors=processors,
        many_hosts=many_hosts,
        before_waiting=before_waiting,
    )
    with contextlib.closing(results):
        for result in results:
            on_result(result)


def fetched(
    client: HttpClient,
    requests: Iterable[Request],
    *,
    process: Callable[[Request, Response], Value],
    concurrency: int = 16,
    processors: int | None = None,
    many_hosts: Callable[[], bool] = lambda: False,
    before_waiting: Callable[[], None] = lambda: None,
) -> Generator[Fetched[Value], None, None]:
    """Gets many URLs, in any order, for a caller who takes the results one by one; close it, or exhaust it.

    Args:
        client: Makes the requests, within its limits per host.
        requests: What to get; drawn as there is room.
        process: As for :func:`fetch_many`, with the request too.
        concurrency: As for :func:`fetch_many`.
        processors: As for :func:`fetch_many`.
        many_hosts: As for :func:`fetch_many`.
        before_waiting: As for :func:`fetch_many`.

    Raises:
        EndpointError: A host is dead or asks for too long a pause; results so far were handed over.
    """
    threads = concurrency if processors is None else processors
    fetching = _Fetching(client, iter(requests), process, concurrency, processors=threads, many_hosts=many_hosts)
    thread = threading.Thread(target=fetching.run, name="fetch", daemon=True)
    thread.start()
    try:
        yield from _hand_over(fetching, before_waiting)
    finally:
        fetching.end()
    thread.join()


def _hand_over(fetching: _Fetching[Value], before_waiting: Callable[[], None]) -> Iterator[Fetched[Value]]:
    """Passes results on until all have ended; the first error that is no item's own is raised then, and nothing new is begun."""
    fatal: BaseException | None = None
    while True:
        if fetching.results.empty():
            before_waiting()
            time.sleep(_GATHER_S)
        result = fetching.results.get()
        if isinstance(result, Fetched):
            fetching.taken()
            yield result
        elif result is None:
            break
        else:
            fatal = fatal or result
            fetching.end()
    before_waiting()
    if fatal is not None:
        raise fatal
