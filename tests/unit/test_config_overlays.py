"""The configurations in the box: apart from each other, and what they say of the papers they follow."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from skygraft.config.defaults import embedded
from skygraft.config.flickr import FlickrPhotos
from skygraft.config.load import load_file
from skygraft.config.sampling import Sampling
from skygraft.stages.identities import data_folders
from skygraft.stages.layout import Layout

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted((ROOT / "workflow" / "configs").glob("*.yaml"))


def test_shipped_configurations_keep_apart() -> None:
    configs = [load_file(path) for path in (ROOT / "config.yaml", *OVERLAYS)]
    assert len({config.name for config in configs}) == len(configs) >= 4
    assert len({Layout(config).results for config in configs}) == len(configs)
    embedded_folders = {folder for folder, _ in data_folders(embedded())}
    for config in configs[1:]:
        assert not embedded_folders & {folder for folder, _ in data_folders(config)}


def test_overlays_say_what_the_issue_asks_of_them() -> None:
    igarss = load_file(ROOT / "workflow/configs/igarss.yaml")
    run = igarss.runs["igarss"]
    assert igarss.world is None
    assert (run.objective.name, run.optimiser.learning_rate, run.optimiser.batch_size, run.optimiser.epochs) == (
        "pooled_infonce",
        5e-6,
        32,
        100,
    )
    assert run.objective.name == "pooled_infonce"
    assert (run.objective.direction, run.objective.temperature.init, run.objective.temperature.learned) == (
        "ground_to_satellite",
        0.007,
        False,
    )
    revised = igarss.runs["igarss_revised"]
    assert revised.objective.name == "pooled_infonce"
    assert (revised.objective.direction, revised.objective.temperature.init, revised.objective.temperature.learned) == (
        "satellite_to_ground",
        0.07,
        True,
    )
    assert revised.optimiser == run.optimiser
    assert igarss.runs["igarss_scratch"].start == "scratch"
    real = load_file(ROOT / "workflow/configs/real_eurosat.yaml")
    assert str(Layout(real).table("eurosat_kshot")) == "results/real/eurosat_kshot.csv"
    assert real.eurosat_kshot is not None
    assert real.eurosat_kshot.protocols == ("zhou", "igarss", "igarss_80_10_10", "full")


def test_graft_asks_flickr_as_its_published_code_does() -> None:
    graft = load_file(ROOT / "workflow/configs/graft.yaml")
    asked = graft.photos["flickr_hawaii"]
    assert isinstance(asked, FlickrPhotos)
    assert (asked.sampling, asked.draws, asked.seed, asked.radius_km, asked.pages_a_place) == ("uniform", 10_000, 42, 2.0, 4)
    assert (asked.accuracy, asked.taken_from, asked.sizes) == (15, date(2013, 1, 1), ("c", "z", "w", "n", "b", "h", "o", "m"))
    assert not asked.one_a_minute
    for plan in graft.plans.values():
        assert plan.outdoor is not None
        assert (plan.outdoor.encoder, plan.outdoor.threshold) == ("clip_vit_b16", 0.5)
    assert graft.encoders["clip_vit_b16"].outdoor.kind == "sentences"


def test_graft_has_the_papers_tiles_for_both_its_imageries() -> None:
    graft = load_file(ROOT / "workflow/configs/graft.yaml")
    for imagery, gsd_m in (("sentinel2_rgb", 10.0), ("naip_rgb", 1.0)):
        plan = graft.plans[graft.imagery[imagery].plan]
        assert (plan.gsd_m, plan.size_px, plan.sampling) == (gsd_m, 448, Sampling())
    assert graft.imagery["sentinel2_rgb"].model_dump()["max_scene_cloud"] == 1.0
    assert graft.imagery["naip_rgb"].model_dump()["order"] == "most_recent"


def test_the_ablation_of_the_sampling_differs_by_the_centres_alone() -> None:
    config = load_file(ROOT / "workflow/configs/embedded_sampling.yaml")
    apart, random = (config.plan_of(run) for run in ("apart", "random"))
    assert apart.sampling is not None
    assert random == apart.model_copy(update={"sampling": apart.sampling.model_copy(update={"centres": "random"})})
    given = {"imagery": "sentinel2_random", "note": config.runs["random"].note}
    assert config.runs["apart"].model_copy(update=given) == config.runs["random"]


def test_two_overlays_differ_by_the_outdoor_filter_alone() -> None:
    filtered, everything = (load_file(ROOT / f"workflow/configs/{name}.yaml") for name in ("embedded_flickr", "embedded_flickr_all"))
    plan = filtered.plans["flickr_places"]
    assert plan.outdoor is not None
    assert filtered.wanted_embeddings() == [("teacher", "flickr")]
    teacher = filtered.encoders["teacher"].model_copy(update={"model": everything.encoders["teacher"].model})
    named = {"name": everything.name, "encoders": {"teacher": teacher}, "report": everything.report}
    unfiltered = {"flickr_places": plan.model_copy(update={"outdoor": None})}
    assert filtered.model_copy(update=named | {"plans": unfiltered}) == everything
