"""From the tables of photos to the tiles that imagery is wanted for."""

from __future__ import annotations

import logging
from collections import Counter

import pyarrow as pa

from skygraft.config.model import Config, nearest
from skygraft.core.errors import ConfigError
from skygraft.core.files import lock
from skygraft.core.schemas import PAIRS, PHOTOS, TILES
from skygraft.core.tables import read_table, write_table
from skygraft.embeddings.scores import read_outdoor_scores
from skygraft.geo.footprints import read_footprints
from skygraft.ground import plan as location_plan
from skygraft.ground import sampled_plan
from skygraft.ground.benchmark_ground import keep_off
from skygraft.ground.duplicates import copies, read_marks
from skygraft.ground.forgotten import read_forgotten, without
from skygraft.ground.outdoor import keep_outdoor
from skygraft.ground.photo_rows import each_once
from skygraft.stages import identities
from skygraft.stages.layout import FORGOTTEN, Layout, table_lock

_LOG = logging.getLogger(__name__)
_COLUMNS = ["photo_id", "location_id", "year", "captured_at", "geometry"]


def run(config: Config, *, plan: str) -> None:
    """Chooses the tiles of a plan, pairs them with photos and splits them.

    Args:
        config: The configuration.
        plan: Name of the plan.

    Raises:
        ConfigError: There is no such plan, its photos have no rows or no zone, or the data folder has another identity.
        CorruptDataError: A table of photos is missing or broken.
    """
    if plan not in config.plans:
        raise ConfigError(f"plans: there is no {plan!r}; {nearest(plan, config.plans)}")
    layout, section = Layout(config), config.plans[plan]
    identity = identities.plan_identity(config, plan)
    identities.check(layout.tiles(plan).parent, identity)
    with lock(table_lock(layout.pairs(plan))):
        photos = each_once([read_table(PHOTOS, layout.photos(name), _COLUMNS) for name in section.photos])
        photos, said_of_filter = _sifted(layout, plan, without(photos, read_forgotten(FORGOTTEN)))
        photos, said_of_copies = _without_copies(layout, plan, photos)
        planning = location_plan if section.sampling is None else sampled_plan
        tiles, pairs, said_of_benchmarks = _kept_off(layout, plan, *planning.plan_tiles(photos, section, config.seed))
        identities.claim(layout.tiles(plan).parent, identity)
        meta = identities.meta(config, identity) | said_of_filter | said_of_copies | said_of_benchmarks
        write_table(PAIRS, pairs, layout.pairs(plan), meta=meta)
        write_table(TILES, tiles, layout.tiles(plan), meta=meta)
    splits = Counter(tiles.column("split").to_pylist())
    said = ", ".join(f"{name} {count}" for name, count in sorted(splits.items()))
    _LOG.info("tiles=%s rows=%d pairs=%d splits: %s", layout.tiles(plan), tiles.num_rows, pairs.num_rows, said)


def _sifted(layout: Layout, plan: str, photos: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The photos that the plan's outdoor filter keeps, and what the tables say of it; all of them where it has none."""
    section = layout.config.plans[plan]
    if section.outdoor is None:
        return photos, {}
    shards = [shard for name in section.photos for shard in layout.embedding_shards(section.outdoor.encoder, name)]
    sifted = keep_outdoor(photos, read_outdoor_scores(shards), section.outdoor.threshold)
    _LOG.info(
        "outdoor filter of plan %s: kept=%d below=%d unscored=%d threshold=%g",
        *(plan, sifted.photos.num_rows, sifted.below, sifted.unscored, section.outdoor.threshold),
    )
    if photos.num_rows and not sifted.photos.num_rows:
        raise ConfigError(
            f"plans.{plan}.outdoor leaves out all {photos.num_rows} photos ({sifted.below} below {section.outdoor.threshold:g}, "
            f"{sifted.unscored} without a score): lower the threshold, or set outdoor: all."
        )
    return sifted.photos, sifted.to_meta(section.outdoor)


def _without_copies(layout: Layout, plan: str, photos: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The photos that are no copies, and what the tables say of those that are; all of them where the plan keeps copies."""
    rule = layout.config.plans[plan].duplicates
    if rule is None:
        return photos, {}
    shards = [shard for name in layout.config.plans[plan].photos for shard in layout.photo_shards(name)]
    found = copies(photos, read_marks(shards), rule)
    _LOG.info("copies left out of plan %s: same_bytes=%d alike=%d of %d", plan, len(found.same_bytes), len(found.alike), photos.num_rows)
    return without(photos, {*found.same_bytes, *found.alike}), found.to_meta(rule)


def _kept_off(layout: Layout, plan: str, tiles: pa.Table, pairs: pa.Table) -> tuple[pa.Table, pa.Table, dict[str, str]]:
    """The tiles that lie on no benchmark's images, their pairs, and what the tables say of the others; all where the plan names none."""
    benchmarks = layout.config.plans[plan].keep_off
    if not benchmarks:
        return tiles, pairs, {}
    files = {name: layout.footprints(name) for name in benchmarks}
    cleared = keep_off(tiles, pairs, {name: read_footprints(file) for name, file in files.items() if file is not None})
    for name, count in cleared.left_out.items():
        _LOG.info("tiles of plan %s on images of %s left out: %d of %d", plan, name, count, tiles.num_rows)
    return cleared.tiles, cleared.pairs, cleared.to_meta()
