"""What the Snakefile needs: the validated configuration, exported for the jobs, and each rule's identity and version.

It is read again by every cluster job, so nothing heavy is imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from skygraft.config.imagery import Catalogued
from skygraft.config.load import ENVIRONMENT, dump, load_mapping
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError
from skygraft.core.files import write_if_changed
from skygraft.core.identity import digest
from skygraft.evaluation.protocol import FileSplit, load_protocol
from skygraft.stages import identities
from skygraft.stages.layout import Layout
from skygraft.stages.versions import VERSIONS


@dataclass(frozen=True)
class Flow:
    """One configuration as the rules see it."""

    config: Config
    layout: Layout

    def names(self, section: str) -> str:
        """A wildcard constraint: the configuration's names of that kind, and no other."""
        known = sorted(getattr(self.config, section))
        return "|".join(known) if known else "(?!)"

    def photo_sources(self, source: str) -> str:
        """A wildcard constraint: the configuration's photo sources of one kind, so that each has one rule that makes its table."""
        known = sorted(name for name, section in self.config.photos.items() if section.source == source)
        return "|".join(known) if known else "(?!)"

    def catalogued(self) -> str:
        """A wildcard constraint: the imagery whose scenes are searched in a catalogue before any tile is read."""
        known = sorted(name for name, section in self.config.imagery.items() if isinstance(section, Catalogued))
        return "|".join(known) if known else "(?!)"

    def scenes(self, imagery: str) -> list[Path]:
        """The scenes that an imagery's tiles are taken from, where it has a catalogue."""
        return [self.layout.scenes(imagery)] if isinstance(self.config.imagery[imagery], Catalogued) else []

    def version(self, stage: str) -> int:
        """The stage's version."""
        return VERSIONS[stage]

    def identity(self, kind: str, *names: str) -> str:
        """The identity hash of a thing that a rule makes: all that its parameters say of the configuration."""
        makers: dict[str, Callable[..., identities.Identity]] = {
            "world": identities.world_identity,
            "photos": identities.photos_identity,
            "embeddings": identities.embeddings_identity,
            "plan": identities.plan_identity,
            "imagery": identities.imagery_identity,
            "run": identities.run_identity,
            "teacher": identities.teacher_identity,
            "benchmark": identities.benchmark_identity,
            "model": identities.model_identity,
            "scores": identities.scores_identity,
            "report": identities.report_identity,
        }
        return digest(makers[kind](self.config, *names))


def prepare(values: Mapping[str, Any], folder: Path) -> Flow:
    """Validates the configuration, writes the resolved one under its hash and exports its path to the jobs.

    Args:
        values: What Snakemake has read.
        folder: Where ``extends`` is looked up.

    Raises:
        ConfigError: A key is wrong, or what the configuration finds on the disk does not fit it.
    """
    load_dotenv(".env")
    config = load_mapping(values, folder, "The configuration")
    check_folders(config)
    text = dump(config)
    resolved = Path("work", "config", f"{digest(text)}.yaml")
    write_if_changed(resolved, text)
    os.environ[ENVIRONMENT] = str(resolved.resolve())
    # The verbs are found although the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return Flow(config, Layout(config))


def check_folders(config: Config) -> None:
    """Checks what a configuration names and finds on the disk, before anything starts.

    Raises:
        ConfigError: A data folder has another identity, a model of another configuration is missing, or a protocol or prompts are.
    """
    if unscorable := list(score_problems(config)):
        raise ConfigError("; ".join(unscorable))
    for path, identity in identities.data_folders(config):
        identities.check(path, identity)
    for name, model in config.foreign_folders().items():
        if not Path(model.folder, "open_clip_config.json").exists():
            raise ConfigError(
                f"eurosat_kshot.models.{name}: there is no model in {model.folder}. Make it with '{model.made_by}', or take the entry out."
            )


def score_problems(config: Config) -> Iterator[str]:
    """What keeps the k-shot task from being scored, told before hours of training rather than after."""
    task = config.eurosat_kshot
    if task is None:
        return
    benchmark = config.benchmarks[task.benchmark]
    for name in task.protocols:
        try:
            protocol = load_protocol("eurosat", name)
        except ConfigError as error:
            yield f"eurosat_kshot.protocols: {error}"
            continue
        if protocol.data == "real" and benchmark.synthetic:
            yield f"eurosat_kshot.protocols: {name} is made for the real archive, benchmarks.{task.benchmark} is drawn"
        if isinstance(protocol.split, FileSplit) and benchmark.split_file != protocol.split.file:
            yield f"eurosat_kshot.protocols: {name} needs 'split_file: {protocol.split.file}' in benchmarks.{task.benchmark}"
    # What zero-shot scoring reads; its own module would import torch.
    folder = resources.files("skygraft.evaluation").joinpath("prompts")
    prompts = [entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.startswith("eurosat_")]
    if task.prompts not in prompts:
        yield f"eurosat_kshot.prompts: there is no {task.prompts!r}; {nearest(task.prompts, prompts)}"
