"""Where photos lie, in the data folders of all configurations and in the work folders of their stages: asked of the disk itself."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skygraft.core.errors import CorruptDataError
from skygraft.core.schemas import PHOTO_SHARD, embeddings_spec
from skygraft.core.tables import TableSpec, read_meta
from skygraft.encoders.identity import EncoderIdentity

_DATA, _WORK, _RESULTS, _RUNS = Path("data"), Path("work"), Path("results"), Path("runs")
_SHARD = re.compile(r"(\d+-of-\d+)\.(?:parquet|log|lock|journal\.jsonl)")
_STAGES = {"photo_shard": "fetch_photos", "embeddings": "embed_photos"}


@dataclass
class Shard:
    """One shard of photos or embeddings, in whichever configurations have it.

    Args:
        name: Such as ``0003-of-0016``.
        targets: The published files.
        folders: The work folders with its twins and logs, and what rows the logs there have; none: nobody knows.
    """

    name: str
    targets: list[Path] = field(default_factory=list)
    folders: dict[Path, TableSpec | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Holdings:
    """Every file that may hold photos or speak of them.

    Args:
        answers: What services said of photos.
        flickr: The same of Flickr, which keeps it in another way.
        tables: Tables of photos.
        photo_shards: Their bytes.
        embedding_shards: Their embeddings.
        pairs: Tables of pairs; the tiles lie beside them.
        broken: Why files that may be any of these cannot be read.
    """

    answers: list[Path]
    flickr: list[Path]
    tables: list[Path]
    photo_shards: list[Shard]
    embedding_shards: list[Shard]
    pairs: list[Path]
    broken: list[str]


def holdings() -> Holdings:
    """What there is below the current folder."""
    found: dict[str, list[Path]] = defaultdict(list)
    broken: list[str] = []
    for path in _files(_DATA, ".parquet"):
        try:
            found[read_meta(path).get("table", "")].append(path)
        except CorruptDataError as error:
            broken.append(str(error))
    shards = {kind: _shards(stage, found[kind]) for kind, stage in _STAGES.items()}
    answers, flickr = (sorted(_WORK.glob(f"ingest_*/*/*/{name}")) for name in ("answers.log", "pages.log"))
    return Holdings(answers, flickr, found["photos"], shards["photo_shard"], shards["embeddings"], found["pairs"], broken)


def reports() -> list[Path]:
    """The reports of all configurations."""
    return list(_files(_RESULTS, "report.html"))


def attribution_lists() -> list[Path]:
    """The lists of authors beside the reports."""
    return list(_files(_RESULTS, "attribution.csv"))


def cards() -> list[Path]:
    """What the models of all configurations say of themselves."""
    return list(_files(_RUNS, "skygraft.json"))


def published() -> list[Path]:
    """Folders of published tables that were downloaded, with the places of all their photos."""
    return [path for path in (_WORK / "ingest_lucas",) if path.is_dir()]


def _files(root: Path, ending: str) -> Iterator[Path]:
    """Files below a folder, through links, without those that are being written."""
    for folder, below, names in os.walk(root, followlinks=True):
        below.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(ending) and not name.startswith("."))


def _shards(stage: str, targets: list[Path]) -> list[Shard]:
    """The shards of a stage by source and name: in which folders it works on them, and where they are published."""
    found: dict[tuple[str, str], Shard] = {}
    for target in targets:
        found.setdefault((target.parent.name, target.stem), Shard(target.stem)).targets.append(target)
    for folder in sorted(_WORK.glob(f"{stage}/*/*")):
        names = {match[1] for path in folder.iterdir() if (match := _SHARD.fullmatch(path.name))} if folder.is_dir() else set()
        spec = PHOTO_SHARD if stage == _STAGES["photo_shard"] else _embeddings(folder)
        for name in names:
            found.setdefault((folder.parent.name, name), Shard(name)).folders[folder] = spec
    return [found[key] for key in sorted(found)]


def _embeddings(folder: Path) -> TableSpec | None:
    """The rows of an encoder's work folder, whose length a finished shard tells."""
    for path in sorted(folder.glob("*-of-*.parquet")):
        try:
            return embeddings_spec(EncoderIdentity.from_meta(read_meta(path), str(path)).dimension)
        except CorruptDataError:
            continue
    return None
