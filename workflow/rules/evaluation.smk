"""Evaluation: the archive, each model's features and scores, and one table a task."""


def features_of_model(wildcards):
    """The features that a model's scores are computed from."""
    return layout.features(settings.eurosat_kshot.benchmark, wildcards.model)


def scored_archive(wildcards):
    """The archive, and the split list where there is one, that the k-shot task reads."""
    return layout.benchmark_files(settings.eurosat_kshot.benchmark)


def files_of_model(wildcards):
    """The files of a scored model: of a run, of the teacher, or of another configuration's folder."""
    return layout.model_files(wildcards.model)


def every_part(wildcards):
    """Each model's rows of the k-shot task."""
    return [file for model in settings.scored_models() for file in layout.kshot_parts(model)]


rule fetch_benchmark:
    input:
        world_files(),
    output:
        layout.benchmark_file("{benchmark}", "{file}"),
    params:
        identity=identity_of("benchmark", "benchmark"),
        version=flow.version("fetch_benchmark"),
    log:
        layout.log("fetch_benchmark") / "{benchmark}-{file}.log",
    benchmark:
        layout.timing("fetch_benchmark") / "{benchmark}-{file}.tsv"
    resources:
        net=1,
        mem_mb=1000,
        runtime=720,
    shell:
        "skygraft fetch-benchmark --benchmark {wildcards.benchmark} --file {wildcards.file} 2> {log}"


rule extract_features:
    input:
        archive=scored_archive,
        model=files_of_model,
    output:
        layout.data / "features" / settings.name / "{benchmark}/{preprocess}/{model}.parquet",
    params:
        identity=identity_of("model", "model"),
        version=flow.version("extract_features"),
    log:
        layout.log("extract_features") / "{benchmark}-{preprocess}-{model}.log",
    benchmark:
        layout.timing("extract_features") / "{benchmark}-{preprocess}-{model}.tsv"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    shell:
        "skygraft extract-features --model {wildcards.model} 2> {log}"


rule evaluate_eurosat_kshot:
    input:
        features=features_of_model,
        archive=scored_archive,
        model=files_of_model,
    output:
        layout.kshot_parts("{model}"),
    params:
        identity=identity_of("scores", "model"),
        version=flow.version("evaluate_eurosat_kshot"),
    log:
        layout.log("evaluate_eurosat_kshot") / "{model}.log",
    benchmark:
        layout.timing("evaluate_eurosat_kshot") / "{model}.tsv"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    shell:
        "skygraft evaluate-eurosat-kshot --model {wildcards.model} 2> {log}"


rule collect_eurosat_kshot:
    input:
        every_part,
    output:
        layout.table("eurosat_kshot"),
        layout.table("eurosat_zeroshot"),
    params:
        version=flow.version("collect_eurosat_kshot"),
    log:
        layout.log("collect_eurosat_kshot") / "table.log",
    benchmark:
        layout.timing("collect_eurosat_kshot") / "table.tsv"
    resources:
        mem_mb=500,
        runtime=10,
    shell:
        "skygraft collect-eurosat-kshot 2> {log}"
