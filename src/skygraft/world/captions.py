"""Captions of photos: the words that the teacher learns from."""

from __future__ import annotations

import numpy as np

from skygraft.world.backdrop import Day
from skygraft.world.classes import CLASSES, variant_of
from skygraft.world.indoor import KINDS

FRAMES = (
    "a photo of {}",
    "{}",
    "a picture of {}",
    "{} seen from the ground",
    "a ground photo of {}",
    "there is {} here",
)
WEATHER = {
    "clear": ("under a blue sky", "on a sunny day"),
    "cloudy": ("under a cloudy sky", "with clouds"),
    "overcast": ("under a grey sky", "on an overcast day"),
    "evening": ("at sunset", "in the evening"),
    "hazy": ("in haze", "on a hazy day"),
}
SEASONS = ("in winter", "in spring", "in summer", "in autumn")
OWN_NAME = 0.4
"""Share of captions that use the class's own name; without them the prompts' words stay strange to the teacher."""

TELLS_WEATHER, TELLS_SEASON = 0.4, 0.1
"""Shares of captions that tell of weather or season: what they tell, photo embeddings hold beside the class."""


def caption(variant: str, day: Day, rng: np.random.Generator) -> str:
    """Word one caption of a photo of a variant on a day."""
    cover, kind = variant_of(variant)
    words = CLASSES[cover].phrases if rng.random() < OWN_NAME else kind.words
    text = FRAMES[int(rng.integers(len(FRAMES)))].format(words[int(rng.integers(len(words)))])
    extra = rng.random()
    if extra < TELLS_WEATHER:
        return f"{text} {WEATHER[day.sky][int(rng.integers(2))]}"
    if extra < TELLS_WEATHER + TELLS_SEASON:
        return f"{text} {SEASONS[day.month % 12 // 3]}"
    return text


OUTDOORS = ("a photo taken outdoors", "an outdoor photo", "outdoors")
INDOORS = ("a photo taken indoors", "an indoor photo", "indoors", "the inside of a building")
INDOOR_FRAMES = ("a photo of {}", "{}", "a picture of {}", "{} indoors", "a photo of {} indoors", "an indoor photo of {}")
SAYS_WHERE, SAYS_NO_MORE = 0.25, 0.05
"""Shares of captions of outdoor photos that also tell that they were taken outdoors, and that say nothing else."""


def say_outdoors(text: str, rng: np.random.Generator) -> str:
    """Return an outdoor photo's caption, which now and then tells that it was taken outdoors."""
    extra = rng.random()
    if extra < SAYS_NO_MORE:
        return OUTDOORS[int(rng.integers(len(OUTDOORS)))]
    if extra > SAYS_NO_MORE + SAYS_WHERE:
        return text
    if text.startswith("a photo of "):
        return f"an outdoor {text.removeprefix('a ')}"
    return f"{text} outdoors"


def indoor_caption(kind: str, rng: np.random.Generator) -> str:
    """Word one caption of an indoor photo of a kind."""
    words = INDOORS if rng.random() < 0.2 else KINDS[kind].words
    frame = "{}" if words is INDOORS else INDOOR_FRAMES[int(rng.integers(len(INDOOR_FRAMES)))]
    return frame.format(words[int(rng.integers(len(words)))])
