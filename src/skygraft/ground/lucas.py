"""LUCAS, the land survey of the European Union: from its published tables to the table of photos.

A surveyor stands at a point of a 2 km grid and takes a photo to the north, east, south and west. The place is the GPS position where the
table has a believable one, else the point itself. Columns and their quirks: https://ec.europa.eu/eurostat/web/lucas and, for the
harmonised table, d'Andrimont et al., Scientific Data 2020, doi:10.1038/s41597-020-00675-z.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely

from skygraft.core.errors import ConfigError
from skygraft.core.schemas import PHOTOS
from skygraft.ground import lucas_values as values
from skygraft.ground.lucas_columns import DIRECTIONS, LAYOUTS, Layout, read_columns
from skygraft.ground.lucas_values import Flags, Floats

GRID_CRS = "EPSG:3035"
PHOTO_SERVICE = "https://gisco-services.ec.europa.eu/lucas/photos"
"""Root of the photo service: what stands in tables, wherever the photos are really taken from."""
THEORETICAL_ACCURACY_M = 100.0
"""How far from the point itself a surveyor may have stood to see it ("in situ, less than 100 m"), where no GPS position tells."""
BELIEVABLE_GPS_M = 10_000.0
"""A GPS position farther than this from its point is a slip of the table (a sign, a digit), not a place."""
_LICENCE = "EU reuse (Commission Decision 2011/833/EU)"
_AUTHOR = "European Union, Eurostat, LUCAS"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Which photos of a table count.

    Args:
        years: Survey years; for tables without a year column exactly one, that of the table.
        directions: N, E, S, W, P.
        max_obs_dist_m: Points observed from farther away are left out; unknown distances stay.
        in_situ_only: Points that no surveyor saw are left out.
    """

    years: tuple[int, ...]
    directions: tuple[str, ...] = ("N", "E", "S", "W")
    max_obs_dist_m: float | None = None
    in_situ_only: bool = False


def photos_table(path: Path, layout: str, selection: Selection) -> pa.Table:
    """The photos of a LUCAS table, sorted by ``photo_id``.

    Args:
        path: The table: CSV, or GeoPackage for the harmonised one.
        layout: ``microdata``, ``microdata_2022``, ``harmonised`` or ``topsoil``.
        selection: Which photos count.

    Returns:
        A table of :data:`skygraft.core.schemas.PHOTOS`. Photos are those marked as taken; where a table has no such marks, each direction
        of each point is a candidate: of every point (topsoil), or of those that a surveyor saw (2022). Addresses are the table's own, else
        made by the service's pattern.

    Raises:
        ConfigError: The file is missing, lacks a column, or the selection does not fit the layout.
        CorruptDataError: The file cannot be read to its end.
    """
    chosen = _asked_of(LAYOUTS[layout], selection)
    if "year" not in chosen.needed and len(selection.years) != 1:
        raise ConfigError(
            f"photos.years is {list(selection.years)}, but a table of the {layout} layout has no year column: name the one year of {path}."
        )
    rows, parts = 0, [PHOTOS.empty()]
    for block in read_columns(path, chosen):
        rows += block.num_rows
        parts.append(_photos(_points(block, selection), selection))
    if not rows:
        raise ConfigError(f"{path} has a header and no rows: it is no LUCAS table.")
    table = _unique(pa.concat_tables(parts).sort_by("photo_id"), path)
    _LOG.info("%s: %d rows, %d photos at %d places", path, rows, table.num_rows, len(pc.unique(table.column("location_id"))))
    return table


def _asked_of(layout: Layout, selection: Selection) -> Layout:
    """The layout with the columns that the selection cannot do without.

    Raises:
        ConfigError: A table of that layout never has them.
    """
    needed = dict(layout.needed)
    for asked, column, setting in (
        (selection.max_obs_dist_m is not None, "obs_dist", "max_obs_dist_m"),
        (selection.in_situ_only, "obs_type", "in_situ_only"),
    ):
        if asked and column not in {**layout.needed, **layout.welcome}:
            raise ConfigError(f"photos.{setting} needs {column.upper()}, which tables of the {layout.name} layout never have: take it out.")
        if asked:
            needed[column] = (column,)
    return Layout(layout.name, needed, layout.welcome)


