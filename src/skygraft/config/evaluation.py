"""Benchmarks and what is scored on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from skygraft.config.base import Name, Section, operation
from skygraft.config.network import Network


class Benchmark(Section):
    """A benchmark's archive."""

    file: str = Field("EuroSAT_RGB.zip", description="the archive's file name, on the service and in a mirror")
    dataset: str = Field("eurosat", description="the archive's folder in a mirror")
    synthetic: bool = Field(False, description="made by the embedded world; said wherever a number of it stands")
    sha256: tuple[str, ...] = Field((), description="accepted checksums; none: the embedded world's own manifest is asked")
    split_file: str | None = Field(None, description="a split list of the same mirror folder, for protocols that name one")
    footprints: Path | None = Field(
        None, description="file of polygons, where the images lie ('skygraft footprints' writes one); none: overlaps are not known"
    )
    url: str = operation("https://zenodo.org/records/7711810/files/", "folder of the archive")
    network: Network = operation(Network(deadline_s=3600, max_bytes=4 << 30), "limits towards the archive's host")

    def archive_identity(self) -> dict[str, Any]:
        """What decides the archive's bytes: where its images lie is known from elsewhere."""
        return {name: value for name, value in self.identity().items() if name != "footprints"}


class EncoderModel(Section):
    """A frozen CLIP of this configuration, as it is."""

    kind: Literal["encoder"] = "encoder"
    encoder: str


class RunModel(Section):
    """A run of this configuration."""

    kind: Literal["run"] = "run"
    run: str


class FolderModel(Section):
    """A model folder made by another configuration; ``made_by`` is the command that makes it."""

    kind: Literal["folder"] = "folder"
    folder: str
    made_by: str = operation("snakemake --cores 2 results/eurosat_kshot.csv", "the command named where the folder is missing")


class RandomModel(Section):
    """An architecture with random weights: what an untrained network's features are worth."""

    kind: Literal["random"] = "random"
    architecture: str = "RN50"
    image_size: int = Field(64, ge=16)


class FloorModel(Section):
    """29 statistics of colour and texture: what costs nothing."""

    kind: Literal["floor"] = "floor"


ScoredModel = Annotated[EncoderModel | RunModel | FolderModel | RandomModel | FloorModel, Field(discriminator="kind")]


class KShot(Section):
    """The EuroSAT k-shot task."""

    benchmark: str = Field("eurosat", description="name of the benchmark")
    protocols: tuple[str, ...] = Field(min_length=1, description="names of protocol files")
    prompts: str = Field("eurosat_generic", description="name of the prompt file of the zero-shot table")
    models: dict[Name, ScoredModel] = Field(
        default_factory=dict, description="models scored; none given: every encoder that a run uses, every run, and floor_statistics"
    )


class Report(Section):
    """The HTML report."""

    title: str = Field("skygraft", description="its heading")
    examples: int = Field(12, ge=0, le=60, description="tiles shown beside their photos")
