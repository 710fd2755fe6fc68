"""Flickr as a source of ground photos."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from skygraft.config.base import operation
from skygraft.config.network import Network
from skygraft.config.photo_source import Area, PhotoSource

Sampling = Literal["complete", "uniform"]
# By their side, from 75 pixels up; "o" is the original.
_SIZES = ("s", "sq", "t", "q", "m", "n", "w", "z", "c", "b", "l", "h", "k", "3k", "4k", "f", "5k", "6k", "o")


class FlickrNetwork(Network):
    """Limits towards Flickr's service, kept where a section changes others of them."""

    concurrency: int = Field(4, ge=1, le=256, description="requests under way at once; their rate is limited apart from it")
    per_second: float | None = Field(1.0, gt=0, description="requests a second at most: a key has 3,600 an hour")
    max_pause_s: float = Field(3600.0, ge=0, description="longest pause that the service may ask for; it counts by the hour")


class FlickrPhotos(PhotoSource):
    """Flickr: geotagged photos of an area and a span of days, by the user's own key (FLICKR_API_KEY)."""

    source: Literal["flickr"] = "flickr"
    area: Area = Field(description="where photos are looked for")
    taken_from: date = Field(date(2013, 1, 1), description="first day on which a photo was taken")
    taken_to: date = Field(description="last day on which a photo was taken")
    licences: tuple[int, ...] = Field(
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
        min_length=1,
        description="Flickr's licence numbers that are allowed; 0 is all rights reserved",
    )
    accuracy: int = Field(16, ge=1, le=16, description="least accuracy of the place: 16 is street level; GRAFT's code asks for 15")
    outdoors: bool = Field(False, description="only photos whose owners call them outdoors, a hint that few give")
    sizes: tuple[str, ...] = Field(
        ("c", "z", "w", "n", "b", "h", "o", "m"), min_length=1, description="sizes by preference; the first that is there is fetched"
    )
    sampling: Sampling = Field("complete", description="complete: every photo that matches; uniform: GRAFT's discs at random places")
    draws: int = Field(10_000, ge=1, description="uniform: how many places are drawn")
    radius_km: float = Field(2.0, gt=0, lt=32, description="uniform: radius of a disc")
    pages_a_place: int = Field(4, ge=1, le=16, description="uniform: pages of 250 photos that are asked of a disc")
    seed: int = Field(42, ge=0, description="uniform: draws the places")
    one_a_minute: bool = Field(True, description="keep one photo of the same author, place and minute")
    api_url: str = operation("https://api.flickr.com/services/rest/", "the service's address")
    api_network: FlickrNetwork = operation(FlickrNetwork(), "limits towards the service; 'network' is for the photos' host")

    @model_validator(mode="after")
    def _in_order(self) -> FlickrPhotos:
        if self.taken_to < self.taken_from:
            raise ValueError("taken_to lies before taken_from")
        # Of an unknown size no photo has an address: after hours of questions none would be left.
        if unknown := [size for size in self.sizes if size not in _SIZES]:
            raise ValueError(f"sizes: Flickr has no size {unknown[0]!r}; it has {', '.join(_SIZES)}")
        if min(self.licences) < 0:
            raise ValueError(f"licences: Flickr's numbers start at 0, found {min(self.licences)}")
        return self
