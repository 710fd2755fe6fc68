"""Other sources of ground photos, beside LUCAS and Flickr."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from skygraft.config.base import operation
from skygraft.config.network import Network
from skygraft.config.photo_source import Area, PhotoSource

TableColumn = Literal[
    "id", "lon", "lat", "url", "file", "licence", "author", "captured_at", "year", "title", "tags", "page_url", "accuracy_m"
]


class CommonsPhotos(PhotoSource):
    """Wikimedia Commons: photos by place, no key."""

    source: Literal["commons"] = "commons"
    area: Area = Field(description="where photos are looked for")
    width: Literal[250, 330, 500, 960, 1280, 1920] = Field(960, description="width in pixels of the scaled picture that is fetched")
    contact: str | None = operation(None, "your mail or web address, which Wikimedia asks clients to name in their User-Agent")
    api_url: str = operation("https://commons.wikimedia.org/w/api.php", "the service's address")
    api_network: Network = operation(
        Network(concurrency=2, per_second=5.0), "limits towards the service; 'network' is for the pictures' host"
    )
    network: Network = operation(Network(concurrency=2, per_second=5.0), "limits towards the host of the pictures")


class MapillaryPhotos(PhotoSource):
    """Mapillary: street-level photos, by the user's own token (MAPILLARY_TOKEN)."""

    source: Literal["mapillary"] = "mapillary"
    area: Area = Field(description="where photos are looked for")
    taken_from: date | None = Field(None, description="first day on which a photo was taken; none: any")
    taken_to: date | None = Field(None, description="last day on which a photo was taken; none: any")
    size: Literal["thumb_256_url", "thumb_1024_url", "thumb_2048_url"] = Field("thumb_1024_url", description="which picture is fetched")
    api_url: str = operation("https://graph.mapillary.com/images", "the service's address")
    api_network: Network = operation(
        Network(concurrency=8, per_second=10.0), "limits towards the service; 'network' is for the pictures' host"
    )
    network: Network = operation(
        Network(concurrency=8, per_second=20.0), "limits towards the hosts of the pictures, the service among them"
    )


class INaturalistPhotos(PhotoSource):
    """iNaturalist: photos of plants and animals where they live, no key."""

    source: Literal["inaturalist"] = "inaturalist"
    area: Area = Field(description="where photos are looked for")
    taken_from: date | None = Field(None, description="first day of observation; none: any")
    taken_to: date | None = Field(None, description="last day of observation; none: any")
    licences: tuple[str, ...] = Field(("cc0", "cc-by", "cc-by-sa", "cc-by-nc"), min_length=1, description="allowed licences")
    max_accuracy_m: float = Field(100.0, gt=0, description="leave out places that are less sure, metres")
    size: Literal["small", "medium", "large", "original"] = Field("medium", description="which picture is fetched")
    api_url: str = operation("https://api.inaturalist.org/v1/observations", "the service's address")
    requests_a_day: int = operation(
        10_000, "requests in 24 hours, every try of all runs; the ingest stops there and goes on another day", ge=1
    )
    api_network: Network = operation(
        Network(concurrency=1, per_second=1.0), "limits towards the service; 'network' is for the pictures' host"
    )
    network: Network = operation(
        Network(concurrency=4, per_second=5.0), "limits towards the host of the pictures: 5 GB an hour are allowed"
    )


class TablePhotos(PhotoSource):
    """A table of the user's own: CSV, Parquet or GeoPackage with an id, a place and a url or file for each photo."""

    source: Literal["table"] = "table"
    file: Path = Field(description="the table")
    folder: Path | None = Field(None, description="pictures named by 'file' lie in here or below; none: in the table's own folder")
    columns: dict[TableColumn, str] = Field(default_factory=dict, description="the table's names of columns that are not called as ours")
    licence: str | None = Field(None, description="the licence of all photos, where the table has no column of that name")
    attribution: str | None = Field(None, description="who is to be named, where the table has no column 'author'")
