"""Rivers and highways: continuous curves that pass through nodes of the LUCAS grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skygraft.world.noise import rng_of

STEP = 10.0
"""Metres between samples of a curve."""


@dataclass(frozen=True)
class Curve:
    """A river or highway.

    Attributes:
        index: number among its kind.
        variant: name of the variant.
        points: samples (n, 2), UTM metres.
        tangents: unit vectors (n, 2).
        half_width: metres from the middle to the edge (n,).
        minor: a side road, which ends where it meets open water.
    """

    index: int
    variant: str
    points: NDArray[np.float64]
    tangents: NDArray[np.float64]
    half_width: NDArray[np.float64]
    minor: bool = False

    def cut_to(self, keep: NDArray[np.bool_]) -> Curve | None:
        """Return the longest stretch whose samples are kept (n,), or None where that is short."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(np.int8)))
        lengths = edges[1::2] - edges[::2]
        if not len(lengths) or lengths.max() < 12:
            return None
        first = int(edges[::2][lengths.argmax()])
        part = slice(first, first + int(lengths.max()))
        return replace(self, points=self.points[part], tangents=self.tangents[part], half_width=self.half_width[part])


class CurveSet:
    """Curves of one kind with a fast nearest search."""

    def __init__(self, curves: list[Curve]) -> None:
        """Index the samples of all curves."""
        self.curves = curves
        self.points = np.concatenate([c.points for c in curves])
        self.tangents = np.concatenate([c.tangents for c in curves])
        self.half_width = np.concatenate([c.half_width for c in curves])
        self.owner = np.concatenate([np.full(len(c.points), i) for i, c in enumerate(curves)])
        self._tree = cKDTree(self.points)
        self._widest = float(self.half_width.max())
        self._boxes = [(*c.points.min(axis=0), *c.points.max(axis=0)) for c in curves]

    def nearest(self, xy: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return, for places (n, 2), the nearest sample's index and the signed distance to the curve.

        The distance is positive to the left of the curve's direction.
        """
        reach, index = self._tree.query(xy)
        to = xy - self.points[index]
        tangent = self.tangents[index]
        signed = tangent[:, 0] * to[:, 1] - tangent[:, 1] * to[:, 0]
        far = reach > 3 * STEP
        signed = np.where(far & (np.abs(signed) < 0.5 * reach), np.copysign(reach, signed), signed)
        return index, signed

    def inside(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which places (n, 2) lie on a curve."""
        # The bound lets the search stop early: most places lie far from any curve.
        reach, _ = self._tree.query(xy, distance_upper_bound=self._widest + STEP)
        near = np.flatnonzero(np.isfinite(reach))
        result = np.zeros(len(xy), dtype=np.bool_)
        if len(near):
            found, signed = self.nearest(xy[near])
            result[near] = np.abs(signed) <= self.half_width[found]
        return result

    def runs(self, x0: float, y0: float, x1: float, y1: float) -> list[tuple[Curve, slice]]:
        """Return the stretches of curves that enter a box, each with a few samples beyond it."""
        found = []
        for curve, (west, south, east, north) in zip(self.curves, self._boxes, strict=True):
            if east < x0 or west > x1 or north < y0 or south > y1:
                continue
            p = curve.points
            hit = np.flatnonzero((p[:, 0] >= x0) & (p[:, 0] <= x1) & (p[:, 1] >= y0) & (p[:, 1] <= y1))
            if len(hit):
                cuts = np.flatnonzero(np.diff(hit) > 1)
                for part in np.split(hit, cuts + 1):
                    found.append((curve, slice(max(0, int(part[0]) - 6), min(len(p), int(part[-1]) + 7))))
        return found


def walk(rng: np.random.Generator, length: int, low: int, high: int, calm: float) -> NDArray[np.int64]:
    """Return one lane a step, a walk that turns seldom (calm near 1) and stays between low and high."""
    lane, drift = int(rng.integers(low, high + 1)), 0
    lanes = np.empty(length, dtype=np.int64)
    for k in range(length):
        lanes[k] = lane
        if rng.random() > calm:
            drift = int(rng.integers(-1, 2))
        if not low <= lane + drift <= high:
            drift = -drift if low <= lane - drift <= high else 0
        lane += drift
    return lanes


def smooth_through(rng: np.random.Generator, control: NDArray[np.float64], sway: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lay a Catmull-Rom curve through control points, with a bend of about `sway` metres between two of them.

    Returns:
        Samples (n, 2) about STEP apart and unit tangents (n, 2).
    """
    chord = np.diff(control, axis=0)
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.hypot(chord[:, 0], chord[:, 1])[:, None]
    bend = (rng.uniform(0.3, 1.0, len(chord)) * sway * rng.choice([-1, 1], len(chord)))[:, None]
    knots = np.empty((2 * len(control) - 1, 2))
    knots[0::2], knots[1::2] = control, (control[:-1] + control[1:]) / 2 + normal * bend
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0, 1, 64, endpoint=False)[None, :, None]
    a, b, c, d = (padded[i : len(padded) - 3 + i, None, :] for i in range(4))
    dense = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    dense = np.concatenate([dense.reshape(-1, 2), knots[-1:]])
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    at = np.arange(0, run[-1], STEP)
    points = np.stack([np.interp(at, run, dense[:, 0]), np.interp(at, run, dense[:, 1])], axis=1)
    tangent = np.gradient(points, axis=0)
    return points, tangent / np.hypot(tangent[:, 0], tangent[:, 1])[:, None]


def _width_along(rng: np.random.Generator, n: int, base: float, share: float) -> NDArray[np.float64]:
    knots = np.arange(0, n + 200, 100)
    values = base * np.exp(rng.normal(0, share, len(knots)))
    return np.interp(np.arange(n), knots, values)


def rivers(seed: int, nodes: NDArray[np.float64]) -> tuple[CurveSet, NDArray[np.bool_]]:
    """Lay rivers from north to south through nodes (rows, columns, 2).

    Returns:
        The rivers, and which nodes (rows, columns) they pass.
    """
    curves, used = _lay(seed, "river", nodes)
    return CurveSet(curves), used


def highways(seed: int, nodes: NDArray[np.float64]) -> tuple[CurveSet, NDArray[np.bool_]]:
    """Lay highways from west to east through nodes (rows, columns, 2)."""
    main, used = _lay(seed, "highway", nodes.transpose(1, 0, 2))
    side: list[Curve] = []
    for curve in main:
        side += _side_roads(rng_of(seed, "side roads", curve.index), curve, len(main) + len(side))
    return CurveSet(main + side), used.T


def _side_roads(rng: np.random.Generator, curve: Curve, number: int) -> list[Curve]:
    """Cross a highway with roads every few kilometres; at a motorway, slip roads loop between the two."""
    found: list[Curve] = []

    def add(points: NDArray[np.float64], tangents: NDArray[np.float64], half: float) -> None:
        width = np.full(len(points), half)
        found.append(Curve(number + len(found), "road", points, tangents, width, minor=True))

    at = int(rng.integers(60, 260))
    while at < len(curve.points) - 30:
        middle, along = curve.points[at], curve.tangents[at]
        across = np.array([-along[1], along[0]])
        ends = [middle + across * rng.uniform(500, 1300) * s + along * rng.uniform(-250, 250) for s in (-1, 1)]
        add(*smooth_through(rng, np.stack([ends[0], middle, ends[1]]), 40.0), rng.uniform(5, 7))
        if curve.variant == "motorway":
            for turn in (1, -1):
                radius = rng.uniform(55, 85)
                angle = np.arange(0, 1.75 * np.pi, STEP / radius)
                ring = np.cos(angle)[:, None] * along + np.sin(angle)[:, None] * across
                add(middle + turn * (radius + 12) * (along + across) + radius * ring, _turned(ring), 4.5)
        at += int(rng.integers(220, 450))
    return found


def _turned(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([-ring[:, 1], ring[:, 0]], axis=1)


def _lay(seed: int, kind: str, nodes: NDArray[np.float64]) -> tuple[list[Curve], NDArray[np.bool_]]:
    rows, columns, _ = nodes.shape
    count = max(1, int(np.ceil(columns / 10.0)))
    edges = np.linspace(0, columns, count + 1).round().astype(int)
    used = np.zeros((rows, columns), dtype=np.bool_)
    curves = []
    for k in range(count):
        rng = rng_of(seed, kind, k)
        low, high = int(edges[k]) + 1, max(int(edges[k]) + 1, int(edges[k + 1]) - 2)
        lanes = walk(rng, rows, low, high, 0.6)
        used[np.arange(rows), lanes] = True
        straight = bool(rng.random() < (0.3 if kind == "river" else 0.5))
        sway, base, share = _style(rng, kind, straight)
        points, tangents = smooth_through(rng, nodes[np.arange(rows), lanes], sway)
        width = _width_along(rng, len(points), base, share)
        name = ("canal" if straight else "stream") if kind == "river" else ("motorway" if straight else "road")
        curves.append(Curve(k, name, points, tangents, width))
    return curves, used


def _style(rng: np.random.Generator, kind: str, straight: bool) -> tuple[float, float, float]:
    if kind == "river":
        return (15.0, rng.uniform(28, 50), 0.05) if straight else (150.0, rng.uniform(38, 95), 0.2)
    return (30.0, rng.uniform(17, 24), 0.0) if straight else (110.0, rng.uniform(9, 13), 0.0)
