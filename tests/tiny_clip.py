"""A CLIP of a few thousand weights in a model folder: large enough to learn, small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from skygraft.encoders.library import open_clip

CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "patch_size": None},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 1},
}
VIT: dict[str, Any] = {"image_size": 32, "patch_size": 8, "layers": 2, "width": 32, "head_width": 8}
PREPROCESS = {"mean": [0.45, 0.44, 0.43], "std": [0.24, 0.23, 0.25], "interpolation": "bicubic", "resize_mode": "shortest"}


def tiny_model(seed: int = 0, **changes: Any) -> torch.nn.Module:
    library = open_clip()
    torch.manual_seed(seed)
    model: torch.nn.Module = library.CLIP(**{**CONFIG, **changes})
    # open_clip starts each block's last scale at zero, and then nearly nothing of the picture gets through.
    with torch.no_grad():
        for name, parameter in model.visual.named_parameters():
            if name.endswith("bn3.weight"):
                parameter.fill_(1.0)
    return model.eval()


def write_folder(folder: Path, seed: int = 0, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": {**CONFIG, **changes}, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: value.contiguous() for name, value in tiny_model(seed, **changes).state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder
