"""The photos' bytes, in shards."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygraft.config.model import Config, nearest
from skygraft.config.photos import Photos
from skygraft.core.errors import ConfigError, SuccessRateError
from skygraft.core.http import HttpClient
from skygraft.core.identity import digest
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.shards import ShardName, ShardStore
from skygraft.core.tables import read_parts
from skygraft.ground.access import Access
from skygraft.ground.download import Terms, fetch_shard, photo_items, rows_of_other_cuts, shard_numbers
from skygraft.ground.forgotten import read_forgotten, without
from skygraft.stages import identities, photo_access, photo_licences
from skygraft.stages.layout import FORGOTTEN, Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.services import services

_LOG = logging.getLogger(__name__)


def run(config: Config, *, photos: str, shard: int | None = None) -> None:
    """Fetches one shard of a photo source, or all of them one after the other.

    Args:
        config: The configuration.
        photos: Name of the photo source.
        shard: Which shard, from 0; None for all.

    Raises:
        ConfigError: There is no such source or shard, or the data folder has another identity.
        CorruptDataError: The table of photos is missing or broken.
        EndpointError: The photo service is dead, or asks for too long a pause.
        SuccessRateError: A shard has fewer good photos than demanded; the others were made.
    """
    total = _section(config, photos).shards
    if shard is not None and not 0 <= shard < total:
        raise ConfigError(f"There is no shard {shard} of {photos}: they go from 0 to {total - 1}.")
    fetch(config, photos, range(total) if shard is None else [shard], retry_transient=False)


def fetch(config: Config, photos: str, shards: range | list[int], *, retry_transient: bool) -> None:
    """Fetches some shards; as :func:`run`.

    Args:
        config: The configuration.
        photos: Name of the photo source.
        shards: Which shards.
        retry_transient: Whether photos that failed for a passing reason are asked for again.
    """
    section, layout = _section(config, photos), Layout(config)
    identity = identities.photos_identity(config, photos)
    identities.check(layout.photo_shard(photos, 0).parent, identity)
    access = photo_access.picture_access(config, section)
    table = layout.photos(photos)
    photo_licences.require_allowed(section, read_parts(PHOTOS, table, ["photo_id", "licence"]), table)
    belongs = _shard_numbers(table, section.shards)
    terms = Terms(section.network.concurrency, section.max_pixels, section.min_success_rate, retry_transient, section.decode)
    identities.claim(layout.photo_shard(photos, 0).parent, identity)
    failures: list[SuccessRateError] = []
    agent, named = photo_access.picture_agent(section), named_hosts(config)
    with services(config), http_client(section.network, config.seed, agent, named=named) as client:
        for number in shards:
            try:
                _fetch(config, photos, number, _own(table, belongs == number), client, terms, access)
            except SuccessRateError as error:
                _LOG.error("%s", error)
                failures.append(error)
    if failures:
        raise failures[0] if len(failures) == 1 else SuccessRateError("\n".join(str(error) for error in failures))


def _shard_numbers(path: Path, total: int) -> NDArray[np.int32]:
    """Which shard each photo of a table belongs to; that of a source may be far larger than a shard, and is not held in memory."""
    parts = read_parts(PHOTOS, path, ["photo_id"])
    return np.concatenate([np.empty(0, np.int32), *(shard_numbers(part, total) for part in parts)])


def _own(path: Path, chosen: NDArray[np.bool_]) -> pa.Table:
    """The chosen photos of a table: their names and addresses."""
    start, found = 0, []
    for part in read_parts(PHOTOS, path, ["photo_id", "url"]):
        found.append(part.filter(pa.array(chosen[start : start + part.num_rows])))
        start += part.num_rows
    return pa.concat_tables(found) if found else PHOTOS.empty().select(["photo_id", "url"])


def work_folder(config: Config, photos: str) -> Path:
    """Where a source's finished rows are kept.

    Its name holds what else than its address changes a photo's row. Which photos are chosen and how many shards they are spread over is no
    part of it: a row that is there serves any choice.
    """
    section = _section(config, photos)
    own = {"world": identities.world_identity(config), "max_pixels": section.max_pixels} | ({} if section.decode else {"decode": False})
    return Layout(config).work("fetch_photos", photos, digest(own))


def _fetch(config: Config, photos: str, number: int, table: pa.Table, client: HttpClient, terms: Terms, access: Access) -> None:
    layout, folder = Layout(config), work_folder(config, photos)
    name = ShardName(number, _section(config, photos).shards)
    target = layout.photo_shard(photos, number)
    meta = identities.meta(config, identities.photos_identity(config, photos))
    store = ShardStore(folder, name, PHOTO_SHARD, target, meta)
    with store.open():
        # Read while the shard is held: what is forgotten later is taken out of it by whoever forgets.
        items = photo_items(without(table, read_forgotten(FORGOTTEN)), photo_access.moved(_section(config, photos)))
        for rows in rows_of_other_cuts(folder, name, store.pending(items)):
            store.add(rows)
        summary = fetch_shard(store, items, client, folder / f"{name}.journal.jsonl", terms, access)
    _LOG.info("photos=%s %s", target, summary)


def _section(config: Config, photos: str) -> Photos:
    if photos not in config.photos:
        raise ConfigError(f"photos: there is no {photos!r}; {nearest(photos, config.photos)}")
    return config.photos[photos]
