"""Sources of ground photos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from skygraft.config.base import operation
from skygraft.config.flickr import FlickrPhotos
from skygraft.config.network import Network
from skygraft.config.open_photos import CommonsPhotos, INaturalistPhotos, MapillaryPhotos, TablePhotos
from skygraft.config.photo_source import PhotoSource

Direction = Literal["N", "E", "S", "W", "P"]


class LucasPhotos(PhotoSource):
    """LUCAS: the land survey of the European Union, four photos a point."""

    source: Literal["lucas"] = "lucas"
    layout: Literal["microdata", "harmonised", "topsoil"] = Field("microdata", description="which of the published tables is read")
    file: str = Field("EU_2018_20200213.CSV", description="the table's file name, on the service and in a mirror")
    years: tuple[int, ...] = Field((2018,), min_length=1, description="survey years that count")
    directions: tuple[Direction, ...] = Field(("N", "E", "S", "W"), min_length=1, description="which photos of a point")
    max_obs_dist_m: float | None = Field(None, gt=0, description="leave out points observed from farther away; none: keep all")
    in_situ_only: bool = Field(False, description="leave out points that were interpreted on aerial photos")
    table_url: str = operation("https://ec.europa.eu/eurostat/cache/lucas/", "folder of the micro data")
    harmonised_url: str = operation(
        "https://jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/LUCAS/LUCAS_harmonised/", "folder of the harmonised table"
    )
    photos_url: str = operation("https://gisco-services.ec.europa.eu/lucas/photos", "root of the photo service")
    network: Network = operation(Network(), "limits towards the table and photo services")


def _lucas_unless_said(value: Any) -> Any:
    """A section that names no source is LUCAS, as it was when there was no other."""
    return {"source": "lucas"} | value if isinstance(value, dict) else value


Photos = Annotated[
    Annotated[
        LucasPhotos | FlickrPhotos | CommonsPhotos | MapillaryPhotos | INaturalistPhotos | TablePhotos, Field(discriminator="source")
    ],
    BeforeValidator(_lucas_unless_said),
]
