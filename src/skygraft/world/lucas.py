"""The survey's tables: the 2018 micro data in its true columns and codes, and the harmonised table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pyproj import Transformer

from skygraft.world.classes import CLASSES, HIGHWAY, RESIDENTIAL, RIVER, variant_of
from skygraft.world.noise import rng_of
from skygraft.world.photos import photo_path
from skygraft.world.points import Point
from skygraft.world.recipe import EPSG
from skygraft.world.views import BEARINGS

MICRO_PATH = "ec.europa.eu/eurostat/cache/lucas/EU_2018_20200213.CSV"
HARMONISED_PATH = "jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/LUCAS/LUCAS_harmonised/lucas_harmo_uf.csv"
PHOTO_HOST = "gisco-services.ec.europa.eu"
COLUMNS: tuple[str, ...] = (
    "POINT_ID", "NUTS0", "NUTS1", "NUTS2", "NUTS3", "TH_LAT", "TH_LONG", "OFFICE_PI", "EX_ANTE", "SURVEY_DATE",
    "CAR_LATITUDE", "CAR_EW", "CAR_LONGITUDE", "GPS_PROJ", "GPS_PREC", "GPS_ALTITUDE", "GPS_LAT", "GPS_EW", "GPS_LONG",
    "OBS_DIST", "OBS_DIRECT", "OBS_TYPE", "LC1", "LC1_SPEC", "LC1_PERC", "LC2", "LC2_SPEC", "LC2_PERC", "LU1",
    "LU1_TYPE", "LU1_PERC", "LU2", "LU2_TYPE", "LU2_PERC", "PARCEL_AREA_HA", "TREE_HEIGHT_SURVEY",
    "TREE_HEIGHT_MATURITY", "FEATURE_WIDTH", "LNDMNG_PLOUGH", "LM_PLOUGH_SLOPE", "LM_PLOUGH_DIRECT", "LM_STONE_WALLS",
    "CROP_RESIDUES", "LM_GRASS_MARGINS", "GRAZING", "SPECIAL_STATUS", "LC_LU_SPECIAL_REMARK", "CPRN_CANDO", "CPRN_LC",
    "CPRN_LC1N", "CPRNC_LC1E", "CPRNC_LC1S", "CPRNC_LC1W", "CPRN_LC1N_BRDTH", "CPRN_LC1E_BRDTH", "CPRN_LC1S_BRDTH",
    "CPRN_LC1W_BRDTH", "CPRN_LC1N_NEXT", "CPRN_LC1E_NEXT", "CPRN_LC1S_NEXT", "CPRN_LC1W_NEXT", "CPRN_URBAN",
    "CPRN_IMPERVIOUS_PERC", "INSPIRE_PLCC1", "INSPIRE_PLCC2", "INSPIRE_PLCC3", "INSPIRE_PLCC4", "INSPIRE_PLCC5",
    "INSPIRE_PLCC6", "INSPIRE_PLCC7", "INSPIRE_PLCC8", "EUNIS_COMPLEX", "GRASSLAND_SAMPLE", "GRASS_CANDO", "WM",
    "WM_SOURCE", "WM_TYPE", "WM_DELIVERY", "EROSION_CANDO", "SOIL_STONES_PERC", "BIO_SAMPLE", "SOIL_BIO_TAKEN",
    "BULK0_10_SAMPLE", "SOIL_BLK_0_10_TAKEN", "BULK10_20_SAMPLE", "SOIL_BLK_10_20_TAKEN", "BULK20_30_SAMPLE",
    "SOIL_BLK_20_30_TAKEN", "STANDARD_SAMPLE", "SOIL_STD_TAKEN", "ORGANIC_SAMPLE", "SOIL_ORG_DEPTH_CANDO",
    "PHOTO_POINT", "PHOTO_NORTH", "PHOTO_EAST", "PHOTO_SOUTH", "PHOTO_WEST",
)  # fmt: skip
_MISSING = ["8"] * len(COLUMNS)
for _name in COLUMNS:
    _at = COLUMNS.index(_name)
    if _name.startswith("INSPIRE_PLCC") or _name == "SOIL_STONES_PERC" or _name.endswith(("_BRDTH",)):
        _MISSING[_at] = "888"
    elif _name.startswith(("CPRN_LC1", "CPRNC_LC1")) or _name == "EUNIS_COMPLEX":
        _MISSING[_at] = "88"
    elif _name.endswith("_SAMPLE"):
        _MISSING[_at] = "0"
"""Code of a missing value in every column, as real rows have it."""
UNQUOTED = {
    "POINT_ID", "TH_LAT", "TH_LONG", "CAR_LATITUDE", "CAR_LONGITUDE", "GPS_PREC", "GPS_ALTITUDE", "GPS_LAT", "GPS_LONG",
    "OBS_DIST", "LC1_PERC", "LC2_PERC", "LU1_PERC", "LU2_PERC",
}  # fmt: skip
DIRECTION_WORDS = {"N": "NORTH", "E": "EAST", "S": "SOUTH", "W": "WEST"}


def _degrees(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return (latitude, longitude) of UTM places."""
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    x, y = np.array(places).T
    lon, lat = to_degrees.transform(x, y)
    return list(zip(lat.tolist(), lon.tolist(), strict=True))


