"""From tiles as bytes to the tower's input, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from skygraft.config.runs import Augmentation


@dataclass(frozen=True)
class Geometry:
    """What every tile goes through, with or without augmentation.

    Args:
        size: Side of the tower's input, pixels.
        crop: Side of the centre crop, tile pixels; None: the whole tile.
        mean: Of the three channels, on a scale of 0 to 1.
        std: Of the three channels.
    """

    size: int
    crop: int | None
    mean: Sequence[float]
    std: Sequence[float]


def plain(images: Tensor, geometry: Geometry) -> Tensor:
    """Tiles as they are: centre crop, resize, normalisation.

    Args:
        images: (N, H, W, 3) bytes.
        geometry: Sizes and channel statistics.

    Returns:
        (N, 3, size, size) float32 in channels-last memory.
    """
    return _normalised(_resized(_cropped(images, geometry.crop), geometry.size), geometry)


def augmented(images: Tensor, geometry: Geometry, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Tiles for training: flips and quarter turns, centre crop with jitter, resize, normalisation, colour.

    All chance is drawn from ``generator`` on the CPU, so that every device sees the same tiles.

    Args:
        images: (N, H, W, 3) bytes of square tiles.
        geometry: Sizes and channel statistics.
        augmentation: What is varied, and how far.
        generator: The source of chance.

    Returns:
        (N, 3, size, size) float32 in channels-last memory.
    """
    count = len(images)
    quarters = torch.randint(0, 4, (count,), generator=generator)
    flips = torch.randint(0, 2, (2, count), generator=generator).bool()
    images = _cropped(images, geometry.crop)
    if augmentation.rotation:
        images = _where(images, [(quarters == turn, partial(torch.rot90, k=turn, dims=(1, 2))) for turn in (1, 2, 3)])
    if augmentation.flips:
        images = _where(images, [(flips[0], partial(torch.flip, dims=(1,))), (flips[1], partial(torch.flip, dims=(2,)))])
    pixels = _resized(images, geometry.size, enlarge=augmentation.crop_jitter == 0)
    if augmentation.crop_jitter > 0:
        pixels = _jittered(pixels, geometry.size, augmentation.crop_jitter, generator)
    pixels = _normalised(pixels, geometry)
    return _coloured(pixels, augmentation.colour, generator) if augmentation.colour > 0 else pixels


def _cropped(images: Tensor, crop: int | None) -> Tensor:
    height, width = images.shape[1:3]
    side = min(height, width) if crop is None else min(crop, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]


def _where(images: Tensor, changes: Sequence[tuple[Tensor, Callable[[Tensor], Tensor]]]) -> Tensor:
    images = images.clone()
    for chosen, change in changes:
        chosen = chosen.to(images.device)
        images[chosen] = change(images[chosen])
    return images


def _resized(images: Tensor, size: int, *, enlarge: bool = True) -> Tensor:
    """Bytes (N, S, S, 3) as float32 (N, 3, size, size) on a scale of 0 to 255; smaller tiles stay where ``enlarge`` is off."""
    pixels = images.permute(0, 3, 1, 2).float()
    if pixels.shape[-1] > size or (enlarge and pixels.shape[-1] != size):
        # As open_clip prepares pictures for the exported model: bicubic, with antialiasing, clipped to bytes' range.
        pixels = functional.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
    return pixels


def _jittered(pixels: Tensor, size: int, jitter: float, generator: torch.Generator) -> Tensor:
    """A smaller square of each tile at a random place, sampled to (N, 3, size, size)."""
    count = len(pixels)
    scale = 1 - jitter * torch.rand(count, generator=generator)
    shift = (2 * torch.rand(2, count, generator=generator) - 1) * (1 - scale)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = scale
    affine[:, :, 2] = shift.T
    grid = functional.affine_grid(affine.to(pixels.device), [count, 3, size, size], align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _normalised(pixels: Tensor, geometry: Geometry) -> Tensor:
    mean, std = (torch.tensor(list(values), device=pixels.device).view(1, 3, 1, 1) * 255 for values in (geometry.mean, geometry.std))
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


def _coloured(pixels: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """A random gain and shift of each tile, and half that shift of each channel, in units of the channels' deviation."""
    count = len(pixels)
    gain = 1 + spread * torch.randn(count, 1, 1, 1, generator=generator)
    shift = spread * (torch.randn(count, 1, 1, 1, generator=generator) + torch.randn(count, 3, 1, 1, generator=generator) / 2)
    return pixels * gain.to(pixels.device) + shift.to(pixels.device)
