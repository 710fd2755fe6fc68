"""Sources of ground photos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skygraft.config.base import Section, operation
from skygraft.config.flickr import FlickrPhotos
from skygraft.config.network import Network
from skygraft.config.open_photos import CommonsPhotos, INaturalistPhotos, MapillaryPhotos, TablePhotos
from skygraft.config.photo_source import PhotoSource

Direction = Literal["N", "E", "S", "W", "P"]


LucasLayout = Literal["microdata", "microdata_2022", "harmonised", "topsoil"]


class LucasTable(Section):
    """One more of the published LUCAS tables, for survey years that the first does not cover."""

    layout: LucasLayout = Field("microdata_2022", description="which of the published tables it is")
    file: str = Field("EU_LUCAS_2022.zip", description="its file name, on the service and in a mirror")
    years: tuple[int, ...] = Field((2022,), min_length=1, description="survey years that count")


class LucasPhotos(PhotoSource):
    """LUCAS: the land survey of the European Union, four photos a point. The harmonised table has 2006 to 2018, 2022 has one of its own."""

    source: Literal["lucas"] = "lucas"
    layout: LucasLayout = Field("microdata", description="which of the published tables is read")
    file: str = Field(
        "EU_2018_20200213.CSV", description="the table's file, on the service and in a mirror; harmonised: 1_table/lucas_harmo_uf.zip"
    )
    years: tuple[int, ...] = Field((2018,), min_length=1, description="survey years that count")
    more_tables: tuple[LucasTable, ...] = Field((), description="further tables, each for other survey years")
    directions: tuple[Direction, ...] = Field(("N", "E", "S", "W"), min_length=1, description="which photos of a point")
    max_obs_dist_m: float | None = Field(None, gt=0, description="leave out points observed from farther away; none: keep all")
    in_situ_only: bool = Field(False, description="leave out points that were interpreted on aerial photos")
    table_url: str = operation("https://ec.europa.eu/eurostat/cache/lucas/", "folder of the micro data")
    harmonised_url: str = operation(
        "https://jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/LUCAS/LUCAS_harmonised/", "folder of the harmonised table"
    )
    table_2022_url: str = operation("https://ec.europa.eu/eurostat/documents/205002/17561401/", "folder of the micro data of 2022")
    photos_url: str = operation("https://gisco-services.ec.europa.eu/lucas/photos", "root of the photo service")
    network: Network = operation(Network(), "limits towards the table and photo services")

    @model_validator(mode="after")
    def _each_year_once(self) -> LucasPhotos:
        years = [year for table in self.tables() for year in table.years]
        if twice := sorted({year for year in years if years.count(year) > 1}):
            raise ValueError(f"the survey of {twice[0]} is asked of more than one table: each year counts once")
        return self

    def tables(self) -> tuple[LucasTable, ...]:
        """All of its tables, the first before the further ones."""
        return (LucasTable(layout=self.layout, file=self.file, years=self.years), *self.more_tables)

    def folder_of(self, table: LucasTable) -> str:
        """The address of the folder that a table is published in, with a slash at its end."""
        folders = {"harmonised": self.harmonised_url, "microdata_2022": self.table_2022_url}
        return f"{folders.get(table.layout, self.table_url).rstrip('/')}/"


def _lucas_unless_said(value: Any) -> Any:
    """A section that names no source is LUCAS, as it was when there was no other."""
    return {"source": "lucas"} | value if isinstance(value, dict) else value


Photos = Annotated[
    Annotated[
        LucasPhotos | FlickrPhotos | CommonsPhotos | MapillaryPhotos | INaturalistPhotos | TablePhotos, Field(discriminator="source")
    ],
    BeforeValidator(_lucas_unless_said),
]
