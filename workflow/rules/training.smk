"""Training: one job a run; the model folder's files are its outputs."""


rule train:
    input:
        embeddings=embeddings_of_run,
        tiles=tiles_of_run,
        plan=plan_of_run,
        encoder=encoder_of_run,
    output:
        layout.run_files("{run}"),
    log:
        layout.log("train") / "{run}.log",
    benchmark:
        layout.timing("train") / "{run}.tsv"
    conda:
        "../../envs/skygraft.yaml"
    threads: max([run.torch_threads for run in settings.runs.values()], default=1)
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=2880,
    params:
        identity=identity_of("run", "run"),
        version=flow.version("train"),
    shell:
        "skygraft train --run {wildcards.run} 2> {log}"
