"""The input and parameter functions of the rules, one after the other in the order of the flow."""


def identity_of(kind, name):
    """An input function: the identity hash of the thing that a wildcard names."""

    def identity(wildcards):
        return flow.identity(kind, wildcards[name])

    return identity


def world_files():
    """What a verb of an embedded run needs before its services can start; nothing for a real one."""
    return [layout.world_manifest] if settings.world is not None else []


def area_of_source(wildcards):
    """The file of the area that a photo source is searched in, where it has one."""
    area = settings.photos[wildcards.photos].area
    return [] if area.file is None else [area.file]


def table_of_source(wildcards):
    """The table of the user's own that a photo source is."""
    return [settings.photos[wildcards.photos].file]


def embedding_targets():
    """The embeddings that runs and filters ask for."""
    return [shard for encoder, photos in settings.wanted_embeddings() for shard in layout.embedding_shards(encoder, photos)]


def photo_shards_of_job(wildcards):
    """The photo shards that an embedding job takes."""
    return layout.embedding_inputs(wildcards.encoder, wildcards.photos, int(wildcards.shard))


def encoder_of_job(wildcards):
    """The encoder's files, where this configuration makes them, and the files of the user's that its photos are scored by."""
    return layout.encoder_files(wildcards.encoder) + layout.outdoor_files(wildcards.encoder)


def embeddings_identity(wildcards):
    """The identity hash of a photo source as one encoder sees it."""
    return flow.identity("embeddings", wildcards.encoder, wildcards.photos)


def photos_of_plan(wildcards):
    """The photo tables that a plan covers, and the embeddings and pictures that its filters ask for."""
    plan = settings.plans[wildcards.plan]
    asked = [] if plan.outdoor is None else [s for photos in plan.photos for s in layout.embedding_shards(plan.outdoor.encoder, photos)]
    pictures = [] if plan.duplicates is None else [shard for photos in plan.photos for shard in layout.photo_shards(photos)]
    return [layout.photos(photos) for photos in plan.photos] + asked + pictures + layout.footprint_files(plan.keep_off)


def plan_of_imagery(wildcards):
    """The tiles that an imagery covers."""
    return layout.tiles(settings.imagery[wildcards.imagery].plan)


def embeddings_of_run(wildcards):
    """The photo embeddings that a run learns from."""
    encoder = settings.runs[wildcards.run].encoder
    plan = settings.plan_of(wildcards.run)
    return [shard for photos in plan.photos for shard in layout.embedding_shards(encoder, photos)]


def tiles_of_run(wildcards):
    """The tile shards that a run learns from."""
    return layout.tile_shards(settings.runs[wildcards.run].imagery)


def plan_of_run(wildcards):
    """The tiles, the pairs and the photo tables that a run learns from."""
    plan = settings.imagery[settings.runs[wildcards.run].imagery].plan
    return [layout.tiles(plan), layout.pairs(plan), *(layout.photos(photos) for photos in settings.plans[plan].photos)]


def encoder_of_run(wildcards):
    """The encoder whose towers a run starts from, where this configuration makes it."""
    return layout.encoder_files(settings.runs[wildcards.run].encoder)


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


def run_files(wildcards):
    """The curves of every run, and what the models of other configurations say of themselves."""
    runs = [file for run in settings.runs for file in layout.run_files(run)]
    return runs + [file for model in settings.foreign_folders() for file in layout.model_files(model)]


def data_files(wildcards):
    """What the runs learnt from: photos, embeddings, plans and imagery."""
    photos = [shard for name in settings.photos for shard in [layout.photos(name), *layout.photo_shards(name)]]
    plans = [file for name in settings.plans for file in (layout.tiles(name), layout.pairs(name))]
    imagery = [shard for name in settings.imagery for shard in layout.tile_shards(name)]
    return photos + plans + imagery + embedding_targets() + layout.footprint_files(settings.benchmarks)
