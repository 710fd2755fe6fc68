"""The shortened image tower against open_clip's own, and where it is not shortened."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_clip import VIT, tiny_model, write_folder

from skygraft.encoders.clip import load_clip, load_folder
from skygraft.encoders.reference import ModelReference
from skygraft.encoders.tower import CLASS_TOKEN, ClassTokenBlock, image_tower

PICTURES = torch.randn(7, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PLAIN = [{}, {"layers": 1}, {"ls_init_value": 0.3}, {"no_ln_pre": True}, {"final_ln_after_pool": True}, {"pos_embed_type": "sin_cos_2d"}]
OTHERS = [{"pool_type": "avg"}, {"attentional_pool": True}, {"qk_norm": True}]


def theirs(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.encode_image(PICTURES)
    return found


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("changes", PLAIN, ids=str)
def test_the_shortened_tower_gives_open_clips_vectors(changes: dict[str, Any], quick_gelu: bool) -> None:
    model: Any = tiny_model(vision_cfg=VIT | changes, quick_gelu=quick_gelu)
    tower = image_tower(model)
    assert tower.shortened == CLASS_TOKEN
    torch.testing.assert_close(tower(PICTURES), theirs(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", OTHERS, ids=str)
def test_where_other_tokens_count_the_network_is_open_clips_own(changes: dict[str, Any]) -> None:
    model: Any = tiny_model(vision_cfg=VIT | changes)
    tower = image_tower(model)
    assert tower.shortened == ""
    torch.testing.assert_close(tower(PICTURES), theirs(model), rtol=1e-4, atol=1e-5)


def test_a_resnet_runs_as_it_is_to_the_bit() -> None:
    model: Any = tiny_model()
    tower = image_tower(model)
    with torch.inference_mode():
        own = model.encode_image(PICTURES.contiguous(memory_format=torch.channels_last))
    assert (tower.shortened, tower.at_once) == ("", None)
    assert torch.equal(tower(PICTURES), own)


def test_parts_of_a_batch_give_what_the_whole_gives() -> None:
    tower = image_tower(tiny_model(vision_cfg=VIT))
    for at_once in (1, 3, 7, 100):
        torch.testing.assert_close(dataclasses.replace(tower, at_once=at_once)(PICTURES), tower(PICTURES), rtol=1e-4, atol=1e-5)


def test_pixels_go_through_in_parts_too(tmp_path: Path) -> None:
    clip = load_folder(write_folder(tmp_path, vision_cfg=VIT))
    pixels = torch.randint(0, 256, (7, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = clip.encode_prepared(clip.normalised(pixels))
    in_parts = dataclasses.replace(clip, tower=dataclasses.replace(clip.tower, at_once=3))
    np.testing.assert_allclose(in_parts.encode_pixels(pixels), whole, rtol=1e-4, atol=1e-5)


def test_the_model_stays_whole_and_its_weights_are_the_towers() -> None:
    model: Any = tiny_model(vision_cfg=VIT)
    tower = image_tower(model)
    assert not any(isinstance(module, ClassTokenBlock) for module in model.modules())
    before = tower(PICTURES)
    with torch.no_grad():
        model.visual.transformer.resblocks[-1].mlp.c_proj.weight.mul_(2)
    torch.testing.assert_close(tower(PICTURES), theirs(model), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(tower(PICTURES), before)


def test_what_is_left_out_is_part_of_the_identity_and_a_resnets_stays_as_it_was(tmp_path: Path) -> None:
    resnet = load_folder(write_folder(tmp_path / "resnet")).identity
    transformer = load_folder(write_folder(tmp_path / "transformer", vision_cfg=VIT)).identity
    assert resnet.library.partition(", ")[1:] == ("", "")
    assert transformer.library == f"{resnet.library}, {CLASS_TOKEN}"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_autocast_reaches_the_shortened_block(tmp_path: Path, dtype: str) -> None:
    folder = write_folder(tmp_path, vision_cfg=VIT)
    clip = load_clip(ModelReference(f"local-dir:{folder}"), dtype=dtype)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        own = clip.model.encode_image(PICTURES).float().numpy()
    np.testing.assert_allclose(clip.encode_prepared(PICTURES), own, rtol=0.05, atol=0.05 if dtype == "bfloat16" else 1e-5)


def test_embedding_asks_for_large_pages_before_torch_is_there() -> None:
    # By the time that torch comes in, whoever imports what first.
    code = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('THP_MEM_ALLOC_ENABLE'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import skygraft.stages.embed_photos"
    )
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True, env=environment)
    assert done.stdout.strip() == "1"
