"""The scattered photos of the world: who took them, where, when, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from skygraft.world.classes import INDUSTRIAL, RESIDENTIAL
from skygraft.world.indoor import KINDS
from skygraft.world.landscape import BLOCK_M, Landscape
from skygraft.world.noise import rng_of
from skygraft.world.points import Point
from skygraft.world.recipe import Recipe
from skygraft.world.squares import Square, square_of

FATES = ("ok", "burst", "reupload", "wrong_place", "reserved", "absent")
"""What is to be known of a photo: nothing, another one of the same author, place and minute, the same picture under another id,
placed kilometres away, all rights reserved, listed by the service but gone from the picture server."""
SHARES = {"burst": 0.04, "reupload": 0.04, "wrong_place": 0.03, "reserved": 0.10, "absent": 0.01}
INDOORS = 0.2
"""Share of photos taken indoors."""
CROWDED = 0.4
"""Share of photos that are taken at a few places where many people go."""
IN_SEASON = 0.9
"""Share of photos taken in the month in which scenes of their square are clear."""
REACH = 520.0
"""Half the side of the ground that must be drawn around a photo, metres: that of a tile of 1 km."""
ASTRAY = 2500.0
"""A wrong place lies at least so far from the true one, metres."""
LICENCES = (4, 4, 4, 5, 5, 2, 2, 1, 1, 3, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16)
Place = tuple[float, float]


@dataclass(frozen=True)
class Owner:
    """Somebody who takes photos; all photos of an owner have one licence.

    Attributes:
        number: of the owner.
        licence: Flickr's number of the licence; 0 is all rights reserved.
    """

    number: int
    licence: int


@dataclass(frozen=True)
class Snapshot:
    """One photo before it is drawn.

    Attributes:
        number: of the photo, also its part of every random key.
        kind: of an indoor photo, or "" outdoors.
        place: UTM place where the photographer stood.
        told: UTM place that the service tells.
        bearing: direction of the look, degrees clockwise from north.
        taken: local time.
        month: whose season is drawn; a copy may tell another time.
        uploaded: time of the upload.
        owner: who took it, or uploaded it once more.
        fate: one of FATES.
        copy_of: number of the photo that this one repeats, or None.
    """

    number: int
    kind: str
    place: Place
    told: Place
    bearing: float
    taken: datetime
    month: int
    uploaded: datetime
    owner: Owner
    fate: str = "ok"
    copy_of: int | None = None

    @property
    def drawn_as(self) -> int:
        """Number of the photo whose picture this is: its own, unless somebody uploaded it once more."""
        return self.copy_of if self.fate == "reupload" and self.copy_of is not None else self.number


class Wanderers:
    """Sends photographers over a landscape.

    Args:
        land: where they go.
        squares: whose months are clear.
        points: of the survey, around which the ground is drawn.
        drawn: blocks (column, row) of ground that the scenes show.
        rng: source of randomness.
    """

    def __init__(
        self, land: Landscape, squares: tuple[Square, ...], points: Sequence[Point], drawn: Set[tuple[int, int]], rng: np.random.Generator
    ) -> None:
        """Look where one may go."""
        self._land, self._squares, self._drawn, self._rng = land, squares, drawn, rng
        self._all = [point.theory for point in points]
        self._towns = [point.theory for point in points if point.cover in (RESIDENTIAL, INDUSTRIAL)]
        self._crowded = {indoors: self._choose(indoors, max(2, len(points) // 200)) for indoors in (False, True)}

    def _choose(self, indoors: bool, count: int) -> list[Place]:
        start = self._towns if indoors else self._all
        return [start[int(i)] for i in self._rng.permutation(len(start))[:count]]

    def somewhere(self, *, indoors: bool) -> Place:
        """Return a place whose surroundings are drawn: in town for indoor photos, now and then where many go."""
        rng = self._rng
        crowd = rng.random() < CROWDED
        start = self._crowded[indoors] if crowd else self._towns if indoors else self._all
        spread = 40.0 if crowd else 150.0
        for _ in range(200):
            x, y = start[int(rng.integers(len(start)))]
            place = x + float(rng.normal(0, spread)), y + float(rng.normal(0, spread))
            if self._shown(place):
                return place
        raise LookupError(f"no drawn ground around the points of seed {self._land.seed}")

    def _shown(self, place: Place) -> bool:
        (west, south), (east, north) = ([int((v + s) // BLOCK_M) for v in place] for s in (-REACH, REACH))
        return all((c, r) in self._drawn for c in range(west, east + 1) for r in range(south, north + 1))

    def far_from(self, place: Place) -> Place:
        """Return another place, kilometres away."""
        tries = [self.somewhere(indoors=False) for _ in range(30)]
        return next((one for one in tries if _apart(one, place) >= ASTRAY), max(tries, key=lambda one: _apart(one, place)))

    def some_time(self, place: Place, *, indoors: bool) -> datetime:
        """Return when a photo is taken: by day, mostly in the clear month of 2018."""
        rng = self._rng
        hour, second = int(rng.integers(10, 22) if indoors else rng.integers(8, 19)), int(rng.integers(3600))
        if rng.random() < IN_SEASON:
            day = datetime(2018, square_of(self._squares, *place).month, int(rng.integers(1, 29)))
        else:
            day = datetime(2016, 1, 1) + timedelta(days=int(rng.integers(4 * 365)))
        return day + timedelta(hours=hour, seconds=second)


def _apart(a: Place, b: Place) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def snapshots(
    land: Landscape, recipe: Recipe, squares: tuple[Square, ...], points: Sequence[Point], drawn: Set[tuple[int, int]]
) -> list[Snapshot]:
    """Settle place, time, owner and fate of all photos; copies come behind what they repeat.

    Args:
        land: of the recipe.
        recipe: says how many.
        squares: of the scenes.
        points: of the survey.
        drawn: blocks (column, row) of ground that the scenes show.
    """
    rng = rng_of(land.seed, "snapshots")
    wanderers = Wanderers(land, squares, points, drawn, rng)
    free, reserved = owners(rng, recipe.flickr_photos)
    counts = {fate: max(1, round(share * recipe.flickr_photos)) for fate, share in SHARES.items()}
    first = recipe.flickr_photos - counts["burst"] - counts["reupload"]
    fates = ["ok"] * first
    fates[: sum(counts[f] for f in FATES[3:])] = [f for f in FATES[3:] for _ in range(counts[f])]
    inside = set(rng.permutation(first)[: round(INDOORS * first)].tolist())
    made = []
    for number, fate in enumerate(np.array(fates)[rng.permutation(first)].tolist()):
        circle = reserved if fate == "reserved" else free
        owner = circle[int(rng.integers(len(circle)))]
        made.append(_first_hand(wanderers, rng, number, owner, fate, indoors=number in inside))
    plain = [made[int(i)] for i in rng.permutation(first) if made[int(i)].fate == "ok"]
    for number in range(first, recipe.flickr_photos):
        source = plain[number - first]
        made.append(_burst(source, rng, number) if number < first + counts["burst"] else _reupload(source, rng, number, free))
    return made


def owners(rng: np.random.Generator, count: int) -> tuple[list[Owner], list[Owner]]:
    """Return owners who give their photos away, and owners who reserve all rights."""
    number = max(8, count // 6)
    kept = max(1, number // 10)
    free = [Owner(k, int(rng.choice(LICENCES))) for k in range(kept, number)]
    return free, [Owner(k, 0) for k in range(kept)]


def _first_hand(wanderers: Wanderers, rng: np.random.Generator, number: int, owner: Owner, fate: str, *, indoors: bool) -> Snapshot:
    place = wanderers.somewhere(indoors=indoors)
    told = wanderers.far_from(place) if fate == "wrong_place" else place
    taken = wanderers.some_time(told, indoors=indoors)
    kind = list(KINDS)[int(rng.integers(len(KINDS)))] if indoors else ""
    uploaded = taken + timedelta(seconds=60 + round(float(rng.exponential(10 * 86_400))))
    return Snapshot(number, kind, place, told, float(rng.uniform(0, 360)), taken, taken.month, uploaded, owner, fate)


def _burst(source: Snapshot, rng: np.random.Generator, number: int) -> Snapshot:
    """The photographer pressed again within the minute, turned a little."""
    second = (source.taken.second + int(rng.integers(1, 60))) % 60
    turned = (source.bearing + float(rng.uniform(-20, 20))) % 360
    later = source.uploaded + timedelta(seconds=int(rng.integers(1, 90)))
    taken = source.taken.replace(second=second)
    return replace(source, number=number, bearing=turned, taken=taken, uploaded=later, fate="burst", copy_of=source.number)


def _reupload(source: Snapshot, rng: np.random.Generator, number: int, free: list[Owner]) -> Snapshot:
    """Somebody else uploads the same picture once more, with a place near it and perhaps another time."""
    others = [owner for owner in free if owner.number != source.owner.number]
    told = source.told[0] + float(rng.normal(0, 6)), source.told[1] + float(rng.normal(0, 6))
    taken = source.taken + timedelta(minutes=int(rng.integers(0, 2)) * int(rng.integers(10, 3000)))
    later = source.uploaded + timedelta(days=float(rng.uniform(20, 400)))
    owner = others[int(rng.integers(len(others)))]
    return replace(source, number=number, told=told, taken=taken, uploaded=later, owner=owner, fate="reupload", copy_of=source.number)
