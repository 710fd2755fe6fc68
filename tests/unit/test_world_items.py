"""The store behind the embedded world's catalogues."""

from __future__ import annotations

import random
from typing import Any

import pytest

from skygraft.world.items import ItemStore, Search


def make(number: int, west: float, moment: str, **properties: Any) -> dict[str, Any]:
    ring = [[west, 0.0], [west + 1.0, 0.0], [west + 1.0, 1.0], [west, 1.0], [west, 0.0]]
    return {
        "id": f"i{number}",
        "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": moment, **properties},
    }


def names(store: ItemStore, search: Search) -> list[str]:
    return [item["id"] for item in store.page(search)[0]]


def test_a_box_across_the_antimeridian_finds_both_sides() -> None:
    store = ItemStore([make(n, west, "2021-01-01T00:00:00Z") for n, west in enumerate([-179.5, 178.5, 0.0])])
    assert sorted(names(store, Search(bbox=[179.0, 0.2, -179.0, 0.8]))) == ["i0", "i1"]
    assert sorted(names(store, Search(bbox=[179.0, 0.2, -10.0, -179.0, 0.8, 10.0]))) == ["i0", "i1"]


def test_intervals_are_closed_and_order_is_total() -> None:
    moments = ["2021-01-03T00:00:00Z", "2021-01-01T00:00:00Z", "2021-01-03T00:00:00Z", "2021-01-02T12:00:00+02:00"]
    store = ItemStore([make(n, 0.0, moment) for n, moment in enumerate(moments)])
    assert names(store, Search()) == ["i2", "i0", "i3", "i1"]
    assert names(store, Search(datetime="2021-01-02T10:00:00Z/2021-01-03T00:00:00Z")) == ["i2", "i0", "i3"]
    assert names(store, Search(datetime="2021-01-02T10:00:00Z")) == ["i3"]
    assert names(store, Search(datetime="../2021-01-02T09:59:59Z")) == ["i1"]


@pytest.mark.parametrize("limit", [1, 2, 7, 50])
def test_pages_of_any_size_hold_the_sorted_whole(limit: int) -> None:
    draw = random.Random(4)
    items = [make(n, 0.0, f"2021-01-{1 + n % 28:02d}T00:00:00Z", cloud=draw.choice([1, 2, 3, None])) for n in range(40)]
    store, found, token, sizes = ItemStore(items), list[dict[str, Any]](), None, []
    while True:
        page, token, total = store.page(Search(sortby=["+properties.cloud", "-id"], limit=limit, token=token))
        found += page
        sizes.append(len(page))
        if token is None:
            break
    assert total == 40 and all(size == limit for size in sizes[:-1]) and 0 < sizes[-1] <= limit
    clouds = [item["properties"]["cloud"] for item in found]
    assert clouds == sorted(clouds, key=lambda cloud: 9 if cloud is None else cloud)
    for cloud in (1, 2, 3, None):
        same = [item["id"] for item in found if item["properties"]["cloud"] == cloud]
        assert same == sorted(same, reverse=True)


def test_an_absent_property_matches_no_condition() -> None:
    store = ItemStore([make(0, 0.0, "2021-01-01T00:00:00Z"), make(1, 0.0, "2021-01-01T00:00:00Z", cloud=4.0)])
    assert names(store, Search(query={"cloud": {"neq": 9}})) == ["i1"]
    assert names(store, Search(query={"cloud": {"in": [4, 5]}})) == ["i1"]
    with pytest.raises(ValueError, match="like"):
        store.page(Search(query={"cloud": {"like": 9}}))
