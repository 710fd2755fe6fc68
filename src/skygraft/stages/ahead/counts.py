"""How many points, photos, tiles, searches and scenes a run has: counted where a table is there, else from published figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.imagery import Catalogued
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.schemas import PHOTOS, SCENES, TILES
from skygraft.core.tables import read_table
from skygraft.geo.ordering import squares
from skygraft.geo.utm import to_utm, utm_epsg
from skygraft.ground.areas import region
from skygraft.imagery.queries import questions
from skygraft.stages.ahead import flickr
from skygraft.stages.layout import Layout

# IGARSS'24: LUCAS 2018 has about 235,000 points with some 900,000 photos in four directions.
PUBLISHED_POINTS, PUBLISHED_PHOTOS = 235_000, 900_000
# Observations by survey (d'Andrimont et al. 2020, table 1): an upper bound for surveys other than 2018.
_OBSERVATIONS = {2006: 168_401, 2009: 234_623, 2012: 270_272, 2015: 340_143, 2018: PUBLISHED_POINTS, 2022: 340_000}
_TOPSOIL_POINTS = 18_984
# Of 18,984 real points of 2018, which lie in 692 pieces of 100 km squares, 2,360 pairs of piece and month; more points fill more months.
_SQUARES, _MONTHS_OF_A_SQUARE = 760, 5.5
_SQUARE_KM2, _DAYS_A_MONTH = 10_000, 30.44
# Scenes under the cloud limit that are the nearest to some tile, in a square's month.
SCENES_A_SEARCH = 4
# A square of 100 km has some 250 quarter quads of 6.5 x 7 km; half are the newest, or the nearest in time, of some tile.
QUADS_A_SQUARE = 125
_QUESTIONS = {"sentinel2": "pairs of 100 km square and month", "naip": "100 km squares"}


@dataclass(frozen=True)
class PhotoCount:
    """A photo source: its places, its photos, and how they were counted."""

    points: int
    photos: int
    counted: str


@dataclass(frozen=True)
class ImageryCount:
    """An imagery: its tiles, the catalogue searches and the scenes that will be read, and how they were counted."""

    tiles: int
    searches: int
    scenes: int
    counted: str


def count_photos(config: Config, photos: str) -> PhotoCount:
    """Counts a photo source's table, or says what is to be expected of it."""
    path = Layout(config).photos(photos)
    if path.exists():
        table = read_table(PHOTOS, path, ["location_id"])
        return PhotoCount(pc.count_distinct(table.column(0)).as_py(), table.num_rows, f"counted in {path}")
    section = config.photos[photos]
    if section.expected is not None:
        return PhotoCount(section.expected, section.expected, "as many as the configuration expects, each at a place of its own")
    if isinstance(section, FlickrPhotos):
        expected, how = flickr.photos(section)
        if config.world is not None:
            expected, how = config.world.flickr_photos, "all that the world's Flickr has"
        return PhotoCount(expected, expected, how)
    if not isinstance(section, LucasPhotos):
        return PhotoCount(0, 0, f"not known before 'skygraft ingest-{section.source}' has asked the service")
    share = len(set(section.directions) & set("NESW")) / 4 + ("P" in section.directions) / 4
    if config.world is not None:
        return PhotoCount(config.world.points, round(config.world.points * 4 * share), "the world's points, four photos each")
    points, source = _published_points(section)
    return PhotoCount(points, round(points * PUBLISHED_PHOTOS / PUBLISHED_POINTS * share), source)


def _published_points(section: LucasPhotos) -> tuple[int, str]:
    if section.layout == "topsoil":
        return _TOPSOIL_POINTS, "published: the topsoil module of 2018"
    surveys = [year for table in section.tables() for year in table.years]
    points = sum(_OBSERVATIONS.get(year, max(_OBSERVATIONS.values())) for year in surveys)
    years = ", ".join(map(str, surveys))
    return points, f"published figures for {years}; counted once ingest_lucas has run"


