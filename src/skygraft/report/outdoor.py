"""The outdoor filter as people can judge it: how the scores lie, and the photos nearest to the threshold on either side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from skygraft.config.outdoor import OutdoorFilter
from skygraft.core.errors import Reason
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.report.examples import jpeg_uri
from skygraft.report.figures import histogram_figure

_SIDE = 150


@dataclass(frozen=True)
class JudgedPhoto:
    """A photo beside its score; licence and author where they are known."""

    uri: str
    photo_id: str
    score: float
    terms: str


@dataclass(frozen=True)
class OutdoorSection:
    """What a plan's outdoor filter did.

    Args:
        plan: The plan.
        encoder: Whose scores it goes by.
        threshold: Least score that stays.
        figure: Histogram of the scores with the threshold, a data URI.
        kept: Photos that stay.
        below: Photos that score below.
        unscored: Photos without a score.
        sides: The photos nearest below the threshold, then those nearest above, each with a heading.
    """

    plan: str
    encoder: str
    threshold: float
    figure: str
    kept: int
    below: int
    unscored: int
    sides: tuple[tuple[str, tuple[JudgedPhoto, ...]], ...]


def outdoor_section(
    plan: str,
    section: OutdoorFilter,
    photos: pa.Table,
    scores: pa.Table,
    shards_of_photo: Callable[[str], Sequence[Path]],
    count: int,
) -> OutdoorSection:
    """What the filter of a plan did to its photos.

    Args:
        plan: The plan's name.
        section: Its filter.
        photos: ``photo_id``, ``licence`` and ``author`` of the plan's photos.
        scores: ``photo_id`` and ``outdoor``; rows of other photos are passed over.
        shards_of_photo: The shards that may hold a photo's bytes, one of each source.
        count: How many photos are shown on either side.
    """
    scores = scores.filter(pc.is_in(scores.column("photo_id"), value_set=photos.column("photo_id").combine_chunks()))
    scores = scores.filter(pc.is_valid(scores.column("outdoor"))).sort_by([("outdoor", "ascending"), ("photo_id", "ascending")])
    values = scores.column("outdoor").to_numpy().astype(np.float64)
    # In the precision of the column, as the plan compares them.
    first = int(np.searchsorted(values, np.float64(np.float32(section.threshold)), side="left"))
    below, above = scores.slice(max(0, first - count), min(first, count)), scores.slice(first, count)
    shown = pa.concat_tables([below, above]).column("photo_id").combine_chunks()
    known = photos.filter(pc.is_in(photos.column("photo_id"), value_set=shown))
    terms = {row["photo_id"]: _terms(row) for row in known.select(["photo_id", "licence", "author"]).to_pylist()}
    sides = (
        ("Left out, nearest to the threshold", _judged(below.to_pylist()[::-1], terms, shards_of_photo)),
        ("Kept, nearest to the threshold", _judged(above.to_pylist(), terms, shards_of_photo)),
    )
    figure = histogram_figure(values, float(np.float32(section.threshold)))
    kept = len(values) - first
    return OutdoorSection(plan, section.encoder, section.threshold, figure, kept, first, photos.num_rows - len(values), sides)


def _terms(row: Mapping[str, object]) -> str:
    return ", ".join(str(row[name]) for name in ("author", "licence") if row[name])


def _judged(
    rows: Sequence[Mapping[str, object]], terms: Mapping[str, str], shards_of_photo: Callable[[str], Sequence[Path]]
) -> tuple[JudgedPhoto, ...]:
    wanted: dict[Path, list[str]] = {}
    for row in rows:
        for shard in shards_of_photo(str(row["photo_id"])):
            wanted.setdefault(shard, []).append(str(row["photo_id"]))
    pictures: dict[str, bytes] = {}
    for shard, names in sorted(wanted.items()):
        found = pq.read_table(shard, columns=["photo_id", "status", "image"], filters=[(PHOTO_SHARD.key, "in", names)]).to_pylist()
        pictures |= {row["photo_id"]: row["image"] for row in found if row["status"] == Reason.OK}
    shown = [(str(row["photo_id"]), float(str(row["outdoor"]))) for row in rows]
    return tuple(JudgedPhoto(_thumbnail(pictures[name]), name, score, terms.get(name, "")) for name, score in shown if name in pictures)


def _thumbnail(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        # The whole picture: what decides may stand at its edge, and some licences forbid cutting.
        return jpeg_uri(ImageOps.contain(upright, (_SIDE, _SIDE), Image.Resampling.LANCZOS))
