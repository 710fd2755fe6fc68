"""Runs the whole workflow for a person: progress while it works, the table and the paths at the end, or what failed and why.

It only calls Snakemake, as anybody could; nothing of a result depends on this door.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from skygraft.config.load import DEFAULT, ENVIRONMENT
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.stages.layout import Layout
from skygraft.stages.run_display import display
from skygraft.stages.run_events import Events
from skygraft.stages.run_holders import holders, is_locked
from skygraft.stages.run_summary import last_lines, print_failures, print_kshot, print_times, stage_times
from skygraft.stages.workflow import check_folders

_SNAKEFILE = Path("Snakefile")
_LAST_LINES = 15
_WIDTH = 110


class WorkflowError(SkygraftError):
    """The workflow ended with failures; it carries the exit code of the verbs that failed, where they agree."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(config: Config, *, targets: Sequence[str], cores: int, file: Path | None) -> None:
    """Runs the workflow in the working folder.

    Args:
        config: The configuration, already read.
        targets: Files or named targets; none: table and report.
        cores: How many cores Snakemake may use.
        file: Where the configuration was read from; none: as the other verbs look for it.

    Raises:
        ConfigError: There is no workflow to run, or a data folder was made under other settings.
        WorkflowError: A job failed.
        SkygraftError: Another run works in this folder.
    """
    check_folders(config)
    command = _command(file or Path(os.environ.get(ENVIRONMENT, DEFAULT)), cores)
    _free(Path.cwd(), command)
    layout = Layout(config)
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    log = layout.workflow_log
    log.parent.mkdir(parents=True, exist_ok=True)
    events, exit_code = _watch([*command, "--", *targets], log, console)
    if exit_code != 0:
        _explain(console, events, log)
        raise WorkflowError(
            f"The workflow did not end; what was finished is kept, and the same command goes on. See {log}.", events.exit_code()
        )
    _conclude(console, layout, targets)


def _command(configfile: Path, cores: int) -> list[str]:
    snakefile = _SNAKEFILE if _SNAKEFILE.exists() else Path(__file__).parents[3] / _SNAKEFILE
    if not snakefile.exists():
        raise ConfigError("There is no Snakefile here: call this in the folder of the project.")
    options = ["--cores", str(cores), "--rerun-incomplete", "--keep-going", "--nocolor", "--snakefile", str(snakefile)]
    return [sys.executable, "-m", "snakemake", *options, "--configfile", str(configfile)]


def _free(folder: Path, command: Sequence[str]) -> None:
    """Takes away the lock of a run that was killed; never that of a living one."""
    working = holders(folder)
    left = [holder for holder in working if not holder.is_workflow]
    if left and not any(holder.is_workflow for holder in working):
        names = ", ".join(f"process {holder.pid} ({holder.name})" for holder in left)
        raise SkygraftError(f"Of an earlier run that was killed, {names} is still at work here: wait until it ends, or stop it.")
    if not is_locked(folder):
        return
    if working:
        names = ", ".join(f"process {holder.pid}" for holder in working if holder.is_workflow)
        raise SkygraftError(f"Another run works in {folder} ({names}): wait until it ends, or stop it.")
    subprocess.run([*command, "--unlock"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _watch(command: Sequence[str], log: Path, console: Console) -> tuple[Events, int]:
    """Runs Snakemake to its end; every line goes to ``log``, and through the display."""
    events = Events()
    with log.open("w", encoding="utf-8") as file, _stoppable(), _child(command) as child, display(console) as show:
        for line in child.stdout or ():
            file.write(line)
            file.flush()
            show(events, events.feed(line))
    return events, child.returncode


@contextlib.contextmanager
def _child(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Starts Snakemake; an interrupt of this process stops it and its jobs in order before it goes on here."""
    # A session of its own: the interrupt of a terminal reaches it once, from here.
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        yield child
    except KeyboardInterrupt:
        # The whole group, as a terminal does it: the verbs stop at once, and keep what they have finished.
        os.killpg(child.pid, signal.SIGINT)
        raise
    finally:
        child.communicate()


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Takes a termination and a lost terminal for an interrupt, also where the caller had interrupts ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(console: Console, events: Events, log: Path) -> None:
    if events.failed:
        print_failures(console, events.failed.values())
        return
    # Snakemake stopped before any job: what it said last is the reason.
    for line in last_lines(log, _LAST_LINES):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _conclude(console: Console, layout: Layout, targets: Sequence[str]) -> None:
    table = layout.table("eurosat_kshot")
    whole = not targets or "all" in targets
    if (whole or str(table) in targets) and table.is_file():
        print_kshot(console, table)
    print_times(console, stage_times(layout))
    if whole:
        for path in (table, layout.report):
            if path.is_file():
                console.print(str(path), markup=False, highlight=False, soft_wrap=True)
