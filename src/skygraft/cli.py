"""The command line: one verb a stage, and a few for people.

Exit codes: 0 done, 1 failed, 2 configuration, 3 below the success rate.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import load_dotenv

from skygraft.config.load import load_file
from skygraft.core import logs
from skygraft.core.errors import SkygraftError
from skygraft.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Satellite vision-language models without text labels, from geotagged ground photos.

    Each verb is one stage of the workflow and gives the same result by hand as through Snakemake. The configuration is `--configfile`, else
    what the environment variable SKYGRAFT_CONFIG names, else `config.yaml`.

    **The whole embedded run:** `skygraft run`

    **One stage by hand:** `skygraft plan-tiles --plan lucas_points`

    **What a real run needs before it starts:** `skygraft check --configfile workflow/configs/igarss.yaml`
    """,
)

ConfigFile = Annotated[Path | None, typer.Option("--configfile", help="The configuration.", show_default="config.yaml")]
Shard = Annotated[int | None, typer.Option(help="Which shard; none: all, one after the other.")]
WORLD, GROUND, IMAGERY, MODELS, PEOPLE = "The embedded world", "Ground photos", "Imagery", "Models and scores", "For people"


def _stage(name: str, configfile: Path | None, **arguments: Any) -> None:
    """Runs a stage; its module is imported only now, so that ``--help`` stays quick."""
    load_dotenv(".env")
    config = load_file(configfile)
    try:
        stage = importlib.import_module(f"skygraft.stages.{name}")
        # What has been brought in stays to the end: to look for garbage in it again and again, and once more at the end, takes time.
        gc.freeze()
        atexit.register(gc.freeze)
        stage.run(config, **arguments)
    except KeyboardInterrupt:
        # Typer would end in silence.
        logging.getLogger(__name__).warning("stopped; finished items are kept")
        sys.exit(130)


@app.command(rich_help_panel=WORLD)
def build_world(configfile: ConfigFile = None) -> None:
    """Draw the landscape, its scenes, photos, tables and archive.

    Example: `skygraft build-world`
    """
    _stage("build_world", configfile)


@app.command(rich_help_panel=WORLD)
def train_teacher(configfile: ConfigFile = None) -> None:
    """Train the world's small CLIP, which plays the part of OpenAI's weights.

    Example: `skygraft train-teacher`
    """
    _stage("train_teacher", configfile)


