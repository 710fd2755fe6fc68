"""The satellite encoder: a CLIP whose image tower learns, and whose text tower stays as it was."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch

from skygraft.encoders.clip import FrozenClip
from skygraft.encoders.reference import ModelReference, Resolved
from skygraft.encoders.weights import build

Start = Literal["clip", "scratch"]


def satellite_clip(clip: FrozenClip, start: Start, seed: int) -> Any:
    """A copy of ``clip`` whose image tower is free to learn.

    Args:
        clip: The frozen CLIP whose photo embeddings are the target.
        start: ``clip``: the tower starts from the same weights; ``scratch``: from random ones, drawn from ``seed`` as the architecture
            initialises itself.
        seed: For ``scratch``.

    Returns:
        A whole CLIP model on the CPU: ``model.visual`` learns, everything else is frozen and goes into the exported folder unchanged.
    """
    model = copy.deepcopy(clip.model).cpu()
    if start == "scratch":
        reference = ModelReference(clip.identity.architecture.partition(":")[0], seed=seed)
        blank, _ = build(Resolved(reference, clip.config, dict(model.visual.preprocess_cfg), None, ""))
        model.visual.load_state_dict(blank.visual.state_dict())
    model.requires_grad_(False)
    model.visual.requires_grad_(True)
    return model.to(memory_format=torch.channels_last)
