"""From a cell to its picture from above: which module lays out and paints which class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skygraft.world import classes, cover_built, cover_farm, cover_wild
from skygraft.world.canvas import Canvas
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.plots import Keep

_LAY_OUT: dict[int, Callable[[Cell, np.random.Generator, Keep], Layout]] = {
    classes.ANNUAL: cover_farm.lay_out_annual,
    classes.PERMANENT: cover_farm.lay_out_permanent,
    classes.PASTURE: cover_farm.lay_out_pasture,
    classes.FOREST: cover_wild.lay_out_forest,
    classes.HERBACEOUS: cover_wild.lay_out_herbaceous,
    classes.SEALAKE: cover_wild.lay_out_lake,
    classes.RESIDENTIAL: cover_built.lay_out_residential,
    classes.INDUSTRIAL: cover_built.lay_out_industrial,
}
_PAINT: dict[int, Callable[[Canvas, Cell, Layout], None]] = {
    classes.ANNUAL: cover_farm.paint_annual,
    classes.PERMANENT: cover_farm.paint_permanent,
    classes.PASTURE: cover_farm.paint_pasture,
    classes.FOREST: cover_wild.paint_forest,
    classes.HERBACEOUS: cover_wild.paint_herbaceous,
    classes.SEALAKE: cover_wild.paint_lake,
    classes.RESIDENTIAL: cover_built.paint_residential,
    classes.INDUSTRIAL: cover_built.paint_industrial,
}


def lay_out(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Decide what stands in a cell; `keep` tells which plots lie near enough to show."""
    return _LAY_OUT[cell.cover](cell, rng, keep)


def paint(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Paint a cell's cover over a whole canvas; the caller cuts it to the cell's shape."""
    _PAINT[cell.cover](canvas, cell, layout)


def is_water(cover: int) -> bool:
    """Tell whether a class is open water."""
    return cover == classes.SEALAKE
