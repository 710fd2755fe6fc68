"""The frozen CLIP that reads the ground photos and lends its text tower."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from skygraft.config.base import Section, operation
from skygraft.config.outdoor import OutdoorScore, OutdoorSentences


class Encoder(Section):
    """A CLIP model, by one of four names.

    ``model`` is an open_clip architecture (``RN50``, ``ViT-B-32-quickgelu``), an ``hf-hub:`` name or a ``local-dir:`` folder; with an
    architecture, ``weights`` is one of open_clip's pretrained tags (``openai``) or a checkpoint file.
    """

    model: str = Field(description="open_clip architecture, hf-hub:owner/name, or local-dir:folder")
    weights: str | None = Field(None, description="pretrained tag or checkpoint file; none for hf-hub: and local-dir:")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the weights' file; checked before loading")
    dtype: str = Field("float32", pattern="^(float32|bfloat16|float16)$", description="arithmetic of the encoding")
    outdoor: OutdoorScore = OutdoorSentences()
    shards_per_job: int = operation(8, "photo shards that one embedding job takes", ge=1)
    batch_size: int = operation(128, "photos a forward pass; a vision transformer takes fewer at once on a CPU", ge=1)
    device: str = operation("auto", "auto, cpu, cuda or cuda:N")
    threads: int = operation(2, "threads that decode photos, and threads that compute on a CPU", ge=1)

    @property
    def weights_file(self) -> Path | None:
        """The checkpoint file, where ``weights`` names one and not a tag."""
        return Path(self.weights).expanduser() if self.weights is not None and names_file(self.weights) else None


def names_file(weights: str) -> bool:
    """Whether ``weights`` is a file's name; open_clip's tags have neither a suffix nor a folder."""
    return Path(weights).suffix != "" or "/" in weights
