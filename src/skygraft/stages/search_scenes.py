"""From tiles to the catalogue's scenes: a snapshot that the pixels are read by, now and later, without another search."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from skygraft.config.imagery import Catalogued
from skygraft.config.model import Config, nearest
from skygraft.config.naip import Naip
from skygraft.core.errors import ConfigError, EndpointError
from skygraft.core.files import lock
from skygraft.core.identity import digest
from skygraft.core.itemlog import ItemLog
from skygraft.core.progress import progress
from skygraft.core.schemas import SCENES, TILES
from skygraft.core.tables import read_table, write_table
from skygraft.imagery.catalogue import Searched, Searcher, search_all
from skygraft.imagery.catalogued import catalogue_of, files_of, scenes_of
from skygraft.imagery.earthengine.listing import NAIP_IMAGES, SENTINEL2_IMAGES, list_scenes
from skygraft.imagery.queries import Query, questions
from skygraft.imagery.scenes import SCL
from skygraft.stages import identities
from skygraft.stages.earth_engine import open_earth_engine
from skygraft.stages.layout import Layout
from skygraft.stages.services import services

_LOG = logging.getLogger(__name__)
_TILE_COLUMNS = ["geometry", "crs", "x", "y", "target_date"]
_JOURNAL = pa.schema([("query", pa.string()), ("scenes", pa.binary()), ("rejected", pa.list_(pa.string()))])


def run(config: Config, *, imagery: str) -> None:
    """Searches the catalogue for every region and month that the imagery's tiles need.

    Finished searches are kept in the work folder and never asked again; delete it to ask anew.

    Args:
        config: The configuration.
        imagery: Name of the imagery.

    Raises:
        ConfigError: There is no such imagery, a band is unknown, or the data folder has another identity.
        CorruptDataError: The table of tiles is missing or broken.
        EndpointError: The catalogue failed; finished searches are kept.
    """
    if imagery not in config.imagery:
        raise ConfigError(f"imagery: there is no {imagery!r}; {nearest(imagery, config.imagery)}")
    layout, section = Layout(config), config.imagery[imagery]
    if not isinstance(section, Catalogued):
        raise ConfigError(f"imagery.{imagery}: {section.source} has no catalogue to search; run fetch-tiles.")
    catalogue_of(section)
    identity = identities.imagery_identity(config, imagery)
    identities.check(layout.imagery(imagery), identity)
    queries = questions(read_table(TILES, layout.tiles(section.plan), _TILE_COLUMNS), section)
    table = _snapshot(config, section, queries, _work_folder(config, imagery, section))
    identities.claim(layout.imagery(imagery), identity)
    write_table(SCENES, table, layout.scenes(imagery), meta=identities.meta(config, identity))
    _LOG.info("scenes=%s rows=%d searches=%d", layout.scenes(imagery), table.num_rows, len(queries))


def _work_folder(config: Config, imagery: str, section: Catalogued) -> Path:
    """Where finished searches are kept; its name holds what else than the question changes an answer."""
    bands = sorted(name for name in files_of(section) if name != SCL)
    own = {"world": identities.world_identity(config), "catalogue": section.catalogue, "bands": bands}
    return Layout(config).work("search_scenes", imagery, digest(own))


def _snapshot(config: Config, section: Catalogued, queries: list[Query], folder: Path) -> pa.Table:
    """All scenes that answer the questions, each once, sorted by id."""
    journal = ItemLog(folder / "searches.log", _JOURNAL)
    with lock(folder / "searches.lock"), journal:
        done = {batch.column("query")[0].as_py() for batch in journal.replay()}
        pending = [query for query in queries if query.key not in done]
        if pending:
            with services(config):
                _search(config, section, pending, journal)
        wanted = {query.key for query in queries}
        tables, rejected = [SCENES.schema().empty_table()], set[str]()
        for batch in journal.replay():
            row = batch.to_pylist()[0]
            if row["query"] in wanted:
                tables.append(_unpacked(row["scenes"]))
                rejected |= set(row["rejected"])
    for message in sorted(rejected):
        _LOG.warning("%s", message)
    return _each_once(pa.concat_tables(tables))


def _search(config: Config, section: Catalogued, queries: list[Query], journal: ItemLog) -> None:
    """Asks, and writes each answer down as it comes.

    Raises:
        EndpointError: Some searches failed; the others are kept.
    """
    failures: list[Searched] = []
    with progress(len(queries), "searches") as advance, _answers(config, section, queries) as answers:
        for searched in answers:
            if searched.items is None:
                failures.append(searched)
            else:
                table, rejected = scenes_of(section, searched.items)
                journal.append(_packed(searched.query.key, table, rejected))
            advance(1)
    if failures:
        counts = Counter(failed.error.reason.value for failed in failures if failed.error is not None)
        said = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        raise EndpointError(
            f"{len(failures)} of {len(queries)} searches of {section.catalogue} failed ({said}); the first: {failures[0].error} "
            "The others are kept: run the same command again later, or choose another catalogue."
        )


@contextlib.contextmanager
def _answers(config: Config, section: Catalogued, queries: list[Query]) -> Iterator[Iterator[Searched]]:
    """What becomes of each question, as it comes."""
    if section.catalogue == "earth_engine":
        listed = NAIP_IMAGES if isinstance(section, Naip) else SENTINEL2_IMAGES
        with open_earth_engine(config, section.engine) as session:
            yield list_scenes(session, queries, listed, section.engine.network.concurrency)
    else:
        searcher = Searcher(catalogue_of(section), section.network, url=section.stac_url, bands=files_of(section))
        yield search_all(searcher, queries, section.network)


def _packed(key: str, table: pa.Table, rejected: list[str]) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.RecordBatch.from_pylist([{"query": key, "scenes": sink.getvalue().to_pybytes(), "rejected": rejected}], schema=_JOURNAL)


def _unpacked(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def _each_once(table: pa.Table) -> pa.Table:
    """Neighbouring squares see the same scenes: the first row of each id, by id."""
    table = table.sort_by("scene_id")
    return table.take(pa.array(list(_firsts(table.column("scene_id").to_pylist())), pa.int64()))


def _firsts(names: list[str]) -> Iterator[int]:
    return (row for row, name in enumerate(names) if row == 0 or names[row - 1] != name)
