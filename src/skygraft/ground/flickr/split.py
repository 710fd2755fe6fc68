"""What to ask next, so that every photo of an area is found: a search whose count is too high is cut into parts until each is whole.

The crawl does no input or output: it is told answers and tells what to ask. Answers kept from an interrupted ingest are told to it first,
and it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skygraft.ground.flickr.parts import Part

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """What one query gives.

    Args:
        page: Photos a page; queries by place give no more than 250.
        most: Photos a query; later pages repeat earlier ones or hold what was not asked for.
        safe: Parts with a higher count are cut; below ``most``, since counts are estimates.
        pages: Pages that are asked at most.
    """

    page: int = 250
    most: int = 4000
    safe: int = 3500
    pages: int = 16


@dataclass(frozen=True)
class Ask:
    """One request.

    Args:
        part: Of what.
        page: Which page, from 1.
        size: Photos a page; 1 where only the count is wanted.
        turn: 1 where the part's pages are asked a second time.
    """

    part: Part
    page: int
    size: int
    turn: int = 0

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.part.key} {self.page}x{self.size}" + (f" turn {self.turn}" if self.turn else "")


@dataclass(frozen=True)
class Answer:
    """What a request brought.

    Args:
        total: The count that the service names.
        shown: Photos on the page.
        ids: Of those that belong to the part.
    """

    total: int
    shown: int
    ids: Ids


@dataclass
class _Gathering:
    """A part whose pages are being gathered."""

    part: Part
    total: int
    asked: int = 0
    under_way: int = 0
    turn: int = 0
    full: bool = False
    doubtful: bool = False
    repeating: bool = False
    found: set[int] = field(default_factory=set)
    found_again: set[int] = field(default_factory=set)


@dataclass
class Outcome:
    """What became of the parts.

    Args:
        parts: Parts that were gathered.
        splits: Parts that were cut.
        too_many: Keys and counts of parts that are above the service's limit and cannot be cut.
        pages: Pages of a part that are asked at most.
        sampled: Parts with more photos than these pages hold, of which the service would have given more.
        short: Parts that gave fewer photos than counted, and how many fewer in all.
    """

    parts: int = 0
    splits: int = 0
    too_many: list[tuple[str, int]] = field(default_factory=list)
    pages: int = 0
    sampled: int = 0
    short: tuple[int, int] = (0, 0)


class Crawl:
    """The state of a search; deterministic: the same answers in the same order make the same questions.

    Args:
        parts: What to search.
        limits: What one query gives.
        wanted: Whether a smaller part is of interest at all.
    """

    def __init__(self, parts: Iterable[Part], limits: Limits, wanted: Callable[[Part], bool] = lambda part: True) -> None:
        self.outcome = Outcome(pages=limits.pages)
        self._limits, self._wanted = limits, wanted
        self._waiting: dict[str, Ask] = {}
        self._gathering: dict[str, _Gathering] = {}
        self._dropped: set[str] = set()
        self._want_parts(tuple(parts), expected=0)

    @property
    def waiting(self) -> int:
        """Requests that are to be made as far as is known."""
        return len(self._waiting)

    def take(self) -> Ask | None:
        """The next request to make: the newest, so that few parts are open at a time; none while nothing is waiting."""
        return self._waiting.popitem()[1] if self._waiting else None

    def claim(self, key: str) -> Ask | None:
        """The waiting request of a kept answer, which need not be made then; none where nobody asks it (any more)."""
        return self._waiting.pop(key, None)

    def tell(self, ask: Ask, answer: Answer) -> None:
        """Takes an answer in, and adds what is to be asked because of it."""
        state = self._gathering.get(ask.part.key)
        if state is None:
            # Else it is a page of a part that was cut meanwhile: its parts find the same.
            if ask.part.key not in self._dropped:
                self._begin(ask, answer)
            return
        state.under_way -= 1
        self._take_in(state, ask, answer)
        if state.total > self._limits.most and self._split(state.part, state.total):
            self._drop(state)
        elif state.under_way == 0:
            self._settle(state)

    def _begin(self, ask: Ask, answer: Answer) -> None:
        if answer.total > self._limits.safe and self._split(ask.part, answer.total):
            return
        state = _Gathering(ask.part, answer.total)
        self._gathering[ask.part.key] = state
        if ask.size < self._limits.page:
            self._want_pages(state, self._pages_of(state))
            return
        state.asked = 1
        self._take_in(state, ask, answer)
        if self._pages_of(state) > 1:
            self._want_pages(state, self._pages_of(state))
        else:
            self._settle(state)

    def _take_in(self, state: _Gathering, ask: Ask, answer: Answer) -> None:
        if answer.total != state.total:
            # A total that shifts: photos may have moved between pages.
            state.doubtful, state.total = True, answer.total
        before = len(state.found)
        state.found.update(answer.ids.tolist())
        fresh = len(state.found) > before
        if not fresh and not ask.turn and ask.page <= self._pages_of(state):
            # A page that repeats another, or holds nothing that was asked for.
            state.doubtful = True
        if ask.turn:
            # Whichever of two like pages comes second: one of them is missing for the second time.
            state.repeating |= len(answer.ids) > 0 and state.found_again.issuperset(answer.ids.tolist())
            state.found_again.update(answer.ids.tolist())
        if ask.page == state.asked:
            state.full = fresh and answer.shown >= self._limits.page

    def _settle(self, state: _Gathering) -> None:
        """Decides on a part all of whose pages are in: whole, or what else to ask."""
        needed = self._pages_of(state)
        if needed > state.asked:
            return self._want_pages(state, needed)
        if state.full and state.asked < self._limits.pages:
            # A last page that is full: the count may be too low.
            return self._want_pages(state, state.asked + 1)
        # As many as a query gives, whatever the count says: there may be more behind them.
        brimful = state.full and state.asked * self._limits.page >= self._limits.most
        if brimful and self._split(state.part, len(state.found)):
            return self._drop(state)
        missing = state.total - len(state.found)
        capped = brimful or state.total > self._limits.page * self._limits.pages
        if missing > 0 and not capped and state.doubtful:
            if state.turn == 0:
                state.turn, state.asked = 1, 0
                return self._want_pages(state, needed)
            if (state.repeating or missing >= self._limits.page) and self._split(state.part, state.total):
                return self._drop(state)
        return self._finish(state, missing, capped)

    def _finish(self, state: _Gathering, missing: int, capped: bool) -> None:
        self.outcome.parts += 1
        if capped and self._limits.pages * self._limits.page < self._limits.most:
            self.outcome.sampled += 1
        elif capped:
            self.outcome.too_many.append((state.part.key, max(state.total, len(state.found))))
        elif missing > 0:
            parts, photos = self.outcome.short
            self.outcome.short = parts + 1, photos + missing
        del self._gathering[state.part.key]

    def _pages_of(self, state: _Gathering) -> int:
        return max(1, min(-(-state.total // self._limits.page), self._limits.pages))

    def _want_pages(self, state: _Gathering, last: int) -> None:
        """Asks the pages after those asked already, to ``last``; the first of them comes first."""
        for page in range(last, state.asked, -1):
            ask = Ask(state.part, page, self._limits.page, state.turn)
            self._waiting[ask.key] = ask
            state.under_way += 1
        state.asked = last

    def _want_parts(self, parts: tuple[Part, ...], expected: float) -> None:
        # Where another cut is likely, the count alone is asked: it is as many calls, and spares the service the photos.
        size = 1 if expected > self._limits.safe else self._limits.page
        for part in reversed(parts):
            ask = Ask(part, 1, size)
            self._waiting[ask.key] = ask

    def _split(self, part: Part, total: int) -> bool:
        """Cuts a part where it can be cut."""
        smaller = part.split()
        if not smaller:
            return False
        self.outcome.splits += 1
        self._want_parts(tuple(filter(self._wanted, smaller)), total / len(smaller))
        return True

    def _drop(self, state: _Gathering) -> None:
        """Forgets a part that was cut; its pages that are not under way are not asked."""
        del self._gathering[state.part.key]
        self._dropped.add(state.part.key)
        for page in range(1, state.asked + 1):
            self._waiting.pop(Ask(state.part, page, self._limits.page, state.turn).key, None)
