"""Training: one job a run; the model folder's files are its outputs."""


def embeddings_of_run(wildcards):
    """The photo embeddings that a run learns from."""
    encoder = settings.runs[wildcards.run].encoder
    plan = settings.plan_of(wildcards.run)
    return [shard for photos in plan.photos for shard in layout.embedding_shards(encoder, photos)]


def tiles_of_run(wildcards):
    """The tile shards that a run learns from."""
    return layout.tile_shards(settings.runs[wildcards.run].imagery)


def plan_of_run(wildcards):
    """The tiles and pairs that a run learns from."""
    plan = settings.imagery[settings.runs[wildcards.run].imagery].plan
    return [layout.tiles(plan), layout.pairs(plan)]


def encoder_of_run(wildcards):
    """The encoder whose towers a run starts from, where this configuration makes it."""
    return layout.encoder_files(settings.runs[wildcards.run].encoder)


rule train:
    input:
        embeddings=embeddings_of_run,
        tiles=tiles_of_run,
        plan=plan_of_run,
        encoder=encoder_of_run,
    output:
        layout.run_files("{run}"),
    params:
        identity=identity_of("run", "run"),
        version=flow.version("train"),
    log:
        layout.log("train") / "{run}.log",
    benchmark:
        layout.timing("train") / "{run}.tsv"
    threads: max([run.torch_threads for run in settings.runs.values()], default=1)
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=2880,
    shell:
        "skygraft train --run {wildcards.run} 2> {log}"
