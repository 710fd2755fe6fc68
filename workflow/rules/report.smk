"""The report."""


rule report:
    input:
        tables=[layout.table("eurosat_kshot"), layout.table("eurosat_zeroshot")],
        parts=every_part,
        runs=run_files,
        data=data_files,
    output:
        layout.report,
        layout.attribution,
    log:
        layout.log("report") / "report.log",
    benchmark:
        layout.timing("report") / "report.tsv"
    conda:
        "../../envs/skygraft.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        identity=flow.identity("report"),
        version=flow.version("report"),
    shell:
        "skygraft report 2> {log}"
