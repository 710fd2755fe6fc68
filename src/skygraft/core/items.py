"""What a shard has to make rows of: items, as objects or, where there are very many, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Payload = TypeVar("Payload")
_AT_ONCE = 1024


@dataclass(frozen=True)
class Item(Generic[Payload]):
    """One thing a shard has to make a row of.

    Args:
        key: Its name, unique in the shard.
        made_from: Digest of everything the row will be made from.
        payload: What the stage needs to make it.
    """

    key: str
    made_from: str
    payload: Payload


class ItemColumns(Sequence[Item[str]]):
    """Items whose payloads are texts, kept in a tenth of the memory: an item is made when it is asked for.

    Args:
        keys: Their names.
        made_from: Their digests.
        payloads: Their payloads.
    """

    def __init__(self, keys: pa.StringArray, made_from: pa.StringArray, payloads: pa.StringArray) -> None:
        self.keys, self.made_from, self.payloads = keys, made_from, payloads

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> Item[str]: ...
    @overload
    def __getitem__(self, place: slice) -> ItemColumns: ...
    def __getitem__(self, place: int | slice) -> Item[str] | ItemColumns:
        """An item, or some of them."""
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return Item(self.keys[place].as_py(), self.made_from[place].as_py(), self.payloads[place].as_py())

    def __iter__(self) -> Iterator[Item[str]]:
        for start in range(0, len(self), _AT_ONCE):
            columns = (column.slice(start, _AT_ONCE).to_pylist() for column in (self.keys, self.made_from, self.payloads))
            for key, made_from, payload in zip(*columns, strict=True):
                yield Item(key, made_from, payload)

    def take(self, places: NDArray[np.int64]) -> ItemColumns:
        """The items at some places, in that order."""
        chosen = pa.array(places)
        return ItemColumns(self.keys.take(chosen), self.made_from.take(chosen), self.payloads.take(chosen))


def names(items: Sequence[Item[Payload]]) -> tuple[pa.StringArray, pa.StringArray]:
    """The items' keys, and what they are made from."""
    if isinstance(items, ItemColumns):
        return items.keys, items.made_from
    return pa.array([item.key for item in items], pa.string()), pa.array([item.made_from for item in items], pa.string())


def taken(items: Sequence[Item[Payload]], places: NDArray[np.int64]) -> Sequence[Item[Payload]]:
    """The items at some places, in that order; where those are all of them, the same ones."""
    if np.array_equal(places, np.arange(len(items))):
        return items
    if isinstance(items, ItemColumns):
        return cast("Sequence[Item[Payload]]", items.take(places))
    return [items[place] for place in places.tolist()]
