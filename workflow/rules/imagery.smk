"""Imagery: the plan of tiles, the catalogue's scenes, and the tiles' pixels in shards."""


rule plan_tiles:
    input:
        photos_of_plan,
    output:
        tiles=layout.tiles("{plan}"),
        pairs=layout.pairs("{plan}"),
    log:
        layout.log("plan_tiles") / "{plan}.log",
    benchmark:
        layout.timing("plan_tiles") / "{plan}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        identity=identity_of("plan", "plan"),
        version=flow.version("plan_tiles"),
    shell:
        "skygraft plan-tiles --plan {wildcards.plan} 2> {log}"


rule search_scenes:
    input:
        plan_of_imagery,
        world_files(),
    output:
        layout.scenes("{imagery}"),
    log:
        layout.log("search_scenes") / "{imagery}.log",
    benchmark:
        layout.timing("search_scenes") / "{imagery}.tsv"
    wildcard_constraints:
        imagery=flow.catalogued(),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=720,
    params:
        identity=identity_of("imagery", "imagery"),
        version=flow.version("search_scenes"),
    shell:
        "skygraft search-scenes --imagery {wildcards.imagery} 2> {log}"


rule fetch_tiles:
    input:
        tiles=plan_of_imagery,
        scenes=lambda wildcards: flow.scenes(wildcards.imagery),
    output:
        layout.data / "imagery/{imagery}/{shard}-of-{total}.parquet",
    log:
        layout.log("fetch_tiles") / "{imagery}-{shard}-of-{total}.log",
    benchmark:
        layout.timing("fetch_tiles") / "{imagery}-{shard}-of-{total}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=720,
    params:
        identity=identity_of("imagery", "imagery"),
        version=flow.version("fetch_tiles"),
    shell:
        "skygraft fetch-tiles --imagery {wildcards.imagery} --shard {wildcards.shard} 2> {log}"
