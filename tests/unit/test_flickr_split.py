"""Cutting a search into parts: whatever lies where, the parts find exactly what matches, within what a query gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.ground.flickr.parts import BoxPart, DiscPart, Window
from skygraft.ground.flickr.split import Answer, Ask, Crawl, Limits

SMALL = Limits(page=2, most=8, safe=6, pages=4)
FIRST, LAST = date(2015, 1, 1), date(2015, 2, 10)
BOX = (5.0, 50.0, 6.0, 51.0)
Photo = tuple[int, float, float, datetime]
Service = Callable[[Ask], Answer]


def inside(photo: Photo, ask: Ask) -> bool:
    """Whether a photo answers a request, by the parameters that are sent."""
    parameters = ask.part.parameters()
    west, south, east, north = map(float, parameters["bbox"].split(","))
    taken = f"{photo[3]:%Y-%m-%d %H:%M:%S}"
    within = west <= photo[1] <= east and south <= photo[2] <= north
    return within and parameters["min_taken_date"] <= taken <= parameters["max_taken_date"]


def honest(photos: list[Photo], limits: Limits, shown: Callable[[int, int], int] = lambda total, number: total) -> Service:
    """A service that gives no more than its most, and garbage after it; ``shown`` is the total that it names."""
    number = 0

    def answer(ask: Ask) -> Answer:
        nonlocal number
        number += 1
        found = sorted((photo for photo in photos if inside(photo, ask)), key=lambda photo: (photo[3], photo[0]))
        start = (ask.page - 1) * ask.size
        page = found[:1] * ask.size if start >= limits.most else found[start : start + ask.size]
        return Answer(shown(len(found), number), len(page), np.array([photo[0] for photo in page], np.int64))

    return answer


def crawled(crawl: Crawl, service: Service, seed: int = 0, most_calls: int = 100_000) -> tuple[set[int], list[str]]:
    """Runs a crawl with answers coming in a random order; the photos found and the requests made."""
    chance = random.Random(seed)
    under_way: list[Ask] = []
    found: set[int] = set()
    asked: list[str] = []
    while True:
        while len(under_way) < 3 and (ask := crawl.take()) is not None:
            under_way.append(ask)
            asked.append(ask.key)
        if not under_way:
            return found, asked
        assert len(asked) < most_calls
        ask = under_way.pop(chance.randrange(len(under_way)))
        answer = service(ask)
        found |= set(answer.ids.tolist())
        crawl.tell(ask, answer)


def whole(limits: Limits = SMALL) -> Crawl:
    return Crawl([BoxPart(BOX, Window.of_days(FIRST, LAST))], limits)


# Coarse grids and few days, so that photos pile up on edges, in spots and at moments.
places = st.integers(0, 8).map(lambda step: step / 8) | st.floats(0, 1).map(lambda share: round(share, 6))
moments = st.integers(0, 3_542_399) | st.integers(0, 40).map(lambda day: day * 86_400)
photo_lists = st.lists(st.tuples(places, places, moments), max_size=60)


@given(photo_lists, st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_the_parts_find_exactly_what_matches(drawn: list[tuple[float, float, int]], seed: int) -> None:
    start = datetime(2015, 1, 1)
    photos = [(n, BOX[0] + x, BOX[1] + y, start + timedelta(seconds=t)) for n, (x, y, t) in enumerate(drawn)]
    strangers = [(1000, 4.9, 50.5, start), (1001, 5.5, 50.5, datetime(2014, 12, 31, 23, 59, 59)), (1002, 5.5, 50.5, datetime(2015, 2, 11))]
    crawl = whole()
    found, asked = crawled(crawl, honest(photos + strangers, SMALL), seed)
    full = {key for key, _ in crawl.outcome.too_many}
    lost = {photo[0] for photo in photos} - found
    # Only a spot and second with more photos than a query gives may keep some back, and it says so.
    assert not lost or full
    assert found <= {photo[0] for photo in photos}
    assert len(asked) == len(set(asked))
    same = dict[tuple[float, float, datetime], list[int]]()
    for number, lon, lat, taken in photos:
        same.setdefault((lon, lat, taken), []).append(number)
    assert all(len(same[(photos[n][1], photos[n][2], photos[n][3])]) > SMALL.safe for n in lost)


@given(photo_lists, st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_an_interrupted_crawl_goes_on_and_asks_nothing_twice(drawn: list[tuple[float, float, int]], stop: int) -> None:
    start = datetime(2015, 1, 1)
    photos = [(n, BOX[0] + x, BOX[1] + y, start + timedelta(seconds=t)) for n, (x, y, t) in enumerate(drawn)]
    service = honest(photos, SMALL)
    every, asked = crawled(whole(), service)
    first, kept = whole(), list[tuple[str, Answer]]()
    while len(kept) < stop and (ask := first.take()) is not None:
        answer = service(ask)
        first.tell(ask, answer)
        kept.append((ask.key, answer))
    second = whole()
    for key, answer in kept:
        again = second.claim(key)
        assert again is not None
        second.tell(again, answer)
    rest, new = crawled(second, service)
    assert not set(new) & {key for key, _ in kept}
    assert {number for _, answer in kept for number in answer.ids.tolist()} | rest == every
    assert set(new) | {key for key, _ in kept} == set(asked)


def spread(count: int) -> list[Photo]:
    chance, start = random.Random(1), datetime(2015, 1, 1)
    places = [(BOX[0] + chance.random(), BOX[1] + chance.random(), chance.randrange(3_500_000)) for _ in range(count)]
    return [(n, lon, lat, start + timedelta(seconds=seconds)) for n, (lon, lat, seconds) in enumerate(places)]


def test_totals_that_shift_lose_nothing() -> None:
    photos = spread(150)
    crawl = whole()
    found, _ = crawled(crawl, honest(photos, SMALL, lambda total, number: max(0, total + (number % 3) - 1)))
    assert found == set(range(150))


def test_a_part_that_turns_out_too_large_while_its_pages_come_is_cut_once() -> None:
    photos = spread(150)
    service, counted = honest(photos, SMALL), set[str]()

    def modest(ask: Ask) -> Answer:
        """The first count of each part is far too low."""
        answer = service(ask)
        total = min(answer.total, 5) if ask.part.key not in counted else answer.total
        counted.add(ask.part.key)
        return Answer(total, answer.shown, answer.ids)

    for seed in range(10):
        counted.clear()
        crawl = whole()
        found, asked = crawled(crawl, modest, seed)
        assert found == set(range(150))
        assert len(asked) == len(set(asked))
        assert crawl.outcome.splits > 10 and not crawl.outcome.too_many


@pytest.mark.parametrize("share", [0.9, 0.6, 0.1])
def test_totals_that_stay_too_low_lose_nothing(share: float) -> None:
    photos = spread(150)
    crawl = whole()
    found, asked = crawled(crawl, honest(photos, SMALL, lambda total, number: int(share * total)))
    assert found == set(range(150))
    assert not crawl.outcome.too_many and len(asked) == len(set(asked))


def test_a_spot_and_second_that_fills_all_pages_of_a_low_count_is_told() -> None:
    here = [(n, 5.5, 50.5, datetime(2015, 1, 7, 12)) for n in range(20)]
    crawl = whole()
    found, _ = crawled(crawl, honest(here, SMALL, lambda total, number: total // 4))
    assert len(found) >= SMALL.most
    assert crawl.outcome.too_many and {total for _, total in crawl.outcome.too_many} == {SMALL.most}


def test_totals_that_are_too_high_are_told_of_and_end() -> None:
    photos = spread(40)
    crawl = whole()
    found, asked = crawled(crawl, honest(photos, SMALL, lambda total, number: total + 1 if total else 0), most_calls=2000)
    assert found == set(range(40))
    parts, missing = crawl.outcome.short
    assert parts == missing > 0
    assert len(asked) < 200


def test_pages_that_repeat_are_asked_again_and_then_cut() -> None:
    photos = spread(60)
    service, seen = honest(photos, SMALL), set[str]()

    def stuck(ask: Ask) -> Answer:
        """Later pages of parts with more than three photos always repeat the first."""
        honest_answer = service(ask)
        if ask.page > 1 and honest_answer.total > 3:
            seen.add(ask.key)
            return Answer(honest_answer.total, ask.size, service(Ask(ask.part, 1, ask.size)).ids)
        return honest_answer

    crawl = whole()
    found, asked = crawled(crawl, stuck)
    assert seen
    assert found == set(range(60))
    assert any("turn 1" in key for key in asked)


def test_a_page_that_repeats_in_both_turns_is_missed_although_it_is_short() -> None:
    limits = Limits(page=4, most=16, safe=14, pages=4)
    photos = spread(11)
    service = honest(photos, limits)

    def stuck(ask: Ask) -> Answer:
        """The last page of the whole, which has three photos of four, always repeats the first."""
        return service(Ask(ask.part, 1, ask.size)) if ask.page == 3 else service(ask)

    for seed in range(10):
        crawl = whole(limits)
        found, asked = crawled(crawl, stuck, seed)
        assert found == set(range(11)) and any("turn 1" in key for key in asked)


def test_a_spot_and_second_that_is_too_full_is_told_with_its_count() -> None:
    here = [(n, 5.5, 50.5, datetime(2015, 1, 7, 12)) for n in range(20)]
    crawl = whole()
    found, _ = crawled(crawl, honest(here, SMALL))
    assert crawl.outcome.too_many
    assert {total for _, total in crawl.outcome.too_many} == {20}
    assert all("2015-01-07T12:00:00/2015-01-07T12:00:00" in key for key, _ in crawl.outcome.too_many)
    assert len(found) >= SMALL.most


def test_no_page_after_the_limit_is_asked_and_no_part_is_left_too_large() -> None:
    limits, random_numbers = Limits(), np.random.default_rng(3)
    # Crowded towards one corner and one day.
    lon, lat = BOX[0] + random_numbers.random(30_000) ** 8, BOX[1] + random_numbers.random(30_000) ** 8
    taken = np.datetime64("2015-01-01", "s") + (3.5e6 * random_numbers.random(30_000) ** 6).astype("timedelta64[s]")
    order = np.argsort(taken, kind="stable")
    largest = 0

    def service(ask: Ask) -> Answer:
        nonlocal largest
        assert ask.page <= 16
        hit = order[ask.part.holds(lon[order], lat[order], taken[order])]
        if ask.page > 1:
            largest = max(largest, len(hit))
        page = hit[(ask.page - 1) * ask.size : ask.page * ask.size]
        return Answer(len(hit), len(page), page.astype(np.int64))

    crawl = whole(limits)
    found, asked = crawled(crawl, service)
    assert found == set(range(30_000))
    assert largest <= limits.safe
    # Full pages are at least 120; parts that are half full double them, and every cut is a call or two.
    assert 120 <= len(asked) < 400


def test_a_photo_on_the_antimeridian_belongs_to_a_part_that_ends_there_from_either_side() -> None:
    window = Window.of_days(FIRST, LAST)
    lon, lat = np.array([180.0, -180.0, -179.999995, 179.0, -179.0]), np.full(5, 1.0)
    taken = np.full(5, np.datetime64(window.start))
    assert BoxPart((177.0, 0.0, 180.0, 2.0), window).holds(lon, lat, taken).tolist() == [True, True, True, True, False]
    assert BoxPart((-180.0, 0.0, -177.0, 2.0), window).holds(lon, lat, taken).tolist() == [True, True, True, False, True]


def test_discs_are_not_cut_and_stop_at_their_pages() -> None:
    discs = [DiscPart(5.5, 50.5, 2.0, Window.of_days(FIRST, LAST)), DiscPart(5.7, 50.5, 2.0, Window.of_days(FIRST, LAST))]
    asked: list[Ask] = []

    def service(ask: Ask) -> Answer:
        asked.append(ask)
        base = 10_000 if "5.7" in ask.part.key else 0
        return Answer(9000, 250, np.arange(250, dtype=np.int64) + 250 * ask.page + base)

    crawl = Crawl(discs, Limits(pages=4))
    found, _ = crawled(crawl, service)
    assert len(asked) == 8 and len(found) == 2000
    assert crawl.outcome.sampled == 2 and not crawl.outcome.too_many
    assert "radius" in asked[0].part.parameters() and "bbox" not in asked[0].part.parameters()


def windows(window: Window) -> Iterator[Window]:
    halves = window.halves()
    if halves is None:
        yield window
    else:
        for half in halves:
            yield from windows(half)


@pytest.mark.parametrize("seconds", [1, 2, 3, 59, 86_399])
def test_halves_make_up_the_window_to_the_second(seconds: int) -> None:
    start = datetime(2016, 2, 28)
    pieces = list(windows(Window(start, start + timedelta(seconds=seconds))))
    assert [piece.start for piece in pieces] == [start + timedelta(seconds=n) for n in range(seconds + 1)]
    assert all(piece.start == piece.end for piece in pieces)


def test_days_are_cut_between_days() -> None:
    first, second = Window.of_days(date(2016, 2, 28), date(2016, 3, 1)).halves() or (None, None)
    assert first == Window.of_days(date(2016, 2, 28), date(2016, 2, 28))
    assert second == Window.of_days(date(2016, 2, 29), date(2016, 3, 1))
