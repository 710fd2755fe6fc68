"""The train verb, killed again and again: it ends in the very files of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.training_tables import configuration, write_tables

from skygraft.config.load import dump

COMMAND = [sys.executable, "-m", "skygraft.cli", "train", "--run", "run"]


def published() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path("runs").rglob("*")) if path.is_file()}


def killed_at(mark: str) -> bool:
    """Starts the verb and kills it when its log shows ``mark``; whether it came so far."""
    with subprocess.Popen(COMMAND, stderr=subprocess.PIPE, text=True, env=os.environ | {"SKYGRAFT_CONFIG": "config.yaml"}) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if mark in line:
                process.send_signal(signal.SIGKILL)
                break
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_in_every_epoch_the_files_are_those_of_an_undisturbed_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration()
    write_tables(config)
    Path("config.yaml").write_text(dump(config))
    subprocess.run(COMMAND, check=True, capture_output=True)
    undisturbed = published()
    assert len(undisturbed) == 5
    for name in undisturbed:
        Path(name).unlink()
    # The line of an epoch is written before its checkpoint: each attempt gets one epoch further.
    for mark in ("split=train", "epoch=2/3", "epoch=3/3"):
        assert killed_at(mark)
        assert published() == {}
    done = subprocess.run(COMMAND, check=True, capture_output=True, text=True)
    assert "resumed=" in done.stderr
    assert "epoch=1/3" not in done.stderr
    assert published() == undisturbed
