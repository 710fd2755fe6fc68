"""The teacher: a small CLIP that learns to read captioned photos of another landscape.

It plays the part of OpenAI's weights in an embedded run: open_clip's own model class, loss and tokenizer, saved as a
model folder that open_clip loads in one line.
"""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image

from skygraft.core.files import atomic_path, sha256_file, write_json
from skygraft.core.model_hub import hub_off
from skygraft.core.torchvision_shim import ensure_torchvision
from skygraft.world.classes import NAMES, PROMPTS, TEXTS

_LOG = logging.getLogger(__name__)
SIDE = 64
CONTEXT = 20
MEAN, STD = (0.45, 0.45, 0.43), (0.24, 0.23, 0.25)
MODEL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
PREPROCESS: dict[str, Any] = {
    "size": [SIDE, SIDE],
    "mode": "RGB",
    "mean": list(MEAN),
    "std": list(STD),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
DECAY, WARM_UP, JITTER, SMALLEST_CROP = 0.05, 0.05, 0.2, 0.75


@dataclass(frozen=True)
class Lessons:
    """Captioned photos as arrays.

    Attributes:
        images: (n, SIDE, SIDE, 3) uint8.
        tokens: (n, captions, CONTEXT) int64.
    """

    images: NDArray[np.uint8]
    tokens: torch.Tensor


def train_teacher(
    folder: Path,
    out: Path,
    *,
    seed: int,
    epochs: int = 8,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    threads: int = 2,
) -> dict[str, Any]:
    """Train the teacher on a world's captioned photos and save it as a model folder.

    Args:
        folder: of the world, with its two photo tables and `world.json`.
        out: model folder to write.
        seed: of weights, order and augmentation.
        epochs: passes over the photos.
        batch_size: photos a step.
        learning_rate: AdamW's peak rate.
        threads: of torch; equal threads give equal bytes.

    Returns:
        The provenance, as written to `skygraft.json`; `heldout_zeroshot` is the accuracy on held-out photos.
    """
    ensure_torchvision()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    with hub_off():
        from open_clip.model import CLIP

    model = CLIP(**MODEL).to(memory_format=torch.channels_last)
    lessons = load_photos(folder / "captioned_photos.parquet")
    _fit(model, lessons, np.random.default_rng(seed), epochs, batch_size, learning_rate)
    out.mkdir(parents=True, exist_ok=True)
    _save(model, out)
    settings = {"seed": seed, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "threads": threads}
    facts = settings | _provenance(folder, out)
    write_json(out / "skygraft.json", facts)
    return facts


def load_photos(path: Path) -> Lessons:
    """Read a table of captioned photos; each is resized and cut as the saved preprocessing does it."""
    from open_clip.tokenizer import SimpleTokenizer

    table = pq.read_table(path)
    images = np.stack([_to_square(data) for data in table["image"].to_pylist()])
    tokenizer = SimpleTokenizer(context_length=CONTEXT)
    captions = table["captions"].to_pylist()
    tokens = torch.stack([tokenizer([row[k] for row in captions]) for k in range(len(captions[0]))], dim=1)
    return Lessons(images, tokens)


def _to_square(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = SIDE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def _normalised(images: NDArray[np.uint8]) -> torch.Tensor:
    batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Cut, mirror and tint a batch (n, 3, SIDE, SIDE) of normalised photos."""
    n = len(batch)
    scale = torch.empty(n).uniform_(SMALLEST_CROP, 1.0)
    shift = (torch.rand(n, 2) * 2 - 1) * (1 - scale)[:, None]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale * torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    grid = torch.nn.functional.affine_grid(theta, list(batch.shape), align_corners=False)
    cut = torch.nn.functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    gain, tint, light = torch.randn(n, 1, 1, 1), torch.randn(n, 3, 1, 1), torch.randn(n, 1, 1, 1)
    cut = cut * (1 + gain * JITTER) + tint * (JITTER / 2) + light * JITTER
    return cut.contiguous(memory_format=torch.channels_last)


def _batches(rng: np.random.Generator, count: int, epochs: int, size: int) -> Iterator[NDArray[np.int64]]:
    for _ in range(epochs):
        order = rng.permutation(count)
        for at in range(0, count - size + 1, size):
            yield order[at : at + size]


def _fit(model: torch.nn.Module, lessons: Lessons, rng: np.random.Generator, epochs: int, batch_size: int, rate: float) -> None:
    from open_clip.loss import ClipLoss

    count = len(lessons.images)
    size = min(batch_size, count)
    total = epochs * (count // size)
    criterion = ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=DECAY, fused=True)
    model.train()
    for step, chosen in enumerate(_batches(rng, count, epochs, size)):
        for group in optimizer.param_groups:
            group["lr"] = rate * _schedule(step / total)
        index = torch.from_numpy(chosen)
        words = lessons.tokens[index, torch.randint(0, lessons.tokens.shape[1], (size,))]
        image, text, scale = model(augment(_normalised(lessons.images[chosen])), words)
        loss = criterion(image, text, scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % (total // epochs) == 0:
            _LOG.info("teacher: step %d of %d, loss %.3f", step, total, loss.item())


def _schedule(done: float) -> float:
    """Return the share of the peak rate after a share of the steps: linear warm-up, then a cosine to zero."""
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def _save(model: torch.nn.Module, out: Path) -> None:
    from safetensors.torch import save_file

    weights = {name: value.contiguous() for name, value in model.state_dict().items() if not name.endswith("attn_mask")}
    with atomic_path(out / "open_clip_model.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    write_json(out / "open_clip_config.json", {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS})


@torch.no_grad()
def zero_shot(model_folder: Path, photos: Path) -> dict[str, float]:
    """Score a saved model folder on photos by the classes' prompts, loading it as any client does.

    Returns:
        Accuracy by class name, and over all as "all".
    """
    import open_clip

    name = f"local-dir:{model_folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    prompts = [frame.format(text) for text in TEXTS for frame in PROMPTS]
    words = model.encode_text(tokenizer(prompts), normalize=True).view(len(TEXTS), len(PROMPTS), -1).mean(dim=1)
    words = torch.nn.functional.normalize(words, dim=-1)
    table = pq.read_table(photos, columns=["image", "class_name"])
    data = table["image"].to_pylist()
    labels = np.array([NAMES.index(name) for name in table["class_name"].to_pylist()], dtype=np.int64)
    found = []
    for at in range(0, len(data), 200):
        batch = torch.stack([preprocess(Image.open(io.BytesIO(d)).convert("RGB")) for d in data[at : at + 200]])
        found.append((model.encode_image(batch, normalize=True) @ words.T).argmax(dim=1).numpy())
    right = np.concatenate(found) == labels
    scores = {cover: round(float(right[labels == k].mean()), 4) for k, cover in enumerate(NAMES) if (labels == k).any()}
    return scores | {"all": round(float(right.mean()), 4)}


def _provenance(folder: Path, out: Path) -> dict[str, Any]:
    manifest: Mapping[str, Any] = json.loads((folder / "world.json").read_text())
    scores = zero_shot(out, folder / "heldout_photos.parquet")
    return {
        "role": "teacher of an embedded world; stands in for OpenAI's CLIP weights",
        "world_seed": manifest["recipe"]["seed"],
        "recipe_digest": manifest["recipe_digest"],
        "captioned_photos_sha256": manifest["files"]["captioned_photos.parquet"],
        "prompts": [frame.format("{class}") for frame in PROMPTS],
        "heldout_zeroshot": scores.pop("all"),
        "heldout_zeroshot_by_class": scores,
        "open_clip_model.safetensors": sha256_file(out / "open_clip_model.safetensors"),
    }
