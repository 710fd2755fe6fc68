"""Drawing the scattered photos, what the world's Flickr knows of them, and what only the world knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from skygraft.world.backdrop import a_day
from skygraft.world.classes import CLASSES, NAMES, variant_of
from skygraft.world.ground import encode, take
from skygraft.world.indoor import KINDS, take_indoors
from skygraft.world.landscape import Landscape
from skygraft.world.noise import rng_of
from skygraft.world.photos import shot_of
from skygraft.world.recipe import EPSG, Recipe
from skygraft.world.snapshots import Snapshot
from skygraft.world.views import look

SIZES = {"n": (320, 240)}
"""Widths and heights of the sizes that the service makes; an original ("o") keeps its own."""
SMALL = 0.15
"""Share of photos that were uploaded too small for any size but the original."""
FIRST = (
    "Anna",
    "Bernd",
    "Çiğdem",
    "Dieter",
    "Eva",
    "François",
    "Greta",
    "Håkon",
    "Ines",
    "Jörg",
    "Klára",
    "Łukasz",
    "Maria",
    "Nora",
    "Otto",
)
LAST = (
    "Albrecht",
    "Bauer",
    "Černý",
    "Dürr",
    "Ebner",
    "Fuchs",
    "Gruber",
    "Huber",
    "Iden",
    "Jäger",
    "Köhler",
    "Lang",
    "Müller",
    "Neuß",
    "Ortner",
)
VILLAGES = ("Altenried", "Birkhofen", "Dornfeld", "Eschbach", "Finkenau", "Grünwinkel", "Hohenbrunn", "Kaltenweiler", "Lindach", "Mühlheim")


@dataclass(frozen=True)
class Listed:
    """A photo as the service and as the world know it.

    Attributes:
        row: of the service's table.
        truth: what no client is told.
    """

    row: dict[str, Any]
    truth: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A photo to draw.

    Attributes:
        photo: the photo.
        ids: Flickr's number of every photo, by the photo's own number.
    """

    photo: Snapshot
    ids: Mapping[int, str]


def jobs(recipe: Recipe, photos: Sequence[Snapshot]) -> list[Job]:
    """Number the photos as the service does: the later the upload, the greater the number."""
    order = sorted(photos, key=lambda photo: (photo.uploaded, photo.number))
    steps = np.cumsum(rng_of(recipe.seed, "flickr ids").integers(10_000, 1_000_000, len(order)))
    ids = {photo.number: str(40_000_000_000 + int(step)) for photo, step in zip(order, steps, strict=True)}
    return [Job(photo, {n: ids[n] for n in (photo.number, photo.copy_of) if n is not None}) for photo in order]


def write_listed(land: Landscape, recipe: Recipe, jobs: Sequence[Job], root: Path) -> list[Listed]:
    """Draw and write photos below the picture server's folder."""
    return [_write(land, recipe, job, root) for job in jobs]


