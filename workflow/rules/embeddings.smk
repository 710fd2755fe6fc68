"""Photo embeddings by a frozen CLIP; one job takes several photo shards."""


rule embed_photos:
    input:
        photos=photo_shards_of_job,
        encoder=encoder_of_job,
    output:
        layout.data / "embeddings/{encoder}/{photos}/{shard}-of-{total}.parquet",
    log:
        layout.log("embed_photos") / "{encoder}-{photos}-{shard}-of-{total}.log",
    benchmark:
        layout.timing("embed_photos") / "{encoder}-{photos}-{shard}-of-{total}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        identity=embeddings_identity,
        version=flow.version("embed_photos"),
    shell:
        "skygraft embed-photos --encoder {wildcards.encoder} --photos {wildcards.photos} --job {wildcards.shard} 2> {log}"
