"""LUCAS points of the embedded world: where the survey went, when, and what became of its photos."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from skygraft.world.classes import CLASSES, HIGHWAY, RIVER
from skygraft.world.landscape import Landscape
from skygraft.world.noise import rng_of
from skygraft.world.recipe import Recipe
from skygraft.world.squares import Square, square_of
from skygraft.world.views import BEARINGS

FATES = ("ok", "not_taken", "absent", "html", "truncated")
"""What becomes of a photo: served whole, never taken, announced but missing, a page under its name, cut short."""


@dataclass(frozen=True)
class Point:
    """One LUCAS point.

    Attributes:
        point_id: LAEA kilometres, four digits of easting and four of northing.
        theory: UTM place of the grid's node.
        gps: UTM place where the surveyor stood.
        cover: class index at the node.
        variant: variant name at the node.
        day: survey date.
        square: name of the MGRS square that the survey's region lies in.
        late: surveyed a month late, when that square has cloudy scenes alone.
        interpreted: read from an office photo: nobody went, there are no photos.
        fates: one of FATES for each direction N E S W.
    """

    point_id: str
    theory: tuple[float, float]
    gps: tuple[float, float]
    cover: int
    variant: str
    day: date
    square: str
    late: bool
    interpreted: bool
    fates: dict[str, str]

    @property
    def distance(self) -> float:
        """Metres from where the surveyor stood to the node."""
        return float(np.hypot(self.gps[0] - self.theory[0], self.gps[1] - self.theory[1]))


def choose_nodes(land: Landscape, count: int) -> list[tuple[int, int, int]]:
    """Choose nodes of the surveyed region, in equal numbers a class as far as the landscape holds them.

    Returns:
        (row, column, class index), sorted by row and column.
    """
    first, last = land.frame.point_columns
    border = (land.frame.rows - (last - first)) // 2
    rows, columns = np.mgrid[border : land.frame.rows - border, first:last]
    rows, columns = rows.ravel(), columns.ravel()
    covers = land.covers_at(land.nodes[rows, columns])
    order = rng_of(land.seed, "choose").permutation(len(rows))
    quota = [count // len(CLASSES) + (c < count % len(CLASSES)) for c in range(len(CLASSES))]
    chosen: list[int] = []
    for cover, wanted in enumerate(quota):
        chosen += [int(i) for i in order if covers[i] == cover][:wanted]
    spare = np.setdiff1d(order, chosen, assume_unique=True)
    chosen += [int(i) for i in spare[: count - len(chosen)]]
    return sorted((int(rows[i]), int(columns[i]), int(covers[i])) for i in chosen)


def survey(land: Landscape, recipe: Recipe, squares: tuple[Square, ...]) -> list[Point]:
    """Send the surveyors out: choose the points and settle place, date and photos of each."""
    nodes = choose_nodes(land, recipe.points)
    rng = rng_of(land.seed, "survey")
    places = land.nodes[[n[0] for n in nodes], [n[1] for n in nodes]]
    interpreted = _pick(rng, len(nodes), recipe.interpreted_share)
    late = _late(rng, places, squares, round(recipe.cloudy_share * len(nodes)))
    fates = _fates(rng, len(nodes), recipe)
    points = []
    for i, (row, column, cover) in enumerate(nodes):
        x, y = (float(v) for v in land.nodes[row, column])
        square = square_of(squares, x, y)
        month = square.month + (1 if i in late else 0)
        day = date(2018, month, 1) + timedelta(days=int(rng.integers(0, 28)))
        gps = _standpoint(land, cover, (x, y), rng)
        office = i in interpreted
        taken = dict(zip(BEARINGS, ["not_taken"] * 4 if office else fates[i], strict=True))
        name = f"{land.frame.east + column:04d}{land.frame.north + row:04d}"
        variant = land.cover_at(x, y)[1]
        points.append(Point(name, (x, y), gps, cover, variant, day, square.name, i in late, office, taken))
    return points


def _pick(rng: np.random.Generator, count: int, share: float) -> set[int]:
    return {int(i) for i in rng.permutation(count)[: round(share * count)]}


def _late(rng: np.random.Generator, places: NDArray[np.float64], squares: tuple[Square, ...], count: int) -> set[int]:
    """Choose points for the late survey, away from where a neighbouring square might show them."""
    alone = [i for i, (x, y) in enumerate(places) if sum(s.holds(x, y, 700.0) for s in squares) == 1]
    return {alone[int(i)] for i in rng.permutation(len(alone))[:count]}


def _fates(rng: np.random.Generator, count: int, recipe: Recipe) -> list[list[str]]:
    """Deal the photos' fates in the recipe's shares, exact to the photo."""
    total = 4 * count
    shares = (recipe.not_taken_share, recipe.absent_share, recipe.html_share, recipe.truncated_share)
    fate = np.full(total, FATES[0], dtype=object)
    order, at = rng.permutation(total), 0
    for name, share in zip(FATES[1:], shares, strict=True):
        wanted = round(share * total)
        fate[order[at : at + wanted]] = name
        at += wanted
    return [[str(v) for v in row] for row in fate.reshape(count, 4)]


def _standpoint(land: Landscape, cover: int, node: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """Return where the surveyor stands: near the node, on the bank of a river or the shoulder of a highway."""
    if cover in (RIVER, HIGHWAY):
        curves = land.sets[cover]
        index, _ = curves.nearest(np.array([node]))
        at, tangent = curves.points[index[0]], curves.tangents[index[0]]
        # Some stand on a bridge or in the middle of a lane, the others on the bank or the shoulder.
        half = float(curves.half_width[index[0]])
        out = half * rng.uniform(0, 0.8) if rng.random() < 0.4 else half + rng.uniform(-3, 4)
        side = rng.choice([-1, 1])
        return float(at[0] - tangent[1] * out * side), float(at[1] + tangent[0] * out * side)
    reach, turn = rng.gamma(2.0, 6.0), rng.uniform(0, 2 * np.pi)
    return node[0] + float(reach * np.sin(turn)), node[1] + float(reach * np.cos(turn))
