"""Zones and metres."""

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skygraft.core.errors import ConfigError
from skygraft.geo.utm import central_meridian, from_utm, geocentric, is_utm, to_utm, utm_epsg, utm_zone, wrap_longitude


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [
        (0.0, 0.0, 32631),
        (0.0, -1e-9, 32731),
        (-0.001, 45.0, 32630),
        (15.0, 65.0, 32633),
        (5.9999, 45.0, 32631),
        (6.0, 45.0, 32632),
        # Norway: 31V is narrowed and 32V widened between 56 and 64 degrees north.
        (2.999, 60.0, 32631),
        (3.0, 60.0, 32632),
        (5.3, 60.4, 32632),
        (11.999, 60.0, 32632),
        (12.0, 60.0, 32633),
        (5.3, 55.999, 32631),
        (5.3, 64.0, 32631),
        # Svalbard: 32X, 34X and 36X do not exist.
        (8.999, 78.0, 32631),
        (9.0, 78.0, 32633),
        (15.6, 78.2, 32633),
        (20.999, 78.0, 32633),
        (21.0, 78.0, 32635),
        (32.999, 78.0, 32635),
        (33.0, 78.0, 32637),
        (41.999, 78.0, 32637),
        (42.0, 78.0, 32638),
        (-0.001, 78.0, 32630),
        (9.0, 71.999, 32632),
        (20.0, 84.0, 32633),
        # The antimeridian.
        (179.999, 10.0, 32660),
        (180.0, 10.0, 32601),
        (-180.0, 10.0, 32601),
        (-180.0, -10.0, 32701),
        (181.0, 10.0, 32601),
        (-181.0, 10.0, 32660),
        (151.2, -33.9, 32756),
    ],
)
def test_zone_follows_the_mgrs(lon: float, lat: float, epsg: int) -> None:
    assert int(utm_epsg(lon, lat)) == epsg
    assert is_utm(epsg)


@given(st.floats(-180, 179.999999), st.floats(-79.9, 55.9))
def test_outside_the_exceptions_a_zone_is_six_degrees_around_its_meridian(lon: float, lat: float) -> None:
    epsg = int(utm_epsg(lon, lat))
    assert abs(lon - central_meridian(epsg)) <= 3.0 + 1e-9


def test_arrays_give_the_same_as_single_places() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 500), rng.uniform(-80, 84, 500)
    assert utm_epsg(lon, lat).tolist() == [int(utm_epsg(a, b)) for a, b in zip(lon, lat, strict=True)]


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 84.1), (0.0, -80.1), (0.0, np.nan), (np.nan, 0.0)])
def test_a_place_without_a_zone_is_named(lon: float, lat: float) -> None:
    with pytest.raises(ConfigError, match="1 places have no UTM zone"):
        utm_zone([1.0, lon], [1.0, lat])


@given(st.floats(-179.9, 179.9), st.floats(-79, 83))
def test_metres_agree_with_an_ellipsoid_of_their_own_and_come_back(lon: float, lat: float) -> None:
    epsg = int(utm_epsg(lon, lat))
    x, y = to_utm(lon, lat, epsg)
    false_north = 10_000_000 if epsg >= 32700 else 0
    oracle = pyproj.Proj(proj="etmerc", lon_0=central_meridian(epsg), k=0.9996, x_0=500000, y_0=false_north, ellps="WGS84")
    assert np.allclose((x, y), oracle(lon, lat), atol=1e-3)
    back = from_utm(x, y, epsg)
    assert abs(wrap_longitude(back[0] - lon)) < 1e-7 and abs(back[1] - lat) < 1e-7


def test_geocentric_distances_cross_the_antimeridian_and_zone_seams() -> None:
    lon, lat = np.array([179.9999, -179.9999, 5.9999, 6.0001]), np.array([10.0, 10.0, 65.0, 65.0])
    xyz = geocentric(lon, lat)
    geod = pyproj.Geod(ellps="WGS84")
    for first, second in ((0, 1), (2, 3)):
        _, _, metres = geod.inv(lon[first], lat[first], lon[second], lat[second])
        assert np.linalg.norm(xyz[first] - xyz[second]) == pytest.approx(metres, rel=1e-6)


def test_codes_that_are_no_utm_zone() -> None:
    assert [is_utm(code) for code in (32600, 32661, 32700, 32761, 4326, 3035)] == [False] * 6
