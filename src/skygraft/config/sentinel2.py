"""Sentinel-2 imagery."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from skygraft.config.base import Section, operation
from skygraft.config.earthengine import EarthEngine
from skygraft.config.network import Network
from skygraft.config.terms import CATALOGUE_TERMS, Terms

Catalogue = Literal["planetary_computer", "earth_search", "earth_engine"]
SclClass = Annotated[int, Field(ge=0, le=11)]

_COPERNICUS = Terms(
    "Sentinel-2",
    "free and open under the Copernicus Sentinel terms: say 'contains modified Copernicus Sentinel data [year]'",
    "Contains modified Copernicus Sentinel data, processed by ESA.",
)


class Sentinel2(Section):
    """Sentinel-2 level 2A from a STAC catalogue, or from Earth Engine."""

    source: Literal["sentinel2"] = "sentinel2"
    plan: str = Field(description="name of the tile plan")
    catalogue: Catalogue = Field("planetary_computer", description="where scenes are searched and read")
    bands: tuple[str, ...] = Field(("B04", "B03", "B02"), min_length=1, description="bands in the order of the pixels")
    months_either_side: int = Field(0, ge=0, le=6, description="0: the survey's own month; 2: two months before and after")
    max_scene_cloud: float = Field(20.0, ge=0, le=100, description="per cent of the whole scene, as the catalogue says")
    max_tile_cloud: float | None = Field(None, ge=0, le=1, description="share of the tile itself; none: not asked")
    cloud_classes: tuple[SclClass, ...] = Field((3, 8, 9, 10), description="SCL classes that count as cloud (3 is cloud shadow)")
    max_nodata: float = Field(0.0, ge=0, le=1, description="share of the tile without data")
    order: Literal["nearest_date", "least_cloud"] = Field("nearest_date", description="which qualifying scene wins")
    season_months: Literal[1, 2, 3, 4, 6, 12] = Field(
        1,
        description="scenes of the date's season count, of so many months; 1: its month; 3: its quarter of the year, in which "
        "order: least_cloud opens few scenes, one for all tiles of a ground",
    )
    candidates: int = Field(4, ge=1, description="scenes tried for a tile before it is given up")
    min_success_rate: float = operation(0.7, "a shard with a smaller share of good tiles fails", ge=0, le=1)
    stac_url: str | None = operation(None, "another address of the catalogue")
    network: Network = operation(Network(concurrency=4, deadline_s=600), "limits towards catalogue and storage")
    earth_engine: EarthEngine | None = Field(None, description="settings of catalogue: earth_engine; none: their defaults")

    def months(self, month: int) -> range:
        """The months whose scenes qualify for a tile.

        Args:
            month: Of its target date, counted from January of year 0.
        """
        first = month - month % self.season_months
        return range(first - self.months_either_side, first + self.season_months + self.months_either_side)

    @property
    def engine(self) -> EarthEngine:
        """Earth Engine's settings."""
        return self.earth_engine or EarthEngine()

    def identity(self) -> dict[str, Any]:
        """As of any section; without Earth Engine or seasons it is what it was before there were any."""
        identity = super().identity()
        if self.season_months == 1:
            del identity["season_months"]
        if self.catalogue == "earth_engine":
            identity["earth_engine"] = self.engine.identity()
        elif self.earth_engine is None:
            del identity["earth_engine"]
        return identity

    def pixels(self) -> dict[str, Any]:
        """What else than the choice of scenes changes a tile's row."""
        identity = self.identity()
        fields = ("catalogue", "bands", "cloud_classes", "max_tile_cloud", "max_nodata", "earth_engine")
        return {name: identity[name] for name in fields if name in identity}

    def terms(self) -> tuple[Terms, ...]:
        """The terms of the data and of who hands it out."""
        return _COPERNICUS, CATALOGUE_TERMS[self.catalogue]
