"""Flickr's photos as rows: first as the search gave them, then as the table of photos has them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from skygraft.core.schemas import PHOTOS
from skygraft.ground.flickr.answers import Photo

SOURCE = "flickr"
# Whatever is filtered later stands here, so that what a search gave can be counted.
FOUND = pa.schema(
    [
        ("number", pa.int64()),
        ("moment", pa.uint64()),
        ("longitude", pa.float64()),
        ("latitude", pa.float64()),
        ("accuracy", pa.int8()),
        ("taken", pa.timestamp("s")),
        ("dated", pa.bool_()),
        ("licence", pa.int16()),
        ("url", pa.string()),
        ("page", pa.string()),
        ("author", pa.string()),
        ("title", pa.string()),
        ("tags", pa.string()),
    ]
)
TAKEN_DOWN = -1
"""In the place of the licence, where nothing but its number is known of a photo any more."""
# No number that a column holds is longer.
_NAME = re.compile(rf"{SOURCE}:(\d{{1,18}})")
# A pin is set on a map of that zoom to about ten of its pixels.
_PIN_PX, _ZOOM_0_M = 10.0, 156_543.0
# Granularity 0 is to the second; 4, 6 and 8 are month, year and circa.
_TO_THE_SECOND = 0
_NOWHEN = np.datetime64("NaT", "s")


def found_rows(photos: Sequence[Photo], sizes: tuple[str, ...]) -> pa.RecordBatch:
    """Rows of a page, in its order.

    Args:
        photos: What was read.
        sizes: Sizes by preference.
    """
    taken = _times([photo.datetaken for photo in photos])
    columns = {
        "number": [photo.id for photo in photos],
        "moment": [_moment(photo) for photo in photos],
        "longitude": [photo.longitude for photo in photos],
        "latitude": [photo.latitude for photo in photos],
        "accuracy": [photo.accuracy for photo in photos],
        "taken": pa.array(taken),
        "dated": [photo.datetakengranularity == _TO_THE_SECOND and photo.datetakenunknown == 0 for photo in photos],
        "licence": [photo.license for photo in photos],
        "url": [photo.url(sizes) for photo in photos],
        "page": [f"{photo.pathalias or photo.owner}/{photo.id}" for photo in photos],
        "author": [photo.ownername or photo.owner for photo in photos],
        "title": [photo.title for photo in photos],
        "tags": [photo.tags for photo in photos],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name], field.type) for field in FOUND], schema=FOUND)


def numbers_of(names: Iterable[str]) -> NDArray[np.int64]:
    """The numbers of those photos among some ``photo_id`` that are Flickr's."""
    found = (_NAME.fullmatch(name) for name in names)
    return np.array([int(match[1]) for match in found if match is not None], np.int64)


def name_of(number: int) -> str:
    """A photo's ``photo_id``."""
    return f"{SOURCE}:{number}"


def blanked(found: pa.RecordBatch, gone: NDArray[np.int64]) -> pa.RecordBatch:
    """Rows as :data:`FOUND`, with nothing left of some photos but their numbers, by which a search knows that a page is whole.

    Args:
        found: The rows.
        gone: Numbers of the photos.
    """
    goes = pc.is_in(found.column("number"), value_set=pa.array(gone))
    blank = {"moment": 0, "longitude": np.nan, "latitude": np.nan, "accuracy": 0, "dated": False, "licence": TAKEN_DOWN}
    columns = [
        column if field.name == "number" else pc.if_else(goes, pa.scalar(blank.get(field.name), field.type), column)
        for field, column in zip(FOUND, found.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=FOUND)


def photos_rows(found: pa.Table, licences: Mapping[int, str]) -> pa.Table:
    """Rows of the table of photos.

    ``captured_at``: Flickr gives the camera's clock without its zone. It is taken for the zone time of the place (a whole hour for each
    fifteen degrees), which is right to an hour or two; the day alone matters to imagery. A photo whose owner gave no more than a month has
    none. ``accuracy_m``: the service's levels are zooms of a map, on which a pin sits to about ten pixels: 24 m at level 16.

    Args:
        found: Rows as :data:`FOUND`.
        licences: Short names by number.
    """
    number, place = found.column("number").cast(pa.string()), [found.column(name).to_numpy() for name in ("longitude", "latitude")]
    longitude, latitude = place
    zone = np.round(longitude / 15.0).astype(np.int64).astype("timedelta64[h]")
    captured = found.column("taken").to_numpy().astype("datetime64[s]") - zone
    captured = np.where(found.column("dated").to_numpy(zero_copy_only=False), captured, _NOWHEN)
    at = [f"{SOURCE}:{lat:.5f}:{lon:.5f}" for lon, lat in zip(longitude.tolist(), latitude.tolist(), strict=True)]
    tags = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(found.column("tags")))
    columns = {
        "photo_id": pc.binary_join_element_wise(pa.scalar(SOURCE), number, ":"),
        "source": pa.repeat(pa.scalar(SOURCE), found.num_rows),
        "location_id": pa.array(at, pa.string()),
        "geometry": pa.array(shapely.to_wkb(shapely.points(longitude, latitude)), pa.binary()),
        "accuracy_m": pa.array(accuracy_m(found.column("accuracy").to_numpy())),
        "captured_at": pa.array(captured.astype("datetime64[us]")).cast(pa.timestamp("us", tz="UTC")),
        "year": pc.year(found.column("taken")).cast(pa.int16()),
        "url": found.column("url"),
        "licence": _named(found.column("licence").to_pylist(), licences),
        "author": found.column("author"),
        "page_url": pc.binary_join_element_wise(pa.scalar("https://www.flickr.com/photos"), found.column("page"), pa.scalar(""), "/"),
        "title": found.column("title"),
        "tags": pc.if_else(pc.equal(found.column("tags"), ""), pa.scalar([], pa.list_(pa.string())), tags),
    }
    schema = PHOTOS.schema()
    return pa.table([columns.get(field.name, pa.nulls(found.num_rows, field.type)) for field in schema], schema=schema)


def accuracy_m(level: NDArray[np.int8]) -> NDArray[np.float32]:
    """How far a place of some accuracy level (1 to 16) may be off, metres."""
    return (_PIN_PX * _ZOOM_0_M / 2.0 ** level.astype(np.float64)).astype(np.float32)


def _moment(photo: Photo) -> int:
    """A number for author, place (to the metre) and minute; a photo without a time of its own shares it with none."""
    if photo.datetakengranularity != _TO_THE_SECOND or photo.datetakenunknown:
        text = f"photo {photo.id}"
    else:
        text = f"{photo.owner} {photo.longitude:.5f} {photo.latitude:.5f} {photo.datetaken[:16]}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _times(texts: list[str]) -> NDArray[np.datetime64]:
    """Camera times; what is none is not a time."""
    try:
        return np.array(texts, "datetime64[s]")
    except ValueError:
        return np.array([_time(text) for text in texts], "datetime64[s]")


def _time(text: str) -> np.datetime64:
    # A month or a year alone stands there with zeros: 2014-05-00 00:00:00.
    try:
        return np.datetime64(text.replace("-00", "-01"), "s")
    except ValueError:
        return _NOWHEN


def _named(numbers: list[int], licences: Mapping[int, str]) -> pa.Array:
    # One that the section allows, and that neither the service nor the built-in table has a name for.
    return pa.array([licences.get(number, f"Flickr's licence {number}") for number in numbers], pa.string())
