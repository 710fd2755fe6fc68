"""Tile plans: where imagery is wanted, and for which photos."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from skygraft.config.base import Section, operation
from skygraft.config.duplicates import DuplicatesOrNone
from skygraft.config.outdoor import FilterOrAll
from skygraft.config.sampling import Sampling


class Split(Section):
    """Spatial blocks that keep training, validation and test places apart."""

    block_km: float = Field(50.0, gt=0, description="side of a block, kilometres in UTM")
    val: float = Field(0.05, ge=0, lt=1, description="share of the blocks for validation")
    test: float = Field(0.05, ge=0, lt=1, description="share of the blocks for tests")
    distance_m: float = Field(0.0, ge=0, description="ground between tiles of different splits at least, metres; 0: they share no pixel")

    @model_validator(mode="after")
    def _leaves_some(self) -> Split:
        if self.val + self.test >= 1:
            raise ValueError("val and test together leave nothing to train on")
        return self

    def identity(self) -> dict[str, Any]:
        """As of any section; without a distance it is what it was before there was one, and asks for no new plan."""
        return {name: value for name, value in super().identity().items() if name != "distance_m" or value}


class Plan(Section):
    """Tiles for photos: one a location, as IGARSS'24 and its successors have it for LUCAS, or by a sampling."""

    photos: tuple[str, ...] = Field(min_length=1, description="names of photo sources")
    gsd_m: float = Field(10.0, gt=0, description="ground sample distance, metres a pixel")
    size_px: int = Field(100, ge=2, description="pixels a side")
    snap_m: float = Field(20.0, gt=0, description="tile corners lie on multiples of this, metres")
    sampling: Sampling | None = Field(
        None, description="tiles without overlap in their middle, each with many photos; none: one tile a location"
    )
    split: Split = Split()
    shards: int = Field(4, ge=1, le=20000, description="files that the imagery of this plan is spread over")
    outdoor: FilterOrAll = Field(None, description="leave out indoor photos by an encoder's score; all: keep every photo")
    keep_off: tuple[str, ...] = Field((), description="names of benchmarks: a tile that lies on one of their images is left out")
    duplicates: DuplicatesOrNone = Field(None, description="leave out copies of a photo; none: keep every photo")

    expected: int | None = operation(None, "tiles that you expect, for 'skygraft check'; none: one a photo's place at most", ge=1)

    @model_validator(mode="after")
    def _window_fits(self) -> Plan:
        if self.sampling is not None:
            if self.sampling.window_px > self.size_px:
                raise ValueError(f"sampling.window_px {self.sampling.window_px:g} is wider than the tile's size_px {self.size_px}")
            if self.sampling.window_px * self.gsd_m < 2 * self.snap_m:
                raise ValueError(f"sampling.window_px is less than two steps of snap_m {self.snap_m:g}: a centre's photo may lie outside")
        return self

    def identity(self) -> dict[str, Any]:
        """As of any section; without sampling and filters it is what it was before there were any, and asks for no new plan."""
        later = ("sampling", "outdoor", "duplicates", "keep_off")
        return {name: value for name, value in super().identity().items() if name not in later or value not in (None, [])}
