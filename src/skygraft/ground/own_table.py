"""A table of the user's own as a source of photos: CSV, Parquet, GeoPackage, or anything else that geopandas reads.

Needed are an id, a place (points, or columns ``lon`` and ``lat``), and a ``url`` or a ``file``. Paths of files are relative to the table's
folder, or to another that the configuration names, and never lead out of it: a table that came from somewhere else must not choose which
files of this machine are read. A file is known by its name: a changed picture needs another one.
"""

from __future__ import annotations

import gzip
import logging
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skygraft.config.messages import secret_addresses
from skygraft.config.model import nearest
from skygraft.core.errors import ConfigError
from skygraft.ground.access import LOCAL, inside
from skygraft.ground.photo_rows import UNKNOWN_YEAR, Row, merged, moment_of, photo_row, photo_table, place_of, plain

if TYPE_CHECKING:
    from pandas import DataFrame

_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "photo_id"),
    "lon": ("lon", "longitude", "lng", "long"),
    "lat": ("lat", "latitude"),
    "url": ("url", "image_url"),
    "file": ("file", "path", "filename"),
    "licence": ("licence", "license"),
    "author": ("author", "attribution", "owner"),
    "captured_at": ("captured_at", "date_taken", "datetaken", "date"),
    "year": ("year",),
    "title": ("title",),
    "tags": ("tags",),
    "page_url": ("page_url",),
    "accuracy_m": ("accuracy_m",),
}
_TAG_ENDS = re.compile(r"[;,|]")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnTable:
    """A table of the user's own.

    Args:
        name: The source's name in the configuration; part of each photo's id, so that two tables never clash.
        path: The table.
        folder: Where pictures named by ``file`` lie.
        columns: The table's names of columns, by ours.
        licence: Of all photos, where the table does not say.
        author: Who is to be named, where the table does not say.
    """

    name: str
    path: Path
    folder: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    author: str | None = None


def photos_of(own: OwnTable) -> pa.Table:
    """The photos of a table, sorted by ``photo_id``.

    Returns:
        A table of :data:`skygraft.core.schemas.PHOTOS`. Rows without a place, or without an address, are left out and counted.

    Raises:
        ConfigError: The file is missing or no table, lacks a column, an id is missing, a path leads out of the folder, or an address
            holds a password or a signature.
    """
    frame = _read(own.path)
    found = _matched(own, frame)
    place = _places(own, frame, found)
    rows: list[Row] = []
    placeless = homeless = 0
    values = {ours: frame[theirs].tolist() for ours, theirs in found.items()}
    for number in range(len(frame)):
        row = {ours: _value(column[number]) for ours, column in values.items()}
        if row["id"] is None:
            raise ConfigError(f"{own.path}: row {number + 1} has no id.")
        spot, address = place_of(*place[number]), _address(own, row)
        placeless += spot is None
        homeless += spot is not None and address is None
        if spot is not None and address is not None:
            rows.append(_row(own, row, spot, address))
    for count, what in ((placeless, "have no place on the globe"), (homeless, "have neither a url (http or https) nor a file")):
        if count:
            _LOG.warning("%s: %d of %d rows %s: left out", own.path, count, len(frame), what)
    table = merged([photo_table(rows)])
    if table.num_rows < len(rows):
        _LOG.warning("%s names %d photos more than once: one row of each counts", own.path, len(rows) - table.num_rows)
    return table


def _read(path: Path) -> DataFrame:
    import geopandas
    import pandas
    import pyogrio

    if not path.is_file():
        raise ConfigError(f"There is no table {path}.")
    kinds = [suffix.lower() for suffix in path.suffixes]
    frame: DataFrame
    try:
        if {".csv", ".tsv", ".txt"} & set(kinds):
            frame = pandas.read_csv(path, dtype=str, sep=_separator(path), keep_default_na=False, encoding="utf-8-sig")
        elif kinds[-1:] in ([".parquet"], [".geoparquet"]):
            geographic = b"geo" in (pq.read_schema(path).metadata or {})
            frame = geopandas.read_parquet(path) if geographic else pandas.read_parquet(path)
        else:
            frame = geopandas.read_file(path)
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowInvalid, pyogrio.errors.DataSourceError) as error:
        raise ConfigError(f"{path} cannot be read as a table ({error}): give CSV, Parquet, GeoPackage or what geopandas reads.") from error
    return frame


