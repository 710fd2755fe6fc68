"""Tile plans: where imagery is wanted, and for which photos."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from skygraft.config.base import Section
from skygraft.config.duplicates import DuplicatesOrNone
from skygraft.config.outdoor import FilterOrAll


class Split(Section):
    """Spatial blocks that keep training, validation and test places apart."""

    block_km: float = Field(50.0, gt=0, description="side of a block, kilometres in UTM")
    val: float = Field(0.05, ge=0, lt=1, description="share of the blocks for validation")
    test: float = Field(0.05, ge=0, lt=1, description="share of the blocks for tests")

    @model_validator(mode="after")
    def _leaves_some(self) -> Split:
        if self.val + self.test >= 1:
            raise ValueError("val and test together leave nothing to train on")
        return self


class Plan(Section):
    """One tile a location, as IGARSS'24 and its successors have it for LUCAS."""

    photos: tuple[str, ...] = Field(min_length=1, description="names of photo sources")
    gsd_m: float = Field(10.0, gt=0, description="ground sample distance, metres a pixel")
    size_px: int = Field(100, ge=2, description="pixels a side")
    snap_m: float = Field(20.0, gt=0, description="tile corners lie on multiples of this, metres")
    split: Split = Split()
    shards: int = Field(4, ge=1, le=20000, description="files that the imagery of this plan is spread over")
    outdoor: FilterOrAll = Field(None, description="leave out indoor photos by an encoder's score; all: keep every photo")
    keep_off: tuple[str, ...] = Field((), description="names of benchmarks: a tile that lies on one of their images is left out")
    duplicates: DuplicatesOrNone = Field(None, description="leave out copies of a photo; none: keep every photo")

    def identity(self) -> dict[str, Any]:
        """As of any section; without a filter it is what it was before there were filters, and asks for no new plan."""
        filters = ("outdoor", "duplicates", "keep_off")
        return {name: value for name, value in super().identity().items() if name not in filters or value not in (None, [])}
