"""The outdoor filter: how a photo gets its score, and what a plan makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from skygraft.config.base import Name, Section

_ALL = ("all", "none")


class OutdoorSentences(Section):
    """The score out of the embedding itself: indoor against outdoor sentences by the encoder's own text tower, at no second pass."""

    kind: Literal["sentences"] = "sentences"
    sentences: str = Field("scenes", description="a list of the package, or a JSON file of one's own with 'indoor' and 'outdoor'")

    @property
    def file(self) -> Path | None:
        """The user's own list, where one is named."""
        return Path(self.sentences).expanduser() if self.sentences.endswith(".json") else None


class OutdoorCheckpoint(Section):
    """A ResNet18 for scenes, as GRAFT used one: a second model that sees every photo; the user brings its files."""

    kind: Literal["checkpoint"]
    weights: str = Field(description="checkpoint of torchvision's ResNet18 in the form of resnet18_places365.pth.tar")
    classes: str = Field(description="a class a line, 1 (indoor) or 2 (outdoor) at its end, as IO_places365.txt; SUN397 likewise")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the checkpoint; checked before loading")

    @property
    def files(self) -> tuple[Path, Path]:
        """The checkpoint and the list of its classes."""
        return Path(self.weights).expanduser(), Path(self.classes).expanduser()


class NoOutdoorScore(Section):
    """Photos get no score."""

    kind: Literal["none"]


OutdoorScore = Annotated[OutdoorSentences | OutdoorCheckpoint | NoOutdoorScore, Field(discriminator="kind")]


class OutdoorFilter(Section):
    """Photos that a plan leaves out: those that score below a threshold, and those without a score."""

    encoder: Name = Field(description="the encoder whose embeddings hold the score")
    threshold: float = Field(0.5, ge=0, le=1, description="least probability of an outdoor picture")


def _words(value: Any) -> Any:
    """``all`` and ``none`` both mean that there is no filter: an overlay takes one away by a word."""
    if isinstance(value, str):
        if value not in _ALL:
            raise ValueError(f"found {value!r}; all keeps every photo, a mapping with encoder and threshold leaves out indoor ones")
        return None
    return value


FilterOrAll = Annotated[OutdoorFilter | None, BeforeValidator(_words, json_schema_input_type=OutdoorFilter | Literal["all", "none"] | None)]
