"""A second look at licences before any picture is asked for: a table may be older than the settings, or written by another hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.open_photos import INaturalistPhotos
from skygraft.config.photo_source import PhotoSource
from skygraft.core.errors import CorruptDataError
from skygraft.ground import inaturalist
from skygraft.ground.flickr import answers

_EXAMPLES = 3


def require_allowed(section: PhotoSource, photos: Iterable[pa.Table], path: Path) -> None:
    """Checks that every photo has a licence which its section allows; sources whose photos are all free have no such list.

    Args:
        section: The photo source.
        photos: ``photo_id`` and ``licence``, in parts; not drawn where there is no such list.
        path: The table they come from.

    Raises:
        CorruptDataError: A photo's licence is not allowed, or not stated.
    """
    if not isinstance(section, FlickrPhotos | INaturalistPhotos):
        return
    count, some = 0, list[str]()
    for part in photos:
        found = part.filter(pc.or_(_refused(section, part), pc.is_null(part.column("licence"))))
        count += found.num_rows
        some += [f"{row['photo_id']} ({row['licence'] or 'no licence'})" for row in found.slice(0, _EXAMPLES - len(some)).to_pylist()]
    if count:
        raise CorruptDataError(
            f"{path} has {count} photos under licences that the configuration does not allow, such as {', '.join(some)}. Nothing is "
            f"fetched: delete the table and run 'skygraft ingest-{section.source}' again."
        )


def _refused(section: FlickrPhotos | INaturalistPhotos, photos: pa.Table) -> pa.ChunkedArray:
    if isinstance(section, INaturalistPhotos):
        return pc.invert(_among(photos, {inaturalist.short_name(code) for code in section.licences}))
    # By name, which the service may give to numbers that are not known here: those were allowed by their number.
    return _among(photos, {name for number, name in answers.LICENCES.items() if number not in section.licences})


def _among(photos: pa.Table, names: Collection[str]) -> pa.ChunkedArray:
    # Other hands write them otherwise: All Rights Reserved.
    known = pa.array(sorted(name.lower() for name in names), pa.string())
    return pc.is_in(pc.utf8_lower(photos.column("licence")), value_set=known)
