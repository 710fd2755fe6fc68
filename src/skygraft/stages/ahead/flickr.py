"""Flickr, as the account names it: the key, the terms, and an estimate of photos and calls."""

from __future__ import annotations

import math
from collections.abc import Iterator

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.model import Config
from skygraft.ground.areas import region
from skygraft.ground.flickr.answers import KEY, KEY_PAGE
from skygraft.stages.ahead.outside import Key, Term

# YFCC100M has 48 million photos with a place under open licences, of the ten years to 2014; the earth has 149 million km2 of land.
_PHOTOS_A_KM2_AND_YEAR = 48e6 / 10 / 149e6
_DAYS_A_YEAR = 365.25
# Of a simulated search of ten million records: pages that are not full, and cuts.
PHOTOS_A_CALL = 202
_BYTES_A_PHOTO = 900
_HIGHEST_PAGE = 250


def keys(config: Config) -> Iterator[Key]:
    """The key that Flickr asks for."""
    if _sections(config):
        yield Key(KEY, f"Flickr: a key of your own, from {KEY_PAGE}; 3,600 calls an hour", needed=True)


def terms(config: Config) -> Iterator[Term]:
    """What binds whoever uses Flickr's photos."""
    if not _sections(config):
        return
    yield Term(
        "Flickr",
        "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc. Each photo has a licence of its own, in the "
        "table: name its author. Keep photos no longer than you need them, and remove those whose owners take them down or make them "
        "private ('skygraft forget'). Photos may show people.",
    )
    if any(0 in section.licences for section in _sections(config)):
        yield Term(
            "Flickr, all rights reserved", "photos.*.licences holds 0: you need another right to use those photos. It is yours to know."
        )


def photos(section: FlickrPhotos) -> tuple[int, str]:
    """About how many photos a section will find, and how that was reckoned; none where its area cannot be read."""
    if section.area.file is not None and not section.area.file.is_file():
        return 0, "the area's file is not there"
    ground = region(section.area).km2()
    years = ((section.taken_to - section.taken_from).days + 1) / _DAYS_A_YEAR
    if section.sampling == "uniform":
        ground = min(ground, section.draws * math.pi * section.radius_km**2)
    count = round(ground * years * _PHOTOS_A_KM2_AND_YEAR)
    return count, (
        f"about {_PHOTOS_A_KM2_AND_YEAR:.2f} open photos with a place for each km2 of land and year (YFCC100M), on {ground:,.0f} km2 in "
        f"{years:.1f} years; towns have a hundred times that, and the sea none: 'skygraft ingest-flickr' counts"
    )


def calls(section: FlickrPhotos, count: int) -> tuple[int, float, str]:
    """Calls, seconds at the configured rate, and how that was reckoned."""
    asked = math.ceil(count / PHOTOS_A_CALL) + 2
    if section.sampling == "uniform":
        asked = max(asked, section.draws)
    network = section.api_network
    rate = network.per_second if network.per_second is not None else float(network.concurrency)
    return asked, asked / rate, f"{asked:,} calls of at most {_HIGHEST_PAGE} photos, {rate:g} a second"


def received(count: int) -> int:
    """Bytes of the answers."""
    return count * _BYTES_A_PHOTO


def _sections(config: Config) -> list[FlickrPhotos]:
    return [section for section in config.photos.values() if isinstance(section, FlickrPhotos)]
