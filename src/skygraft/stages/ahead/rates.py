"""What things weigh and how long they take: the assumptions of the account, each in one place."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from skygraft.config.encoders import Encoder
from skygraft.config.evaluation import FloorModel, RandomModel, ScoredModel

# Bytes.
PHOTO_BYTES = 200_000
WORLD_PHOTO_BYTES = 4_000
WORLD_SCENE_BYTES = 350_000
LUCAS_ROW_BYTES = 500
EUROSAT_BYTES = 94_658_721
EUROSAT_IMAGES = 27_000
WORLD_CHIP_BYTES = 3_500
TOKEN_S = 45 * 60
# Images a second and core for a forward pass of 224 px; a training step with cached targets takes about twice that.
_FORWARD = {"RN50": 8.7, "ViT-B-32": 11.0, "ViT-B-16": 2.7, "ViT-L-14": 0.7}
_WEIGHTS_BYTES = {"RN50": 410e6, "ViT-B-32": 610e6, "ViT-B-16": 600e6, "ViT-L-14": 1.71e9}
_DIMENSION = {"RN50": 1024, "ViT-B-32": 512, "ViT-B-16": 512, "ViT-L-14": 768}
_SMALL_FORWARD, _SMALL_BYTES, _SMALL_DIMENSION = 500.0, 10e6, 128
_TRAINING_COST = 2.0
# On a GPU, decoding photos is what holds an encoder up; tiles need none.
_GPU_FORWARD, _GPU_TRAINING = 1_000.0, 2_000.0


@dataclass(frozen=True)
class Line:
    """The services at the other end, and the line to them.

    Args:
        request_s: Seconds for a photo or a block.
        search_s: Seconds for a catalogue search.
        items: Items that a search finds, each of ``item_bytes``.
        item_bytes: Bytes of an item as JSON.
        block_px: Side of a block of the scenes' files, pixels.
        block_bytes: Bytes of a block as stored.
        bytes_a_second: What the line carries.
    """

    request_s: float
    search_s: float
    items: int
    item_bytes: int
    block_px: int
    block_bytes: int
    bytes_a_second: float


INTERNET = Line(request_s=0.25, search_s=3.0, items=60, item_bytes=10_000, block_px=512, block_bytes=300_000, bytes_a_second=50e6)
LOOPBACK = Line(request_s=0.02, search_s=0.5, items=10, item_bytes=10_000, block_px=256, block_bytes=55_000, bytes_a_second=200e6)
HEADER_BYTES = 32_768
# Flights from 2014 on; older ones have pixels of 1 m, newer ones of some states 0.3 m.
NAIP_PIXEL_M = 0.6
# A square of 100 km has some 250 quarter quads, flown seven times from 2010 to 2023.
NAIP_ITEMS, NAIP_ITEM_BYTES = 1_750, 3_000
PAGE_ITEMS = 250


@dataclass(frozen=True)
class Machine:
    """What this machine computes with."""

    cores: int
    gpu: bool

    @classmethod
    def here(cls) -> Machine:
        """This machine; a GPU is seen by its device file, since importing torch would take seconds."""
        return cls(len(os.sched_getaffinity(0)), Path("/dev/nvidia0").exists())

    def __str__(self) -> str:
        return "one GPU" if self.gpu else f"{self.cores} cores, no GPU"

    def forward(self, architecture: str, size: int = 224) -> float:
        """Images a second that an architecture encodes."""
        base = _SMALL_FORWARD if architecture.startswith("local-dir:") else _FORWARD.get(family(architecture), _FORWARD["ViT-L-14"])
        return _GPU_FORWARD if self.gpu else base * self.cores * (224 / size) ** 2

    def training(self, architecture: str) -> float:
        """Tiles a second that a training step takes, the photos' embeddings being at hand."""
        return _GPU_TRAINING if self.gpu else self.forward(architecture) / _TRAINING_COST


def family(architecture: str) -> str:
    """The architecture without what does not change its size."""
    return architecture.removesuffix("-quickgelu").removesuffix("-336")


def weights_bytes(architecture: str) -> int:
    """About how large an architecture's weights are."""
    if architecture.startswith("local-dir:"):
        return int(_SMALL_BYTES)
    return int(_WEIGHTS_BYTES.get(family(architecture), _WEIGHTS_BYTES["ViT-L-14"]))


def dimension(encoder: Encoder) -> int:
    """Length of an encoder's embeddings."""
    if encoder.model.startswith("local-dir:"):
        path = Path(encoder.model.removeprefix("local-dir:"), "open_clip_config.json")
        return int(json.loads(path.read_text(encoding="utf-8"))["model_cfg"]["embed_dim"]) if path.exists() else _SMALL_DIMENSION
    path = open_clip_folder() / "model_configs" / f"{encoder.model}.json"
    if path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["embed_dim"])
    return _DIMENSION.get(family(encoder.model), _DIMENSION["ViT-L-14"])


def scored_forward(model: ScoredModel, architecture: str, machine: Machine) -> float:
    """Images a second that a scored model takes in."""
    if isinstance(model, FloorModel):
        return 500.0 * machine.cores
    if isinstance(model, RandomModel):
        return machine.forward(model.architecture, model.image_size)
    return machine.forward(architecture)


def open_clip_folder() -> Path:
    """Where open_clip is installed; it is found without importing it, which would import torch."""
    found = util.find_spec("open_clip")
    if found is None or found.origin is None:
        return Path("open_clip")
    return Path(found.origin).parent
