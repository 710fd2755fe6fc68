"""The embedded world; a real configuration has none."""

if settings.world is not None:

    rule build_world:
        output:
            layout.world_manifest,
        log:
            layout.log("build_world") / "world.log",
        benchmark:
            layout.timing("build_world") / "world.tsv"
        conda:
            "../../envs/skygraft.yaml"
        threads: settings.world.workers
        resources:
            mem_mb=3000,
            runtime=30,
        params:
            identity=flow.identity("world"),
            version=flow.version("build_world"),
        shell:
            "skygraft build-world 2> {log}"

    rule train_teacher:
        input:
            layout.world_manifest,
        output:
            layout.teacher_files(),
        log:
            layout.log("train_teacher") / "teacher.log",
        benchmark:
            layout.timing("train_teacher") / "teacher.tsv"
        conda:
            "../../envs/skygraft.yaml"
        threads: settings.world.torch_threads
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            identity=flow.identity("teacher"),
            version=flow.version("train_teacher"),
        shell:
            "skygraft train-teacher 2> {log}"
