"""What map services say: days, addresses of tiles; and what a section of the configuration may say."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from skygraft.config.aerial import WebTiles
from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.geo.mercator import WebTile
from skygraft.imagery.aerial.templates import address, leads_to
from skygraft.imagery.aerial.vintage import Vintage, read_compact, read_days, span

DAYS = st.dates(dt.date(1971, 1, 1), dt.date(2099, 12, 31))
TILE = WebTile(18, 137123, 89012)


@settings(deadline=None)
@given(DAYS, DAYS)
def test_every_service_s_way_to_write_a_span_is_read(a: dt.date, b: dt.date) -> None:
    first, last = min(a, b), max(a, b)
    wanted = Vintage(first, last)
    american = [f"{day.month}/{day.day}/{day.year}" for day in (first, last)]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    bing = [f"{day.day:02d} {months[day.month - 1]} {day.year} GMT" for day in (first, last)]
    assert read_days("-".join(american)) == wanted
    assert read_days(" ".join(bing)) == wanted
    assert read_days(f"{first.isoformat()}T00:00:00Z/{last.isoformat()}") == wanted
    assert first <= wanted.middle().date() <= last
    assert span([Vintage(b, b), None, Vintage(a, a)]) == wanted


@settings(deadline=None)
@given(DAYS)
def test_a_day_in_a_number_is_esri_s_or_milliseconds(day: dt.date) -> None:
    wanted = Vintage(day, day)
    assert read_compact(int(f"{day:%Y%m%d}")) == wanted
    assert read_compact(round(dt.datetime.combine(day, dt.time(8), dt.UTC).timestamp() * 1000)) == wanted


@pytest.mark.parametrize("text", ["", "None None", "N/A", "13/45/2018", "1/1/0001-1/1/0001", "99 Foo 2018 GMT", "soon"])
def test_what_is_no_day_is_none(text: str) -> None:
    assert read_days(text) is None


@pytest.mark.parametrize("number", [0, -(10**20), 10**20, 20181345])
def test_a_number_that_is_no_day_is_none(number: int) -> None:
    assert read_compact(number) is None


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("https://a/{z}/{x}/{y}.jpg", "https://a/18/137123/89012.jpg"),
        ("https://a/{z}/{x}/{-y}.jpg", f"https://a/18/137123/{2**18 - 1 - 89012}.jpg"),
        ("https://a/{TileMatrix}/{TileRow}/{TileCol}", "https://a/18/89012/137123"),
        ("https://a/tile/10/{level}/{row}/{col}", "https://a/tile/10/18/89012/137123"),
        ("https://a?TILEMATRIX=PM:{z}&TILEROW={y}&TILECOL={x}", "https://a?TILEMATRIX=PM:18&TILEROW=89012&TILECOL=137123"),
        # (137123 + 89012) % 3 is 1.
        ("https://{switch:a,b,c}.example/{z}/{x}/{y}", "https://b.example/18/137123/89012"),
    ],
)
def test_the_addresses_that_services_document(template: str, wanted: str) -> None:
    assert address(template, TILE) == wanted
    assert WebTiles.model_validate({"source": "xyz", "plan": "p", "url": template, "name": "n", "licence": "l"}).url == template


def test_a_quadkey_in_an_address() -> None:
    assert address("https://a/{quadkey}.jpeg", WebTile(3, 3, 5)) == "https://a/213.jpeg"


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://a/{z}/{x}.jpg"}, {"url": "https://a/{z}/{x}/{y}/{api_key}.jpg"}, {"url": "ftp://a/{z}/{x}/{y}"}, {"licence": ""},
        {"captured_from": "2018-01-01"}, {"captured_from": "2018-02-01", "captured_to": "2018-01-01"}, {"key_env": "lower case"},
        {"placeholders": ["abc"]}, {"zoom": 24}, {"tile_px": 300},
    ],
)  # fmt: skip
def test_a_mistake_in_a_section_is_told(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebTiles.model_validate({"source": "xyz", "plan": "p", "url": "https://a/{z}/{x}/{y}", "name": "n", "licence": "l"} | change)


@pytest.mark.parametrize(
    ("url", "stays"),
    [
        ("http://127.0.0.1:81/a", True),
        ("http://127.0.0.1:82/a", False),
        ("https://ecn.t0.tiles.virtualearth.net/a", True),
        ("http://ecn.t0.tiles.virtualearth.net/a", False),
        ("https://virtualearth.net.evil.example/a", False),
        ("https://evilvirtualearth.net/a", False),
        ("https://user@evil.example/.virtualearth.net", False),
        ("https://[::1/", False),
        ("file:///etc/passwd", False),
    ],
)
def test_an_address_stays_with_its_service(url: str, stays: bool) -> None:
    assert leads_to(url, "http://127.0.0.1:81/REST", ("virtualearth.net",)) is stays


BASE: dict[str, object] = {
    "name": "t",
    "photos": {"p": {"source": "table", "file": "p.csv"}},
    "plans": {"p": {"photos": ["p"]}},
    "encoders": {"e": {"model": "RN50"}},
}


def config(imagery: dict[str, object], **more: object) -> Config:
    from pathlib import Path

    return load_mapping({**BASE, "imagery": {"a": {"plan": "p", **imagery}}, **more}, Path(), "test")


def test_another_service_is_one_setting_apart() -> None:
    bing = {"source": "bing", "zoom": 17, "grid": "plan", "max_nodata": 0.1}
    others: list[dict[str, object]] = [
        {"source": "azure_maps"},
        {"source": "wayback", "release": 10},
        {"source": "xyz", "url": "https://a/{z}/{x}/{y}", "name": "n", "licence": "l"},
    ]
    for other in [{}, *others]:
        section = config(bing | other).imagery["a"].model_dump()
        assert {name: section[name] for name in (bing | other)} == bing | other


def test_keys_do_not_stand_in_a_configuration() -> None:
    with pytest.raises(ConfigError, match="never stand in a configuration"):
        config({"source": "bing", "api_key": "secret"})
    with pytest.raises(ConfigError, match="would be written into tables and logs"):
        config({"source": "xyz", "url": "https://a/{z}/{x}/{y}?key=secret", "name": "n", "licence": "l"})


def test_nobody_trains_on_tiles_of_different_sizes() -> None:
    run = {"runs": {"r": {"imagery": "a", "encoder": "e", "objective": {"name": "cosine"}}}}
    config({"source": "bing", "grid": "delivered"}, **run)
    with pytest.raises(ConfigError, match="different sizes"):
        config({"source": "bing", "grid": "footprint"}, **run)