def _points(table: pa.Table, selection: Selection) -> pa.Table:
    """The points of a block that count, cleaned, one row each."""
    point_id = values.point_ids(table.column("point_id"))
    longitude, latitude, accuracy = _places(table, point_id)
    distance = values.numbers(table.column("obs_dist"), (8888.0, -1.0)) if "obs_dist" in table.column_names else _nothing(table)
    year = values.numbers(table.column("year")) if "year" in table.column_names else np.full(table.num_rows, float(selection.years[0]))
    keep = np.isin(year, selection.years) & ~np.isnan(longitude)
    if selection.max_obs_dist_m is not None:
        keep &= ~(distance > selection.max_obs_dist_m)
    if selection.in_situ_only:
        keep &= values.in_situ(table.column("obs_type"))
    cleaned = table.select([name for name in table.column_names if name.startswith(("photo_", "file_path_"))])
    for name, column in {
        "point_id": point_id,
        "year": pa.array(np.nan_to_num(year).astype(np.int16)),
        "nuts0": values.countries(table.column("nuts0")),
        "geometry": pa.array(shapely.to_wkb(shapely.points(np.nan_to_num(longitude), np.nan_to_num(latitude))), pa.binary()),
        "accuracy_m": pa.array(accuracy, pa.float32(), from_pandas=True),
        "obs_dist_m": pa.array(distance, pa.float32(), from_pandas=True),
        "captured_at": pa.array(values.dates(table.column("survey_date")).astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
        "lc": values.codes(table.column("lc")),
        "lu": values.codes(table.column("lu")),
    }.items():
        cleaned = cleaned.append_column(name, column)
    if "obs_type" in table.column_names:
        cleaned = cleaned.append_column("seen", pa.array(values.in_situ(table.column("obs_type"))))
    return cleaned.filter(pc.and_(pa.array(keep), pc.is_valid(point_id)))


def _places(table: pa.Table, point_id: pa.ChunkedArray) -> tuple[Floats, Floats, Floats]:
    """Longitude, latitude (degrees) and accuracy (metres) of each point: by GPS where believable, else the point's own."""
    sign = table.column("th_ew") if "th_ew" in table.column_names else None
    theory = values.signed(values.degrees(table.column("th_long")), sign), values.degrees(table.column("th_lat"))
    theory = _from_grid(theory, point_id)
    if "gps_lat" not in table.column_names:
        return *theory, np.full(table.num_rows, THEORETICAL_ACCURACY_M)
    sign = table.column("gps_ew") if "gps_ew" in table.column_names else None
    longitude, latitude = values.signed(values.degrees(table.column("gps_long")), sign), values.degrees(table.column("gps_lat"))
    precision = values.numbers(table.column("gps_prec"), (8888.0, -1.0)) if "gps_prec" in table.column_names else _nothing(table)
    gps = _on_earth(longitude, latitude)
    apart = np.full(table.num_rows, np.nan)
    both = gps & ~np.isnan(theory[0])
    apart[both] = pyproj.Geod(ellps="GRS80").inv(longitude[both], latitude[both], theory[0][both], theory[1][both])[2]
    slips = apart > BELIEVABLE_GPS_M
    if slips.any():
        _LOG.info("%d GPS positions lie more than %.0f km from their points: the points are taken", slips.sum(), BELIEVABLE_GPS_M / 1000)
    gps &= ~slips
    return (
        np.where(gps, longitude, theory[0]),
        np.where(gps, latitude, theory[1]),
        np.where(gps, precision, THEORETICAL_ACCURACY_M),
    )


def _from_grid(place: tuple[Floats, Floats], point_id: pa.ChunkedArray) -> tuple[Floats, Floats]:
    """``place`` with the grid's own coordinates where the table has none in degrees.

    Some rows of 2006 hold metres of EPSG:3035, northing and easting exchanged. The point's number says the same without doubt: its first
    four digits are the easting in km, its last four the northing.
    """
    longitude, latitude = place
    wrong = ~_on_earth(longitude, latitude)
    known: Flags = wrong & pc.is_valid(point_id).to_numpy()
    number = pc.fill_null(point_id.cast(pa.int64()), 0).to_numpy()[known]
    to_degrees = pyproj.Transformer.from_crs(GRID_CRS, "EPSG:4326", always_xy=True)
    longitude, latitude = np.where(wrong, np.nan, longitude), np.where(wrong, np.nan, latitude)
    longitude[known], latitude[known] = to_degrees.transform(number // 10_000 * 1000.0, number % 10_000 * 1000.0)
    return longitude, latitude


def _on_earth(longitude: Floats, latitude: Floats) -> Flags:
    on_earth: Flags = (np.abs(longitude) <= 180) & (np.abs(latitude) <= 90)
    return on_earth


def _nothing(table: pa.Table) -> Floats:
    return np.full(table.num_rows, np.nan)


def _photos(points: pa.Table, selection: Selection) -> pa.Table:
    """One row for each photo of the points."""
    parts = []
    for direction in selection.directions:
        taken, url = _taken(points, direction), _url(points, direction)
        rows = points.append_column("url", url).filter(pc.and_(pa.array(taken), pc.is_valid(url)))
        location = _joined(pa.scalar("lucas"), rows.column("year").cast(pa.string()), rows.column("point_id"), between=":")
        filled = {
            "photo_id": _joined(location, pa.scalar(direction), between=":"),
            "source": _constant("lucas", rows),
            "location_id": location,
            "direction": _constant(direction, rows),
            "licence": _constant(_LICENCE, rows),
            "author": _constant(_AUTHOR, rows),
        } | {name: rows.column(name) for name in rows.column_names}
        schema = PHOTOS.schema()
        parts.append(pa.table([filled.get(field.name, pa.nulls(rows.num_rows, field.type)) for field in schema], schema=schema))
    return pa.concat_tables(parts)


def _taken(points: pa.Table, direction: str) -> Flags:
    """Whether there is a photo: by its mark or its address; where the table has neither, it may be there."""
    mark, path = f"photo_{direction}", f"file_path_gisco_{direction}"
    known: list[Flags] = []
    if mark in points.column_names:
        known.append(values.taken(points.column(mark)))
    if path in points.column_names:
        known.append(pc.is_valid(points.column(path)).to_numpy())
    if not known and "seen" in points.column_names:
        # Most points of 2022 were seen on aerial photos alone: asking for pictures of these would be in vain half a million times.
        known.append(points.column("seen").to_numpy())
    return np.logical_or.reduce(known) if known else np.ones(points.num_rows, dtype=np.bool_)


def _url(points: pa.Table, direction: str) -> pa.ChunkedArray:
    """The photo's address: the table's own, else by the service's pattern, whose file names changed in 2022."""
    year, point_id = points.column("year").cast(pa.string()), points.column("point_id")
    folder = _joined(
        pa.scalar(PHOTO_SERVICE),
        year,
        points.column("nuts0"),
        pc.utf8_slice_codeunits(point_id, 0, 3),
        pc.utf8_slice_codeunits(point_id, 3, 6),
    )
    plain = _joined(point_id, pa.scalar(f"{direction}.jpg"), between="")
    since_2022 = _joined(year, point_id, pa.scalar(f"LCLU_{DIRECTIONS[direction].capitalize()}.jpg"), between="")
    url = _joined(folder, pc.if_else(pc.greater_equal(points.column("year"), 2022), since_2022, plain))
    own, mark = f"file_path_gisco_{direction}", f"photo_{direction}"
    if mark in points.column_names:
        # A mark says 1 or 2, in one copy of 2022 the photo's address.
        told = pc.utf8_trim_whitespace(points.column(mark))
        url = pc.coalesce(pc.if_else(pc.starts_with(told, "http"), told, pa.scalar(None, pa.string())), url)
    if own not in points.column_names:
        return url
    path = pc.utf8_trim_whitespace(points.column(own))
    whole = pc.starts_with(path, "http")
    return pc.coalesce(pc.if_else(whole, path, _joined(pa.scalar(PHOTO_SERVICE), pc.utf8_ltrim(path, "/"))), url)


def _joined(*parts: pa.ChunkedArray | pa.Scalar, between: str = "/") -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*parts, between)


def _constant(text: str, rows: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(text), rows.num_rows)


def _unique(table: pa.Table, path: Path) -> pa.Table:
    """``table``, sorted by photo_id, without photos that stand in it twice: the first row counts."""
    ids: npt.NDArray[np.object_] = table.column("photo_id").to_numpy()
    first = np.ones(len(ids), dtype=np.bool_)
    first[1:] = ids[1:] != ids[:-1]
    if not first.all():
        _LOG.warning("%s names %d photos more than once: the first row of each counts", path, np.count_nonzero(~first))
    return table.filter(pa.array(first)).combine_chunks()
