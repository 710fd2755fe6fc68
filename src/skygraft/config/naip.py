"""NAIP imagery: aerial photographs of the United States."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from skygraft.config.base import Section, operation
from skygraft.config.earthengine import EarthEngineAccess
from skygraft.config.network import Network
from skygraft.config.terms import CATALOGUE_TERMS, Terms

NaipBand = Literal["R", "G", "B", "N"]

_USDA = Terms("NAIP", "public domain; the USDA asks to be named", "NAIP imagery: USDA, Aerial Photography Field Office.")
_REQUESTER_PAYS = Terms(
    "NAIP in Earth Search", "its files lie in a bucket whose readers pay for requests and bytes: reading them needs an account of theirs"
)


class Naip(Section):
    """NAIP: aerial photographs of the conterminous United States, 0.3 to 1 m a pixel, every two or three years since 2010."""

    source: Literal["naip"]
    plan: str = Field(description="name of the tile plan; its gsd_m is 1 for pixels of a metre")
    catalogue: Literal["planetary_computer", "earth_search", "earth_engine"] = Field(
        "planetary_computer", description="where scenes are searched and read"
    )
    bands: tuple[NaipBand, ...] = Field(("R", "G", "B"), min_length=1, description="bands in the order of the pixels; N is near infrared")
    order: Literal["most_recent", "nearest_year"] = Field(
        "most_recent", description="which photographs that cover a tile win: the newest, as GRAFT has it, or the nearest to the target date"
    )
    first_year: int = Field(2010, ge=2000, le=2100, description="older photographs do not count")
    last_year: int = Field(2023, ge=2000, le=2100, description="newer photographs do not count: a later search finds the same")
    max_nodata: float = Field(0.01, ge=0, le=1, description="share of the tile without data: 0 in every band, which deep shadow may be too")
    candidates: int = Field(3, ge=1, description="mosaics of one year tried for a tile before it is given up")
    resampling: Literal["nearest", "bilinear", "average"] = Field(
        "bilinear", description="how photographs of another pixel size or zone come onto the tile's grid"
    )
    min_success_rate: float = operation(0.7, "a shard with a smaller share of good tiles fails", ge=0, le=1)
    stac_url: str | None = operation(None, "another address of the catalogue")
    network: Network = operation(Network(concurrency=4, deadline_s=600), "limits towards catalogue and storage")
    earth_engine: EarthEngineAccess | None = operation(None, "settings of catalogue: earth_engine; none: their defaults")

    @property
    def engine(self) -> EarthEngineAccess:
        """Earth Engine's settings."""
        return self.earth_engine or EarthEngineAccess()

    @model_validator(mode="after")
    def _interpolated_there(self) -> Naip:
        if self.catalogue == "earth_engine" and self.resampling == "average":
            raise ValueError("resampling: Earth Engine interpolates by nearest or bilinear, not by average")
        return self

    def pixels(self) -> dict[str, Any]:
        """What else than the choice of scenes changes a tile's row."""
        identity = self.identity()
        return {name: identity[name] for name in ("source", "catalogue", "bands", "max_nodata", "resampling")}

    def terms(self) -> tuple[Terms, ...]:
        """The terms of the data and of who hands it out."""
        paid = (_REQUESTER_PAYS,) if self.catalogue == "earth_search" else ()
        return _USDA, CATALOGUE_TERMS[self.catalogue], *paid
