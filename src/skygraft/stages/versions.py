"""The version of each stage: raise it when a change of code changes what the stage makes, and just that stage runs again.

Snakemake does not see changes in an imported package; this number is what a rule's parameters hold instead.
"""

from __future__ import annotations

from typing import Final

VERSIONS: Final = {
    "build_world": 4,
    "train_teacher": 2,
    "ingest_lucas": 1,
    "ingest_flickr": 1,
    "ingest_commons": 1,
    "ingest_mapillary": 1,
    "ingest_inaturalist": 1,
    "ingest_table": 1,
    "fetch_photos": 1,
    "embed_photos": 2,
    "plan_tiles": 1,
    "search_scenes": 1,
    "fetch_tiles": 1,
    "train": 2,
    "fetch_benchmark": 1,
    "extract_features": 1,
    "evaluate_eurosat_kshot": 2,
    "collect_eurosat_kshot": 2,
    "report": 6,
}