def _write(land: Landscape, recipe: Recipe, job: Job, root: Path) -> Listed:
    photo = job.photo
    image, subject, quality = _picture(land, recipe, photo)
    own = rng_of(land.seed, "flickr listing", photo.number)
    small = rng_of(land.seed, "flickr size", photo.drawn_as).random() < SMALL
    if photo.fate == "reupload":
        quality = int(own.integers(70, 80))
    if not small:
        image = np.asarray(cv2.resize(image, SIZES["n"], interpolation=cv2.INTER_CUBIC))
    data = encode(image, quality)
    row = _row(job, subject, own) | {"size": "o" if small else "n", "width": image.shape[1], "height": image.shape[0]}
    secret = row["original_secret"] if small else row["secret"]
    row["path"] = f"{row['server']}/{row['id']}_{secret}_{row['size']}.jpg"
    if photo.fate != "absent":
        path = root / str(row["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    sha256 = "" if photo.fate == "absent" else hashlib.sha256(data).hexdigest()
    return Listed(row, _truth(job, subject) | {"sha256": sha256})


@dataclass(frozen=True)
class _Subject:
    name: str
    variant: str
    share: float
    words: tuple[str, ...]
    tags: tuple[str, ...]


def _picture(land: Landscape, recipe: Recipe, photo: Snapshot) -> tuple[NDArray[np.uint8], _Subject, int]:
    """Draw what a photo shows; one that was uploaded again is drawn from its first copy's stream, and so is the same."""
    rng = rng_of(land.seed, "flickr", photo.drawn_as)
    shot = shot_of(rng, a_day(rng, photo.month), recipe)
    if photo.kind:
        kind = KINDS[photo.kind]
        return take_indoors(photo.kind, shot, rng), _Subject(photo.kind, photo.kind, 1.0, kind.titles, kind.tags), shot.quality
    view = look(land, photo.place[0], photo.place[1], photo.bearing)
    cover, variant = variant_of(view.variant)
    words = [word.lower() for phrase in variant.words for word in phrase.split() if word not in _SMALL_WORDS]
    tags = tuple(dict.fromkeys(words))[:4]
    subject = _Subject(NAMES[view.cover], view.variant, view.share, variant.words, (CLASSES[cover].text.split()[-1], *tags))
    return take(view, shot, rng), subject, shot.quality


def degrees(place: tuple[float, float]) -> tuple[float, float]:
    """Return longitude and latitude of a UTM place."""
    lon, lat = _TO_DEGREES.transform(*place)
    return round(lon, 6), round(lat, 6)


_SMALL_WORDS = ("a", "an", "and", "in", "its", "like", "of", "on", "the", "with", "or")
_TO_DEGREES = Transformer.from_crs(EPSG, 4326, always_xy=True)


def _row(job: Job, subject: _Subject, rng: np.random.Generator) -> dict[str, Any]:
    photo = job.photo
    who = rng_of(photo.owner.number, "owner")
    first, last = FIRST[int(who.integers(len(FIRST)))], LAST[int(who.integers(len(LAST)))]
    # Copies are placed as surely as what they repeat.
    press = rng_of(photo.number if photo.copy_of is None else photo.copy_of, "accuracy")
    accuracy = int(press.choice([16, 15, 14, 11], p=[0.85, 0.07, 0.05, 0.03]))
    lon, lat = degrees(photo.told)
    hinted = rng.random() < 0.15
    odd = bool(photo.kind) and rng.random() < 0.05
    return {
        "id": job.ids[photo.number],
        "owner": f"{int(who.integers(10_000_000, 199_999_999))}@N{int(who.integers(10)):02d}",
        "owner_name": f"{first} {last}",
        "path_alias": f"{first}{last}{photo.owner.number}".lower().encode("ascii", "ignore").decode() if who.random() < 0.6 else "",
        "secret": f"{int(rng.integers(1 << 40)):010x}",
        "original_secret": f"{int(rng.integers(1 << 40)):010x}",
        "server": "65535",
        "title": _title(subject, rng),
        "tags": " ".join(_tags(subject, rng)),
        "taken": photo.taken.strftime("%Y-%m-%d %H:%M:%S"),
        "uploaded": int(photo.uploaded.replace(tzinfo=UTC).timestamp()),
        "license": photo.owner.licence,
        # A street number's worth of doubt is told by fewer decimals.
        "latitude": lat if accuracy > 14 else round(lat, 3),
        "longitude": lon if accuracy > 14 else round(lon, 3),
        "accuracy": accuracy,
        "context": (1 if photo.kind else 2) if hinted else 0,
        "content_type": 3 if odd else 1,
    }


def _title(subject: _Subject, rng: np.random.Generator) -> str:
    roll = rng.random()
    if roll < 0.1:
        return ""
    if roll < 0.3:
        return f"{rng.choice(['IMG_', 'DSC0', 'P10'])}{int(rng.integers(1000, 9999))}"
    words = subject.words[int(rng.integers(len(subject.words)))].removeprefix("a ").removeprefix("an ")
    near = f" near {VILLAGES[int(rng.integers(len(VILLAGES)))]}" if roll > 0.6 and subject.name in NAMES else ""
    return words[:1].upper() + words[1:] + near


def _tags(subject: _Subject, rng: np.random.Generator) -> list[str]:
    place = ["bavaria", "bayern", "germany", VILLAGES[int(rng.integers(len(VILLAGES)))].lower()]
    return list(dict.fromkeys(tag for tag in (*subject.tags, *place) if rng.random() < 0.6))


def _truth(job: Job, subject: _Subject) -> dict[str, Any]:
    photo, (lon, lat) = job.photo, degrees(job.photo.place)
    return {
        "photo_id": f"flickr:{job.ids[photo.number]}",
        "indoor": bool(photo.kind),
        "class": subject.name,
        "variant": subject.variant,
        "share": subject.share,
        "bearing": photo.bearing,
        "longitude": lon,
        "latitude": lat,
        "fate": photo.fate,
        "copy_of": "" if photo.copy_of is None else f"flickr:{job.ids[photo.copy_of]}",
    }
