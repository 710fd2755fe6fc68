"""`skygraft run`: progress, failures and their exit codes, and locks; with small workflows of shell commands in the place of the verbs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflow.project import BIN, REPOSITORY

RUN = [str(BIN / "skygraft"), "run", "--cores", "2"]
PLAIN = 'rule all:\n    output: "a.txt"\n    shell: "{command}"\n'
TWO_RULES = """\
rule all:
    input: "1.txt", "2.txt"
rule fetch_photos:
    output: "{shard}.txt"
    wildcard_constraints: shard=r"\\d"
    log: "logs/{shard}.log"
    benchmark: "timings/embedded/fetch_photos/{shard}.tsv"
    shell: "COMMAND"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text((REPOSITORY / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str, command: str) -> None:
    (folder / "Snakefile").write_text(text.replace("{command}", command).replace("COMMAND", command), encoding="utf-8")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run under way; it, its Snakemake and its jobs are killed afterwards."""
    child = subprocess.Popen(RUN, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield child
    finally:
        for number in snakemakes(folder):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(number, signal.SIGKILL)
        child.kill()
        child.communicate()


def snakemakes(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"snakemake" in words and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
    return found


def wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_line_for_every_job_and_the_time_of_each_stage(folder: Path) -> None:
    write(folder, TWO_RULES, "touch {output}")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^\[(\d)/3\] (\w+ ?\d?) \(\d+\.\d s\)$", done.stdout, re.MULTILINE)
    assert [number for number, _ in lines] == ["1", "2", "3"]
    assert {name for _, name in lines} == {"fetch_photos 1", "fetch_photos 2", "all"}
    assert re.search(r"fetch_photos .* 2 ", done.stdout)
    assert "3 of 3 steps" in (folder / "logs/embedded/workflow.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(("code", "ends_with"), [(3, 3), (2, 2), (1, 1), (77, 1)])
def test_a_failed_job_shows_its_verbs_message_and_passes_its_exit_code_on(folder: Path, code: int, ends_with: int) -> None:
    write(
        folder,
        TWO_RULES,
        f"echo skygraft: the reason of {{wildcards.shard}} > {{log}}; test {{wildcards.shard}} = 1 && exit {code}; touch {{output}}",
    )
    done = run(folder)
    assert done.returncode == ends_with
    assert "failed: fetch_photos 1" in done.stdout
    assert "skygraft: the reason of 1" in done.stdout
    # The other job is finished all the same, and no failure.
    assert (folder / "2.txt").exists()
    assert "the reason of 2" not in done.stdout
    assert "logs/embedded/workflow.log" in done.stderr


def test_what_snakemake_says_before_any_job_is_shown(folder: Path) -> None:
    write(folder, PLAIN, "touch {output}")
    done = run(folder, "no_such_target")
    assert done.returncode == 1
    assert "no_such_target" in done.stdout


def test_a_second_run_is_refused_while_the_first_one_lives(folder: Path) -> None:
    write(folder, PLAIN, "touch begun; sleep 60; touch {output}")
    with running(folder) as first:
        wait_until((folder / "begun").exists)
        done = run(folder)
        assert done.returncode == 1
        assert f"process {snakemakes(folder)[0]}" in done.stderr
        assert first.poll() is None


def test_the_lock_of_a_killed_run_is_taken_away_and_its_job_done_again(folder: Path) -> None:
    write(folder, PLAIN, "echo half > {output}; touch begun; sleep 60")
    with running(folder):
        wait_until((folder / "begun").exists)
    assert list((folder / ".snakemake/locks").iterdir())
    write(folder, PLAIN, "echo whole > {output}")
    done = run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "a.txt").read_text(encoding="utf-8") == "whole\n"


def test_a_verb_that_a_killed_run_left_behind_is_named(folder: Path) -> None:
    write(folder, PLAIN, "touch {output}")
    verb = folder / "skygraft"
    verb.write_text("#!/bin/sh\nsleep 60 & trap 'kill $!' TERM; wait\n", encoding="utf-8")
    verb.chmod(0o755)
    left = subprocess.Popen([str(verb), "fetch-photos", "--photos", "lucas"], cwd=folder)
    try:
        wait_until(lambda: Path(f"/proc/{left.pid}/cmdline").read_bytes().startswith(b"/bin/sh"))
        done = run(folder)
        assert done.returncode == 1
        assert f"process {left.pid} (skygraft fetch-photos) is still at work" in done.stderr
        assert left.poll() is None
    finally:
        left.terminate()
        left.wait()
    assert run(folder).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_the_jobs_and_leaves_no_lock(folder: Path, number: signal.Signals) -> None:
    write(folder, PLAIN, "touch begun; echo $$ > shell; exec sleep 60")
    with running(folder) as child:
        wait_until((folder / "begun").exists)
        child.send_signal(number)
        assert child.wait(timeout=60) == 130
    shell = Path("/proc", (folder / "shell").read_text(encoding="utf-8").strip(), "comm")
    assert not shell.exists() or shell.read_text(encoding="utf-8") != "sleep\n"
    assert not (folder / ".snakemake/locks").exists() or not list((folder / ".snakemake/locks").iterdir())
    assert not (folder / "a.txt").exists()
