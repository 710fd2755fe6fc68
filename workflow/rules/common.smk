"""The validated configuration and the helpers that every rule file uses."""

import re
import sys
from pathlib import Path

from skygraft.core.errors import SkygraftError
from skygraft.stages.workflow import prepare

try:
    _files = workflow.config_settings.configfiles
    flow = prepare(config, Path(_files[-1]).parent if _files else Path(workflow.basedir))
except SkygraftError as error:
    # A configuration's mistake is a message, not a traceback.
    sys.exit(f"{error}")

settings, layout = flow.config, flow.layout

# A job's `net=1` limits nothing without a total; `--resources net=3` overrides it.
workflow.global_resources.setdefault("net", settings.net_jobs)
# Flickr counts calls by key: two searches at once would ask twice as much of it.
workflow.global_resources.setdefault("flickr_key", 1)


wildcard_constraints:
    photos=flow.names("photos"),
    plan=flow.names("plans"),
    imagery=flow.names("imagery"),
    encoder=flow.names("encoders"),
    run=flow.names("runs"),
    benchmark=flow.names("benchmarks"),
    file="|".join(re.escape(file.name) for name in settings.benchmarks for file in layout.benchmark_files(name)) or "(?!)",
    model="|".join(settings.scored_models()) or "(?!)",
    shard=r"\d{4,5}",
    total=r"\d{4,5}",


# Where a cluster's nodes have no internet, these stay on the node that Snakemake runs on.
if settings.fetch_locally:

    localrules:
        ingest_lucas,
        ingest_flickr,
        ingest_commons,
        ingest_mapillary,
        ingest_inaturalist,
        fetch_photos,
        search_scenes,
        fetch_tiles,
        fetch_benchmark,
