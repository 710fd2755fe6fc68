"""The account of a run before it starts: what it needs, from where, under which terms, how much and how long. Nothing is fetched."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.stages.ahead.problems import Problem, problems
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.shares import Sharding
from skygraft.stages.ahead.sources import keys, sources, terms
from skygraft.stages.ahead.work import Account, Work

_PLAIN_WIDTH = 150


def run(config: Config, *, mirror: str | None = None) -> None:
    """Prints the account.

    Args:
        config: The configuration.
        mirror: Replaces the configuration's own mirror.

    Raises:
        ConfigError: Something blocks the run; the text says what.
    """
    config = config if mirror is None else config.model_copy(update={"mirror": mirror})
    console = Console(file=sys.stdout, soft_wrap=False, highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    account = Account(config, Machine.here())
    work = account.work()
    console.print(Text(f"What '{config.name}' will need (nothing is fetched by this command; machine: {account.machine})", style="bold"))
    _outside(console, config)
    _work(console, work)
    _shards(console, account.shardings())
    _room(console, work)
    found = problems(account, work)
    _problems(console, found)
    blocking = sum(problem.blocks for problem in found)
    if blocking:
        raise ConfigError(f"{blocking} problem{'s' * (blocking > 1)} above must be mended before '{config.name}' can start.")


def _outside(console: Console, config: Config) -> None:
    key_rows = [(key.name, "set" if key.present else "missing" if key.needed else "not set, optional", key.use) for key in keys(config)]
    _table(console, "Keys (in the environment or a .env file)", ("key", "state", "for"), key_rows, "none is needed")
    rows = [(source.name, source.place, _bytes(source.size), "there" if source.there else "to be had") for source in sources(config)]
    _table(console, "Weights, tables, archives and models", ("what", "from", "about", "state"), rows, "none from outside")
    _table(console, "Terms that bind", ("source", "terms"), [(term.source, term.terms) for term in terms(config)], "none")


def _work(console: Console, work: Sequence[Work]) -> None:
    rows = [
        (entry.rule, entry.name, entry.items, f"{entry.requests:,}", _bytes(entry.received), _bytes(entry.disk), f"{entry.jobs:,}",
         f"{entry.done} of {len(entry.outputs)}", _time(entry.seconds))
        for entry in work
    ]  # fmt: skip
    requests, jobs = sum(entry.requests for entry in work), sum(entry.jobs for entry in work)
    received, disk = sum(entry.received for entry in work), sum(entry.disk for entry in work)
    seconds = sum(entry.seconds for entry in work)
    total = ("all", "", "", f"{requests:,}", _bytes(received), _bytes(disk), f"{jobs:,}", "", _time(seconds))
    heads = ("rule", "name", "items", "requests", "received", "on disk", "jobs", "files there", "time")
    _table(console, "Work (orders of magnitude; one rule after the other)", heads, [*rows, total], "none", right=frozenset(heads[3:]))
    console.print(Text("What these figures assume", style="bold"))
    for entry in work:
        if entry.assumed:
            console.print(Text(f"  {entry.rule} {entry.name}: {entry.assumed}"))
    console.print()


def _shards(console: Console, shardings: Sequence[Sharding]) -> None:
    rows = [
        (sharding.name, f"{sharding.items:,}", _bytes(sharding.item_bytes), str(sharding.shards), f"{sharding.largest:,}",
         _bytes(sharding.largest * sharding.item_bytes), str(sharding.proposal), "fits" if sharding.fits else "too few")
        for sharding in shardings
    ]  # fmt: skip
    heads = ("source", "items", "an item", "configured", "largest shard", "its size", "at least", "verdict")
    _table(console, "Shards (at most 5,000 items and 1 GB each)", heads, rows, "nothing is cut in shards", right=frozenset(heads[1:7]))


def _room(console: Console, work: Sequence[Work]) -> None:
    needed, free = sum(entry.missing_disk for entry in work), shutil.disk_usage(Path()).free
    console.print(Text(f"Disk: about {_bytes(needed)} still to be written, {_bytes(free)} free here."))
    console.print()


def _problems(console: Console, found: Sequence[Problem]) -> None:
    console.print(Text("Problems", style="bold"))
    for problem in sorted(found, key=lambda problem: not problem.blocks):
        console.print(Text(f"  {'BLOCKS' if problem.blocks else 'note'}: {problem.text}", style="red" if problem.blocks else "yellow"))
    if not any(problem.blocks for problem in found):
        console.print(Text("  none that keeps the run from starting", style="green"))


def _table(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], empty: str, right: frozenset[str] = frozenset()
) -> None:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold", no_wrap=head in right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(Text(title, style="bold"))
    if table.row_count:
        console.print(table)
    else:
        console.print(Text(f"  {empty}"))
    console.print()


def _bytes(count: int | None) -> str:
    """A size for people, in powers of ten as disks are sold."""
    if count is None:
        return "unknown"
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 10 or size == int(size) else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _time(seconds: float) -> str:
    """A time for people."""
    if seconds < 1:
        return "0 s" if seconds == 0 else "< 1 s"
    for limit, unit, name in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"
