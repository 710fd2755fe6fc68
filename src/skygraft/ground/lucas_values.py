"""The values in LUCAS tables, cell by cell of whole columns: numbers with missing codes, two kinds of dates, signs in columns of their own.

Everything takes a column of text and gives a numpy array; what is missing or cannot be read is NaN, NaT or null.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skygraft.ground.photo_rows import FIRST_YEAR, LAST_YEAR

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DAY_FIRST = r"^(?P<d>[0-9]{1,2})/(?P<m>[0-9]{1,2})/(?P<y>[0-9]{4}|[0-9]{2})"
_ISO = r"^(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
_NO_CODES = pa.array(["", "8", "88", "888", "8888", "-1", "NA"])
_WEST = pa.array(["2", "w", "west"])
_TAKEN = pa.array(["1", "yes", "true", "taken", "photo taken"])
_IN_SITU = pa.array(["1", "2", "in situ < 100 m", "in situ > 100 m"])
_IN_SITU_LABEL = r"^[12]\s*[-:]?\s*field survey"
_MISSING_DEGREES = 88.888888


def numbers(column: pa.ChunkedArray, missing: tuple[float, ...] = ()) -> Floats:
    """A column of numbers.

    Args:
        column: Text.
        missing: Codes that stand for no value.
    """
    trimmed = pc.utf8_trim_whitespace(column)
    readable = pc.if_else(pc.match_substring_regex(trimmed, _NUMBER), trimmed, pa.scalar(None, pa.string()))
    values: Floats = _numpy(pc.cast(readable, pa.float64()), np.nan)
    values[np.isin(values, missing)] = np.nan
    return values


def degrees(column: pa.ChunkedArray) -> Floats:
    """Latitudes or longitudes, degrees; the missing code is 88.888888."""
    values = numbers(column)
    values[np.isclose(values, _MISSING_DEGREES, rtol=0, atol=1e-6)] = np.nan
    return values


def signed(longitude: Floats, sign: pa.ChunkedArray | None) -> Floats:
    """Longitudes made negative where the sign column says west (2, W or West); other rows keep the sign they have."""
    if sign is None:
        return longitude
    west: Flags = _numpy(pc.is_in(_lower(sign), _WEST), False)
    return np.where(west, -np.abs(longitude), longitude)


def dates(column: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    """Days (``datetime64[D]``) from ``dd/mm/yy``, ``dd/mm/yyyy`` or ISO; two digits are years of this century.

    None of years from which there are no photos.
    """
    text = pc.utf8_trim_whitespace(column)
    found = np.full(len(column), np.datetime64("NaT", "D"))
    for pattern in (_DAY_FIRST, _ISO):
        parts = pc.extract_regex(text, pattern)
        read = [numbers(pc.struct_field(parts, name)) for name in ("y", "m", "d")]
        here = ~np.isnan(read[0])
        year, month, day = (np.nan_to_num(part, nan=1.0).astype(np.int64) for part in read)
        year = np.where(year < 100, year + 2000, year)
        months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        days = months.astype("datetime64[D]") + (day - 1)
        # 31/02 would otherwise become a day in March.
        real = here & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
        real &= (year >= FIRST_YEAR) & (year <= LAST_YEAR)
        found[real] = days[real]
    return found


def codes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Codes such as ``B11`` without blanks and without a label (``B11 - Common wheat``); 8, 88, -1 and their like stand for none."""
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(column, r"\s+-\s.*$", ""))
    return pc.if_else(pc.is_in(text, _NO_CODES), pa.scalar(None, pa.string()), text)


def countries(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Country codes as Eurostat and the photo service write them: EL and UK, not GR and GB."""
    text = pc.utf8_upper(codes(column))
    for iso, eurostat in (("GR", "EL"), ("GB", "UK")):
        text = pc.if_else(pc.equal(text, iso), pa.scalar(eurostat), text)
    return text


def point_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Point numbers as 8 digits, whatever type the table had; null where there are none."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"\.0+$", "")
    padded = pc.utf8_lpad(text, 8, "0")
    return pc.if_else(pc.match_substring_regex(padded, r"^[0-9]{8}$"), padded, pa.scalar(None, pa.string()))


def taken(column: pa.ChunkedArray) -> Flags:
    """Whether a photo was taken: 1, its label, or the photo's address."""
    text = _lower(column)
    flags: Flags = _numpy(pc.or_(pc.is_in(text, _TAKEN), pc.starts_with(text, "http")), False)
    return flags


def in_situ(column: pa.ChunkedArray) -> Flags:
    """Whether a surveyor saw the point (observation types 1 and 2, or their labels): not interpreted on pictures, not out of reach."""
    text = _lower(column)
    flags: Flags = _numpy(pc.or_(pc.is_in(text, _IN_SITU), pc.match_substring_regex(text, _IN_SITU_LABEL)), False)
    return flags


def _lower(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"\.0+$", ""))


def _numpy(column: pa.ChunkedArray, missing: object) -> Any:
    """A writable array with ``missing`` for nulls."""
    return np.asarray(pc.fill_null(column, missing)).copy()
