"""Photos that their owners take down: out of everything that holds them, and never in again.

The list is written first: from then on no stage lets one in. Then each file is written anew without them, under the lock of the stage that
makes it, in the order of the flow, so that no stage brings back what was already taken out behind it. Files keep their times.
"""

from __future__ import annotations

import csv
import html
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

import pyarrow as pa

from skygraft.core.errors import SkygraftError
from skygraft.core.files import atomic_path, lock, sha256_file
from skygraft.core.progress import progress
from skygraft.core.removal import leave_out, leave_out_of_shard, rewrite, sweep
from skygraft.core.schemas import PAIRS, TILES
from skygraft.core.tables import read_meta, read_table
from skygraft.ground.flickr.journal import PageJournal
from skygraft.ground.flickr.rows import name_of, numbers_of
from skygraft.ground.forgotten import lighter_tiles, read_forgotten, read_wishes, remember, without
from skygraft.ground.page_log import PageLog
from skygraft.stages import holdings
from skygraft.stages.layout import FORGOTTEN, table_lock

_LOG = logging.getLogger(__name__)
_KEY = "photo_id"
MARK = "forgotten"
_EXAMPLES = 20
# A name may itself hold these words; a quotation mark in it is escaped.
_SHOWN = re.compile(r'"ground photo ([^"]+), (?:looking to [a-z ]+|outdoor score [0-9.]+)"')


def run(photos: Path) -> None:
    """Forgets photos in all configurations below the current folder; done again, or after it was killed, it comes to the same end.

    Args:
        photos: A text file with one ``photo_id`` a line.

    Raises:
        ConfigError: The file cannot be read or names no photo.
        SkygraftError: A stage is working on a file that may hold one, or a file is broken; all other files are done.
    """
    wishes = read_wishes(photos)
    with lock(Path("work", "forget", "lock")):
        sweep(FORGOTTEN)
        before = read_forgotten(FORGOTTEN)
        remember(FORGOTTEN, wishes)
        # The whole list, so that what came back by a restored copy of a file goes again.
        gone = read_forgotten(FORGOTTEN)
        failures: list[str] = []
        found = _take_out(pa.array(sorted(gone), pa.string()), failures)
        _take_out_of_reports(gone)
    _tell(wishes, before, found)
    if failures:
        raise SkygraftError(
            "\n".join([*failures, "The photos stand on the list, and are out of all other files: run the same command again."])
        )


def taught_before(card: Path) -> bool:
    """Whether a model learnt from pairs of which some were forgotten later.

    Args:
        card: What the model says of itself, with the digests of what it was made from.
    """
    inputs = json.loads(card.read_text(encoding="utf-8")).get("inputs", {})
    pairs = [(Path(name), digest) for name, digest in inputs.items() if Path(name).name == "pairs.parquet"]
    return any(path.exists() and MARK in read_meta(path) and sha256_file(path) != digest for path, digest in pairs)


def _take_out(gone: pa.Array, failures: list[str]) -> Counter[str]:
    """Takes photos out of all tables and shards, in the order of the flow; gives in how many of them each was."""
    held = holdings.holdings()
    failures += held.broken
    steps: list[Callable[[], set[str]]] = [partial(_from_answers, path, gone) for path in held.answers]
    steps += [partial(_from_flickr, path, gone) for path in held.flickr]
    steps += [partial(_from_table, path, gone) for path in held.tables]
    for shard in (*held.photo_shards, *held.embedding_shards):
        steps.append(partial(leave_out_of_shard, shard.folders, shard.name, shard.targets, _KEY, gone))
    steps += [partial(_from_plan, path, gone.to_pylist()) for path in held.pairs]
    found: Counter[str] = Counter()
    with progress(len(steps), "files and shards") as advance:
        for step in steps:
            try:
                found.update(step())
            except SkygraftError as error:
                failures.append(str(error))
            advance(1)
    return found


def _from_answers(path: Path, gone: pa.Array) -> set[str]:
    return PageLog(path).leave_out(gone)


def _from_flickr(path: Path, gone: pa.Array) -> set[str]:
    return set(map(name_of, PageJournal(path.parent).leave_out(numbers_of(gone.to_pylist()))))


def _from_table(path: Path, gone: pa.Array) -> set[str]:
    with lock(table_lock(path)):
        return leave_out(path, _KEY, gone)


def _from_plan(path: Path, gone: Collection[str]) -> set[str]:
    """Takes pairs out of a plan, the tiles first: as long as the pairs are there, a killed run begins with them again."""
    with lock(table_lock(path)):
        tiles = path.with_name("tiles.parquet")
        sweep(path)
        sweep(tiles)
        pairs = read_table(PAIRS, path)
        kept = without(pairs, gone)
        if kept.num_rows < pairs.num_rows:
            if tiles.exists():
                rewrite(TILES, [lighter_tiles(read_table(TILES, tiles), pairs, kept)], tiles)
            lost = int(read_meta(path).get(MARK, "0")) + pairs.num_rows - kept.num_rows
            rewrite(PAIRS, [kept], path, {MARK: str(lost)})
        return set(pairs.column(_KEY).to_pylist()) - set(kept.column(_KEY).to_pylist())


def _take_out_of_reports(gone: Collection[str]) -> None:
    """Deletes reports that show a forgotten photo, so that the next run writes them anew, and takes the photos off the lists of authors."""
    for report in holdings.reports():
        if shown_in(report.read_text(encoding="utf-8")) & set(gone):
            report.unlink()
            _LOG.warning("%s showed a forgotten photo and is deleted: the next run, or 'skygraft report', writes it anew", report)
    for path in holdings.attribution_lists():
        _take_off(path, gone)


def shown_in(report: str) -> set[str]:
    """The photos that a report shows, by what it says of each picture for those who do not see it."""
    return {html.unescape(name) for name in _SHOWN.findall(report)}


def _take_off(path: Path, gone: Collection[str]) -> None:
    sweep(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    place = rows[0].index(_KEY) if rows and _KEY in rows[0] else None
    kept = [row for row in rows if place is None or row[place] not in gone]
    if len(kept) < len(rows):
        changed_ns = path.stat().st_mtime_ns
        with atomic_path(path) as temporary:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(kept)
            os.utime(temporary, ns=(changed_ns, changed_ns))


def _tell(wishes: list[str], before: Collection[str], found: Counter[str]) -> None:
    """Says what was done, and what cannot be."""
    new = [name for name in wishes if name not in before]
    _LOG.info("photos=%d new_on_the_list=%d found=%d places=%d", len(wishes), len(new), len(found), found.total())
    if unknown := [name for name in new if name not in found]:
        _LOG.warning(
            "found nowhere: %s. They stand on the list all the same, and will not be taken in; look whether they are written as the photos "
            "table writes them, such as flickr:8412345",
            _some(unknown),
        )
    if taught := [str(card.parent) for card in holdings.cards() if taught_before(card)]:
        _LOG.warning(
            "cannot be undone: what these models learnt from the photos: %s. To train without them, delete the folders and run again",
            _some(taught),
        )
    if numbers_of(found).size:
        _LOG.info("of Flickr's photos the numbers stay in the answers that were kept, and nothing else, so that no page is asked for again")
    if folders := holdings.published():
        _LOG.info("not touched: published tables with the places of all photos, in %s", _some(map(str, folders)))
    _LOG.info("not touched: logs, which may name a few photos that could not be had")
    _LOG.info("copies that you or others made of reports and models are out of reach; pictures of your own (source: table) stay yours")


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - _EXAMPLES} more" if len(listed) > _EXAMPLES else ""
    return ", ".join(listed[:_EXAMPLES]) + more
