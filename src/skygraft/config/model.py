"""The whole configuration, and what its sections promise each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from pydantic import Field, model_validator

from skygraft.config.aerial import Aerial
from skygraft.config.base import Name, Section, operation
from skygraft.config.encoders import Encoder
from skygraft.config.evaluation import Benchmark, EncoderModel, FloorModel, FolderModel, KShot, Report, RunModel, ScoredModel
from skygraft.config.imagery import Imagery
from skygraft.config.photos import Photos
from skygraft.config.plans import Plan
from skygraft.config.runs import Run
from skygraft.config.world import World

FLOOR = "floor_statistics"


class Config(Section):
    """One experiment: its photos, imagery, plans, runs and evaluations."""

    name: Name = Field(description="owns runs/{name}/; 'embedded' is the default one")
    seed: int = Field(1, ge=0, description="seeds splits, runs and bootstraps; recorded in every table")
    world: World | None = Field(None, description="the embedded world; a real configuration has none")
    encoders: dict[Name, Encoder] = Field(default_factory=dict, description="frozen CLIPs")
    photos: dict[Name, Photos] = Field(default_factory=dict, description="sources of ground photos")
    plans: dict[Name, Plan] = Field(default_factory=dict, description="tile plans")
    imagery: dict[Name, Imagery] = Field(default_factory=dict, description="sources of satellite imagery")
    runs: dict[Name, Run] = Field(default_factory=dict, description="trained satellite encoders")
    benchmarks: dict[Name, Benchmark] = Field(default_factory=dict, description="archives that models are scored on")
    eurosat_kshot: KShot | None = Field(None, description="the EuroSAT k-shot task")
    report: Report = Report()
    mirror: str | None = operation(None, "folder or URL prefix that replaces every public download: {mirror}/{dataset}/{file}")
    net_jobs: int = operation(2, "jobs that use the network at once", ge=1)
    fetch_locally: bool = operation(False, "fetch where Snakemake runs, and not in cluster jobs: for nodes without internet")

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        problems = [*self._missing_names()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _missing_names(self) -> Iterator[str]:
        for plan_name, plan in self.plans.items():
            for photos in plan.photos:
                yield from _unknown(f"plans.{plan_name}.photos", photos, self.photos)
            if plan.outdoor is not None:
                yield from self._missing_scores(f"plans.{plan_name}.outdoor.encoder", plan.outdoor.encoder)
            yield from self._missing_footprints(f"plans.{plan_name}.keep_off", plan.keep_off)
        for imagery_name, section in self.imagery.items():
            yield from _unknown(f"imagery.{imagery_name}.plan", section.plan, self.plans)
        for run_name, run in self.runs.items():
            yield from _unknown(f"runs.{run_name}.imagery", run.imagery, self.imagery)
            imagery = self.imagery.get(run.imagery)
            if isinstance(imagery, Aerial) and imagery.grid == "footprint":
                yield f"runs.{run_name}.imagery: {run.imagery} has tiles of different sizes (grid: footprint): train on grid plan"
            yield from _unknown(f"runs.{run_name}.encoder", run.encoder, self.encoders)
        if self.eurosat_kshot is not None:
            yield from _unknown("eurosat_kshot.benchmark", self.eurosat_kshot.benchmark, self.benchmarks)
            for model_name, model in self.eurosat_kshot.models.items():
                place = f"eurosat_kshot.models.{model_name}"
                if isinstance(model, EncoderModel):
                    yield from _unknown(f"{place}.encoder", model.encoder, self.encoders)
                if isinstance(model, RunModel):
                    yield from _unknown(f"{place}.run", model.run, self.runs)

    def _missing_scores(self, place: str, encoder: str) -> Iterator[str]:
        yield from _unknown(place, encoder, self.encoders)
        if encoder in self.encoders and self.encoders[encoder].outdoor.kind == "none":
            yield f"{place}: encoders.{encoder}.outdoor is of kind none, so its photos have no score to filter by"

    def _missing_footprints(self, place: str, benchmarks: Iterable[str]) -> Iterator[str]:
        for name in benchmarks:
            yield from _unknown(place, name, self.benchmarks)
            if name in self.benchmarks and self.benchmarks[name].footprints is None and not self.benchmarks[name].synthetic:
                yield f"{place}: benchmarks.{name}.footprints says nowhere where the images of {name} lie"

    def wanted_embeddings(self) -> list[tuple[str, str]]:
        """The encoders and photo sources that runs learn from, or that a plan's filter asks."""
        runs = {(run.encoder, photos) for name, run in self.runs.items() for photos in self.plan_of(name).photos}
        filters = {(plan.outdoor.encoder, photos) for plan in self.plans.values() if plan.outdoor is not None for photos in plan.photos}
        return sorted(runs | filters)

    def scored_models(self) -> dict[str, ScoredModel]:
        """The models of the k-shot task by the name their rows take: as configured, else every used encoder, every run and the floor."""
        if self.eurosat_kshot is not None and self.eurosat_kshot.models:
            return dict(self.eurosat_kshot.models)
        used = sorted({run.encoder for run in self.runs.values()} or set(self.encoders))
        models: dict[str, ScoredModel] = {name: EncoderModel(encoder=name) for name in used}
        models |= {name: RunModel(run=name) for name in self.runs}
        return models | {FLOOR: FloorModel()}

    def foreign_folders(self) -> dict[str, FolderModel]:
        """The scored models that another configuration makes."""
        return {name: model for name, model in self.scored_models().items() if isinstance(model, FolderModel)}

    def plan_of(self, run: str) -> Plan:
        """The tile plan behind a run."""
        return self.plans[self.imagery[self.runs[run].imagery].plan]


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest valid one, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


def _unknown(place: str, name: str, valid: Iterable[str]) -> Iterator[str]:
    names = list(valid)
    if name not in names:
        yield f"{place}: there is no {name!r}; {nearest(name, names)}"