def _row(point: Point, theory: tuple[float, float], gps: tuple[float, float], rng: np.random.Generator) -> dict[str, str]:
    _, kind = variant_of(point.variant)
    row = dict(zip(COLUMNS, _MISSING, strict=True))
    region = {"32UNU": "DE14", "32UPU": "DE27", "32UNV": "DE11", "32UPV": "DE25"}[point.square]
    row |= {"POINT_ID": point.point_id, "NUTS0": "DE", "NUTS1": region[:3], "NUTS2": region, "NUTS3": f"{region}1"}
    row |= {"TH_LAT": f"{theory[0]:.9f}", "TH_LONG": f"{theory[1]:.9f}", "EX_ANTE": "0"}
    row |= {"OFFICE_PI": "1" if point.interpreted else "0", "SURVEY_DATE": point.day.strftime("%d/%m/%y")}
    # Some real rows carry blanks behind the code.
    blanks = " " * int(rng.integers(1, 4)) if rng.random() < 0.06 else ""
    row |= {"LC1": kind.lc1 + blanks, "LC1_PERC": str(rng.choice([75, 90, 100])), "LU1": kind.lu1, "LU1_PERC": "100"}
    row |= {"LC2_PERC": "0", "LU2_PERC": "0", "SPECIAL_STATUS": "4", "LC_LU_SPECIAL_REMARK": "10", "CPRN_CANDO": "2"}
    row |= {"GRAZING": "1" if point.variant in ("cows", "sheep") else "2", "PARCEL_AREA_HA": str(rng.integers(1, 5))}
    if point.cover in (RIVER, HIGHWAY):
        row["FEATURE_WIDTH"] = "2"
    if point.interpreted:
        row |= _nobody_went()
    else:
        row |= _somebody_went(point, gps, rng)
    for direction, word in DIRECTION_WORDS.items():
        row[f"PHOTO_{word}"] = "2" if point.fates[direction] == "not_taken" else "1"
    row["PHOTO_POINT"] = "2"
    return row


def _nobody_went() -> dict[str, str]:
    blank = {name: "88.888888" for name in ("CAR_LATITUDE", "CAR_LONGITUDE", "GPS_LAT", "GPS_LONG")}
    return blank | {"GPS_PREC": "8888", "GPS_ALTITUDE": "8888", "OBS_DIST": "", "OBS_DIRECT": "1", "OBS_TYPE": "7"}


