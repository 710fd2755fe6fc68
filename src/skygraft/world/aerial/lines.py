"""Rivers and highways from an aeroplane, over the cells that they cross."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.tones import ASPHALT, CONCRETE, GRASS, LEAF, WATER, from_above, tone
from skygraft.world.aerial.vehicles import CARS, TRUCKS
from skygraft.world.cover_lines import Run, river_colour
from skygraft.world.curves import STEP, Curve
from skygraft.world.noise import rng_of

MARK = tone(232, 232, 226, 205)


@dataclass(frozen=True)
class Beside:
    """Where the pixels lie along a curve, each (rows, columns).

    Attributes:
        along: metres from the curve's beginning.
        off: metres to the left of its middle.
        half: half its width there, metres.
    """

    along: NDArray[np.float64]
    off: NDArray[np.float64]
    half: NDArray[np.float64]

    def within(self, extra: float, gsd: float) -> NDArray[np.float64]:
        """Return the share of each pixel that lies on the curve grown by some metres."""
        result: NDArray[np.float64] = np.clip(0.5 + (self.half + extra - np.abs(self.off)) / max(gsd, 0.3), 0, 1)
        return result

    def line(self, at: float | NDArray[np.float64], half: float, gsd: float) -> NDArray[np.float64]:
        """Return the share of each pixel on a line along the curve, so many metres to the left of its middle."""
        low, high = np.maximum(self.off - at - gsd / 2, -half), np.minimum(self.off - at + gsd / 2, half)
        result: NDArray[np.float64] = np.clip((high - low) / gsd, 0, 1)
        return result


def beside(canvas: AirCanvas, run: Run) -> Beside:
    """Measure the pixels against a stretch of a curve: the nearest sample, and the distance across its direction."""
    curve, part = run
    points = curve.points[part]
    best = np.full(canvas.x.shape, np.inf)
    index = np.zeros(canvas.x.shape, dtype=np.int64)
    for k, (x, y) in enumerate(points.tolist()):
        reach = (canvas.x - x) ** 2 + (canvas.y - y) ** 2
        nearer = reach < best
        best[nearer], index[nearer] = reach[nearer], k
    index += part.start
    to_x, to_y = canvas.x - curve.points[index, 0], canvas.y - curve.points[index, 1]
    tangent_x, tangent_y = curve.tangents[index, 0], curve.tangents[index, 1]
    ahead, off = tangent_x * to_x + tangent_y * to_y, tangent_x * to_y - tangent_y * to_x
    # Past a curve's last sample there is no curve; its bends are wider than a step.
    off = np.where(np.abs(ahead) > 1.5 * STEP, np.copysign(np.maximum(np.abs(off), np.sqrt(best)), off), off)
    return Beside(index * STEP + ahead, off, curve.half_width[index])


def paint_river(canvas: AirCanvas, run: Run, seed: int) -> None:
    """Water with ripples along its course; trees on the banks of a stream, stone and a towpath beside a canal."""
    curve = run[0]
    place = beside(canvas, run)
    stream = curve.variant == "stream"
    bank = place.within(24.0 if stream else 11.0, canvas.gsd)
    if not bank.any():
        return
    if stream:
        canvas.blend(0.85 * bank, GRASS * 0.95 + 5 * canvas.noise("tuft", 1.0)[..., None])
    else:
        canvas.blend(bank, tone(118, 128, 82, 165))
        canvas.blend(place.within(5.5, canvas.gsd) * (1 - place.within(2.5, canvas.gsd)), tone(190, 178, 150, 175))
        canvas.blend(place.within(1.5, canvas.gsd), CONCRETE)
    canvas.blend(place.within(1.2 if stream else 0.0, canvas.gsd), tone(150, 140, 108, 140) if stream else CONCRETE * 0.7)
    layer = place.within(0.0, canvas.gsd)
    water = 0.6 * from_above(river_colour(curve, seed)) + 0.4 * WATER
    water[3] = WATER[3]
    flow = 1.5 * canvas.noise("grain", 0.9) + 5.0 * canvas.streaks("tuft", place.along, place.off, 2.4, 12.0)
    deep = np.clip((np.abs(place.off) / place.half - 0.75) * 3, 0, 1)
    canvas.blend(layer, (water + flow[..., None] * np.array([1, 1, 1, 0.4]) + (10 * deep)[..., None] * np.array([1, 1, 0.7, 0.3])))
    if stream:
        leafy = np.clip(0.75 + 0.6 * canvas.noise("patch", 5.0), 0, 1)
        shore = bank * np.clip((np.abs(place.off) - place.half + 0.5) / 1.5, 0, 1)
        plant(canvas, Stand((6.4, 6.4), (2.3, 4.1), share=0.75, salt=curve.index, height=7.0), LEAF, shore * leafy)


def paint_highway(canvas: AirCanvas, run: Run, seed: int) -> None:
    """Tarmac with its lines and cars between green verges; a motorway has two carriageways and a rail between."""
    curve = run[0]
    place = beside(canvas, run)
    motorway = curve.variant == "motorway"
    verge = place.within(13.0 if motorway else 7.0, canvas.gsd)
    if not verge.any():
        return
    rng = rng_of(seed, "tarmac", curve.index)
    tarmac = ASPHALT * rng.uniform(0.86, 1.2)
    canvas.blend(0.85 * verge, GRASS + 5 * canvas.noise("tuft", 0.9)[..., None])
    bushes = verge * np.clip((np.abs(place.off) - place.half - 2.5) / 1.5, 0, 1)
    plant(canvas, Stand((5.0, 5.0), (1.2, 2.3), share=0.3, salt=curve.index + 3, height=3.0), LEAF, bushes)
    layer = place.within(0.0, canvas.gsd)
    wear = 4 * canvas.noise("patch", 1.2) + 2 * canvas.noise("grain", 0.5)
    canvas.blend(layer, tarmac + wear[..., None])
    lanes = _lanes(curve, motorway)
    _marks(canvas, place, curve, motorway)
    for lane in lanes:
        _traffic(canvas, place, layer, curve, lane)


def _lanes(curve: Curve, motorway: bool) -> list[tuple[float, bool]]:
    """Return each lane's place, metres to the left of the middle, and whether lorries keep to it."""
    half = float(np.median(curve.half_width))
    if not motorway:
        return [(-half / 2, not curve.minor), (half / 2, not curve.minor)]
    inner, width = 2.5, (half - 2.5 - 2.5) / 3
    return [(side * (inner + width * (k + 0.5)), k == 2) for side in (-1, 1) for k in range(3)]


