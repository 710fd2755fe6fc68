"""Weights: the forms they come in, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_clip import CONFIG, PREPROCESS, tiny_model, write_folder

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.encoders.clip import load_clip, load_folder
from skygraft.encoders.library import open_clip
from skygraft.encoders.reference import ModelReference, resolve
from skygraft.encoders.torchscript import is_torchscript
from skygraft.encoders.weights import read_state_dict

PIXELS = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32).repeat(2, 1, 1, 1)


@pytest.fixture
def architecture(tmp_path: Path) -> str:
    """The tiny model's configuration under a name of its own among open_clip's."""
    (tmp_path / "tiny-test.json").write_text(json.dumps(CONFIG))
    open_clip().add_model_config(tmp_path / "tiny-test.json")
    return "tiny-test"


def embedding(model: torch.nn.Module) -> np.ndarray:
    with torch.inference_mode():
        return model.encode_image(PIXELS).numpy()


def state() -> OrderedDict[str, torch.Tensor]:
    return OrderedDict(tiny_model().state_dict())


WRAPPINGS = {
    "plain": lambda s: s,
    "half": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "data parallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "under state_dict": lambda s: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in s.items()}},
    "lightning with another tower": lambda s: {
        "pytorch-lightning_version": "1.9", "global_step": 7,
        "state_dict": {f"model.{k}": v for k, v in s.items()} | {"ground.fc.weight": torch.ones(2), "queue": torch.ones(3)},
    },
    "openai extras and a scale of one element": lambda s: {
        **s, "logit_scale": s["logit_scale"].reshape(1), "input_resolution": torch.tensor(32),
    },
}  # fmt: skip


@pytest.mark.parametrize("form", list(WRAPPINGS))
def test_state_dicts_load_in_every_form(form: str, architecture: str, tmp_path: Path) -> None:
    torch.save(WRAPPINGS[form](state()), tmp_path / "weights.pt")
    clip = load_clip(ModelReference(architecture, str(tmp_path / "weights.pt")))
    tolerance = 2e-2 if form == "half" else 1e-6
    np.testing.assert_allclose(clip.encode_prepared(PIXELS), embedding(tiny_model()), atol=tolerance)


def test_torchscript_archives_are_read_without_their_program(architecture: str, tmp_path: Path) -> None:
    class Archive(torch.nn.Module):
        """As OpenAI's: the model's parts, with three numbers beside them."""

        def __init__(self) -> None:
            super().__init__()
            model = tiny_model(quick_gelu=True)
            for name, child in model.named_children():
                setattr(self, name, child)
            for name in ("positional_embedding", "text_projection", "logit_scale"):
                setattr(self, name, getattr(model, name))
            self.input_resolution, self.context_length, self.vocab_size = 32, 16, 49408

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.visual(x)

    file = tmp_path / "archive.pt"
    archive = torch.jit.trace(Archive().eval(), PIXELS)
    torch.jit.save(archive, file)
    assert is_torchscript(file)
    expected = archive.state_dict()
    found = read_state_dict(file)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    clip = load_clip(ModelReference(architecture, str(file)))
    np.testing.assert_allclose(clip.encode_prepared(PIXELS), embedding(tiny_model()), atol=1e-6)


def test_weights_of_openai_make_the_text_tower_quick_gelu(architecture: str, tmp_path: Path) -> None:
    numbers = {name: torch.tensor(value) for name, value in (("input_resolution", 32), ("context_length", 16), ("vocab_size", 49408))}
    torch.save({**state(), **numbers}, tmp_path / "openai.pt")
    torch.save(state(), tmp_path / "other.pt")
    tokens = torch.ones(1, 16, dtype=torch.long)
    theirs, ours = (load_clip(ModelReference(architecture, str(tmp_path / name))).model for name in ("openai.pt", "other.pt"))
    with torch.inference_mode():
        assert torch.equal(theirs.encode_text(tokens), tiny_model(quick_gelu=True).encode_text(tokens))
        assert torch.equal(ours.encode_text(tokens), tiny_model().encode_text(tokens))
        assert not torch.equal(theirs.encode_text(tokens), ours.encode_text(tokens))


def test_a_folder_loads_as_open_clip_loads_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    clip = load_folder(folder)
    theirs, _, transform = open_clip().create_model_and_transforms(f"local-dir:{folder}")
    np.testing.assert_allclose(clip.encode_prepared(PIXELS), embedding(theirs.eval()), atol=1e-6)
    assert str(clip.preprocess) == str(transform)
    assert list(clip.identity.preprocessing["mean"]) == PREPROCESS["mean"]
    assert clip.identity.weights_sha256 == hashlib.sha256((folder / "open_clip_model.safetensors").read_bytes()).hexdigest()
    assert str(tmp_path) not in json.dumps(clip.identity.to_meta())


def test_random_weights_follow_their_seed_and_leave_the_global_generator_alone(architecture: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (load_clip(ModelReference(architecture, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(one.encode_prepared(PIXELS), same.encode_prepared(PIXELS))
    assert not np.allclose(one.encode_prepared(PIXELS), other.encode_prepared(PIXELS))
    assert one.identity == same.identity != other.identity


def test_weights_of_another_architecture_name_what_differs(architecture: str, tmp_path: Path) -> None:
    wider = {**CONFIG["vision_cfg"], "width": 16}
    file = tmp_path / "wide.pt"
    torch.save(tiny_model(vision_cfg=wider).state_dict(), file)
    with pytest.raises(ConfigError, match=r"wide\.pt.*another architecture than tiny-test.*of another shape: visual\.") as caught:
        load_clip(ModelReference(architecture, str(file)))
    assert "expected (4, 3, 3, 3), found (8, 3, 3, 3)" in str(caught.value)
    torch.save({"fc.weight": torch.ones(2, 2)}, file)
    with pytest.raises(ConfigError, match=r"missing: .*logit_scale.*1 unexpected: fc\.weight"):
        load_clip(ModelReference(architecture, str(file)))


def test_a_wrong_checksum_names_file_expected_and_found(architecture: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save(state(), file)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    assert resolve(ModelReference(architecture, str(file), sha256=found)).sha256 == found
    with pytest.raises(ConfigError) as caught:
        resolve(ModelReference(architecture, str(file), sha256="0" * 64))
    assert all(part in str(caught.value) for part in (str(file), "0" * 64, found))


class Bomb:
    """Unpickled, it would run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("script", [False, True])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(script: bool, tmp_path: Path) -> None:
    file, witness = tmp_path / "bomb.pt", tmp_path / "ran"
    torch.save({"state_dict": {"visual.conv1.weight": torch.ones(1)}, "extra": Bomb(f"touch {witness}")}, file)
    if script:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("bomb/constants.pkl", b"")
        assert is_torchscript(file)
    with pytest.raises(CorruptDataError, match="more than tensors") as caught:
        read_state_dict(file)
    assert not witness.exists()
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02K\x01b.", b"\x80\x02ctorch.jit._pickle\nbuild_nothing\n)R."])
@pytest.mark.parametrize("script", [False, True])
def test_a_pickle_that_means_nothing_is_refused(content: bytes, script: bool, tmp_path: Path) -> None:
    file = tmp_path / "odd.pt"
    file.write_bytes(content)
    if script:
        with zipfile.ZipFile(file, "w") as archive:
            for name, inner in (("constants.pkl", b"\x80\x02)."), ("version", b"3\n"), ("byteorder", b"little"), ("data.pkl", content)):
                archive.writestr(f"archive/{name}", inner)
    with pytest.raises(CorruptDataError, match=r"odd\.pt"):
        read_state_dict(file)


