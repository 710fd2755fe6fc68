"""The frozen CLIP that reads ground photos, and any other CLIP-like model of ours, behind one small face."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from skygraft.core.errors import ConfigError, SkygraftError
from skygraft.encoders.identity import EncoderIdentity
from skygraft.encoders.library import FOLDER_PREFIX, open_clip
from skygraft.encoders.pixels import DECODER, PixelReader
from skygraft.encoders.reference import ModelReference, architecture_name, resolve
from skygraft.encoders.tower import ImageTower, image_tower
from skygraft.encoders.weights import build

CARD_NAME = "skygraft.json"


def use_threads(count: int) -> None:
    """Threads that torch computes with on the CPU, for the thread that calls and those that begin later."""
    torch.set_num_threads(count)


def pick_device(name: str) -> torch.device:
    """The device of a configured name; ``auto`` is a GPU where there is one.

    Raises:
        ConfigError: The device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} is not to be had here ({str(error).splitlines()[0]}); try auto or cpu.") from error
    return device


class Tokenizer:
    """open_clip's tokenizer of a model, loaded when a text comes: some models fetch theirs from a hub, and pictures need none.

    Args:
        model: The model's name as open_clip spells it.
        hub: Whether the model comes from a hub.
    """

    def __init__(self, model: str, *, hub: bool) -> None:
        self._model, self._hub = model, hub

    @functools.cached_property
    def own(self) -> Any:
        """open_clip's own object.

        Raises:
            SkygraftError: Its files cannot be had.
        """
        try:
            return open_clip(hub=self._hub).get_tokenizer(self._model)
        except (OSError, ValueError) as error:
            raise SkygraftError(f"The tokenizer of {self._model} cannot be had ({error}): check the connection to the hub.") from error

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Texts as a (N, context) tensor of token numbers."""
        tokens: Tensor = self.own(list(texts))
        return tokens


@dataclass(frozen=True)
class FrozenClip:
    """A CLIP model that does not learn.

    Args:
        model: open_clip's model, in evaluation mode.
        tower: The way of pictures through it.
        preprocess: open_clip's own transform of a picture to a (3, H, W) tensor.
        pixels: The shorter way from a photo's bytes to what the network takes.
        tokenizer: open_clip's own.
        identity: Who it is.
        device: Where it runs.
        config: open_clip's model configuration.
        card: What ``skygraft.json`` of its folder says; empty for others.
    """

    model: Any  # open_clip brings no types
    tower: ImageTower
    preprocess: Callable[[Image.Image], Tensor]
    pixels: PixelReader
    tokenizer: Tokenizer
    identity: EncoderIdentity
    device: torch.device
    config: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.identity.dimension

    @property
    def in_parts(self) -> int | None:
        """How many pictures go through the network at once; None: all of them."""
        return self.tower.at_once if self.device.type == "cpu" else None

    def prepare(self, photo: bytes | Image.Image) -> Tensor:
        """One photo as the network's input, (3, H, W) float32 on the CPU.

        Raises:
            PermanentItemError: The bytes are no picture.
        """
        if isinstance(photo, bytes):
            return self.normalised(torch.from_numpy(self.pixels.read(photo).copy())[None])[0]
        return self.preprocess(photo)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels (N, H, W, 3) uint8, of any device, as the network's input (N, 3, H, W) float32 there: open_clip's last two steps."""
        mean, std = (torch.tensor(self.identity.preprocessing[name], dtype=torch.float32) * 255 for name in ("mean", "std"))
        # Whole lines at once: arithmetic over the three colours alone would go number by number.
        scale, shift = ((row.repeat(pixels.shape[2])).to(pixels.device) for row in (1 / std, -mean / std))
        numbers = torch.addcmul(shift, pixels.flatten(2).float(), scale)
        return numbers.view(pixels.shape).permute(0, 3, 1, 2)

    def encode_pixels(self, pixels: Tensor) -> NDArray[np.float32]:
        """Raw embeddings (N, D) of photos that :attr:`pixels` has read, (N, H, W, 3) uint8."""
        # Numbers take four times the bytes of pixels: they too are made a part at a time.
        parts = self.tower.parts(pixels.to(self.device, non_blocking=True))
        return np.concatenate([self.encode_prepared(self.normalised(part)) for part in parts])

    def encode_prepared(self, batch: Tensor) -> NDArray[np.float32]:
        """Raw embeddings (N, D) of prepared pictures (N, 3, H, W)."""
        with self._arithmetic():
            raw = self.tower(batch.to(self.device))
        return raw.float().cpu().numpy()

    def encode_images(self, photos: Iterable[bytes | Image.Image], *, batch_size: int = 128) -> NDArray[np.float32]:
        """Raw embeddings (N, D) of photos, as the network gives them: not of unit length.

        Raises:
            PermanentItemError: One of them is no picture.
        """
        prepared = [self.prepare(photo) for photo in photos]
        batches = [torch.stack(prepared[at : at + batch_size]) for at in range(0, len(prepared), batch_size)]
        return np.concatenate([self.encode_prepared(batch) for batch in batches] or [np.empty((0, self.dimension), np.float32)])

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raw embeddings (N, D) of texts, not of unit length."""
        with self._arithmetic():
            raw: Tensor = self.model.encode_text(self.tokenizer(texts).to(self.device))
        return raw.float().cpu().numpy()

    def _arithmetic(self) -> AbstractContextManager[None]:
        if self.identity.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.identity.dtype))


def load_clip(reference: ModelReference, *, dtype: str = "float32", device: str = "cpu") -> FrozenClip:
    """Loads a CLIP model.

    Args:
        reference: Which model.
        dtype: ``float32``, ``bfloat16`` or ``float16``: the arithmetic of the encoding; the weights stay float32.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: The reference, its files or the device are wrong.
        CorruptDataError: The weights cannot be read.
    """
    resolved = resolve(reference)
    library = open_clip(hub=reference.names_hub)
    from open_clip.transform import PreprocessCfg, image_transform_v2

    model, config = build(resolved)
    place = pick_device(device)
    model.requires_grad_(False).to(place, memory_format=torch.channels_last)
    preprocessing = dict(model.visual.preprocess_cfg)
    transform = image_transform_v2(PreprocessCfg(**preprocessing), is_train=False)
    tower = image_tower(model)
    identity = EncoderIdentity(
        architecture=architecture_name(reference, config),
        weights_sha256=resolved.sha256,
        preprocessing=json.loads(json.dumps({"decoder": DECODER, **preprocessing})),
        library=", ".join(filter(None, (f"open_clip {library.__version__}", tower.shortened))),
        dtype=dtype,
        dimension=int(config["embed_dim"]),
    )
    card = _read_card(reference)
    pixels = PixelReader(preprocessing, transform)
    tokenizer = Tokenizer(reference.model, hub=reference.names_hub)
    return FrozenClip(model, tower, transform, pixels, tokenizer, identity, place, config, card)


def load_folder(folder: Path | str, *, device: str = "cpu") -> FrozenClip:
    """Loads a model folder, one of skygraft's or any that open_clip's ``local-dir:`` reads.

    Raises:
        ConfigError: There is no model in it.
    """
    return load_clip(ModelReference(f"{FOLDER_PREFIX}{folder}"), device=device)


def _read_card(reference: ModelReference) -> dict[str, Any]:
    path = Path(reference.model.removeprefix(FOLDER_PREFIX)).expanduser() / CARD_NAME
    if reference.model.startswith(FOLDER_PREFIX) and path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}
