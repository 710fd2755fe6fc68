"""Universal Transverse Mercator: which zone a place belongs to, and metres in it.

Zones follow the MGRS, with its exceptions for south-west Norway and Svalbard, since that is how Sentinel-2 is tiled. All
functions take and give arrays; angles are degrees in EPSG:4326, lengths are metres.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from skygraft.core.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SOUTH_LIMIT, NORTH_LIMIT = -80.0, 84.0
_NORTH, _SOUTH = 32600, 32700
_SVALBARD_EDGES = np.array([0.0, 9.0, 21.0, 33.0, 42.0])
_SVALBARD_ZONES = np.array([31, 33, 35, 37])


def wrap_longitude(lon: ArrayLike) -> Floats:
    """Longitudes brought into [-180, 180): 180 and -180 are one meridian."""
    wrapped: Floats = (np.asarray(lon, dtype=np.float64) + 180.0) % 360.0 - 180.0
    return wrapped


def utm_zone(lon: ArrayLike, lat: ArrayLike) -> Ints:
    """The MGRS zone number (1 to 60) of each place.

    Args:
        lon: Longitudes in degrees; any multiple of a turn is accepted.
        lat: Latitudes in degrees, from -80 to 84.

    Raises:
        ConfigError: A place lies outside the UTM's latitudes, or is not a number.
    """
    lon, lat = np.broadcast_arrays(wrap_longitude(lon), np.asarray(lat, dtype=np.float64))
    outside = ~(np.isfinite(lon) & (lat >= SOUTH_LIMIT) & (lat <= NORTH_LIMIT))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ConfigError(
            f"{int(outside.sum())} places have no UTM zone (expected: latitude {SOUTH_LIMIT:g} to {NORTH_LIMIT:g}), the first "
            f"at longitude {lon.flat[first]}, latitude {lat.flat[first]}: leave them out of the photos table."
        )
    zone = (np.floor((lon + 180.0) / 6.0) + 1).astype(np.int64)
    norway = (lat >= 56.0) & (lat < 64.0) & (lon >= 3.0) & (lon < 12.0)
    zone = np.where(norway, 32, zone)
    svalbard = (lat >= 72.0) & (lon >= 0.0) & (lon < 42.0)
    band = np.clip(np.searchsorted(_SVALBARD_EDGES, lon, side="right") - 1, 0, len(_SVALBARD_ZONES) - 1)
    return np.where(svalbard, _SVALBARD_ZONES[band], zone)


def utm_epsg(lon: ArrayLike, lat: ArrayLike) -> Ints:
    """The EPSG code of each place's UTM zone: 326xx north of the equator and on it, 327xx south.

    Raises:
        ConfigError: As :func:`utm_zone`.
    """
    zone = utm_zone(lon, lat)
    return np.where(np.asarray(lat, dtype=np.float64) >= 0.0, _NORTH, _SOUTH) + zone


def is_utm(epsg: int) -> bool:
    """Whether an EPSG code is one of the 120 UTM zones on WGS 84."""
    return 1 <= epsg - _NORTH <= 60 or 1 <= epsg - _SOUTH <= 60


def central_meridian(epsg: int) -> float:
    """The longitude, in degrees, that runs down the middle of a UTM zone."""
    return (epsg % 100) * 6.0 - 183.0


def to_utm(lon: ArrayLike, lat: ArrayLike, epsg: int) -> tuple[Floats, Floats]:
    """Longitude and latitude as metres east and north in one zone, also beyond its edges."""
    x, y = transformer("EPSG:4326", f"EPSG:{epsg}").transform(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    return np.asarray(x), np.asarray(y)


def from_utm(x: ArrayLike, y: ArrayLike, epsg: int) -> tuple[Floats, Floats]:
    """Metres east and north in one zone as longitude and latitude."""
    lon, lat = transformer(f"EPSG:{epsg}", "EPSG:4326").transform(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return np.asarray(lon), np.asarray(lat)


def geocentric(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Places on the WGS 84 ellipsoid in earth-centred metres, shape (N, 3): no zones, no antimeridian."""
    lon, lat = np.asarray(lon, np.float64).ravel(), np.asarray(lat, np.float64).ravel()
    xyz = transformer("EPSG:4979", "EPSG:4978").transform(lon, lat, np.zeros_like(lon))
    return np.stack(xyz, axis=1)


@lru_cache(maxsize=512)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """The transformer between two coordinate systems, x before y, made once: making one costs more than using it."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
