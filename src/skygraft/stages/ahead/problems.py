"""What would stop a run, and what would make it worse than it need be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorCheckpoint
from skygraft.core.errors import SkygraftError
from skygraft.core.files import sha256_file
from skygraft.stages import identities
from skygraft.stages.ahead.sources import keys, sources
from skygraft.stages.ahead.work import Account, Work
from skygraft.stages.workflow import score_problems

# The packages of the extra `world`, by the names that are imported.
WORLD_PACKAGES = {
    "attrs": "attrs",
    "cv2": "opencv-python-headless",
    "fastapi": "fastapi",
    "stac_fastapi.api": "stac-fastapi.api",
    "stac_fastapi.extensions": "stac-fastapi.extensions",
    "trustme": "trustme",
}
MOST_JOBS = 10_000


@dataclass(frozen=True)
class Problem:
    """Something to mend: before the run can start, or better before than after."""

    text: str
    blocks: bool


def problems(account: Account, work: list[Work]) -> list[Problem]:
    """All that can be told without asking anyone outside."""
    config = account.config
    found = [*_world(config), *_sources(config), *_folders(config), *_weights(config), *_scores(config)]
    return [*found, *_shards(account), *_room(work), *_memory(account), *_place(config, account, work)]


def _world(config: Config) -> Iterator[Problem]:
    if config.world is None:
        return
    missing = [package for module, package in WORLD_PACKAGES.items() if not _installed(module)]
    if missing:
        yield Problem(f"the embedded world's tools are missing ({', '.join(missing)}): pip install 'skygraft[world]'", blocks=True)


def _installed(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _sources(config: Config) -> Iterator[Problem]:
    for source in sources(config):
        if source.remedy is not None:
            yield Problem(f"{source.name}: {source.remedy}", blocks=True)
    for key in keys(config):
        if key.needed and not key.present:
            yield Problem(f"{key.name} is not set in the environment: {key.use}", blocks=True)


def _folders(config: Config) -> Iterator[Problem]:
    for folder, identity in identities.data_folders(config):
        try:
            identities.check(folder, identity)
        except SkygraftError as error:
            yield Problem(str(error), blocks=True)


def _weights(config: Config) -> Iterator[Problem]:
    for place, file, sha256 in _checksums(config):
        path = Path(file).expanduser()
        if path.is_file() and sha256_file(path) != sha256:
            yield Problem(f"{place}: {path} has another sha256 than {sha256}: fetch it again", blocks=True)


def _checksums(config: Config) -> Iterator[tuple[str, str, str]]:
    """The files of the user's whose checksum is given: the setting that names each, the file and its sha256."""
    for name, encoder in config.encoders.items():
        if encoder.sha256 is not None and encoder.weights is not None:
            yield f"encoders.{name}.weights", encoder.weights, encoder.sha256
        if isinstance(encoder.outdoor, OutdoorCheckpoint) and encoder.outdoor.sha256 is not None:
            yield f"encoders.{name}.outdoor.weights", encoder.outdoor.weights, encoder.outdoor.sha256


def _scores(config: Config) -> Iterator[Problem]:
    return (Problem(text, blocks=True) for text in score_problems(config))


def _shards(account: Account) -> Iterator[Problem]:
    for sharding in account.shardings():
        if not sharding.fits:
            size = sharding.largest * sharding.item_bytes / 1e9
            yield Problem(
                f"{sharding.name}.shards: {sharding.shards} gives shards of up to {sharding.largest:,} items and {size:.1f} GB; set "
                f"{sharding.proposal} before anything is fetched, since another number makes another data set",
                blocks=False,
            )


def _room(work: list[Work]) -> Iterator[Problem]:
    needed, free = sum(entry.missing_disk for entry in work), shutil.disk_usage(Path()).free
    if needed > free:
        yield Problem(f"this disk has {free / 1e9:,.0f} GB free, the run will need about {needed / 1e9:,.0f} GB", blocks=False)
    jobs = sum(entry.jobs for entry in work)
    if jobs > MOST_JOBS:
        yield Problem(
            f"{jobs:,} jobs are more than Snakemake plans well ({MOST_JOBS:,}): use fewer shards, or more shards_per_job", blocks=False
        )


def _memory(account: Account) -> Iterator[Problem]:
    """Training goes through a run's tiles in each epoch, a byte for each value."""
    own = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name, run in account.config.runs.items():
        needed = account.imagery[run.imagery].tiles * account.tile_values(run.imagery)
        if needed > own:
            yield Problem(
                f"runs.{name}: training goes through {needed / 1e9:,.0f} GB of tiles in each epoch, and this machine has {own / 1e9:,.0f} "
                "GB of memory: what does not fit is read from work/ again, so let that lie on a fast disk, or use a larger machine",
                blocks=False,
            )


def _place(config: Config, account: Account, work: list[Work]) -> Iterator[Problem]:
    days = sum(entry.seconds for entry in work if entry.rule in ("train", "embed_photos")) / 86_400
    if days > 2 and not account.machine.gpu:
        yield Problem(f"encoding and training would take {days:,.0f} days on {account.machine}: use a machine with a GPU", blocks=False)
    asked = {run.accelerator for run in config.runs.values()} | {encoder.device.split(":")[0] for encoder in config.encoders.values()}
    if asked & {"gpu", "cuda"} and not account.machine.gpu:
        yield Problem("the configuration asks for a GPU, and none is seen here", blocks=False)
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") and config.world is None:
        absent = [source.name for source in sources(config) if source.place.startswith("huggingface.co/") and not source.there]
        for name in absent:
            yield Problem(f"HF_HUB_OFFLINE is set, and {name} is not in the cache", blocks=True)
