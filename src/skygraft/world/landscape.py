"""One coherent landscape: a pure function from a place to what lies there and how it looks from above."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.spatial import cKDTree

from skygraft.core.errors import ConfigError
from skygraft.world import cover
from skygraft.world.canvas import RES, Canvas
from skygraft.world.cells import Cell, assign, make_cells
from skygraft.world.classes import ANNUAL, CLASSES, HIGHWAY, RIVER, SEALAKE
from skygraft.world.cover_lines import draw_highways, draw_rivers
from skygraft.world.curves import Curve, CurveSet, highways, rivers
from skygraft.world.layout import Layout
from skygraft.world.noise import FloatArray, SmoothField, rng_of, textures
from skygraft.world.plots import plot_at
from skygraft.world.recipe import CENTRE_EN_KM, EPSG, GSD, LAEA_EPSG, STRETCH_DN, Recipe
from skygraft.world.seasons import near_infrared, season

BLOCK_PX = 64
BLOCK_M = BLOCK_PX * GSD
MARGIN = 8
"""Drawing pixels around a block, so that blur does not show where blocks meet."""
JITTER = 400.0
WARP_REACH = 260.0
"""How far the borders of cells may be pushed, metres."""
EDGE = 3
"""Nodes around the regions that are drawn from but hold no point."""
GAP = 5
"""Columns of nodes between the region of the points and the region of the chips."""


@dataclass(frozen=True)
class Frame:
    """Which nodes of the LUCAS grid a landscape holds.

    Attributes:
        east: LAEA easting of the first column, km.
        north: LAEA northing of the first row, km.
        rows: rows of nodes, southernmost first.
        columns: columns of nodes, westernmost first.
        point_columns: columns [from, to) of the surveyed region.
        chip_columns: columns [from, to) of the region of the benchmark's chips.
    """

    east: int
    north: int
    rows: int
    columns: int
    point_columns: tuple[int, int]
    chip_columns: tuple[int, int]

    @classmethod
    def of(cls, recipe: Recipe) -> Frame:
        """Return the frame that holds a recipe's points and, to the east of them, its chips."""
        side = int(np.ceil(np.sqrt(recipe.points * 1.2 + 12)))
        chip_side = max(9, int(np.ceil(recipe.chips * 1.05 / side)) + 1)
        first = EDGE + side + GAP
        east, north = CENTRE_EN_KM[0] - EDGE - side // 2, CENTRE_EN_KM[1] - EDGE - side // 2
        return cls(east, north, side + 2 * EDGE, first + chip_side + EDGE, (EDGE, EDGE + side), (first, first + chip_side))

    @classmethod
    def square(cls, side: int) -> Frame:
        """Return a frame without regions, `side` nodes a side."""
        half = side // 2
        return cls(CENTRE_EN_KM[0] - half, CENTRE_EN_KM[1] - half, side, side, (0, side), (0, 0))

    def parts(self) -> NDArray[np.int64]:
        """Return the number of the part each node lies in: points 0, chips 1, between and around 2."""
        part = np.full((self.rows, self.columns), 2, dtype=np.int64)
        part[:, slice(*self.point_columns)] = 0
        part[:, slice(*self.chip_columns)] = 1
        return part

    def nodes(self) -> NDArray[np.float64]:
        """Return the nodes' UTM places (rows, columns, 2)."""
        e, n = np.meshgrid(self.east + np.arange(self.columns), self.north + np.arange(self.rows))
        to_utm = Transformer.from_crs(LAEA_EPSG, EPSG, always_xy=True)
        # Transformer returns y, x order of the LAEA axes only without always_xy.
        x, y = to_utm.transform(e * 1000.0, n * 1000.0)
        return np.stack([np.round(x, 3), np.round(y, 3)], axis=-1)


