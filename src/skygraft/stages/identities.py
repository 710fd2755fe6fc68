"""What each data folder and each run was asked to be, and the file in which a folder carries it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skygraft.config.encoders import Encoder
from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorSentences
from skygraft.core.errors import ConfigError
from skygraft.core.files import write_json
from skygraft.core.identity import digest
from skygraft.encoders.outdoor import sentences_identity
from skygraft.evaluation.protocol import load_protocol
from skygraft.stages.layout import Layout

FILE = "identity.json"
Identity = dict[str, Any]


def world_identity(config: Config) -> Identity:
    """The embedded world's drawings; empty for a real configuration. The teacher is trained from them and is no part of them."""
    if config.world is None:
        return {}
    identity = config.world.identity()
    return {key: value for key, value in identity.items() if key not in ("teacher", "torch_threads")}


def photos_identity(config: Config, photos: str) -> Identity:
    """A photo source."""
    return {"photos": config.photos[photos].identity(), "world": world_identity(config)}


def plan_identity(config: Config, plan: str) -> Identity:
    """A tile plan: its own settings, the seed of its split, its photos."""
    section = config.plans[plan]
    identity = {"plan": section.identity(), "seed": config.seed, "photos": [photos_identity(config, name) for name in section.photos]}
    if section.keep_off:
        identity["footprints"] = {name: str(config.benchmarks[name].footprints) for name in section.keep_off}
    if section.outdoor is None:
        return identity
    encoder = section.outdoor.encoder
    return identity | {"scores": [embeddings_identity(config, encoder, name) for name in section.photos]}


def imagery_identity(config: Config, imagery: str) -> Identity:
    """An imagery and the plan it covers."""
    section = config.imagery[imagery]
    return {"imagery": section.identity(), "plan": plan_identity(config, section.plan)}


def embeddings_identity(config: Config, encoder: str, photos: str) -> Identity:
    """A photo source as one encoder sees it; the weights themselves are named in each file."""
    section = config.encoders[encoder]
    identity = {"encoder": section.identity(), "photos": photos_identity(config, photos)}
    # A list of sentences may change under its name.
    return identity | ({"sentences": sentences_identity(section.outdoor)} if isinstance(section.outdoor, OutdoorSentences) else {})


def run_identity(config: Config, run: str) -> Identity:
    """A training run; what it learns from is told by its input files."""
    return {"run": config.runs[run].identity(), "seed": config.seed}


def teacher_identity(config: Config) -> Identity:
    """The embedded world's teacher: how it is trained, and on what."""
    if config.world is None:
        return {}
    return {"teacher": config.world.teacher.identity(), "threads": config.world.torch_threads, "world": world_identity(config)}


def benchmark_identity(config: Config, benchmark: str) -> Identity:
    """A benchmark's archive."""
    return {"benchmark": config.benchmarks[benchmark].archive_identity(), "world": world_identity(config)}


def model_identity(config: Config, model: str) -> Identity:
    """A scored model and what it is asked to see; what its weights are is told by its files."""
    scored = config.scored_models()[model]
    encoder = getattr(scored, "encoder", None)
    asked = _without_scores(config.encoders[encoder]) if encoder is not None else None
    # Protocols name the images, and a user's own may change under the same name. Random weights are drawn from the seed.
    return {"model": scored.identity(), "encoder": asked, "protocols": protocol_identities(config), "seed": config.seed}


def _without_scores(encoder: Encoder) -> Identity:
    """An encoder as whoever scores it sees it: how it sorts photos is no part of what it makes of test images."""
    return {name: value for name, value in encoder.identity().items() if name != "outdoor"}


def protocol_identities(config: Config) -> dict[str, str]:
    """The k-shot task's protocols by name, each with the hash of what its file fixes.

    Raises:
        ConfigError: One is not there, or is no protocol.
    """
    names = config.eurosat_kshot.protocols if config.eurosat_kshot is not None else ()
    return {name: load_protocol("eurosat", name).identity() for name in names}


def scores_identity(config: Config, model: str) -> Identity:
    """One model's rows of the k-shot task."""
    task = config.eurosat_kshot
    if task is None:
        return {}
    return {"task": {"benchmark": task.benchmark, "prompts": task.prompts}, "model": model_identity(config, model)}


def report_identity(config: Config) -> Identity:
    """The report: what it shows beside its input files."""
    identity = {"report": config.report.identity(), "name": config.name, "models": sorted(config.scored_models())}
    places = {name: str(section.footprints) for name, section in config.benchmarks.items() if section.footprints is not None}
    return identity | ({"footprints": places} if places else {})


def data_folders(config: Config) -> Iterator[tuple[Path, Identity]]:
    """Every data folder of a configuration with what it should be."""
    layout = Layout(config)
    if config.world is not None:
        yield layout.world, world_identity(config)
    for photos in config.photos:
        yield layout.photo_shard(photos, 0).parent, photos_identity(config, photos)
        for encoder in config.encoders:
            yield layout.embedding_shard(encoder, photos, 0).parent, embeddings_identity(config, encoder, photos)
    for plan in config.plans:
        yield layout.tiles(plan).parent, plan_identity(config, plan)
    for imagery in config.imagery:
        yield layout.imagery(imagery), imagery_identity(config, imagery)


def claim(folder: Path, identity: Mapping[str, Any]) -> None:
    """Checks that ``folder`` is what it should be, and marks a new one.

    A verb calls it right before it writes, and :func:`check` before it works: a mistake in the settings that it finds on the way must not
    mark the folder, or the mended settings would be refused.

    Raises:
        ConfigError: It was made under other settings; nothing is touched.
    """
    check(folder, identity)
    if not (folder / FILE).exists():
        write_json(folder / FILE, dict(identity))


def check(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raises ConfigError where ``folder`` exists with another identity; the text names the settings that differ."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / FILE} is damaged ({error}): delete the folder {folder}, or restore the file.") from error
    wanted = json.loads(json.dumps(dict(identity)))
    if found != wanted:
        differences = "; ".join(_differences(found, wanted, ""))
        raise ConfigError(
            f"{folder} was made under other settings: {differences}. Nothing was touched. Give the changed section (or the configuration) "
            f"another name, set the settings back, or delete {folder} and what depends on it."
        )


def meta(config: Config, identity: Mapping[str, Any]) -> dict[str, str]:
    """What every table of a stage says about itself."""
    return {"identity": digest(dict(identity)), "seed": str(config.seed), "configuration": config.name} | (
        {"data": f"embedded world, seed {config.world.seed}"} if config.world is not None else {}
    )


def _differences(found: Any, wanted: Any, place: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from _differences(found.get(key), wanted.get(key), f"{place}.{key}" if place else key)
    elif found != wanted:
        yield f"{place} is {found!r} there and {wanted!r} here"
