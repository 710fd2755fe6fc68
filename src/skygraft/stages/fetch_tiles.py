"""The tiles' pixels, in shards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skygraft.config.imagery import Sentinel2
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError, CorruptDataError, Reason, SuccessRateError
from skygraft.core.http import HttpClient
from skygraft.core.identity import digest
from skygraft.core.progress import progress
from skygraft.core.schemas import SCENES, TILE_SHARD, TILES
from skygraft.core.shards import Item, ShardName, ShardStore, Summary
from skygraft.core.tables import read_table
from skygraft.geo.tiles import Tile
from skygraft.imagery.choose import Choice, choose_scenes
from skygraft.imagery.planetary import OpenStorage, PlanetaryComputer, Signer
from skygraft.imagery.reading import Reader, TileRequest
from skygraft.imagery.scenes import CATALOGUES, check_bands
from skygraft.imagery.sentinel2 import Scene
from skygraft.imagery.sources import source_of
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.services import services

_LOG = logging.getLogger(__name__)
_TILE_COLUMNS = ["tile_id", "geometry", "crs", "x", "y", "gsd_m", "size_px", "target_date", "shard"]
_ROWS_AT_ONCE = 256
Tiles = list[Item[tuple[Tile, Choice]]]


def run(config: Config, *, imagery: str, shard: int | None = None) -> None:
    """Reads one shard of an imagery, or all of them one after the other.

    Args:
        config: The configuration.
        imagery: Name of the imagery.
        shard: Which shard, from 0; None for all.

    Raises:
        ConfigError: There is no such imagery or shard, or the data folder has another identity.
        CorruptDataError: The table of tiles or of scenes is missing or broken.
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
    check_bands(CATALOGUES[section.catalogue], section.bands)
    identity = identities.imagery_identity(config, imagery)
    identities.check(layout.scenes(imagery).parent, identity)
    tiles = read_table(TILES, layout.tiles(section.plan), _TILE_COLUMNS)
    scenes = read_table(SCENES, layout.scenes(imagery))
    identities.claim(layout.scenes(imagery).parent, identity)
    failures: list[SuccessRateError] = []
    with services(config), http_client(section.network, config.seed, named=named_hosts(config)) as client:
        for number in shards:
            items = _items(tiles.filter(pc.equal(tiles.column("shard"), number)), scenes, section)
            try:
                _fetch(config, imagery, number, items, scenes, client, retry_transient)
            except SuccessRateError as error:
                _LOG.error("%s", error)
                failures.append(error)
    if failures:
        raise failures[0] if len(failures) == 1 else SuccessRateError("\n".join(str(error) for error in failures))


def work_folder(config: Config, imagery: str) -> Path:
    """Where an imagery's finished rows are kept.

    Its name holds what else than its scenes changes a tile's row. The plan is no part of it: an unchanged tile keeps its pixels through a
    new plan.
    """
    own = {"world": identities.world_identity(config), "pixels": _pixels(_section(config, imagery))}
    return Layout(config).work("fetch_tiles", imagery, digest(own))


def _fetch(config: Config, imagery: str, number: int, items: Tiles, scenes: pa.Table, client: HttpClient, retry_transient: bool) -> None:
    layout, section, folder = Layout(config), _section(config, imagery), work_folder(config, imagery)
    name = ShardName(number, config.plans[section.plan].shards)
    meta = identities.meta(config, identities.imagery_identity(config, imagery))
    store = ShardStore(folder, name, TILE_SHARD, layout.tile_shard(imagery, number), meta)
    with store.open():
        for rows in _rows_elsewhere(folder, name, store.pending(items)):
            store.add(rows)
        _read(section, store, store.pending(items, retry_transient=retry_transient), scenes, client)
        summary: Summary = store.finish(items, min_success_rate=section.min_success_rate)
    _LOG.info("tiles=%s %s", store.target, summary)


def _read(section: Sentinel2, store: ShardStore, pending: Tiles, scenes: pa.Table, client: HttpClient) -> None:
    """Makes the rows of the tiles that still need work; each holds as soon as it is made."""
    made_from = {item.key: item.made_from for item in pending}
    requests = []
    with progress(len(pending), "tiles") as advance:
        for item in pending:
            tile, choice = item.payload
            if choice.candidates:
                requests.append(TileRequest(tile, choice.candidates))
            else:
                store.add([{"tile_id": item.key, "status": choice.reason.value, "detail": choice.detail, "made_from": item.made_from}])
                advance(1)
        rows = sorted({candidate.scene for request in requests for candidate in request.candidates})
        named = dict(zip(rows, (Scene.from_row(row) for row in scenes.take(pa.array(rows, pa.int64())).to_pylist()), strict=True))
        signer = _signer(section)
        reader = Reader(section, named, lambda href: source_of(href, client, signer), section.network.concurrency)
        for row in reader.rows(requests):
            store.add([{**row, "made_from": made_from[row["tile_id"]]}])
            advance(1)
    firsts = {request.candidates[0].scene for request in requests}
    if firsts:
        _LOG.info("windows=%d scenes=%d windows_per_scene=%.1f", len(requests), len(firsts), len(requests) / len(firsts))


def _signer(section: Sentinel2) -> Signer:
    return PlanetaryComputer(section.network.deadline_s) if CATALOGUES[section.catalogue].signed else OpenStorage()


def _items(tiles: pa.Table, scenes: pa.Table, section: Sentinel2) -> Tiles:
    """The tiles of a shard; a row holds while its candidates and all that changes pixels stay the same."""
    names = scenes.column("scene_id").to_pylist()
    pixels = _pixels(section)
    items = []
    for row, choice in zip(tiles.to_pylist(), choose_scenes(tiles, scenes, section), strict=True):
        tile = Tile(row["tile_id"], int(row["crs"].removeprefix("EPSG:")), row["x"], row["y"], row["gsd_m"], row["size_px"])
        found = [names[candidate.scene] for candidate in choice.candidates]
        made_from = digest([pixels, found, choice.reason.value, choice.detail])
        items.append(Item(tile.tile_id, made_from, (tile, choice)))
    return items


def _pixels(section: Sentinel2) -> dict[str, Any]:
    identity = section.identity()
    return {name: identity[name] for name in ("catalogue", "bands", "cloud_classes", "max_tile_cloud", "max_nodata")}


def _rows_elsewhere(folder: Path, name: ShardName, pending: Tiles) -> Iterator[list[dict[str, Any]]]:
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


def _section(config: Config, imagery: str) -> Sentinel2:
    if imagery not in config.imagery:
        raise ConfigError(f"imagery: there is no {imagery!r}; {nearest(imagery, config.imagery)}")
    return config.imagery[imagery]
