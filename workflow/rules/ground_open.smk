"""Photo sources beside LUCAS and Flickr: services that are searched by place, and tables of the user's own."""


rule ingest_commons:
    input:
        world_files(),
        area_of_source,
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_commons") / "{photos}.log",
    benchmark:
        layout.timing("ingest_commons") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("commons"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=2880,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_commons"),
    shell:
        "skygraft ingest-commons --photos {wildcards.photos} 2> {log}"


rule ingest_mapillary:
    input:
        world_files(),
        area_of_source,
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_mapillary") / "{photos}.log",
    benchmark:
        layout.timing("ingest_mapillary") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("mapillary"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=2880,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_mapillary"),
    shell:
        "skygraft ingest-mapillary --photos {wildcards.photos} 2> {log}"


rule ingest_inaturalist:
    input:
        world_files(),
        area_of_source,
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_inaturalist") / "{photos}.log",
    benchmark:
        layout.timing("ingest_inaturalist") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("inaturalist"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=4000,
        runtime=2880,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_inaturalist"),
    shell:
        "skygraft ingest-inaturalist --photos {wildcards.photos} 2> {log}"


rule ingest_table:
    input:
        table_of_source,
    output:
        layout.photos("{photos}"),
    log:
        layout.log("ingest_table") / "{photos}.log",
    benchmark:
        layout.timing("ingest_table") / "{photos}.tsv"
    wildcard_constraints:
        photos=flow.photo_sources("table"),
    conda:
        "../../envs/skygraft.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        identity=identity_of("photos", "photos"),
        version=flow.version("ingest_table"),
    shell:
        "skygraft ingest-table --photos {wildcards.photos} 2> {log}"
