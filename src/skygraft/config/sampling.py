"""Which photos start a tile, and which of the photos on a tile it keeps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skygraft.config.base import Section


class Sampling(Section):
    """GRAFT's tiles: centred on photos, centres apart from each other, each tile with the photos in the middle of it."""

    centres: Literal["apart", "random"] = Field(
        "apart", description="which photos start a tile; random: as many as apart would keep, drawn however near (the paper's ablation)"
    )
    separation_px: float = Field(
        112.0, gt=0, description="a photo at most this far from a centre starts no tile, in x and in y, tile pixels"
    )
    window_px: float = Field(224.0, gt=0, description="side of the square around a centre whose photos belong to the tile, tile pixels")
    max_photos: int = Field(25, ge=1, description="photos a tile keeps, its centre's always among them")
    stored: Literal["random", "first"] = Field(
        "random", description="which are kept of more: drawn by a seeded hash, or the westernmost, as GRAFT's code has them"
    )
    target_date: Literal["centre", "median"] = Field("centre", description="the day of the centre's photo, or the median of those kept")
    season_months: Literal[1, 2, 3, 4, 6, 12] | None = Field(
        None,
        description="photos of different seasons of this many months never meet; 3: a year's quarters, as GRAFT's code; none: no seasons",
    )
