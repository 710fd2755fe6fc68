"""The landscape as an aerial camera sees it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skygraft.world import classes
from skygraft.world.aerial import built, farm, industry, wild
from skygraft.world.aerial.canvas import AirCanvas
from skygraft.world.aerial.grid import Grid
from skygraft.world.aerial.lines import paint_highway, paint_river
from skygraft.world.cells import Cell
from skygraft.world.landscape import Landscape
from skygraft.world.layout import Layout
from skygraft.world.noise import FloatArray, textures
from skygraft.world.recipe import SURVEY_YEAR

_PAINT: dict[int, Callable[[AirCanvas, Cell, Layout, int], None]] = {
    classes.ANNUAL: farm.paint_annual,
    classes.PERMANENT: farm.paint_permanent,
    classes.PASTURE: farm.paint_pasture,
    classes.FOREST: wild.paint_forest,
    classes.HERBACEOUS: wild.paint_herbaceous,
    classes.SEALAKE: wild.paint_lake,
    classes.RESIDENTIAL: built.paint_residential,
    classes.INDUSTRIAL: industry.paint_industrial,
}
LENS = 0.14
"""Share of a pixel's light that each neighbour in row and column receives."""


def photograph(land: Landscape, grid: Grid, year: int = SURVEY_YEAR) -> NDArray[np.uint8]:
    """Draw what stands on the ground.

    A pixel depends on its place, the pixels' size and the year alone, never on the request that it is part of.

    Args:
        land: the landscape.
        grid: where the pixels lie; a margin of one pixel is drawn and cut off.
        year: crops move on from year to year, all else stays.

    Returns:
        Red, green, blue and near infrared (rows - 2, columns - 2, 4).
    """
    canvas = AirCanvas(grid, textures(land.seed))
    _paint_cells(canvas, land, year)
    west, south, east, north = canvas.box
    for run in land.rivers.runs(west - 150, south - 150, east + 150, north + 150):
        paint_river(canvas, run, land.seed)
    for run in land.highways.runs(west - 60, south - 60, east + 60, north + 60):
        paint_highway(canvas, run, land.seed)
    _develop(canvas, year)
    image = _lens(canvas.image)
    return np.clip(np.round(image), 1, 255).astype(np.uint8)


def _paint_cells(canvas: AirCanvas, land: Landscape, year: int) -> None:
    numbers = land.cells_under(canvas.x, canvas.y)
    for number in np.unique(numbers).tolist():
        mask = numbers == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        part = canvas.part(*box)
        cell = land.cells[number]
        _PAINT[cell.cover](part, cell, land.plots(number), year)
        inside = mask[box]
        canvas.image[box][inside] = part.image[inside]


def _develop(canvas: AirCanvas, year: int) -> None:
    """Let light and colour drift over kilometres, as flights of many days give them; every year drifts in its own way."""
    light = 0.07 * canvas.noise("sweep", 90.0, (37 * year, 0))
    warmth = 0.03 * canvas.noise("sweep", 60.0, (0, 53 * year))
    for band, share in enumerate((1.0, 0.2, -1.0, 0.4)):
        canvas.image[..., band] *= 1 + light + np.float32(share) * warmth


def _lens(image: FloatArray) -> FloatArray:
    """Blur by a lens that is not perfect, and cut the margin off."""
    kept, given = np.float32(1 - 2 * LENS), np.float32(LENS)
    across = image[:, 1:-1] * kept + (image[:, :-2] + image[:, 2:]) * given
    return np.asarray(across[1:-1] * kept + (across[:-2] + across[2:]) * given, dtype=np.float32)
