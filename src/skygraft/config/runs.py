"""Training runs: which satellite tower learns what from which photos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skygraft.config.base import Section, operation


class Temperature(Section):
    """The temperature of InfoNCE: similarities are divided by it."""

    init: float = Field(0.07, gt=0, description="where it starts")
    learned: bool = Field(True, description="whether it is trained, as log of its inverse")
    max_scale: float = Field(100.0, gt=0, description="a learned scale 1/temperature stays below this")


class PooledInfoNCE(Section):
    """Contrast of a tile with the pooled photos of its place, within the batch (IGARSS'24 eq. 2)."""

    name: Literal["pooled_infonce"] = "pooled_infonce"
    direction: Literal["ground_to_satellite", "satellite_to_ground", "symmetric"] = Field(
        "satellite_to_ground", description="which side is the anchor whose negatives fill the denominator"
    )
    temperature: Temperature = Temperature()


class Cosine(Section):
    """Positive pairs alone: the mean of 1 - cosine similarity (IGARSS'24 eq. 3 with the sign that attracts)."""

    name: Literal["cosine"] = "cosine"


Objective = Annotated[PooledInfoNCE | Cosine, Field(discriminator="name")]


class Optimiser(Section):
    """AdamW with a linear warm-up and one cosine."""

    learning_rate: float = Field(1e-5, gt=0, description="the peak")
    weight_decay: float = Field(0.01, ge=0, description="decoupled")
    batch_size: int = Field(32, ge=2, description="tiles a step")
    epochs: int = Field(20, ge=1, description="passes over the training tiles")
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="share of all steps that the rate rises")


class Augmentation(Section):
    """What a tile goes through in training: centre crop, resize to the tower's input, flips, rotation."""

    crop_px: int | None = Field(None, ge=8, description="side of the crop, tile pixels; none: the whole tile")
    crop_jitter: float = Field(0.0, ge=0, lt=1, description="the crop's side varies down to (1 - this) of itself, and its place with it")
    flips: bool = Field(True, description="left-right and up-down, each with probability 1/2")
    rotation: bool = Field(True, description="by a multiple of 90 degrees, which needs no resampling")
    colour: float = Field(0.0, ge=0, description="standard deviation of a random gain and shift of the normalised channels; 0: none")


class Stretch(Section):
    """Reflectance x 10000 to 8 bits, the same for every tile: values from ``low`` to ``high`` take 0 to 255."""

    low: float = Field(0.0, description="becomes 0")
    high: float = Field(3000.0, description="becomes 255; above low")

    @model_validator(mode="after")
    def _rises(self) -> Stretch:
        if self.high <= self.low:
            raise ValueError(f"high ({self.high:g}) must lie above low ({self.low:g})")
        return self


class Run(Section):
    """One trained satellite encoder."""

    system: str = Field("senclip_igarss", description="the published system, or a name of your own, for the tables")
    imagery: str = Field(description="name of the imagery")
    encoder: str = Field(description="name of the frozen CLIP whose photo embeddings are the target")
    objective: Objective
    start: Literal["clip", "scratch"] = Field("clip", description="the tower's first weights: the encoder's, or random ones")
    pooling: Literal["raw_mean", "unit_mean"] = Field(
        "raw_mean", description="mean of the photo embeddings as they are, or each of length 1"
    )
    min_photos: int = Field(1, ge=1, description="a tile with fewer good photos is left out")
    optimiser: Optimiser = Optimiser()
    augmentation: Augmentation = Augmentation()
    stretch: Stretch = Stretch()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field("32-true", description="Lightning's name of the arithmetic")
    torch_threads: int = Field(2, ge=1, description="equal threads give equal bytes, whatever --cores says")
    note: str | None = Field(None, description="said beside the run's numbers, for example how it departs from the paper")
    accelerator: str = operation("auto", "Lightning's accelerator")
