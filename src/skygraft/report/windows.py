"""How many windows were read of each scene: the fewer scenes a run opens, the less it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.errors import Reason
from skygraft.core.schemas import TILE_SHARD
from skygraft.core.tables import read_table


@dataclass(frozen=True)
class WindowsLine:
    """An imagery's good tiles and the scenes that they came from.

    Args:
        imagery: Its name.
        tiles: Good tiles.
        windows: Tiles counted once for each scene that shows some of them.
        scenes: Scenes.
        mean: Windows a scene.
        median: Of the windows of a scene.
        most: Windows of the scene that gave most.
        days: Median of the days between a tile's target date and its scene, either way; none where no tile has a target date.
    """

    imagery: str
    tiles: int
    windows: int
    scenes: int
    mean: float
    median: float
    most: int
    days: float | None


def windows_line(imagery: str, tile_shards: Sequence[Path]) -> WindowsLine | None:
    """Counts the windows of every scene; None where no tile is good.

    Args:
        imagery: The imagery's name.
        tile_shards: Its shards.
    """
    counts, days, tiles = Counter[str](), [], 0
    for shard in tile_shards:
        table = read_table(TILE_SHARD, shard, ["status", "scene_id", "days_apart"])
        good = table.filter(pc.equal(table.column("status"), pa.scalar(Reason.OK.value)))
        tiles += good.num_rows
        # A mosaic's scenes stand in one text.
        counts.update(name for names in good.column("scene_id").to_pylist() for text in names for name in text.split("+"))
        days += [abs(one) for apart in good.column("days_apart").to_pylist() for one in apart or () if one is not None]
    if not counts:
        return None
    each = np.array(list(counts.values()))
    apart = float(np.median(days)) if days else None
    return WindowsLine(imagery, tiles, int(each.sum()), len(each), float(each.mean()), float(np.median(each)), int(each.max()), apart)
