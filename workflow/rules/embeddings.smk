"""Photo embeddings by a frozen CLIP; one job takes several photo shards."""


def photo_shards_of_job(wildcards):
    """The photo shards that an embedding job takes."""
    return layout.embedding_inputs(wildcards.encoder, wildcards.photos, int(wildcards.shard))


def encoder_of_job(wildcards):
    """The encoder's files, where this configuration makes them."""
    return layout.encoder_files(wildcards.encoder)


def embeddings_identity(wildcards):
    """The identity hash of a photo source as one encoder sees it."""
    return flow.identity("embeddings", wildcards.encoder, wildcards.photos)


rule embed_photos:
    input:
        photos=photo_shards_of_job,
        encoder=encoder_of_job,
    output:
        layout.data / "embeddings/{encoder}/{photos}/{shard}-of-{total}.parquet",
    params:
        identity=embeddings_identity,
        version=flow.version("embed_photos"),
    log:
        layout.log("embed_photos") / "{encoder}-{photos}-{shard}-of-{total}.log",
    benchmark:
        layout.timing("embed_photos") / "{encoder}-{photos}-{shard}-of-{total}.tsv"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    shell:
        "skygraft embed-photos --encoder {wildcards.encoder} --photos {wildcards.photos} --job {wildcards.shard} 2> {log}"
