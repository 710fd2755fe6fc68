"""Evaluation: the archive, each model's features and scores, and one table a task."""


rule fetch_benchmark:
    input:
        world_files(),
    output:
        layout.benchmark_file("{benchmark}", "{file}"),
    log:
        layout.log("fetch_benchmark") / "{benchmark}-{file}.log",
    benchmark:
        layout.timing("fetch_benchmark") / "{benchmark}-{file}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        net=1,
        mem_mb=1000,
        runtime=720,
    params:
        identity=identity_of("benchmark", "benchmark"),
        version=flow.version("fetch_benchmark"),
    shell:
        "skygraft fetch-benchmark --benchmark {wildcards.benchmark} --file {wildcards.file} 2> {log}"


rule extract_features:
    input:
        archive=scored_archive,
        model=files_of_model,
    output:
        layout.data / "features" / settings.name / "{benchmark}/{preprocess}/{model}.parquet",
    log:
        layout.log("extract_features") / "{benchmark}-{preprocess}-{model}.log",
    benchmark:
        layout.timing("extract_features") / "{benchmark}-{preprocess}-{model}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        identity=identity_of("model", "model"),
        version=flow.version("extract_features"),
    shell:
        "skygraft extract-features --model {wildcards.model} 2> {log}"


rule evaluate_eurosat_kshot:
    input:
        features=features_of_model,
        archive=scored_archive,
        model=files_of_model,
    output:
        layout.kshot_parts("{model}"),
    log:
        layout.log("evaluate_eurosat_kshot") / "{model}.log",
    benchmark:
        layout.timing("evaluate_eurosat_kshot") / "{model}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        identity=identity_of("scores", "model"),
        version=flow.version("evaluate_eurosat_kshot"),
    shell:
        "skygraft evaluate-eurosat-kshot --model {wildcards.model} 2> {log}"


rule collect_eurosat_kshot:
    input:
        every_part,
    output:
        layout.table("eurosat_kshot"),
        layout.table("eurosat_zeroshot"),
    log:
        layout.log("collect_eurosat_kshot") / "table.log",
    benchmark:
        layout.timing("collect_eurosat_kshot") / "table.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=flow.version("collect_eurosat_kshot"),
    shell:
        "skygraft collect-eurosat-kshot 2> {log}"
