"""A real Slurm cluster of one node on this machine, from Debian's packages: a controller, a node daemon, and munge."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PARTITION = "main"
# The executor plugin takes SLURM_CONF out of a job's environment, and srun looks here then.
CONF = Path("/etc/slurm/slurm.conf")
GRES = CONF.with_name("gres.conf")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
_DEADLINE_S = 60.0
# Told, not measured: a job's request must not depend on the machine that the test runs on.
_MEMORY_MB = 64000
_CONF = """\
ClusterName=skygraft-tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={daemon}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName={partition} Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> str | None:
    """Why no Slurm can be started here; none: it can."""
    if os.geteuid() != 0:
        return "a Slurm cluster is started as root"
    if (CONF.exists() or GRES.exists()) and not _left_behind():
        return f"this machine has a Slurm of its own ({CONF})"
    absent = [program for program in _PROGRAMS if _which(program) is None]
    return f"{', '.join(absent)} not installed: apt-get install slurm-wlm munge" if absent else None


def _left_behind() -> bool:
    """Whether the files are those of a test that was killed, and nothing runs by them any more."""
    ours = CONF.exists() and CONF.read_text(encoding="utf-8").startswith(_CONF.splitlines()[0])
    return ours and subprocess.run(["pgrep", "--exact", "slurmctld"], stdout=subprocess.DEVNULL, check=False).returncode == 1


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Runs a cluster whose state lies in ``folder``; gives the environment of its commands."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    with contextlib.ExitStack() as stack:
        for file in (CONF, GRES):
            stack.callback(file.unlink, missing_ok=True)
        _configure(folder)
        if not _munge_answers():
            stack.enter_context(_munge())
        for program in ("slurmctld", "slurmd"):
            process = subprocess.Popen(
                [_which(program) or program, "-D"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(_stop, process)
        _wait_until(lambda: _node_state(environment) == "idle", "the node is idle")
        yield environment
        # No job outlives the cluster.
        subprocess.run(["scancel", f"--partition={PARTITION}"], env=environment, check=False)


def _configure(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().split(".")[0]
    values = {"cpus": os.cpu_count(), "memory": _MEMORY_MB, "controller": _free_port(), "daemon": _free_port()}
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text(_CONF.format(folder=folder, host=host, partition=PARTITION, **values), encoding="utf-8")
    # A card that does not exist: what the profile asks for is granted, and the jobs compute as they would without.
    GRES.write_text("Name=gpu File=/dev/null\n", encoding="utf-8")


@contextlib.contextmanager
def _munge() -> Iterator[None]:
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge", "/etc/munge"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["chown", "-R", "munge:munge", folder], check=True)
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(1024))
        shutil.chown(key, "munge", "munge")
        key.chmod(0o400)
    as_munge = ["setpriv", "--reuid=munge", "--regid=munge", "--init-groups"]
    process = subprocess.Popen([*as_munge, _which("munged") or "munged", "--foreground", "--force"], stderr=subprocess.DEVNULL)
    try:
        _wait_until(_munge_answers, "munge answers")
        yield
    finally:
        _stop(process)


def _munge_answers() -> bool:
    return (
        subprocess.run("munge -n | unmunge", shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    )


def _node_state(environment: dict[str, str]) -> str:
    found = subprocess.run(["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _wait_until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _DEADLINE_S
    while not ready():
        assert time.monotonic() < end, f"not so after {_DEADLINE_S:.0f} s: {what}"
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
