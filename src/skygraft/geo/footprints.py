"""Where a benchmark's images lie: outlines out of a file of polygons, or out of the images' own georeference."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from skygraft.core.errors import ConfigError
from skygraft.geo.utm import transformer

_HALF_TURN = 180.0
_LOG = logging.getLogger(__name__)


def read_footprints(path: Path) -> NDArray[np.object_]:
    """The outlines in a file that geopandas reads, in longitude and latitude (EPSG:4326).

    Raises:
        ConfigError: The file cannot be read, says no coordinate system, or holds no polygon.
    """
    import geopandas
    import pyogrio

    try:
        frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise ConfigError(
            f"footprints: {path} cannot be read as polygons ({error}). 'skygraft footprints' writes such a file from GeoTIFFs."
        ) from error
    if frame.crs is None:
        raise ConfigError(f"footprints: {path} does not say its coordinate system: give it one (for degrees, EPSG:4326).")
    shapes = frame.geometry.to_crs("EPSG:4326").dropna()
    shapes = shapes[shapes.geom_type.isin(["Polygon", "MultiPolygon"])]
    if shapes.empty:
        raise ConfigError(f"footprints: {path} has no polygons.")
    # Drawn with the seam in it, an outline across the antimeridian would go around the world the other way.
    return np.asarray(shapely.make_valid(in_one_piece(np.asarray(shapes, dtype=np.object_))), dtype=np.object_)


def in_one_piece(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Outlines with longitudes that run on beyond 180 where they cross the antimeridian.

    An image's outline that is wider than half the world is one whose corners lie on both sides of it.

    Args:
        shapes: Polygons in longitude and latitude, shape (N,).
    """
    west, _, east, _ = shapely.bounds(shapes).reshape(-1, 4).T
    across = east - west > _HALF_TURN
    whole = shapes.copy()
    whole[across] = shapely.transform(shapes[across], lambda places: np.stack([places[:, 0] % (2 * _HALF_TURN), places[:, 1]], axis=1))
    return whole


def write_footprints(images: Iterable[Path], target: Path) -> int:
    """Writes the outlines of georeferenced images as GeoParquet, with each image's name.

    Args:
        images: Files that rasterio reads, such as EuroSAT's or BigEarthNet's GeoTIFFs.
        target: The file to write.

    Returns:
        How many were written.

    Raises:
        ConfigError: An image cannot be read or says no place.
    """
    import geopandas

    paths = sorted(images)
    if not paths:
        raise ConfigError("footprints: no image was named; give GeoTIFF files, or a folder that holds some.")
    frame = geopandas.GeoDataFrame({"image": [path.name for path in paths]}, geometry=[_outline(path) for path in paths], crs="EPSG:4326")
    target.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(target)
    _LOG.info("footprints=%s images=%d", target, len(frame))
    return len(frame)


def _outline(path: Path) -> shapely.Polygon:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as image:
            crs, box = image.crs, shapely.box(*image.bounds)
    except RasterioError as error:
        raise ConfigError(f"footprints: {path} cannot be read ({error}).") from error
    if crs is None:
        raise ConfigError(f"footprints: {path} says no place: it has no coordinate system.")
    to_degrees = transformer(crs.to_wkt(), "EPSG:4326")
    # Points along the edges, since a straight edge of a projection bends in degrees.
    dense = shapely.segmentize(box, max(box.length / 40, 1e-9))
    outline = shapely.transform(dense, lambda places: np.stack(to_degrees.transform(*places.T), axis=1))
    return in_one_piece(np.array([outline], np.object_))[0]
