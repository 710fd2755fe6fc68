"""The models that a configuration scores: where each comes from, what the tables say of it, and how it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from skygraft.config.evaluation import EncoderModel, FloorModel, FolderModel, KShot, RandomModel, RunModel, ScoredModel
from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.encoders.clip import CARD_NAME, FrozenClip, load_clip, load_folder
from skygraft.encoders.reference import ModelReference
from skygraft.evaluation.protocol import Protocol, load_protocol
from skygraft.evaluation.scores import NONE, ModelFacts
from skygraft.evaluation.splits import Split, make_split
from skygraft.stages.layout import Layout

# Fixed, so that features and scores are the same whatever --cores says.
THREADS = 2


def task_of(config: Config) -> KShot:
    """The k-shot task of a configuration.

    Raises:
        ConfigError: It has none.
    """
    if config.eurosat_kshot is None:
        raise ConfigError(f"The configuration {config.name!r} has no section 'eurosat_kshot': there is nothing to score.")
    return config.eurosat_kshot


def scored(config: Config, model: str) -> ScoredModel:
    """A scored model by its name.

    Raises:
        ConfigError: There is no such model.
    """
    models = config.scored_models()
    if model not in models:
        raise ConfigError(f"eurosat_kshot.models: there is no {model!r}; {nearest(model, models)}")
    return models[model]


def protocols_of(config: Config) -> list[Protocol]:
    """The protocols of the k-shot task.

    Raises:
        ConfigError: One is not there, or was made for the real archive and the benchmark is synthetic.
    """
    task = task_of(config)
    protocols = [load_protocol("eurosat", name) for name in task.protocols]
    for protocol in protocols:
        if protocol.data == "real" and config.benchmarks[task.benchmark].synthetic:
            raise ConfigError(
                f"eurosat_kshot.protocols: {protocol.name} is defined on the real EuroSAT, and benchmark {task.benchmark} is synthetic; "
                "use embedded, or the real archive"
            )
    return protocols


def split_of(config: Config, protocol: Protocol, sample_ids: tuple[str, ...]) -> Split:
    """What a protocol makes of the task's archive."""
    benchmark = task_of(config).benchmark
    name = config.benchmarks[benchmark].split_file
    files = {name: Layout(config).benchmark_file(benchmark, name)} if name is not None else {}
    return make_split(protocol, sample_ids, files)


def data_name(config: Config, benchmark: str) -> str:
    """What the tables call the tested images; a synthetic archive is never without its mark."""
    if not config.benchmarks[benchmark].synthetic:
        return "EuroSAT RGB"
    return f"embedded world, seed {config.world.seed}" if config.world is not None else "embedded world, seed not known"


def facts_of(config: Config, name: str) -> ModelFacts:
    """What the tables say of a model."""
    model = scored(config, name)
    if isinstance(model, RunModel):
        run = config.runs[model.run]
        return ModelFacts(name, run.system, run.imagery, run.objective.name, run.start)
    if isinstance(model, FolderModel):
        return _from_card(name, Path(model.folder))
    if isinstance(model, EncoderModel):
        return ModelFacts(name, system="clip")
    if isinstance(model, RandomModel):
        return ModelFacts(name, system=f"random {model.architecture} at {model.image_size} px", start="random")
    return ModelFacts(name, system="floor")


def load_scored(config: Config, name: str) -> FrozenClip | None:
    """The network of a scored model; None for the floor, which has none.

    Raises:
        ConfigError: The model has not been made; the text names the command that makes it.
    """
    model = scored(config, name)
    if isinstance(model, FloorModel):
        return None
    if isinstance(model, EncoderModel):
        section = config.encoders[model.encoder]
        return load_clip(ModelReference(section.model, section.weights, section.sha256), dtype=section.dtype, device=section.device)
    if isinstance(model, RandomModel):
        return load_clip(ModelReference(model.architecture, image_size=model.image_size, seed=config.seed), device="auto")
    if isinstance(model, RunModel):
        folder, command = Layout(config).model_folder(model.run), f"skygraft train --run {model.run}"
    else:
        folder, command = Path(model.folder), model.made_by
    if not (folder / "open_clip_config.json").is_file():
        raise ConfigError(f"eurosat_kshot.models.{name}: there is no model in {folder}. Make it with '{command}', or take the entry out.")
    return load_folder(folder, device="auto")


def has_text(config: Config, name: str) -> bool:
    """Whether a model has a trained text tower, so that it can be scored zero-shot."""
    return isinstance(scored(config, name), EncoderModel | RunModel | FolderModel)


def note_of(config: Config, name: str) -> str | None:
    """What is said beside a model's numbers, such as how it departs from the paper."""
    model = scored(config, name)
    if isinstance(model, RunModel):
        return config.runs[model.run].note
    note = _card(Path(model.folder)).get("note") if isinstance(model, FolderModel) else None
    return None if note is None else str(note)


def _from_card(name: str, folder: Path) -> ModelFacts:
    card = _card(folder)
    # A folder that no run made, such as the embedded world's teacher, is a CLIP as it is.
    return ModelFacts(name, str(card.get("system", "clip")), *(str(card.get(key, NONE)) for key in ("imagery", "objective", "start")))


def _card(folder: Path) -> dict[str, object]:
    """What a model folder says of itself; nothing where it says nothing."""
    path = folder / CARD_NAME
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise CorruptDataError(f"{path} is damaged ({error}): make the model again.") from error
