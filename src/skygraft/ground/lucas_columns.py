"""The published layouts of LUCAS tables: which column holds what, in each."""

from __future__ import annotations

import csv
import difflib
import gzip
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from skygraft.core.errors import ConfigError, CorruptDataError

DIRECTIONS = {"N": "north", "E": "east", "S": "south", "W": "west", "P": "point"}
_BLOCK = 8 << 20
_ROWS = 100_000


@dataclass(frozen=True)
class Layout:
    """One published layout.

    Args:
        name: As the configuration calls it.
        needed: Our name of a column to the names it has there, whatever their case; one of them must be there.
        welcome: The same, for columns that may be missing.
    """

    name: str
    needed: Mapping[str, tuple[str, ...]]
    welcome: Mapping[str, tuple[str, ...]]


def _photo_columns(prefix: str) -> dict[str, tuple[str, ...]]:
    return {f"{prefix}{letter}": (f"{prefix}{name}",) for letter, name in DIRECTIONS.items()}


_PLACE = {"point_id": ("point_id",), "nuts0": ("nuts0",), "th_lat": ("th_lat",), "th_long": ("th_long",), "survey_date": ("survey_date",)}
_COVER = {"lc": ("lc1",), "lu": ("lu1",)}
_GPS = {name: (name,) for name in ("gps_lat", "gps_long")}
_PATHS = _photo_columns("file_path_gisco_")
_SINCE_2022 = {
    "point_id": ("point_id",),
    "nuts0": ("point_nuts0", "nuts0"),
    "th_lat": ("point_lat",),
    "th_long": ("point_long", "point_lon"),
    "survey_date": ("survey_date",),
    "lc": ("survey_lc1",),
    "lu": ("survey_lu1",),
    "gps_lat": ("survey_gps_lat",),
    "gps_long": ("survey_gps_long",),
    "obs_type": ("survey_obs_type",),
}

LAYOUTS: Mapping[str, Layout] = {
    "microdata": Layout(
        "microdata",
        needed=_PLACE | _COVER | _GPS | {"gps_ew": ("gps_ew",), "obs_dist": ("obs_dist",)} | _photo_columns("photo_"),
        welcome={"gps_prec": ("gps_prec",), "obs_type": ("obs_type",), "th_ew": ("th_ew",)},
    ),
    # The columns of 2022 have new names, and the file some 300 of them; a copy of it names its photos, as addresses, in photo_north ...
    "microdata_2022": Layout(
        "microdata_2022",
        needed=_SINCE_2022,
        welcome={name: (f"survey_{name}",) for name in ("gps_ew", "gps_prec", "obs_dist")} | _PATHS | _photo_columns("photo_"),
    ),
    "harmonised": Layout(
        "harmonised",
        needed=_PLACE | _COVER | _GPS | {"year": ("year", "survey_year")},
        welcome={name: (name,) for name in ("gps_ew", "gps_prec", "obs_dist", "obs_type")} | _photo_columns("photo_") | _PATHS,
    ),
    "topsoil": Layout("topsoil", needed=_PLACE | {"nuts0": ("nuts_0",), "lc": ("lc",), "lu": ("lu",)}, welcome={}),
}


def read_columns(path: Path, layout: Layout) -> Iterator[pa.Table]:
    """The columns of a layout under our names, all as text, some rows at a time.

    Args:
        path: CSV (also zipped or gzipped), or GeoPackage.
        layout: Which columns.

    Yields:
        Tables of strings; empty cells are null.

    Raises:
        ConfigError: The file is missing or lacks a needed column.
        CorruptDataError: The file cannot be read to its end.
    """
    if not path.is_file():
        raise ConfigError(f"There is no LUCAS table {path}: download it, or set mirror to a folder that has it under lucas/.")
    try:
        yield from _geopackage(path, layout) if path.suffix.lower() == ".gpkg" else _csv(path, layout)
    except (pa.ArrowInvalid, zipfile.BadZipFile, EOFError, UnicodeDecodeError, OSError) as error:
        raise CorruptDataError(
            f"{path} cannot be read to its end ({error}): it is cut or no table of this kind. Delete it and download it again."
        ) from error


def match_columns(path: Path, header: Sequence[str], layout: Layout) -> dict[str, str]:
    """Our column names to those of a file.

    Raises:
        ConfigError: A needed column is not there; the text names it, the file and the nearest column there is.
    """
    there = {name.strip().lower(): name for name in reversed(header)}
    found = {}
    for ours, names in {**layout.needed, **layout.welcome}.items():
        known = [there[name] for name in names if name in there]
        if known:
            found[ours] = known[0]
        elif ours in layout.needed:
            close = difflib.get_close_matches(names[0], list(there), n=1, cutoff=0.0)
            hint = f"the nearest it has is {there[close[0]]!r}" if close else "it has none"
            raise ConfigError(
                f"{path} has no column {names[0].upper()!r} ({hint}), which the {layout.name} layout needs. Rename the column in the file, "
                f"or set 'layout' to the one that the file follows: {', '.join(LAYOUTS)}."
            )
    return found


def _csv(path: Path, layout: Layout) -> Iterator[pa.Table]:
    with _opened(path) as file:
        first = file.readline().decode("utf-8-sig")
    separator = max(",;\t", key=first.count)
    header = next(csv.reader([first], delimiter=separator), [])
    found = match_columns(path, header, layout)
    types = {name: pa.string() for name in found.values()}
    convert = pacsv.ConvertOptions(
        include_columns=list(types), column_types=types, strings_can_be_null=True, null_values=["", "NA", "NULL"]
    )
    # The header is read above: ours may have a byte order mark, and its names lose their blanks.
    reading = pacsv.ReadOptions(block_size=_BLOCK, column_names=header, skip_rows=1)
    parsing = pacsv.ParseOptions(delimiter=separator, invalid_row_handler=_footer)
    with _opened(path) as file:
        for batch in pacsv.open_csv(file, reading, parsing, convert):
            yield pa.table({ours: batch.column(theirs) for ours, theirs in found.items()})


def _footer(row: pacsv.InvalidRow) -> str:
    """The tables of 2009 and 2012 end with a line such as `234,623 rows selected.`; any other odd line is an error."""
    return "skip" if "rows selected" in str(row.text) else "error"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The bytes of a table; of a zip archive, those of the one table in it."""
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as unpacked:
            yield unpacked
    elif path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive:
            tables = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            # Of several, the one that is called as the archive.
            tables = [name for name in tables if Path(name).stem.lower() == path.stem.lower()] or tables
            if len(tables) != 1:
                raise ConfigError(f"{path} holds {len(tables)} CSV files: unpack it and name the one to read.")
            with archive.open(tables[0]) as member:
                yield member


def _geopackage(path: Path, layout: Layout) -> Iterator[pa.Table]:
    import pyogrio

    try:
        found = match_columns(path, list(pyogrio.read_info(path)["fields"]), layout)
        with pyogrio.open_arrow(path, columns=list(found.values()), read_geometry=False, batch_size=_ROWS, use_pyarrow=True) as (
            _,
            batches,
        ):
            for batch in batches:
                yield pa.table({ours: _text(batch.column(theirs)) for ours, theirs in found.items()})
    except pyogrio.errors.DataSourceError as error:
        raise CorruptDataError(f"{path} is no readable GeoPackage ({error}). Delete it and download it again.") from error


def _text(column: pa.Array) -> pa.Array:
    text = pc.cast(column, pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
