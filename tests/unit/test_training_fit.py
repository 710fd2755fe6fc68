"""Training: it learns, it repeats, and a killed one ends as an undisturbed one would have."""

from __future__ import annotations

import itertools
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_clip import PREPROCESS, tiny_model

from skygraft.config.runs import Augmentation, Cosine, Optimiser, PooledInfoNCE, Run, Temperature
from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.training.augment import Geometry
from skygraft.training.batches import Batches
from skygraft.training.data import Examples
from skygraft.training.fit import CHECKPOINT, fit
from skygraft.training.module import HISTORY_COLUMNS, warmup_cosine

GEOMETRY = Geometry(32, 24, PREPROCESS["mean"], PREPROCESS["std"])
AUGMENTATION = Augmentation(crop_px=24, crop_jitter=0.1, colour=0.1)


def examples(count: int, seed: int, classes: int = 4) -> Examples:
    """Tiles of a few flat colours; each colour's places have a target of their own, with a little noise."""
    rng = np.random.default_rng(seed)
    colours, directions = np.random.default_rng(0).integers(0, 255, (classes, 3)), np.random.default_rng(1).normal(size=(classes, 32))
    kinds = rng.integers(0, classes, count)
    images = np.clip(colours[kinds][:, None, None] + rng.normal(0, 12, (count, 28, 28, 3)), 0, 255).astype(np.uint8)
    targets = (directions[kinds] + rng.normal(0, 0.2, (count, 32))).astype(np.float32)
    names = [f"{seed}-{row:04d}" for row in range(count)]
    return Examples(names, images, targets, np.arange(count)[:, None] + 10_000 * seed, np.full(count, 4))


def batches(count: int, seed: int, size: int = 16) -> Batches:
    return Batches(examples(count, seed), size, GEOMETRY, AUGMENTATION, seed=3)


def settings(objective: PooledInfoNCE | Cosine | None = None, **optimiser: float) -> Run:
    return Run(
        imagery="s2",
        encoder="tiny",
        objective=objective or PooledInfoNCE(),
        optimiser=Optimiser(**{"learning_rate": 3e-3, "batch_size": 16, "epochs": 4, **optimiser}),
        augmentation=AUGMENTATION,
        torch_threads=1,
        accelerator="cpu",
    )


def train(folder: Path, run: Run) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    visual = tiny_model().visual
    history = fit(visual, run, batches(70, 1), batches(33, 2), folder)
    return visual.state_dict(), history


OBJECTIVES = {
    "igarss": PooledInfoNCE(direction="ground_to_satellite", temperature=Temperature(init=0.007, learned=False)),
    "igarss_revised": PooledInfoNCE(direction="satellite_to_ground", temperature=Temperature(init=0.07, learned=True)),
    "symmetric": PooledInfoNCE(direction="symmetric"),
    "cosine": Cosine(),
}


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_every_objective_learns_on_tiles_it_has_not_seen(name: str, tmp_path: Path) -> None:
    _, history = train(tmp_path, settings(OBJECTIVES[name], epochs=8))
    assert [row["epoch"] for row in history] == list(range(8))
    assert tuple(history[0]) == HISTORY_COLUMNS
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert history[-1]["val_loss"] < 0.8 * history[0]["val_loss"]
    temperatures = [round(row["temperature"], 6) for row in history]
    if name == "igarss":
        assert set(temperatures) == {0.007}
    elif name == "cosine":
        assert all(math.isnan(temperature) for temperature in temperatures)
    else:
        assert len(set(temperatures)) > 1


def test_the_same_settings_give_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    one, _ = train(tmp_path / "one", settings())
    torch.manual_seed(99)
    two, _ = train(tmp_path / "two", settings())
    assert all(torch.equal(one[name], two[name]) for name in one)
    visual = tiny_model().visual
    fit(visual, settings(), Batches(examples(70, 1), 16, GEOMETRY, AUGMENTATION, seed=4), batches(33, 2), tmp_path / "three")
    assert not torch.equal(one["conv1.weight"], visual.state_dict()["conv1.weight"])


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
import test_training_fit as case
from skygraft.training.batches import Batches
from skygraft.training import fit as fitting
kind, when, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
calls = 0
def counted(original, after):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == when and not after: die()
        result = original(*arguments, **named)
        if calls == when and after: die()
        return result
    return call
if kind == "step":
    Batches.training = counted(Batches.training, False)
elif kind == "validation":
    Batches.validation = counted(Batches.validation, False)
elif kind == "saving":
    fitting.Trainer.save_checkpoint = counted(fitting.Trainer.save_checkpoint, True)
elif kind == "saved":
    Path.replace = counted(Path.replace, True)
case.train(folder, case.settings())
"""


@pytest.mark.parametrize(("kind", "when"), [("step", 6), ("validation", 4), ("saving", 2), ("saved", 1), ("saved", 4)])
def test_killed_at_any_moment_it_ends_as_if_undisturbed(kind: str, when: int, tmp_path: Path) -> None:
    undisturbed, curves = train(tmp_path / "undisturbed", settings())
    folder, here = tmp_path / "killed", Path(__file__).parent
    arguments = [kind, str(when), str(folder), str(here), str(here.parents[1])]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / CHECKPOINT).exists() or kind == "saving"
    weights, resumed_curves = train(folder, settings())
    assert resumed_curves == curves
    assert weights.keys() == undisturbed.keys()
    assert all(torch.equal(weights[name], undisturbed[name]) for name in weights)


def test_a_finished_training_is_not_begun_again(tmp_path: Path) -> None:
    weights, curves = train(tmp_path, settings())
    stamp = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    again, same = train(tmp_path, settings())
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == stamp
    assert same == curves
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_without_validation_tiles_the_validation_loss_is_not_a_number(tmp_path: Path) -> None:
    history = fit(tiny_model().visual, settings(epochs=1), batches(32, 1), batches(0, 2), tmp_path)
    assert math.isnan(history[0]["val_loss"])


def test_too_few_tiles_for_a_batch_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="7 training tiles make no batch of 16"):
        fit(tiny_model().visual, settings(), batches(7, 1), batches(0, 2), tmp_path)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    broken = batches(32, 1)
    broken.examples.targets[:] = np.nan
    with pytest.raises(SkygraftError, match="The loss is nan after epoch 1"):
        fit(tiny_model().visual, settings(), broken, batches(0, 2), tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_rate_rises_linearly_and_falls_in_one_cosine() -> None:
    rates = [warmup_cosine(step, 100, 0.1) for step in range(100)]
    assert rates[:9] == pytest.approx([(step + 1) / 10 for step in range(9)])
    assert max(rates) == pytest.approx(1.0)
    falling = rates[rates.index(max(rates)) :]
    assert all(a > b for a, b in itertools.pairwise(falling))
    assert 0 < rates[-1] < 2e-3
    assert rates[55] == pytest.approx(0.5, abs=0.02)
