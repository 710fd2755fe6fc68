"""Photos' bytes, shard by shard: asked for once, checked, kept as served, with a row for every photo whatever became of it."""

from __future__ import annotations

import functools
import heapq
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skygraft.core.errors import CorruptDataError, ItemError, PermanentItemError, Reason, TransientError
from skygraft.core.fetching import Fetched, fetch_many
from skygraft.core.files import explained
from skygraft.core.http import HttpClient, Request, Response, Trace, host_of, usable
from skygraft.core.identity import digest
from skygraft.core.journal import Journal
from skygraft.core.progress import progress
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.shards import Item, ItemColumns, ShardName, ShardStore, Summary, shard_of
from skygraft.core.tables import read_table
from skygraft.ground.access import LOCAL, Access, read_local
from skygraft.ground.images import MAX_PIXELS, ImageFacts, inspect

_LOG = logging.getLogger(__name__)
_EXAMPLES = 3
_ROWS_AT_ONCE = 48
_AT_ONCE = 4096
Row = dict[str, object]


@dataclass(frozen=True)
class Photo:
    """A photo that passed its checks.

    Args:
        facts: What it is.
        image: The bytes as served.
    """

    facts: ImageFacts
    image: bytes = field(repr=False)


@dataclass(frozen=True)
class Terms:
    """How the photos of a shard are fetched.

    Args:
        concurrency: Photos under way at once.
        max_pixels: A larger picture is refused.
        min_success_rate: A smaller share of good photos fails the shard.
        retry_transient: Whether photos that failed for a passing reason are asked for again.
        decode: Whether JPEGs are decoded when they come.
    """

    concurrency: int = 16
    max_pixels: int = MAX_PIXELS
    min_success_rate: float = 0.0
    retry_transient: bool = False
    decode: bool = True


def shard_numbers(photos: pa.Table, total: int) -> NDArray[np.int32]:
    """Which of so many shards each photo of a table with ``photo_id`` belongs to."""
    batches = photos.select(["photo_id"]).to_batches(max_chunksize=_AT_ONCE)
    return np.fromiter((shard_of(name, total) for batch in batches for name in batch.column(0).to_pylist()), np.int32, photos.num_rows)


def photo_items(photos: pa.Table, moved: tuple[str, str] = ("", "")) -> ItemColumns:
    """The photos as items, in the table's order; an item's payload is the address it is taken from.

    Args:
        photos: A table of photos with ``photo_id`` and ``url``.
        moved: A prefix of addresses, and what takes its place when asking; rows are known by the address in the table all the same.
    """
    home, instead = moved
    sources, addresses = [pa.array([], pa.string())], [pa.array([], pa.string())]
    for batch in photos.select(["url"]).to_batches(max_chunksize=_AT_ONCE):
        urls = batch.column(0).to_pylist()
        sources.append(pa.array([digest(url) for url in urls], pa.string()))
        if home:
            there = [instead + url.removeprefix(home) if url.startswith(home) else url for url in urls]
            addresses.append(pa.array(there, pa.string()))
    places = _one(addresses if home else photos.column("url").chunks)
    return ItemColumns(_one(photos.column("photo_id").chunks), _one(sources), places)


def _one(chunks: list[pa.StringArray]) -> pa.StringArray:
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays([*chunks, pa.array([], pa.string())])


def fetch_shard(
    store: ShardStore, items: Sequence[Item[str]], client: HttpClient, journal: Path, terms: Terms, access: Access | None = None
) -> Summary:
    """Fetches what a shard lacks, and publishes it.

    A photo that is had, or will never be, is written down as soon as it is known. One that failed for a passing reason is written down
    when the shard is through: a killed run, or one that stopped at a dead host, asks for it again.

    Args:
        store: The shard's rows.
        items: Its photos.
        client: Makes the requests.
        journal: File of attempts and times.
        terms: How.
        access: What it takes to come from addresses to pictures; none: the addresses are the pictures'.

    Raises:
        EndpointError: The one host that all photos come from is dead, no host answers, or one asks for too long a pause.
        SuccessRateError: Fewer good photos than demanded.
        SkygraftError: The shard is being worked on, or cannot be written.
    """
    with explained(store.target), store.open(), Journal(journal) as notes:
        pending = store.pending(items, retry_transient=terms.retry_transient)
        store.write_ahead(items)
        intake = _Intake(store, notes)
        access = access or Access()
        requests = (intake.asked(item, access) for item in pending if not item.payload.startswith(LOCAL))

        def process(answer: Response) -> Photo:
            return check(answer if access.follow is None else access.follow(client, answer), terms)

        with progress(len(pending), f"photos {store.target.stem}") as advance:

            def keep(result: Fetched[Photo]) -> None:
                intake.keep(result)
                advance(1)

            for item in pending:
                if item.payload.startswith(LOCAL):
                    keep(_from_this_machine(intake.asked(item, access), access, client.policy.max_bytes, terms))
            # Another request follows an answer where an access does; to decode is work for as many threads as there are cores.
            processors = None if access.follow is not None else len(os.sched_getaffinity(0)) if terms.decode else 0
            fetch_many(
                client,
                requests,
                keep,
                process=process,
                concurrency=terms.concurrency,
                processors=processors,
                many_hosts=functools.cache(lambda: len(_hosts(pending)) > 1),
                before_waiting=intake.write,
            )
        intake.close()
        return store.finish(items, min_success_rate=terms.min_success_rate)