def _somebody_went(point: Point, gps: tuple[float, float], rng: np.random.Generator) -> dict[str, str]:
    car = gps[0] + float(rng.normal(0, 6e-4)), gps[1] + float(rng.normal(0, 8e-4))
    return {
        "CAR_LATITUDE": f"{car[0]:.6f}",
        "CAR_EW": "1" if car[1] >= 0 else "2",
        "CAR_LONGITUDE": f"{abs(car[1]):.6f}",
        "GPS_PROJ": "1",
        "GPS_PREC": str(rng.integers(2, 9)),
        "GPS_ALTITUDE": str(rng.integers(400, 560)),
        "GPS_LAT": f"{gps[0]:.6f}",
        "GPS_EW": "1" if gps[1] >= 0 else "2",
        "GPS_LONG": f"{abs(gps[1]):.6f}",
        "OBS_DIST": str(round(point.distance)),
        "OBS_DIRECT": "1" if point.distance < 3 else str(rng.integers(1, 4)),
        "OBS_TYPE": "1" if point.distance <= 100 else "2",
    }


def micro_rows(seed: int, points: Sequence[Point]) -> list[dict[str, str]]:
    """Return the micro data's rows, one a point, every value as text."""
    theory, gps = _degrees([p.theory for p in points]), _degrees([p.gps for p in points])
    rows = zip(points, theory, gps, strict=True)
    return [_row(point, th, at, rng_of(seed, "row", int(point.point_id))) for point, th, at in rows]


def micro_csv(rows: Sequence[dict[str, str]]) -> str:
    """Return the micro data as the CSV text that Eurostat serves: text quoted, numbers bare."""
    lines = ["POINT_ID," + ",".join(f'"{name}"' for name in COLUMNS[1:])]
    for row in rows:
        lines.append(",".join(row[n] if n in UNQUOTED or n.startswith("PHOTO_") else f'"{row[n]}"' for n in COLUMNS))
    return "\n".join(lines) + "\n"


def _harmonised(point: Point, row: dict[str, str], number: int) -> dict[str, Any]:
    """Return one row of the harmonised table; codes of missing values become empty."""
    cover, _ = variant_of(point.variant)
    gps = not point.interpreted
    one: dict[str, Any] = {"id": number, "point_id": point.point_id, "year": 2018}
    one |= {f"nuts{k}": row[f"NUTS{k}"] for k in range(4)}
    one |= {"th_lat": row["TH_LAT"], "th_long": row["TH_LONG"], "office_pi": row["OFFICE_PI"], "ex_ante": row["EX_ANTE"]}
    one |= {"survey_date": point.day.isoformat()}
    for name in ("car_latitude", "car_ew", "car_longitude", "gps_proj", "gps_prec", "gps_altitude", "gps_lat", "gps_ew", "gps_long"):
        one[name] = row[name.upper()] if gps else ""
    one |= {"obs_dist": row["OBS_DIST"], "obs_direct": row["OBS_DIRECT"], "obs_type": row["OBS_TYPE"]}
    one |= {"letter_group": row["LC1"][0], "lc1": row["LC1"].strip(), "lc1_label": point.variant}
    one |= {"lc1_perc": row["LC1_PERC"], "lu1": row["LU1"], "lu1_label": CLASSES[cover].name, "lu1_perc": row["LU1_PERC"]}
    one |= {"cprn_urban": 1 if point.cover == RESIDENTIAL else 2}
    for word in DIRECTION_WORDS.values():
        one[f"photo_{word.lower()}"] = row[f"PHOTO_{word}"]
    one |= {"photo_point": row["PHOTO_POINT"], "th_gps_dist": f"{point.distance:.1f}" if gps else "", "revisit": 1}
    one |= {"transect": ""}
    for direction in BEARINGS:
        there = row[f"PHOTO_{DIRECTION_WORDS[direction]}"] == "1"
        link = f"https://{PHOTO_HOST}/{photo_path(point.point_id, direction)}" if there else ""
        one[f"file_path_gisco_{DIRECTION_WORDS[direction].lower()}"] = link
    one["file_path_gisco_point"] = ""
    return one


def harmonised_csv(points: Sequence[Point], rows: Sequence[dict[str, str]]) -> str:
    """Return the harmonised table as CSV text."""
    table = [_harmonised(p, row, 1_000_000 + i) for i, (p, row) in enumerate(zip(points, rows, strict=True))]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