@pytest.mark.parametrize("script", [False, True])
def test_a_checkpoint_with_turned_bits_is_read_or_refused(script: bool, tmp_path: Path) -> None:
    file, chance = tmp_path / "whole.pt", random.Random(3)
    torch.save({"state_dict": {"visual.conv1.weight": torch.ones(3)}}, file)
    if script:
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("whole/constants.pkl", b"x" * 200)
            archive.writestr("whole/data/1", b"y" * 200)
    whole, read, refused = file.read_bytes(), 0, 0
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(3):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        (tmp_path / "broken.pt").write_bytes(broken)
        try:
            read_state_dict(tmp_path / "broken.pt")
            read += 1
        except CorruptDataError as error:
            assert "broken.pt" in str(error)
            refused += 1
    # Some bits decide nothing.
    assert read and refused


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_truncated_file_is_refused(name: str, tmp_path: Path) -> None:
    file = write_folder(tmp_path / "model") / "open_clip_model.safetensors"
    if name.endswith(".pt"):
        file = tmp_path / "whole.pt"
        torch.save(state(), file)
    (tmp_path / name).write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CorruptDataError, match=name):
        read_state_dict(tmp_path / name)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (ModelReference("RN5O"), "no architecture 'RN5O'; nearest: .*RN50"),
        (ModelReference("RN50", "opemai"), "neither a file nor a pretrained tag; tags: .*openai"),
        (ModelReference("RN50", "missing.pt"), "neither a file nor a pretrained tag"),
        (ModelReference("local-dir:/nowhere/model"), "/nowhere/model is no model folder"),
        (ModelReference("local-dir:/nowhere/model", "openai"), "brings its own weights"),
    ],
)
def test_a_wrong_reference_says_what_to_do(reference: ModelReference, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(reference)


def test_the_hub_is_off_unless_it_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    code = (
        "import os, sys; from skygraft.encoders.clip import load_folder; load_folder(sys.argv[1]);"
        "import huggingface_hub; print(huggingface_hub.constants.HF_HUB_OFFLINE, os.environ.get('HF_HUB_OFFLINE'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, env=environment, check=True)
    # The environment stays the user's: 'skygraft check' would call it their setting.
    assert done.stdout.split() == ["True", "None"]
    assert ModelReference("hf-hub:owner/name").names_hub
    assert ModelReference("RN50", "openai").names_hub
    assert not ModelReference("RN50", "some/weights.pt").names_hub
