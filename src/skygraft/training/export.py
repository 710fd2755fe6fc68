"""The model folder: what open_clip loads in one line, and what a person should know before doing so."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors.torch import save

from skygraft.core.errors import SkygraftError
from skygraft.core.files import sha256_file
from skygraft.core.folders import atomic_folder
from skygraft.encoders.clip import CARD_NAME, FrozenClip
from skygraft.encoders.library import FOLDER_PREFIX, open_clip
from skygraft.encoders.reference import CONFIG_NAME, WEIGHTS_NAME
from skygraft.version import __version__

README_NAME = "README.md"
_LIBRARIES = ("torch", "open_clip_torch", "lightning", "numpy", "pillow")
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Provenance:
    """What a model folder says of itself beside its weights.

    Args:
        name: The run's name.
        configuration: The configuration's name.
        system: The published system it follows.
        imagery: The imagery's name, with the embedded world's mark where it is one.
        objective: The objective's name.
        start: ``clip`` or ``scratch``.
        data: ``embedded world, seed N``, or the names of the real sources.
        bands: The bands in the order of the tower's channels.
        gsd_m: Ground sample distance of the training tiles, metres.
        crop_px: Side of the training crop, tile pixels.
        stretch: Reflectance x 10000 that becomes 0 and 255.
        pooling: How the photos of a place became one target.
        photos: Sources of the photos.
        years: Of the photos that taught it, as far as known, and so of the imagery.
        attributions: Of the photos that taught it, by source and licence: how many, and by whom.
        notices: What the terms of the photos' sources ask to be said.
        seed: Where all chance came from.
        torch_threads: Equal threads give equal bytes.
        settings: The run's section of the configuration.
        imagery_settings: The imagery's section of the configuration.
        tiles: Number of tiles of each split.
        photo_count: Photos behind the training tiles.
        inputs: Digests of what it was made from.
        note: What is said beside the run's numbers.
        losses: The curves' last row.
    """

    name: str
    configuration: str
    system: str
    imagery: str
    objective: str
    start: str
    data: str
    bands: tuple[str, ...]
    gsd_m: float
    crop_px: int
    stretch: tuple[float, float]
    pooling: str
    photos: tuple[str, ...]
    years: tuple[int, ...]
    attributions: tuple[Mapping[str, Any], ...]
    notices: tuple[str, ...]
    seed: int
    torch_threads: int
    settings: Mapping[str, Any]
    imagery_settings: Mapping[str, Any]
    tiles: Mapping[str, int]
    photo_count: int
    inputs: Mapping[str, str]
    note: str | None
    losses: Mapping[str, float | None]


def export(folder: Path, model: Any, clip: FrozenClip, provenance: Provenance) -> None:
    """Publishes a model folder, whole or not at all, after open_clip has loaded it and given the same embeddings.

    Args:
        folder: Where to; an older folder goes as a whole.
        model: The CLIP whose image tower was trained, on the CPU.
        clip: The frozen CLIP it came from: configuration, preprocessing, tokenizer, identity.
        provenance: What the folder says of itself.

    Raises:
        SkygraftError: What open_clip loads is not what was trained.
    """
    model.eval()
    with atomic_folder(folder, validate=lambda made: _same_embeddings(made, model)) as made:
        config = {"model_cfg": clip.config, "preprocess_cfg": _preprocessing(clip)}
        (made / CONFIG_NAME).write_text(_json(config), encoding="utf-8")
        # Through Python's own file, so that a full disk is told as one.
        (made / WEIGHTS_NAME).write_bytes(save({name: value.contiguous() for name, value in model.state_dict().items()}))
        if "hf_tokenizer_name" in clip.config["text_cfg"]:
            clip.tokenizer.own.save_pretrained(made)
        card = _card(provenance, clip, sha256_file(made / WEIGHTS_NAME))
        (made / CARD_NAME).write_text(_json(card), encoding="utf-8")
        (made / README_NAME).write_text(_readme(card), encoding="utf-8")


def _preprocessing(clip: FrozenClip) -> dict[str, Any]:
    return {name: clip.identity.preprocessing[name] for name in ("mean", "std", "interpolation", "resize_mode")}


def _card(provenance: Provenance, clip: FrozenClip, sha256: str) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "format": 1,
        **asdict(provenance),
        "head": None,
        "encoder": asdict(clip.identity),
        "versions": {"skygraft": __version__, **versions},
        "sha256": {WEIGHTS_NAME: sha256},
    }


def _readme(card: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("skygraft.training", "."), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    return environment.get_template("model_card.md.j2").render(card)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@torch.inference_mode()
def _same_embeddings(folder: Path, model: Any) -> None:
    """Loads the folder as a user will, and compares."""
    loaded, _, _ = open_clip().create_model_and_transforms(f"{FOLDER_PREFIX}{folder}")
    size = model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    pixels = torch.linspace(-2, 2, 2 * 3 * height * width).reshape(2, 3, height, width)
    tokens = torch.arange(1, model.context_length + 1)[None]
    for ours, theirs in (
        (model.encode_image(pixels), loaded.eval().encode_image(pixels)),
        (model.encode_text(tokens), loaded.encode_text(tokens)),
    ):
        if not torch.allclose(ours, theirs, atol=_TOLERANCE, rtol=_TOLERANCE):
            raise SkygraftError(
                f"open_clip loads another model from the folder than was trained (off by {float((ours - theirs).abs().max())})."
            )
