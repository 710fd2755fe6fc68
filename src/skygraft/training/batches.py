"""Which tiles meet in which step: a function of seed, epoch and step alone, so that a resumed training is an undisturbed one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skygraft.config.runs import Augmentation
from skygraft.core.errors import ConfigError
from skygraft.training.augment import Geometry, augmented, plain
from skygraft.training.data import Examples


@dataclass(frozen=True)
class Batch:
    """One step's tiles.

    Args:
        images: (N, 3, S, S) the tower's input.
        targets: (N, D) pooled photo embeddings.
        locations: (N, K) numbers of the tiles' locations.
    """

    images: Tensor
    targets: Tensor
    locations: Tensor


@dataclass(frozen=True)
class Batches:
    """Batches out of one split.

    Args:
        examples: The split's tiles.
        size: Tiles a batch.
        geometry: The tower's input.
        augmentation: What training varies.
        seed: Where all chance comes from.
    """

    examples: Examples
    size: int
    geometry: Geometry
    augmentation: Augmentation
    seed: int

    @property
    def training_steps(self) -> int:
        """Steps of an epoch: whole batches alone, so that every contrast has as many negatives.

        Raises:
            ConfigError: There is not even one.
        """
        steps = len(self.examples) // self.size
        if steps == 0:
            raise ConfigError(
                f"{len(self.examples)} training tiles make no batch of {self.size}: take a smaller optimiser.batch_size, or more photos."
            )
        return steps

    @property
    def validation_steps(self) -> int:
        """Steps of a validation: all tiles; a last batch of one tile is left out, for it has no negatives."""
        whole, rest = divmod(len(self.examples), self.size)
        return whole + (rest > 1)

    def training(self, epoch: int, step: int, device: torch.device) -> Batch:
        """Step ``step`` of epoch ``epoch``, shuffled and augmented."""
        order = torch.randperm(len(self.examples), generator=self._chance("order", epoch)).numpy()
        rows = order[step * self.size : (step + 1) * self.size]
        images = torch.from_numpy(self.examples.images[rows]).to(device)
        return self._batch(rows, augmented(images, self.geometry, self.augmentation, self._chance("tiles", epoch, step)), device)

    def validation(self, step: int, device: torch.device) -> Batch:
        """Step ``step`` of a validation, in the order of the tiles' names, as they are."""
        rows = np.arange(len(self.examples))[step * self.size : (step + 1) * self.size]
        images = torch.from_numpy(self.examples.images[rows]).to(device)
        return self._batch(rows, plain(images, self.geometry), device)

    def _batch(self, rows: NDArray[np.int64], images: Tensor, device: torch.device) -> Batch:
        targets, locations = (torch.from_numpy(values[rows]).to(device) for values in (self.examples.targets, self.examples.locations))
        return Batch(images, targets, locations)

    def _chance(self, *names: object) -> torch.Generator:
        drawn = hashlib.sha256(":".join(map(str, (self.seed, *names))).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(drawn[:8], "big") >> 1)
