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


def identity_of(kind, name):
    """An input function: the identity hash of the thing that a wildcard names."""

    def identity(wildcards):
        return flow.identity(kind, wildcards[name])

    return identity


def world_files():
    """What a verb of an embedded run needs before its services can start; nothing for a real one."""
    return [layout.world_manifest] if settings.world is not None else []


def embedding_targets():
    """The embeddings that the runs ask for."""
    wanted = {(run.encoder, photos) for name, run in settings.runs.items() for photos in settings.plan_of(name).photos}
    return [shard for encoder, photos in sorted(wanted) for shard in layout.embedding_shards(encoder, photos)]
