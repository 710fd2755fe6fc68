"""What Snakemake says while it works, read line by line into jobs: the display and the summary of failures need no more."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_TOTAL = re.compile(r"^total\s+(\d+)$")
_RULE = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
_FINISHED = re.compile(r"^Finished jobid: (\d+) ")
_ERROR = re.compile(r"^Error in rule (\w+).*:$")
_STEPS = re.compile(r"^(\d+) of (\d+) steps \(")
_EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)\.")
_DETAIL = re.compile(r"^    (jobid|wildcards|log): (.+)$")
_NOT_SHOWN = ("total",)


@dataclass
class Job:
    """One job as Snakemake announced it.

    Attributes:
        rule: Its rule.
        wildcards: The values of its wildcards, as they are shown.
        log: Where its verb writes, when the rule names a log.
        started: When it was announced, on the monotonic clock; seconds.
    """

    rule: str
    wildcards: tuple[str, ...] = ()
    log: Path | None = None
    started: float = 0.0

    @property
    def name(self) -> str:
        """The rule and what tells its jobs apart."""
        return " ".join((self.rule, *self.wildcards))


@dataclass
class Events:
    """The state of a run, fed with Snakemake's lines.

    Attributes:
        total: Jobs in all; 0 until Snakemake has said so.
        done: Jobs that ended well.
        running: Jobs under way, by Snakemake's number.
        failed: Jobs that failed and did not end well in another try, by Snakemake's number.
        exit_codes: The exit codes of failed verbs, where Snakemake tells them.
        clock: Gives seconds.
    """

    total: int = 0
    done: int = 0
    running: dict[str, Job] = field(default_factory=dict)
    failed: dict[str, Job] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _block: Job | None = None
    _block_failed: bool = False

    def feed(self, line: str) -> tuple[Job, float] | None:
        """Takes one line.

        Returns:
            A job that has just ended well and the seconds it took; none for any other line.
        """
        line = line.rstrip()
        if detail := _DETAIL.match(line):
            self._detail(detail[1], detail[2])
            return None
        if status := _EXIT_STATUS.search(line):
            self.exit_codes.append(int(status[1]))
        elif total := _TOTAL.match(line):
            self.total = int(total[1])
        elif steps := _STEPS.match(line):
            self.done, self.total = int(steps[1]), int(steps[2])
        elif rule := _RULE.match(line):
            self._block, self._block_failed = Job(rule[1], started=self.clock()), False
        elif error := _ERROR.match(line):
            self._block, self._block_failed = Job(error[1]), True
        elif finished := _FINISHED.match(line):
            return self._finished(finished[1])
        return None

    def exit_code(self) -> int:
        """What the run ends with after a failure: the verbs' own code where they agree on one, else 1."""
        codes = set(self.exit_codes)
        return codes.pop() if len(codes) == 1 and codes <= {2, 3} else 1

    def _finished(self, number: str) -> tuple[Job, float] | None:
        job = self.running.pop(number, None)
        self.failed.pop(number, None)
        return (job, self.clock() - job.started) if job is not None else None

    def _detail(self, key: str, value: str) -> None:
        if self._block is None:
            return
        if key == "log":
            self._block.log = Path(value.split(" (", 1)[0].split(", ", 1)[0])
        elif key == "wildcards":
            pairs = (pair.partition("=") for pair in value.split(", "))
            self._block.wildcards = tuple(value for name, _, value in pairs if name not in _NOT_SHOWN)
        elif self._block_failed:
            announced = self.running.pop(value, None)
            self.failed[value] = self._block if announced is None else announced
        else:
            self.running[value] = self._block
