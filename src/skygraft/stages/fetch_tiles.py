"""The tiles' pixels, in shards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skygraft.config.imagery import Imagery
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError, CorruptDataError, Reason, SuccessRateError
from skygraft.core.identity import digest
from skygraft.core.progress import progress
from skygraft.core.schemas import TILE_SHARD, TILES
from skygraft.core.shards import Item, ShardName, ShardStore, Summary
from skygraft.core.tables import read_table
from skygraft.imagery.protocol import TileSource
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.services import services
from skygraft.stages.tile_sources import open_tiles

_LOG = logging.getLogger(__name__)
_TILE_COLUMNS = ["tile_id", "geometry", "crs", "x", "y", "gsd_m", "size_px", "target_date", "shard"]
_ROWS_AT_ONCE = 256
Items = Sequence[Item[Any]]


def run(config: Config, *, imagery: str, shard: int | None = None) -> None:
    """Reads one shard of an imagery, or all of them one after the other.

    Args:
        config: The configuration.
        imagery: Name of the imagery.
        shard: Which shard, from 0; None for all.

    Raises:
        ConfigError: There is no such imagery or shard, or the data folder has another identity.
        CorruptDataError: A table of tiles or of scenes is missing or broken.
        EndpointError: The storage or its signatures are out of order; finished tiles are kept.
        SuccessRateError: A shard has fewer good tiles than demanded; the others were made.
    """
    total = config.plans[_section(config, imagery).plan].shards
    if shard is not None and not 0 <= shard < total:
        raise ConfigError(f"There is no shard {shard} of {imagery}: they go from 0 to {total - 1}.")
    fetch(config, imagery, range(total) if shard is None else [shard], retry_transient=False)


def fetch(config: Config, imagery: str, shards: Sequence[int], *, retry_transient: bool) -> None:
    """Reads some shards; as :func:`run`.

    Args:
        config: The configuration.
        imagery: Name of the imagery.
        shards: Which shards.
        retry_transient: Whether tiles that failed for a passing reason are tried again.
    """
    section, layout = _section(config, imagery), Layout(config)
    identity = identities.imagery_identity(config, imagery)
    folder = layout.imagery(imagery)
    identities.check(folder, identity)
    tiles = read_table(TILES, layout.tiles(section.plan), _TILE_COLUMNS)
    failures: list[SuccessRateError] = []
    with services(config), open_tiles(config, imagery) as source:
        identities.claim(folder, identity)
        for number in shards:
            of_shard = tiles.filter(pc.equal(tiles.column("shard"), number))
            try:
                _fetch(config, imagery, number, of_shard, source, retry_transient)
            except SuccessRateError as error:
                _LOG.error("%s", error)
                failures.append(error)
    if failures:
        raise failures[0] if len(failures) == 1 else SuccessRateError("\n".join(str(error) for error in failures))


def work_folder(config: Config, imagery: str) -> Path:
    """Where an imagery's finished rows are kept.

    Its name holds what else than tile and scenes changes a row. The plan is no part of it: an unchanged tile keeps its pixels through a
    new plan.
    """
    own = {"world": identities.world_identity(config), "pixels": _section(config, imagery).pixels()}
    return Layout(config).work("fetch_tiles", imagery, digest(own))


def _fetch(config: Config, imagery: str, number: int, tiles: pa.Table, source: TileSource[Any], retry_transient: bool) -> None:
    layout, section, folder = Layout(config), _section(config, imagery), work_folder(config, imagery)
    name = ShardName(number, config.plans[section.plan].shards)
    meta = identities.meta(config, identities.imagery_identity(config, imagery))
    store = ShardStore(folder, name, TILE_SHARD, layout.tile_shard(imagery, number), meta)
    items = source.items(tiles)
    with store.open():
        for rows in _rows_elsewhere(folder, name, store.pending(items)):
            store.add(rows)
        _read(store, store.pending(items, retry_transient=retry_transient), source)
        summary: Summary = store.finish(items, min_success_rate=section.min_success_rate)
    _LOG.info("tiles=%s %s", store.target, summary)


def _read(store: ShardStore, pending: Items, source: TileSource[Any]) -> None:
    """Makes the rows of the tiles that still need work; each holds as soon as it is made."""
    made_from = {item.key: item.made_from for item in pending}
    with progress(len(pending), "tiles") as advance:
        for row in source.rows(pending):
            store.add([{**row, "made_from": made_from[row["tile_id"]]}])
            advance(1)


def _rows_elsewhere(folder: Path, name: ShardName, pending: Items) -> Iterator[list[dict[str, Any]]]:
    """Good rows for ``pending`` out of other shards' files: a new plan, or another number of shards, moves tiles between them."""
    needed = {item.key: item.made_from for item in pending}
    for path in sorted(folder.glob("*-of-*.parquet")) if needed else []:
        if path.stem == str(name):
            continue
        try:
            known = read_table(TILE_SHARD, path, ["tile_id", "made_from", "status"]).to_pylist()
        except CorruptDataError as error:
            _LOG.warning("not taken over: %s", error)
            continue
        good = [row["tile_id"] for row in known if needed.get(row["tile_id"]) == row["made_from"] and row["status"] == Reason.OK]
        wanted = pa.array(good, pa.string())
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE) if good else ():
                rows = batch.filter(pc.is_in(batch.column("tile_id"), wanted)).to_pylist()
                for row in rows:
                    needed.pop(row["tile_id"], None)
                if rows:
                    yield rows


def _section(config: Config, imagery: str) -> Imagery:
    if imagery not in config.imagery:
        raise ConfigError(f"imagery: there is no {imagery!r}; {nearest(imagery, config.imagery)}")
    return config.imagery[imagery]
