"""Photos that their owners have taken down: a list of names which the stages respect, so that none of them comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.errors import ConfigError
from skygraft.core.schemas import FORGOTTEN
from skygraft.core.tables import read_table, write_table


def read_wishes(path: Path) -> list[str]:
    """The names in a text file, each once: one a line, empty lines and those that begin with # aside.

    Raises:
        ConfigError: The file is missing, is no text, or names no photo.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a list of photos: {error}") from error
    wishes = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not wishes:
        raise ConfigError(f"{path} names no photo: write one photo_id a line, such as flickr:8412345.")
    return wishes


def read_forgotten(path: Path) -> frozenset[str]:
    """The names on the list; none where there is no list.

    Raises:
        CorruptDataError: The list is broken.
    """
    return frozenset(read_table(FORGOTTEN, path).column("photo_id").to_pylist()) if path.exists() else frozenset()


def remember(path: Path, names: Iterable[str]) -> None:
    """Puts names on the list, whole or not at all."""
    table = pa.table({"photo_id": pa.array(sorted(read_forgotten(path).union(names)), pa.string())})
    write_table(FORGOTTEN, table, path)


def without(photos: pa.Table, names: Collection[str]) -> pa.Table:
    """A table of photos without those on the list."""
    if not names:
        return photos
    return photos.filter(pc.invert(pc.is_in(photos.column("photo_id"), value_set=pa.array(sorted(names), pa.string()))))
