"""The report."""


def run_files(wildcards):
    """The training curves of every run."""
    return [file for run in settings.runs for file in layout.run_files(run)]


def data_files(wildcards):
    """What the runs learnt from: photos, embeddings, plans and imagery."""
    photos = [shard for name in settings.photos for shard in [layout.photos(name), *layout.photo_shards(name)]]
    plans = [file for name in settings.plans for file in (layout.tiles(name), layout.pairs(name))]
    imagery = [shard for name in settings.imagery for shard in layout.tile_shards(name)]
    return photos + plans + imagery + embedding_targets()


rule report:
    input:
        tables=[layout.table("eurosat_kshot"), layout.table("eurosat_zeroshot")],
        parts=every_part,
        runs=run_files,
        data=data_files,
    output:
        layout.report,
    params:
        identity=flow.identity("report"),
        version=flow.version("report"),
    log:
        layout.log("report") / "report.log",
    benchmark:
        layout.timing("report") / "report.tsv"
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "skygraft report 2> {log}"
