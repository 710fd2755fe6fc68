"""What a run takes from outside: keys, weights, tables, archives, and the terms they come with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from skygraft.config.encoders import Encoder
from skygraft.config.imagery import Catalogued
from skygraft.config.model import Config
from skygraft.config.naip import Naip
from skygraft.config.outdoor import OutdoorCheckpoint
from skygraft.config.photos import LucasPhotos
from skygraft.core.downloads import mirror_source
from skygraft.stages.ahead import aerial, earth_engine, flickr, open_photos, rates, registry
from skygraft.stages.ahead.outside import Key, Source, Term, source_file
from skygraft.stages.layout import Layout

LUCAS = "lucas"


def keys(config: Config) -> Iterator[Key]:
    """The keys that the run's services know."""
    if config.world is not None:
        return
    sections = config.imagery.values()
    if any(isinstance(section, Naip) and section.catalogue == "earth_search" for section in sections):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            yield Key(name, "NAIP of Earth Search: its bucket's readers pay", needed=True)
    if any(isinstance(section, Catalogued) and section.catalogue == "planetary_computer" for section in sections):
        yield Key("PC_SDK_SUBSCRIPTION_KEY", "Planetary Computer: higher limits; it works without", needed=False)
    yield from aerial.keys(config)
    yield from earth_engine.keys(config)
    yield from flickr.keys(config)
    yield from open_photos.keys(config)
    if any(_names_hub(encoder) for encoder in config.encoders.values()):
        yield Key("HF_TOKEN", "the weights' hub: higher limits, gated models; public ones work without", needed=False)


def sources(config: Config) -> Iterator[Source]:
    """Weights, tables, archives and models of other configurations."""
    layout = Layout(config)
    for name, encoder in config.encoders.items():
        yield _weights(f"encoder {name}", encoder, layout.encoder_files(name))
        for path in layout.outdoor_files(name):
            there = path.is_file()
            yield Source(f"outdoor score of encoder {name}", str(path), None, there, None if there else f"there is no file {path}")
    for name, section in config.photos.items():
        if config.world is None and isinstance(section, LucasPhotos):
            for table in section.tables():
                place = mirror_source(config.mirror, LUCAS, table.file, section.folder_of(table) + table.file)
                yield source_file(f"LUCAS table of photos.{name}", place, layout.photos(name), None)
    yield from open_photos.sources(config)
    yield from earth_engine.sources(config)
    for name, benchmark in config.benchmarks.items():
        for path in layout.benchmark_files(name) if config.world is None else []:
            place = mirror_source(config.mirror, benchmark.dataset, path.name, benchmark.url + path.name)
            archive = path.name == benchmark.file
            if not archive and config.mirror is None and not path.exists():
                remedy = f"no public service has it: set mirror to a folder that holds {benchmark.dataset}/{path.name}"
                yield Source(f"split list of benchmarks.{name}", "a mirror alone", None, False, remedy)
            else:
                yield source_file(f"benchmarks.{name}", place, path, rates.EUROSAT_BYTES if archive else None)
    for name, model in config.foreign_folders().items():
        there = Path(model.folder, "open_clip_config.json").exists()
        yield Source(f"model {name}", model.folder, None, there, None if there else f"make it with '{model.made_by}'")


def terms(config: Config) -> Iterator[Term]:
    """What binds whoever uses the sources of this configuration."""
    if config.world is not None:
        yield Term("the embedded world", "drawn here; no one's data. Its numbers say nothing about real ground.")
        return
    if any(isinstance(section, LucasPhotos) for section in config.photos.values()):
        yield Term(
            "LUCAS table and photos",
            "European Union, Eurostat and JRC: reuse with acknowledgement (CC BY 4.0). Photos may show people, cars and houses: do not "
            "publish those that do.",
        )
    yield from flickr.terms(config)
    yield from open_photos.terms(config)
    for named in dict.fromkeys(named for section in config.imagery.values() for named in section.terms()):
        yield Term(named.source, named.terms)
    if any(encoder.weights == "openai" for encoder in config.encoders.values()):
        yield Term(
            "OpenAI's CLIP weights",
            "MIT licence. Its model card puts deployed use, surveillance and face recognition out of bounds, and use in other languages "
            "than English; trained encoders take over its biases.",
        )
    elif any(_names_hub(encoder) for encoder in config.encoders.values()):
        yield Term("weights of the hub", "each has a licence and a model card of its own: read them on its page")
    if any(isinstance(encoder.outdoor, OutdoorCheckpoint) for encoder in config.encoders.values()):
        yield Term("the checkpoint that tells outdoor photos", "its makers' terms; Places365's weights are CC BY: cite Zhou et al. 2018")
    if config.benchmarks:
        yield Term("EuroSAT", "MIT licence; made from Copernicus Sentinel data; cite Helber et al. 2019")


def _names_hub(encoder: Encoder) -> bool:
    tag = encoder.weights is not None and encoder.weights_file is None
    return encoder.model.startswith("hf-hub:") or (tag and not encoder.model.startswith("local-dir:"))


def _weights(name: str, encoder: Encoder, made: list[Path]) -> Source:
    size = rates.weights_bytes(encoder.model)
    if encoder.model.startswith("local-dir:"):
        folder = Path(encoder.model.removeprefix("local-dir:")).expanduser()
        there = (folder / "open_clip_config.json").exists()
        if made:
            return Source(name, f"{folder}, made by train_teacher", size, there)
        remedy = None if there else f"there is no model in {folder}: put it there, or mend encoders.*.model"
        return Source(name, str(folder), size, there, remedy)
    if encoder.model.startswith("hf-hub:"):
        hub = registry.Published(encoder.model.removeprefix("hf-hub:"), None)
        return Source(name, str(hub), size, hub.cached())
    return _architecture(name, encoder, size)


def _architecture(name: str, encoder: Encoder, size: int) -> Source:
    known = registry.architectures()
    if encoder.model not in known:
        return Source(name, encoder.model, None, False, f"open_clip knows no architecture {encoder.model!r}")
    if encoder.weights is None:
        return Source(name, f"{encoder.model} with random weights", None, True)
    if encoder.weights_file is not None:
        there = encoder.weights_file.is_file()
        return Source(name, encoder.weights, size, there, None if there else f"there is no file {encoder.weights}")
    tag = registry.published(encoder.model, encoder.weights)
    if tag is None:
        listed = ", ".join(registry.tags(encoder.model)) or "none"
        return Source(name, f"{encoder.model}, {encoder.weights}", None, False, f"open_clip has no such tag; it has: {listed}")
    return Source(f"{name}: {encoder.model}, {encoder.weights}", str(tag), size, tag.cached())
