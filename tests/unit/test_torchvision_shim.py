"""The shim, in processes of its own: what was imported before decides what it does."""

from __future__ import annotations

import subprocess
import sys

import pytest

BROKEN = "operator torchvision::nms does not exist"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def test_torchvision_and_open_clip_import_after_it_and_a_second_call_does_no_harm() -> None:
    done = run(
        "from skygraft.core.torchvision_shim import ensure_torchvision as e; e(); e(); import torchvision, open_clip; e();"
        "print(torchvision.transforms.Resize(4).size)"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "4"), done.stderr


def test_a_torchvision_that_finds_its_operators_is_left_alone() -> None:
    # Schemas declared beforehand stand for a wheel that brings them: declaring them again would raise.
    done = run(
        "import torch; l = torch.library.Library('torchvision', 'FRAGMENT');"
        "[l.define(n + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor') for n in ('nms', 'qnms')];"
        "from skygraft.core.torchvision_shim import ensure_torchvision as e; e(); import torchvision; print('imported')"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "imported"), done.stderr


def test_on_a_cuda_build_the_failure_is_shown_and_nothing_declared() -> None:
    plain = run("import torchvision")
    if plain.returncode == 0:
        pytest.skip("this torchvision imports without help")
    assert BROKEN in plain.stderr
    done = run("import torch; torch.version.cuda = '12.6'; from skygraft.core.torchvision_shim import ensure_torchvision as e; e()")
    assert done.returncode != 0
    assert BROKEN in done.stderr