def _marks(canvas: AirCanvas, place: Beside, curve: Curve, motorway: bool) -> None:
    """Paint the lines; the middle of a motorway is grass with a rail on it."""
    gsd, half = canvas.gsd, float(np.median(curve.half_width))
    dash = np.clip(0.5 + (3.0 - np.abs(place.along % 15.0 - 7.5)) / max(gsd, 0.3), 0, 1)
    edge = half - (0.6 if not motorway else 2.4)
    if motorway:
        canvas.blend(place.line(0.0, 1.7, gsd), GRASS * 0.9)
        canvas.blend(place.line(0.0, 0.25, gsd), tone(200, 200, 198, 170))
        inner, width = 2.5, (half - 5.0) / 3
        for side in (-1, 1):
            for k in (1, 2):
                canvas.blend(0.85 * dash * place.line(side * (inner + k * width), 0.15, gsd), MARK)
            canvas.blend(0.8 * place.line(side * (inner - 0.2), 0.14, gsd), MARK)
    elif not curve.minor or half > 4.8:
        canvas.blend(0.85 * dash * place.line(0.0, 0.16, gsd), MARK)
    for side in (-1, 1):
        canvas.blend(0.8 * place.line(side * edge, 0.14, gsd), MARK)


def _traffic(canvas: AirCanvas, place: Beside, layer: NDArray[np.float64], curve: Curve, lane: tuple[float, bool]) -> None:
    """Drive cars and lorries along one lane: in every stretch of the road there is one, or none."""
    at, slow = lane
    gap = 34.0 if curve.variant == "motorway" else 55.0
    rng = rng_of("traffic", curve.index, int(at * 10) + 1000)
    chance = rng.random((3, 512))
    slot = np.floor(place.along / gap).astype(np.int64)
    luck, where, colour = chance[:, slot % 512]
    lorry = (luck < 0.14) & slow
    car = luck < (0.5 if not curve.minor else 0.22)
    for kind, mine in ((TRUCKS, lorry), (CARS, car & ~lorry)):
        middle = (slot + 0.3 + 0.4 * where) * gap
        low, high = place.along - middle - canvas.gsd / 2, place.along - middle + canvas.gsd / 2
        cover = np.clip((np.minimum(high, kind.long) - np.maximum(low, -kind.long)) / canvas.gsd, 0, 1) * mine
        if not cover.any():
            continue
        cover = cover * layer
        canvas.blend(0.5 * cover * place.line(at - 0.7, kind.wide, canvas.gsd), tone(40, 42, 46, 36))
        body = kind.colours[(colour * 997).astype(np.int64) % len(kind.colours)]
        canvas.blend(cover * place.line(at, kind.wide, canvas.gsd), body.astype(np.float32))