def _separator(path: Path) -> str:
    """What parts the columns of a CSV file: the likeliest in its first line."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix.lower() == ".gz" else path.open(encoding="utf-8") as file:
        return max(",;\t|", key=file.readline().count)


def _matched(own: OwnTable, frame: DataFrame) -> dict[str, str]:
    """Our names of columns to the table's.

    Raises:
        ConfigError: A needed one is not there; the text names the nearest there is.
    """
    header = [str(name) for name in frame.columns]
    there = {name.strip().lower(): name for name in reversed(header)}
    found = {ours: next((there[name] for name in names if name in there), None) for ours, names in _NAMES.items()}
    for ours, theirs in own.columns.items():
        if theirs not in header:
            raise ConfigError(f"photos.{own.name}.columns.{ours}: {own.path} has no column {theirs!r}; {nearest(theirs, header)}")
        found[ours] = theirs
    matched = {ours: theirs for ours, theirs in found.items() if theirs is not None}
    placed = _has_points(frame) or {"lon", "lat"} <= matched.keys()
    for needed, is_there in (
        ("id", "id" in matched),
        ("lon" if "lat" in matched else "lat", placed),
        ("url", "url" in matched or "file" in matched),
    ):
        if not is_there:
            other = {"url": " and no 'file'", "lon": " and no points", "lat": " and no points"}.get(needed, "")
            raise ConfigError(
                f"{own.path} has no column {needed!r}{other} ({nearest(needed, there)}). Rename the column, or name it under "
                f"photos.{own.name}.columns: '{needed}: its name'."
            )
    return matched


def _has_points(frame: DataFrame) -> bool:
    """Whether the table has shapes: a column of that name alone may hold text."""
    return hasattr(getattr(frame, "geometry", None), "crs")


def _places(own: OwnTable, frame: DataFrame, found: Mapping[str, str]) -> list[tuple[Any, Any]]:
    """Longitude and latitude of each row, degrees."""
    if {"lon", "lat"} <= found.keys():
        return list(zip(frame[found["lon"]].tolist(), frame[found["lat"]].tolist(), strict=True))
    shapes = frame.geometry
    if shapes.crs is None:
        raise ConfigError(f"{own.path} does not say its coordinate reference system: give it one, or columns 'lon' and 'lat' in degrees.")
    shapes = shapes.to_crs("EPSG:4326")
    if not shapes.dropna().geom_type.eq("Point").all():
        raise ConfigError(f"{own.path} has shapes that are no points: a photo's place is a point.")
    x, y = np.asarray(shapes.x, dtype=float), np.asarray(shapes.y, dtype=float)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _address(own: OwnTable, row: Mapping[str, Any]) -> str | None:
    """What stands in the table's ``url``; none where the row names nothing that can be read."""
    url, name = plain(row.get("url")), plain(row.get("file"))
    if url is not None and url.startswith(("http://", "https://")):
        if any(secret_addresses({"url": url})):
            raise ConfigError(
                f"{own.path}: the address of photo {row['id']!r} holds a password or a signature, which would be written into tables. "
                "Take it out; such addresses expire besides."
            )
        return url
    # No file system has a name with a zero byte.
    if name is None or "\0" in name:
        return None
    path = inside(own.folder, name)
    if path is None:
        raise ConfigError(
            f"{own.path}: the file of photo {row['id']!r} lies outside {own.folder}. If you trust the table, set photos.{own.name}.folder "
            "to a folder that holds all of its pictures."
        )
    return f"{LOCAL}{PurePosixPath(path.relative_to(own.folder.resolve()))}"


def _row(own: OwnTable, row: Mapping[str, Any], place: tuple[float, float], address: str) -> Row:
    captured, year = moment_of(row.get("captured_at")), _number(row.get("year"))
    tags = row.get("tags")
    words = [str(tag) for tag in tags] if isinstance(tags, (list, tuple)) else _TAG_ENDS.split(str(tags or ""))
    return photo_row(
        "table",
        f"{own.name}:{row['id']}",
        place,
        address,
        captured_at=captured,
        year=captured.year if captured is not None else int(year) if year is not None and 1 <= year <= 9999 else UNKNOWN_YEAR,
        accuracy_m=_number(row.get("accuracy_m")),
        licence=plain(row.get("licence")) or own.licence,
        author=plain(row.get("author")) or own.author,
        page_url=plain(row.get("page_url")),
        title=plain(row.get("title")),
        tags=[word.strip() for word in words if word.strip()] or None,
    )


def _value(cell: Any) -> Any:
    """A cell as Python has it; none for what stands for nothing."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or str(cell).strip() in ("", "NaT", "<NA>"):
        return None
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _number(cell: Any) -> float | None:
    try:
        number = float(str(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
