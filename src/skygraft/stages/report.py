"""The report: gathers what the other stages published and writes one HTML file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import yaml

from skygraft.config.imagery import Catalogued
from skygraft.config.model import Config
from skygraft.core.files import write_text
from skygraft.core.identity import digest
from skygraft.core.schemas import PAIRS, PHOTO_SHARD, PHOTOS, TILE_SHARD, embeddings_spec
from skygraft.core.shards import shard_of
from skygraft.core.tables import read_meta, read_table
from skygraft.embeddings.scores import read_outdoor_scores
from skygraft.encoders.identity import EncoderIdentity
from skygraft.evaluation.benchmarks.eurosat import CLASSES
from skygraft.evaluation.scores import CONFUSION_COLUMNS, KSHOT_COLUMNS, read_scores, zeroshot_columns
from skygraft.ground import attribution
from skygraft.report import pairs, words
from skygraft.report.examples import Example
from skygraft.report.figures import kshot_figure
from skygraft.report.history import curves
from skygraft.report.outdoor import OutdoorSection, outdoor_section
from skygraft.report.overlaps import OverlapSection, overlap_section
from skygraft.report.page import Page, PairsSection, ScoreSection, render
from skygraft.report.provenance import versions
from skygraft.report.scores import confusions, kshot_table, zero_shot_lines
from skygraft.report.statuses import Fate, count_fates
from skygraft.report.windows import WindowsLine, windows_line
from skygraft.stages import identities, scored
from skygraft.stages.forget import MARK, taught_before
from skygraft.stages.layout import Layout

_LOG = logging.getLogger(__name__)
# Photos on either side of an outdoor filter's threshold.
_CLOSE_CALLS = 14


def run(config: Config) -> None:
    """Writes the report of a configuration from what its stages have published.

    Raises:
        CorruptDataError: A table or a shard is missing or broken; the text says which stage makes it.
    """
    layout = Layout(config)
    photos = {plan: pairs.read_photos([layout.photos(name) for name in section.photos]) for plan, section in config.plans.items()}
    curve_list = [curves(name, section.note, layout.run(name) / "history.csv") for name, section in config.runs.items()]
    imageries = [scored.facts_of(config, name).imagery for name in config.scored_models()] if config.eurosat_kshot else []
    owned = dict(_owned(config))
    shares = tuple(share for table in owned.values() for share in attribution.shares(table))
    page = Page(
        title=config.report.title,
        name=config.name,
        lead=words.lead(config),
        synthetic=words.synthetic_notice(config),
        remarks=(*words.remarks(config, imageries), *words.forgotten(*_forgotten(config))),
        notes=_notes(config),
        scores=tuple(_scores(config)),
        curves=tuple(one for one in curve_list if one is not None),
        pairs=tuple(_pairs(config, photos)),
        examples=_examples(config, photos),
        fates=tuple(_fates(config)),
        sources=tuple(words.sources(config, shares)),
        versions=versions(Path()) | _seeds(config),
        identities=tuple(_identities(config)),
        settings=yaml.safe_dump(config.identity(), sort_keys=False, allow_unicode=True),
        outdoor=tuple(_outdoor(config, photos)),
        overlaps=tuple(_overlaps(config)),
        windows=tuple(_windows(config)),
        notices=attribution.notices(share.source for share in shares) if config.world is None else (),
    )
    html = render(page)
    data = f"embedded world, seed {config.world.seed}" if config.world is not None else "real"
    named = attribution.write_list(layout.attribution, [(data, table) for table in owned.values()])
    write_text(layout.report, html)
    _LOG.info("attribution=%s lines=%d", layout.attribution, named)
    _LOG.info("report=%s bytes=%d", layout.report, len(html.encode()))


def _scores(config: Config) -> Iterator[ScoreSection]:
    if config.eurosat_kshot is None:
        return
    layout = Layout(config)
    kshot = read_scores(layout.table("eurosat_kshot"), KSHOT_COLUMNS)
    zero_shot = read_scores(layout.table("eurosat_zeroshot"), zeroshot_columns(CLASSES))
    cells = [read_scores(layout.part("eurosat_confusion", model), CONFUSION_COLUMNS) for model in config.scored_models()]
    for protocol in scored.protocols_of(config):
        table = kshot_table(kshot, protocol=protocol.name, title=protocol.title, notes=protocol.notes, paper=protocol.paper)
        if table is not None:
            matrices = tuple(matrix for rows in cells for matrix in confusions(rows, protocol.name))
            yield ScoreSection(table, kshot_figure(table), zero_shot_lines(zero_shot, protocol.name), matrices)


def _owned(config: Config) -> Iterator[tuple[str, pa.Table]]:
    """For each source, whose the photos are that stand in a plan: what was left out is shown nowhere and taught nobody."""
    layout = Layout(config)
    for name in config.photos:
        plans = [plan for plan, section in config.plans.items() if name in section.photos]
        if plans:
            paired = pa.concat_tables([read_table(PAIRS, layout.pairs(plan), ["photo_id"]) for plan in plans]).column("photo_id")
            yield name, attribution.of_photos(read_table(PHOTOS, layout.photos(name), attribution.COLUMNS), paired)


def _forgotten(config: Config) -> tuple[int, list[str]]:
    """How many photos left the plans because their owners took them down, and which runs had learnt from them."""
    layout = Layout(config)
    photos = sum(int(read_meta(layout.pairs(plan)).get(MARK, "0")) for plan in config.plans)
    return photos, [run for run in config.runs if taught_before(layout.model_folder(run) / "skygraft.json")]


def _notes(config: Config) -> tuple[tuple[str, str], ...]:
    """What the scored models say beside their numbers, each note once."""
    by_note: dict[str, list[str]] = {}
    for model in config.scored_models() if config.eurosat_kshot is not None else ():
        note = scored.note_of(config, model)
        if note is not None:
            by_note.setdefault(note, []).append(model)
    return tuple((", ".join(models), note) for note, models in by_note.items())


def _outdoor(config: Config, photos: dict[str, pa.Table]) -> Iterator[OutdoorSection]:
    """What the plans that filter have left out, and the closest calls."""
    layout = Layout(config)
    for plan, section in config.plans.items():
        if section.outdoor is None:
            continue
        shards = [shard for name in section.photos for shard in layout.embedding_shards(section.outdoor.encoder, name)]

        def shards_of_photo(photo_id: str, sources: tuple[str, ...] = section.photos) -> list[Path]:
            return [layout.photo_shard(name, shard_of(photo_id, config.photos[name].shards)) for name in sources]

        yield outdoor_section(plan, section.outdoor, photos[plan], read_outdoor_scores(shards), shards_of_photo, _CLOSE_CALLS)


def _photo_shard(config: Config, sources: tuple[str, ...], photo_id: str) -> Path:
    """The shard that holds a photo of one of a plan's sources."""
    source = next((name for name in sources if photo_id.startswith(f"{config.photos[name].source}:")), sources[0])
    return Layout(config).photo_shard(source, shard_of(photo_id, config.photos[source].shards))


