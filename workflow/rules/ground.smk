"""Ground photos: the table of a source, and the photos' bytes in shards."""


rule ingest_lucas:
    input:
        world_files(),
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_lucas") / "{photos}.log",
    benchmark:
        layout.timing("ingest_lucas") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("lucas"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=60,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_lucas"),
    shell:
        "skygraft ingest-lucas --photos {wildcards.photos} 2> {log}"


rule ingest_flickr:
    input:
        world_files(),
        area_of_source,
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_flickr") / "{photos}.log",
    benchmark:
        layout.timing("ingest_flickr") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("flickr"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        flickr_key=1,
        mem_mb=4000,
        runtime=2880,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_flickr"),
    shell:
        "skygraft ingest-flickr --photos {wildcards.photos} 2> {log}"


rule fetch_photos:
    input:
        layout.photos("{photos}"),
    output:
        layout.data / "photos/{photos}/{shard}-of-{total}.parquet",
    log:
        layout.log("fetch_photos") / "{photos}-{shard}-of-{total}.log",
    benchmark:
        layout.timing("fetch_photos") / "{photos}-{shard}-of-{total}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=720,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("fetch_photos"),
    shell:
        "skygraft fetch-photos --photos {wildcards.photos} --shard {wildcards.shard} 2> {log}"
