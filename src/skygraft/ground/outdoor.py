"""Which photos a plan keeps: outdoor ones, by the score that stands beside each embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skygraft.config.outdoor import OutdoorFilter


@dataclass(frozen=True)
class Sifted:
    """Photos after the filter.

    Args:
        photos: Rows that stay, in their order.
        below: How many scored below the threshold.
        unscored: How many have no score: they could not be fetched or decoded.
    """

    photos: pa.Table
    below: int
    unscored: int

    def to_meta(self, section: OutdoorFilter) -> dict[str, str]:
        """What the plan's tables say of the filter."""
        return {
            "outdoor_encoder": section.encoder,
            "outdoor_threshold": repr(section.threshold),
            "outdoor_kept": str(self.photos.num_rows),
            "outdoor_below": str(self.below),
            "outdoor_unscored": str(self.unscored),
        }


def keep_outdoor(photos: pa.Table, scores: pa.Table, threshold: float) -> Sifted:
    """Leaves out the photos that score below ``threshold``, and those without a score.

    Args:
        photos: Rows of the photos table.
        scores: ``photo_id`` and ``outdoor``; may hold other photos too, in any order.
        threshold: Least probability of an outdoor picture; a photo that has just it stays.
    """
    row = pc.index_in(photos.column("photo_id"), value_set=scores.column("photo_id").combine_chunks())
    found = scores.column("outdoor").take(row).to_numpy().astype(np.float64)
    scored = ~np.isnan(found)
    # The column is float32: a threshold of 0.9 must keep what is stored as the nearest number to it.
    kept = scored & (found >= np.float64(np.float32(threshold)))
    return Sifted(photos.filter(pa.array(kept)), int((scored & ~kept).sum()), int((~scored).sum()))
