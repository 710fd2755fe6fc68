"""What every source of ground photos has in common, and where photos are looked for."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from skygraft.config.base import Section, operation
from skygraft.config.network import Network

Box = tuple[float, float, float, float]


class PhotoSource(Section):
    """A source of ground photos: its bytes lie in shards, whoever it is."""

    shards: int = Field(4, ge=1, le=20000, description="files that the photos' bytes are spread over")
    max_pixels: int = Field(50_000_000, ge=1, description="larger pictures are refused (decompression bombs)")
    decode: bool = Field(True, description="decode JPEGs as they come; else cuts are seen, broken pixels and near copies are not")
    min_success_rate: float = operation(0.9, "a shard with a smaller share of good photos fails", ge=0, le=1)
    network: Network = operation(Network(), "limits towards the services of the source")
    expected: int | None = operation(None, "photos that you expect, for 'skygraft check'; none: reckoned where that can be done", ge=1)


class Area(Section):
    """An area of interest: a box, or what a file of polygons covers."""

    bbox: Box | None = Field(None, description="west, south, east, north in degrees; west may be greater than east across 180 degrees")
    file: Path | None = Field(None, description="polygons in any format that geopandas reads")

    @model_validator(mode="after")
    def _one_of_them(self) -> Area:
        if (self.bbox is None) == (self.file is None):
            raise ValueError("give either bbox or file")
        if self.bbox is not None:
            west, south, east, north = self.bbox
            if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
                raise ValueError("bbox is west, south, east, north in degrees, with south below north")
        return self