def _hosts(items: Sequence[Item[str]]) -> set[str]:
    """The hosts that photos come from."""
    return {host_of(item.payload) for item in items if usable(item.payload)}


def check(answer: Response, terms: Terms) -> Photo:
    """Makes a photo of an answer.

    Raises:
        PermanentItemError: It is no photo, corrupt or too large.
        TransientError: It is corrupt and its length was never declared: it may have been cut on the way.
    """
    try:
        return Photo(inspect(answer.content, terms.max_pixels, decode=terms.decode), answer.content)
    except PermanentItemError as error:
        if error.reason is Reason.CORRUPT_IMAGE and not answer.measured:
            raise TransientError(f"{error.detail}; its length was not declared", Reason.TRUNCATED) from None
        raise


def _from_this_machine(request: Request, access: Access, max_bytes: int, terms: Terms) -> Fetched[Photo]:
    """A picture of this machine, checked as if it had been fetched."""
    trace = Trace(attempts=1)
    try:
        return Fetched(request, check(read_local(request.url, access, max_bytes), terms), None, trace)
    except ItemError as error:
        return Fetched(request, None, error, trace)


def rows_of_other_cuts(folder: Path, name: ShardName, pending: Sequence[Item[str]]) -> Iterator[list[Row]]:
    """Rows for ``pending`` out of files that were cut into another number of shards, so that a new number costs no request.

    Args:
        folder: The work folder.
        name: The shard that is worked on; files of its own cut are not read.
        pending: What is needed.
    """
    # A name with a dot is another writer's, and not whole yet.
    others = [path for path in sorted(folder.glob("[0-9]*-of-*.parquet")) if not path.stem.endswith(f"-of-{name.total:04d}")]
    needed = {item.key: item.made_from for item in pending} if others else {}
    for path in others if needed else []:
        try:
            known = read_table(PHOTO_SHARD, path, ["photo_id", "made_from", "status"]).to_pylist()
        except CorruptDataError as error:
            _LOG.warning("not taken over: %s", error)
            continue
        good = [row["photo_id"] for row in known if needed.get(row["photo_id"]) == row["made_from"] and not Reason(row["status"]).transient]
        yield from _rows(path, good)


def _rows(path: Path, photo_ids: list[str]) -> Iterator[list[Row]]:
    """The rows of some photos of a file, few at a time, since each holds a picture."""
    if not photo_ids:
        return
    wanted = pa.array(photo_ids, pa.string())
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            rows = batch.filter(pc.is_in(batch.column("photo_id"), wanted)).to_pylist()
            if rows:
                yield rows


class _Intake:
    """Turns results into rows, and counts what failed."""

    def __init__(self, store: ShardStore, journal: Journal) -> None:
        self._store, self._journal = store, journal
        self._under_way: dict[str, Item[str]] = {}
        self._passing: list[Row] = []
        self._rows: list[Row] = []
        self._notes: list[dict[str, str | int | float]] = []
        self._failed: Counter[Reason] = Counter()
        self._examples: defaultdict[Reason, list[str]] = defaultdict(list)

    def asked(self, item: Item[str], access: Access) -> Request:
        """The request for an item, whose result will come."""
        self._under_way[item.key] = item
        return Request(item.payload, item.key, access.headers, foreign=access.foreign)

    def keep(self, result: Fetched[Photo]) -> None:
        """Takes a result in; it is written down at the latest when :meth:`write` is called, unless it may be another one next time."""
        item = self._under_way.pop(result.request.key)
        reason = Reason.OK if result.error is None else result.error.reason
        row = _row(item, result.value, result.error)
        if reason.transient:
            self._store.promise([row])
            self._passing.append(row)
        else:
            self._rows.append(row)
        if result.error is not None:
            self._failed[reason] += 1
            self._examples[reason] = heapq.nsmallest(_EXAMPLES, [*self._examples[reason], item.key])
            _LOG.debug("%s: %s", item.key, result.error)
        self._notes.append(
            {"key": item.key, "status": reason.value, "attempts": result.trace.attempts, "seconds": round(result.trace.seconds, 3)}
        )
        if len(self._rows) >= _ROWS_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Writes down what has been taken in: rows first, for the journal must not know of a photo that a killed run has lost."""
        if self._rows:
            self._store.add(self._rows)
        if self._notes:
            self._journal.note_all(self._notes)
        self._rows, self._notes = [], []

    def close(self) -> None:
        """Writes down what is left, with what failed for passing reasons, and says what failed."""
        self.write()
        if self._passing:
            self._store.add(sorted(self._passing, key=lambda row: str(row["photo_id"])))
        for reason, count in sorted(self._failed.items()):
            again = "; 'skygraft retry-failed' asks again" if reason.transient else ""
            _LOG.warning("%s: %d photos, such as %s%s", reason, count, ", ".join(self._examples[reason]), again)


def _row(item: Item[str], photo: Photo | None, error: ItemError | None) -> Row:
    row: Row = {"photo_id": item.key, "made_from": item.made_from, "status": Reason.OK.value}
    if error is not None:
        return row | {"status": error.reason.value, "detail": error.detail}
    assert photo is not None, "a result has a value or an error"
    facts = photo.facts
    return row | {
        "sha256": facts.sha256,
        "phash": facts.phash,
        "width": facts.width,
        "height": facts.height,
        "image": photo.image,
    }