def _pairs(config: Config, photos: dict[str, pa.Table]) -> Iterator[PairsSection]:
    layout = Layout(config)
    for plan in config.plans:
        section = pairs.pairs_section(plan, layout.tiles(plan), layout.pairs(plan), photos[plan])
        if section is not None:
            yield section


def _examples(config: Config, photos: dict[str, pa.Table]) -> tuple[Example, ...]:
    layout = Layout(config)
    share = -(-config.report.examples // max(1, len(config.imagery)))
    found: list[Example] = []
    for imagery, section in config.imagery.items():
        sources = config.plans[section.plan].photos

        def shard_of_photo(photo_id: str, sources: tuple[str, ...] = sources) -> Path:
            return _photo_shard(config, sources, photo_id)

        tiles, table, drawn = layout.tile_shards(imagery), photos[section.plan], config.world is not None
        found += pairs.examples(tiles, layout.pairs(section.plan), table, shard_of_photo, share, drawn=drawn)
    return tuple(found[: config.report.examples])


def _fates(config: Config) -> Iterator[Fate]:
    layout = Layout(config)
    for photos in config.photos:
        yield count_fates("fetch_photos", f"photos of {photos}", PHOTO_SHARD, layout.photo_shards(photos))
    for encoder, photos in config.wanted_embeddings():
        shards = layout.embedding_shards(encoder, photos)
        spec = embeddings_spec(EncoderIdentity.from_meta(read_meta(shards[0]), str(shards[0])).dimension)
        yield count_fates("embed_photos", f"photos of {photos} through {encoder}", spec, shards)
    for imagery in config.imagery:
        yield count_fates("fetch_tiles", f"tiles of {imagery}", TILE_SHARD, layout.tile_shards(imagery))


def _overlaps(config: Config) -> Iterator[OverlapSection]:
    layout = Layout(config)
    for plan in config.plans:
        yield overlap_section(plan, layout.tiles(plan), {name: layout.footprints(name) for name in config.benchmarks})


def _windows(config: Config) -> Iterator[WindowsLine]:
    """Windows a scene of every imagery that has scenes."""
    for imagery, section in config.imagery.items():
        line = windows_line(imagery, Layout(config).tile_shards(imagery)) if isinstance(section, Catalogued) else None
        if line is not None:
            yield line


def _seeds(config: Config) -> dict[str, str]:
    seeds = {"configuration": config.name, "seed": str(config.seed)}
    return seeds | ({"world's seed": str(config.world.seed)} if config.world is not None else {})


def _identities(config: Config) -> Iterator[tuple[str, str, str]]:
    if config.world is not None:
        yield "embedded world", config.name, digest(identities.world_identity(config))
    for kind, section, maker in (
        ("photos", config.photos, identities.photos_identity),
        ("plan", config.plans, identities.plan_identity),
        ("imagery", config.imagery, identities.imagery_identity),
        ("run", config.runs, identities.run_identity),
        ("benchmark", config.benchmarks, identities.benchmark_identity),
    ):
        for name in section:
            yield kind, name, digest(maker(config, name))
    if config.eurosat_kshot is not None:
        for protocol in scored.protocols_of(config):
            yield "protocol", f"{protocol.name}, version {protocol.version}", protocol.identity()
