"""Items as columns are the items they were made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.core.items import Item, ItemColumns, names, taken

ITEMS = st.lists(st.builds(Item, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)), max_size=9)


def columns(items: list[Item[str]]) -> ItemColumns:
    fields = ([item.key for item in items], [item.made_from for item in items], [item.payload for item in items])
    return ItemColumns(*(pa.array(values, pa.string()) for values in fields))


@settings(deadline=None)
@given(items=ITEMS, data=st.data())
def test_columns_are_a_sequence_like_the_list(items: list[Item[str]], data: st.DataObject) -> None:
    found = columns(items)
    assert list(found) == items and len(found) == len(items)
    assert [found[place] for place in range(len(items))] == items
    part = data.draw(st.slices(len(items)))
    assert list(found[part]) == items[part]


@settings(deadline=None)
@given(items=ITEMS.filter(bool), data=st.data())
def test_both_kinds_are_taken_from_and_named_alike(items: list[Item[str]], data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, len(items) - 1))), np.int64)
    assert list(taken(columns(items), places)) == taken(items, places) == [items[place] for place in places]
    assert [column.to_pylist() for column in names(columns(items))] == [column.to_pylist() for column in names(items)]