class Landscape:
    """A landscape drawn from a seed.

    Args:
        seed: source of everything.
        frame: nodes of the LUCAS grid that it holds.
    """

    def __init__(self, seed: int, frame: Frame) -> None:
        """Lay the curves and the cells; nothing is drawn yet."""
        self.seed, self.frame = seed, frame
        self.nodes = frame.nodes()
        self.rivers, wet = rivers(seed, self.nodes)
        self.highways, paved = highways(seed, self.nodes)
        self.river_nodes, self.highway_nodes = wet & ~paved, paved & ~wet
        covers = assign(seed, wet | paved, frame.parts())
        self.cells = make_cells(seed, self.nodes, covers, JITTER)
        self._seeds = np.array([[c.x, c.y] for c in self.cells])
        self._tree = cKDTree(self._seeds)
        self._kinds = np.array([c.cover for c in self.cells])
        self._warp = [SmoothField(seed, f"warp{k}", 40.0, sigma) for k, sigma in enumerate((4.0, 4.0, 0.9, 0.9))]
        # Fields of one lattice interpolate as their sum does: two look-ups instead of four, alike to a rounding.
        self._push = [copy(self._warp[0]), copy(self._warp[1])]
        for push, coarse, fine in zip(self._push, self._warp[:2], self._warp[2:], strict=True):
            push.nodes = 75.0 * coarse.nodes + 14.0 * fine.nodes
        self.highways = CurveSet([road for road in map(self._on_land, self.highways.curves) if road])
        self.plots = lru_cache(maxsize=400)(self._lay_out)
        self.block = lru_cache(maxsize=600)(self.draw)

    def _on_land(self, road: Curve) -> Curve | None:
        """Return a road as it is, a side road only as far as it runs on land."""
        return road.cut_to(self._kinds[self.cells_at(road.points)] != SEALAKE) if road.minor else road

    @property
    def sets(self) -> dict[int, CurveSet]:
        """Curves by class index."""
        return {RIVER: self.rivers, HIGHWAY: self.highways}

    def _lay_out(self, index: int) -> Layout:
        cell = self.cells[index]
        _, near = self._tree.query([cell.x, cell.y], k=min(12, len(self.cells)))
        rivals = self._seeds[near[1:]] - np.array([cell.x, cell.y])

        def keep(middle: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.bool_]:
            own = np.hypot(middle[:, 0], middle[:, 1])
            other = np.hypot(middle[:, None, 0] - rivals[:, 0], middle[:, None, 1] - rivals[:, 1]).min(axis=1)
            result: NDArray[np.bool_] = own - other < 2 * (radius + WARP_REACH)
            return result

        return cover.lay_out(cell, rng_of(self.seed, "layout", index), keep)

    def _warped(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        a, b, c, d = (field.at(x, y) for field in self._warp)
        return x + 75.0 * a + 14.0 * c, y + 75.0 * b + 14.0 * d

    def _window(self, west: float, south: float, east: float, north: float) -> list[Cell]:
        """Return the cells whose seeds lie within reach of a box."""
        reach = 1500.0 + np.hypot(east - west, north - south) / 2
        near = self._tree.query_ball_point([(west + east) / 2, (south + north) / 2], reach, return_sorted=True)
        return [self.cells[i] for i in near]

    def cells_at(self, xy: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the cell's index at UTM places (n, 2)."""
        wx, wy = self._warped(xy[:, 0], xy[:, 1])
        _, index = self._tree.query(np.stack([wx, wy], axis=1))
        return np.asarray(index, dtype=np.int64)

    def cells_under(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the cell's index at each pixel of a small window whose UTM places are x and y, both (rows, columns)."""
        wx, wy = x + self._push[0].at(x, y), y + self._push[1].at(x, y)
        middle = np.array([(wx.min() + wx.max()) / 2, (wy.min() + wy.max()) / 2])
        radius = float(np.hypot(wx.max() - middle[0], wy.max() - middle[1]))
        # A seed farther from the middle than the nearest one by twice the radius is nowhere the nearest.
        nearest, _ = self._tree.query(middle)
        near = self._tree.query_ball_point(middle, nearest + 2 * radius + 1e-6, return_sorted=True)
        result = np.full(x.shape, near[0], dtype=np.int64)
        best = (wx - self._seeds[near[0], 0]) ** 2 + (wy - self._seeds[near[0], 1]) ** 2
        for number in near[1:]:
            reach = (wx - self._seeds[number, 0]) ** 2 + (wy - self._seeds[number, 1]) ** 2
            result[reach < best] = number
            best = np.minimum(best, reach)
        return result

    def covers_at(self, xy: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return class indices at UTM places (n, 2); highways lie over rivers, rivers over all else."""
        result = self._kinds[self.cells_at(xy)]
        for kind, curves in ((RIVER, self.rivers), (HIGHWAY, self.highways)):
            result[curves.inside(xy)] = kind
        return result

    def cover_at(self, x: float, y: float) -> tuple[int, str]:
        """Return class index and variant name at a UTM place."""
        xy = np.array([[x, y]], dtype=np.float64)
        kind = int(self.covers_at(xy)[0])
        if kind in self.sets:
            curves = self.sets[kind]
            index, _ = curves.nearest(xy)
            return kind, curves.curves[int(curves.owner[index[0]])].variant
        cell = self.cells[int(self.cells_at(xy)[0])]
        if kind == ANNUAL:
            layout = self.plots(cell.index)
            plot = plot_at(layout.quads, x - cell.x, y - cell.y)
            if plot >= 0:
                return kind, layout.kinds[plot]
        return kind, CLASSES[kind].variants[cell.variant].name

    def labels(self, canvas: Canvas) -> tuple[NDArray[np.int64], list[Cell]]:
        """Return for every pixel of a canvas the number of its cell in the list returned with it."""
        x, y = canvas.grid()
        near = self._window(float(x.min()), float(y.min()), float(x.max()), float(y.max()))
        coarse_x, coarse_y = x[:, ::4], y[::4]
        wx, wy = self._warped(np.broadcast_to(coarse_x, (coarse_y.size, coarse_x.size)), coarse_y)
        push = np.stack([wx - coarse_x, wy - coarse_y], axis=-1).astype(np.float32)
        push = _stretch(push, canvas.rows, canvas.columns)
        px = (x - canvas.west).astype(np.float32) + push[..., 0]
        py = (y - canvas.north).astype(np.float32) + push[..., 1]
        best = np.full(px.shape, np.inf, dtype=np.float32)
        label = np.zeros(px.shape, dtype=np.int64)
        for k, cell in enumerate(near):
            reach = (px - np.float32(cell.x - canvas.west)) ** 2 + (py - np.float32(cell.y - canvas.north)) ** 2
            closer = reach < best
            best[closer], label[closer] = reach[closer], k
        return label, near

    def draw(self, column: int, row: int) -> NDArray[np.uint16]:
        """Draw the block whose lower left corner lies at (column, row) * BLOCK_M; returns DN (rows, columns, 4)."""
        side = 2 * BLOCK_PX + 2 * MARGIN
        image = np.zeros((side, side, 3), dtype=np.float32)
        canvas = Canvas(image, column * BLOCK_M - MARGIN * RES, (row + 1) * BLOCK_M + MARGIN * RES, textures(self.seed))
        water = self._draw_cells(canvas)
        runs = self.rivers.runs(*_reach(canvas, 150.0))
        if runs:
            water = np.maximum(water, draw_rivers(canvas, runs, self.seed))
        runs = self.highways.runs(*_reach(canvas, 60.0))
        if runs:
            water *= 1 - draw_highways(canvas, runs, self.seed)
        small = _halve(np.asarray(cv2.GaussianBlur(image, (0, 0), 0.85), dtype=np.float32))
        bands = np.round(np.dstack([small, near_infrared(small, _halve(water))]))
        return np.clip(np.round(bands * (STRETCH_DN / 255.0)), 1, 9999).astype(np.uint16)

    def _draw_cells(self, canvas: Canvas) -> FloatArray:
        label, near = self.labels(canvas)
        water = np.zeros(label.shape, dtype=np.float32)
        for k in np.flatnonzero(np.bincount(label.ravel())):
            mask = label == k
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            part = canvas.part(box[0].start, box[1].start, box[0].stop, box[1].stop)
            cell = near[int(k)]
            cover.paint(part, cell, self.plots(cell.index))
            inside = mask[box]
            canvas.image[box][inside] = part.image[inside]
            if cover.is_water(cell.cover):
                water[mask] = 1.0
        return water

    def render(self, west: float, north: float, width: int, height: int, month: int | None = None) -> NDArray[np.uint16]:
        """Draw a window of the ground from above at 10 m.

        Args:
            west: easting of the left edge, a multiple of 10 m.
            north: northing of the upper edge, a multiple of 10 m.
            width: columns.
            height: rows.
            month: month 1..12 whose season tints the vegetation; None for the drawing itself (early summer).

        Returns:
            Digital numbers (height, width, 4) in the order red, green, blue, near infrared; reflectance x 10000.

        Raises:
            ConfigError: when an edge is no multiple of the ground sample distance.
        """
        if west % GSD or north % GSD:
            raise ConfigError(f"window edges must be multiples of {GSD:g} m, got {west}, {north}")
        left, top = int(west // GSD), int(north // GSD)
        out = np.empty((height, width, 4), dtype=np.uint16)
        for row in range((top - height) // BLOCK_PX, (top - 1) // BLOCK_PX + 1):
            for column in range(left // BLOCK_PX, (left + width - 1) // BLOCK_PX + 1):
                y, x = top - (row + 1) * BLOCK_PX, column * BLOCK_PX - left
                y0, y1, x0, x1 = max(y, 0), min(y + BLOCK_PX, height), max(x, 0), min(x + BLOCK_PX, width)
                out[y0:y1, x0:x1] = self.block(column, row)[y0 - y : y1 - y, x0 - x : x1 - x]
        return out if month is None else season(out, month)


def _reach(canvas: Canvas, margin: float) -> tuple[float, float, float, float]:
    east, south = canvas.west + canvas.columns * RES, canvas.north - canvas.rows * RES
    return canvas.west - margin, south - margin, east + margin, canvas.north + margin


def _stretch(push: FloatArray, rows: int, columns: int) -> FloatArray:
    """Interpolate a field given at every fourth pixel to all pixels, bilinearly."""
    u, v = np.arange(columns, dtype=np.float32) / 4, np.arange(rows, dtype=np.float32) / 4
    grid_u, grid_v = np.meshgrid(np.minimum(u, push.shape[1] - 1), np.minimum(v, push.shape[0] - 1))
    return np.asarray(cv2.remap(push, grid_u, grid_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def _halve(layer: FloatArray) -> FloatArray:
    """Cut the margin off and average two by two."""
    inner = layer[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.asarray(cv2.resize(inner, (inner.shape[1] // 2, inner.shape[0] // 2), interpolation=cv2.INTER_AREA), dtype=np.float32)
