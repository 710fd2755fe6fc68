"""Photos taken indoors: which kinds there are, and the drawing of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world import indoor_kitchen, indoor_people, indoor_rooms, indoor_shops
from skygraft.world.ground import Shot, develop
from skygraft.world.interior import Interior


@dataclass(frozen=True)
class Kind:
    """A kind of indoor photo.

    Attributes:
        words: phrases that name it in a caption.
        titles: what people call such a photo.
        tags: words that they file it under.
        paint: draws it.
    """

    words: tuple[str, ...]
    titles: tuple[str, ...]
    tags: tuple[str, ...]
    paint: Callable[[Interior], None]


KINDS: dict[str, Kind] = {
    "room": Kind(
        ("a living room", "a room with furniture", "a room with a sofa and a window", "a bedroom"),
        ("Our new sofa", "Home at last", "Holiday flat", "Wohnzimmer"),
        ("home", "interior", "livingroom"),
        indoor_rooms.paint_room,
    ),
    "kitchen": Kind(
        ("a kitchen", "a kitchen with cupboards", "a stove and cupboards in a kitchen"),
        ("Kitchen", "New kitchen!", "Sunday cooking", "Küche"),
        ("kitchen", "home", "cooking"),
        indoor_kitchen.paint_kitchen,
    ),
    "shop": Kind(
        ("a shop", "shop shelves full of goods", "shelves in a supermarket"),
        ("Corner shop", "So many sorts", "Village store", "Supermarkt"),
        ("shop", "market", "shelves"),
        indoor_shops.paint_shop,
    ),
    "portrait": Kind(
        ("a portrait of a person against a wall", "a person in a room", "a portrait of somebody"),
        ("Grandma", "Birthday boy", "Me", "Happy guest"),
        ("portrait", "family", "people"),
        indoor_people.paint_portrait,
    ),
    "plate": Kind(
        ("a plate of food on a table", "food on a plate", "a meal in a restaurant"),
        ("Dinner", "Lunch at the inn", "Schnitzel!", "Mahlzeit"),
        ("food", "dinner", "restaurant"),
        indoor_shops.paint_plate,
    ),
}
"""Kinds of indoor photos by name."""


def take_indoors(kind: str, shot: Shot, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an indoor photo.

    Args:
        kind: one of KINDS.
        shot: its size; weather and season do not matter.
        rng: randomness of this photo alone.

    Returns:
        Array (height, width, 3) with height = 3/4 width, uint8.
    """
    scene = Interior(rng)
    KINDS[kind].paint(scene)
    scene.light()
    return develop(scene, shot, rng)