def count_imagery(config: Config, imagery: str) -> ImageryCount:
    """Counts an imagery's tiles and searches in the plan's table, else in its photos' tables, else from published figures.

    Imagery without a catalogue has no searches; its tiles stand for scenes of their own.
    """
    layout, section = Layout(config), config.imagery[imagery]
    tiles_path, scenes_path = layout.tiles(section.plan), layout.scenes(imagery)
    if tiles_path.exists():
        tiles = read_table(TILES, tiles_path, ["geometry", "crs", "x", "y", "target_date"])
        if not isinstance(section, Catalogued):
            return ImageryCount(tiles.num_rows, 0, tiles.num_rows, f"tiles counted in {tiles_path}")
        searches = len(questions(tiles, section))
        scenes, how = _scenes(section, searches, tiles.num_rows), f"tiles and searches counted in {tiles_path}"
        if scenes_path.exists():
            read_table(SCENES, scenes_path, ["scene_id"])
            scenes = min(scenes, pq.read_metadata(scenes_path).num_rows)
            how += f", scenes at most those of {scenes_path}"
        return ImageryCount(tiles.num_rows, searches, scenes, how)
    plan = config.plans[section.plan]
    names, tiled = plan.photos, said_of_tiles(plan)
    points = plan.expected or sum(count_photos(config, name).points for name in names)
    if not isinstance(section, Catalogued):
        return ImageryCount(points, 0, points, tiled)
    paths = [layout.photos(name) for name in names]
    if all(path.exists() for path in paths):
        searches = sum(_square_months(path, section) for path in paths)
        how = f"{tiled}; searches counted from the photos' places and days"
        return ImageryCount(points, searches, _scenes(section, searches, points), how)
    searches = _searches(config, names, section, points)
    how = f"{tiled}; {searches:,} {_QUESTIONS[section.source]} assumed"
    return ImageryCount(points, searches, _scenes(section, searches, points), how)


def _searches(config: Config, names: Iterable[str], section: Catalogued, tiles: int) -> int:
    """About how many searches there will be: squares of ground times the months of an area's photos, and at most one a tile and month."""
    sources = [config.photos[name] for name in names]
    wider = len(section.months(0)) - 1 if isinstance(section, Sentinel2) else 0
    if config.world is not None:
        # A small world lies in one corner of a zone.
        return round(4 * (_MONTHS_OF_A_SQUARE + wider)) if isinstance(section, Sentinel2) else 4
    areas = [source for source in sources if isinstance(source, FlickrPhotos)]
    if not areas or any(source.area.file is not None and not source.area.file.is_file() for source in areas):
        found = _SQUARES * (_MONTHS_OF_A_SQUARE + wider if isinstance(section, Sentinel2) else 1)
        return round(min(found, tiles * (1 + wider)))
    found = 0.0
    for source in areas:
        months = (source.taken_to - source.taken_from).days / _DAYS_A_MONTH + 1 + wider if isinstance(section, Sentinel2) else 1
        found += math.ceil(region(source.area).km2() / _SQUARE_KM2) * months
    return round(min(found, tiles * (1 + wider)))


def said_of_tiles(plan: Plan) -> str:
    """How many tiles a plan is taken to have before it is made."""
    if plan.expected is not None:
        return "as many tiles as the configuration expects"
    if plan.sampling is None:
        return "one tile a place"
    return "a tile for every place at most: the sampling keeps fewer, the thicker the photos the more it leaves out"


def _scenes(section: Catalogued, searches: int, tiles: int) -> int:
    """About how many scenes will be read: a tile of Sentinel-2 comes from one, one of NAIP from two at most on average."""
    if isinstance(section, Sentinel2):
        # The months of a season share their scenes.
        return min(math.ceil(searches / section.season_months) * SCENES_A_SEARCH, tiles)
    return min(searches * QUADS_A_SQUARE, tiles * 2)


def _square_months(path: Path, section: Catalogued) -> int:
    """Pairs of 100 km square and month that the photos of a table ask for; squares alone where the month does not matter."""
    table = read_table(PHOTOS, path, ["location_id", "geometry", "captured_at"])
    _, first = np.unique(table.column("location_id").to_numpy(zero_copy_only=False), return_index=True)
    table = table.take(first)
    dated = isinstance(section, Sentinel2)
    if dated:
        table = table.filter(pc.is_valid(table.column("captured_at")))
    points = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False))
    lon, lat = shapely.get_x(points), shapely.get_y(points)
    months = (
        table.column("captured_at").to_numpy().astype("datetime64[M]").astype(np.int64) + 12 * 1970 if dated else np.zeros(len(lon), int)
    )
    epsg = utm_epsg(lon, lat)
    found: set[tuple[int, ...]] = set()
    for zone in np.unique(epsg):
        here = epsg == zone
        column, row = squares(*to_utm(lon[here], lat[here], int(zone)))
        keys = np.stack([np.full(len(column), zone), column, row, months[here]], axis=1)
        for *place, month in np.unique(keys, axis=0).tolist():
            found.update((*place, wanted) for wanted in (section.months(month) if isinstance(section, Sentinel2) else (month,)))
    return len(found)
