"""The same run through a real Slurm, with a job killed on the way: the table is that of the local run, byte for byte."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.workflow import slurm
from tests.workflow.project import REPOSITORY, Project

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(2400)]
PROFILE = REPOSITORY / "workflow/profiles/slurm"
# What differs from a site: its partition, no accounts, no accounting database, and a node that answers at once.
SITE = (
    *("--default-resources", f"slurm_partition={slurm.PARTITION}"),
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "10"),
)
VICTIM = "train"
# Whatever hangs, the cluster is taken down again.
LIMIT_S = 2100


@pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing()))
def test_the_profile_gives_the_table_of_a_local_run_although_a_job_is_killed(finished: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.configure()
    with slurm.cluster(tmp_path / "slurm") as environment:
        said, killed = run_and_kill(project, environment, *SITE)
        states = job_states(environment)
    assert said.count(f"SLURM-job '{killed}' failed, SLURM status is: 'CANCELLED'") == 1
    assert said.count("Trying to restart job") == 1
    assert states[killed] == "CANCELLED"
    # Everything but the target rule ran as jobs of the cluster.
    assert sorted(states.values()).count("COMPLETED") >= sum(finished_jobs(finished).values())
    assert project.bytes("results", "runs") == finished.bytes("results", "runs")


def finished_jobs(finished: Project) -> dict[str, int]:
    """How many jobs each rule of the local run had."""
    return {folder.name: len(list(folder.iterdir())) for folder in (finished.folder / "timings/reduced").iterdir()}


def run_and_kill(project: Project, environment: Mapping[str, str], *options: str) -> tuple[str, str]:
    """Runs the workflow through the profile and cancels the first job of the victim's rule; gives what was said and the job's number."""
    place = ("--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(project.folder), "--configfile", str(project.configfile))
    command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILE), *place, *options]
    log = project.folder / "snakemake.txt"
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(command, cwd=project.folder, env={**environment, **project.environment}, stdout=file, stderr=file)
    try:
        killed = cancel_first(project, environment, child)
        child.wait(timeout=LIMIT_S)
    finally:
        # The executor does not hear a termination while it waits.
        child.kill()
        child.wait()
    said = log.read_text(encoding="utf-8")
    assert child.returncode == 0, said
    return said, killed


def cancel_first(project: Project, environment: Mapping[str, str], child: subprocess.Popen[bytes]) -> str:
    """Cancels the victim's first job once its verb is at work; the job's log says so."""
    end = time.monotonic() + LIMIT_S
    while True:
        assert child.poll() is None, (project.folder / "snakemake.txt").read_text(encoding="utf-8")
        assert time.monotonic() < end, "no job of the victim's rule was seen"
        at_work = any(path.stat().st_size > 0 for path in project.folder.glob(f"logs/*/{VICTIM}/*.log"))
        logs = sorted(project.folder.glob(f".snakemake/slurm_logs/rule_{VICTIM}/**/*.log"))
        if at_work and logs:
            number = logs[0].stem
            subprocess.run(["scancel", number], env=dict(environment), check=True)
            return number
        time.sleep(0.2)


def job_states(environment: Mapping[str, str]) -> dict[str, str]:
    """The last state of every job of the cluster."""
    query = ["squeue", "--all", "--noheader", "--states=all", "--format=%i %T"]
    said = subprocess.run(query, env=dict(environment), capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in said.splitlines())
