"""skygraft: from photo locations to a trained satellite encoder, its scores and its report."""

from snakemake.utils import min_version

min_version("9.8")


# An overlay replaces the default configuration: `--configfile` would otherwise be merged over it.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/world.smk"
include: "workflow/rules/ground.smk"
include: "workflow/rules/ground_open.smk"
include: "workflow/rules/embeddings.smk"
include: "workflow/rules/imagery.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        layout.table("eurosat_kshot"),
        layout.report,


rule photos:
    input:
        [shard for photos in settings.photos for shard in layout.photo_shards(photos)],


rule embeddings:
    input:
        embedding_targets(),


rule imagery:
    input:
        [shard for imagery in settings.imagery for shard in layout.tile_shards(imagery)],


rule models:
    input:
        [file for run in settings.runs for file in layout.run_files(run)],


rule fetched:
    input:
        rules.photos.input,
        rules.imagery.input,
        [file for benchmark in settings.benchmarks for file in layout.benchmark_files(benchmark)],