@app.command(rich_help_panel=GROUND)
def ingest_lucas(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Read a LUCAS table into a table of photos.

    Example: `skygraft ingest-lucas --photos lucas`
    """
    _stage("ingest_lucas", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def ingest_flickr(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Search Flickr for an area's photos, into a table of photos; an interrupted search goes on. Needs FLICKR_API_KEY.

    Example: `skygraft ingest-flickr --photos flickr`
    """
    _stage("ingest_flickr", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def ingest_commons(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Ask Wikimedia Commons for an area's photos, into a table of photos; an interrupted search goes on.

    Example: `skygraft ingest-commons --photos commons`
    """
    _stage("ingest_commons", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def ingest_mapillary(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Ask Mapillary for an area's photos, into a table of photos; an interrupted search goes on. Needs MAPILLARY_TOKEN.

    Example: `skygraft ingest-mapillary --photos mapillary`
    """
    _stage("ingest_mapillary", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def ingest_inaturalist(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Ask iNaturalist for an area's photos, into a table of photos; an interrupted search goes on.

    Example: `skygraft ingest-inaturalist --photos inaturalist`
    """
    _stage("ingest_inaturalist", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def ingest_table(photos: Annotated[str, typer.Option(help="Name of the photo source.")], configfile: ConfigFile = None) -> None:
    """Read a table of your own (CSV, Parquet, GeoPackage) into a table of photos.

    Example: `skygraft ingest-table --photos own`
    """
    _stage("ingest_table", configfile, photos=photos)


@app.command(rich_help_panel=GROUND)
def fetch_photos(
    photos: Annotated[str, typer.Option(help="Name of the photo source.")], shard: Shard = None, configfile: ConfigFile = None
) -> None:
    """Fetch the photos' bytes, shard by shard; finished photos are never fetched again.

    Example: `skygraft fetch-photos --photos lucas --shard 3`
    """
    _stage("fetch_photos", configfile, photos=photos, shard=shard)


@app.command(rich_help_panel=GROUND)
def retry_failed(
    photos: Annotated[str | None, typer.Option(help="Name of a photo source.")] = None,
    imagery: Annotated[str | None, typer.Option(help="Name of an imagery.")] = None,
    configfile: ConfigFile = None,
) -> None:
    """Try again what failed for a passing reason; permanent failures are left alone.

    Example: `skygraft retry-failed --photos lucas`
    """
    _stage("retry_failed", configfile, photos=photos, imagery=imagery)


@app.command(rich_help_panel=GROUND)
def forget(photos: Annotated[Path, typer.Option(help="A text file with one photo_id a line.")]) -> None:
    """Take photos out of everything below this folder, in all configurations, and never take them in again.

    They leave tables, photo shards, embeddings and pairs; a tile without photos leaves its plan, and a report that shows one is deleted.
    Files keep their times: the next run writes such reports anew and repeats nothing else. Models that learnt from the photos are named,
    and stay until you delete them. Photos that are found nowhere are named too, and stand on the list (data/forgotten.parquet) all the
    same: that is no failure. While a stage works on a file the verb fails, with everything else done; run it again.

    Example: `skygraft forget --photos ids.txt`
    """
    from skygraft.stages.forget import run

    run(photos)


@app.command(rich_help_panel=GROUND)
def embed_photos(
    encoder: Annotated[str, typer.Option(help="Name of the encoder.")],
    photos: Annotated[str, typer.Option(help="Name of the photo source.")],
    job: Annotated[int | None, typer.Option(help="Which job; each takes several photo shards. None: all.")] = None,
    configfile: ConfigFile = None,
) -> None:
    """Encode photos with the frozen CLIP; nothing is encoded twice.

    Example: `skygraft embed-photos --encoder teacher --photos lucas`
    """
    _stage("embed_photos", configfile, encoder=encoder, photos=photos, job=job)


@app.command(rich_help_panel=IMAGERY)
def plan_tiles(plan: Annotated[str, typer.Option(help="Name of the plan.")], configfile: ConfigFile = None) -> None:
    """Choose tiles, pair them with photos, and split them by spatial blocks.

    Example: `skygraft plan-tiles --plan lucas_points`
    """
    _stage("plan_tiles", configfile, plan=plan)


@app.command(rich_help_panel=IMAGERY)
def search_scenes(imagery: Annotated[str, typer.Option(help="Name of the imagery.")], configfile: ConfigFile = None) -> None:
    """Search the catalogue by region and month, and keep what it says.

    Example: `skygraft search-scenes --imagery sentinel2`
    """
    _stage("search_scenes", configfile, imagery=imagery)


@app.command(rich_help_panel=IMAGERY)
def fetch_tiles(
    imagery: Annotated[str, typer.Option(help="Name of the imagery.")], shard: Shard = None, configfile: ConfigFile = None
) -> None:
    """Read the tiles' pixels, shard by shard; finished tiles are never read again.

    Example: `skygraft fetch-tiles --imagery sentinel2 --shard 0`
    """
    _stage("fetch_tiles", configfile, imagery=imagery, shard=shard)


@app.command(rich_help_panel=MODELS)
def train(run: Annotated[str, typer.Option(help="Name of the run.")], configfile: ConfigFile = None) -> None:
    """Train a satellite encoder; it goes on where a killed training stopped.

    Example: `skygraft train --run igarss_revised`
    """
    _stage("train", configfile, run=run)


@app.command(rich_help_panel=MODELS)
def fetch_benchmark(
    benchmark: Annotated[str, typer.Option(help="Name of the benchmark.")],
    file: Annotated[str, typer.Option(help="Its archive or split list.")],
    configfile: ConfigFile = None,
) -> None:
    """Fetch a benchmark's archive and check it.

    Example: `skygraft fetch-benchmark --benchmark eurosat --file EuroSAT_RGB.zip`
    """
    _stage("fetch_benchmark", configfile, benchmark=benchmark, file=file)


@app.command(rich_help_panel=MODELS)
def extract_features(model: Annotated[str, typer.Option(help="Name of a scored model.")], configfile: ConfigFile = None) -> None:
    """Compute a model's features of the benchmark's images.

    Example: `skygraft extract-features --model teacher`
    """
    _stage("extract_features", configfile, model=model)


@app.command(rich_help_panel=MODELS)
def evaluate_eurosat_kshot(model: Annotated[str, typer.Option(help="Name of a scored model.")], configfile: ConfigFile = None) -> None:
    """Score one model: k-shot probes, zero-shot, confusion.

    Example: `skygraft evaluate-eurosat-kshot --model igarss_revised`
    """
    _stage("evaluate_eurosat_kshot", configfile, model=model)


@app.command(rich_help_panel=MODELS)
def collect_eurosat_kshot(configfile: ConfigFile = None) -> None:
    """Put the scores of all models into one table.

    Example: `skygraft collect-eurosat-kshot`
    """
    _stage("collect_eurosat_kshot", configfile)


@app.command(rich_help_panel=MODELS)
def report(configfile: ConfigFile = None) -> None:
    """Write the HTML report.

    Example: `skygraft report`
    """
    _stage("report", configfile)


@app.command(rich_help_panel=PEOPLE)
def run(
    targets: Annotated[list[str] | None, typer.Argument(help="Files or named targets.", show_default="everything")] = None,
    cores: Annotated[int, typer.Option(help="Cores to use.")] = 2,
    configfile: ConfigFile = None,
) -> None:
    """Run the workflow with a progress display, and print the table it made.

    Example: `skygraft run --cores 8`
    """
    _stage("run_workflow", configfile, targets=targets or [], cores=cores, file=configfile)


@app.command(rich_help_panel=PEOPLE)
def check(
    configfile: ConfigFile = None,
    mirror: Annotated[str | None, typer.Option(help="Folder or URL prefix in place of public downloads.")] = None,
) -> None:
    """Say what a run will need before it starts: keys, weights, archives, terms, requests, bytes, jobs.

    Example: `skygraft check --configfile workflow/configs/igarss.yaml`
    """
    _stage("check", configfile, mirror=mirror)


@app.command(rich_help_panel=PEOPLE)
def footprints(
    folder: Annotated[Path, typer.Option(help="Folder of a benchmark's GeoTIFFs, searched with all below it.")],
    target: Annotated[Path, typer.Option(help="GeoParquet file to write.")],
    pattern: Annotated[str, typer.Option(help="Which files: one a place is enough where bands are files of their own.")] = "*.tif",
) -> None:
    """Write down where a benchmark's images lie, so that tiles on them can be counted or left out.

    Example: `skygraft footprints --folder BigEarthNet-v1.0 --target bigearthnet.parquet --pattern '*_B02.tif'`
    """
    from skygraft.geo.footprints import write_footprints

    write_footprints(folder.rglob(pattern), target)


@app.command(rich_help_panel=PEOPLE)
def write_config(folder: Annotated[Path, typer.Argument(help="The project's folder.")] = Path()) -> None:
    """Write config.yaml, the JSON schema and the page of tables from the models.

    Example: `skygraft write-config`
    """
    from skygraft.config.files import write_generated

    write_generated(folder)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"skygraft {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    logs.configure(verbose)


def main() -> None:
    """The console entry point."""
    try:
        app()
    except SkygraftError as error:
        typer.secho(f"skygraft: {logs.Redaction().clean(str(error))}", err=True, fg=typer.colors.RED)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
