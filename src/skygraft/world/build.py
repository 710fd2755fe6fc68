"""Building an embedded world: draw everything of a recipe into a folder that the services then serve."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skygraft.core.files import atomic_path, sha256_file, write_bytes, write_json, write_text
from skygraft.core.identity import digest
from skygraft.world import flickr_rows, tasks
from skygraft.world.classes import NAMES
from skygraft.world.eurosat import ARCHIVE_PATH, Chip, archive, choose_chips, footprints
from skygraft.world.landscape import Landscape
from skygraft.world.lucas import HARMONISED_PATH, MICRO_PATH, PHOTO_HOST, harmonised_csv, micro_csv, micro_rows
from skygraft.world.photos import Captioned, Truth
from skygraft.world.points import Point, survey
from skygraft.world.recipe import EPSG, Recipe
from skygraft.world.scattered import PICTURE_HOST, TABLE, TRUTH
from skygraft.world.scene_items import ES_ROOT, PC_ROOT, collection
from skygraft.world.scenes import scenes_of
from skygraft.world.snapshots import snapshots
from skygraft.world.squares import Square, squares_of

_LOG = logging.getLogger(__name__)
WORK = "work"
"""Folder of the ground that the workers share; it goes when the scenes are written, or when the next build begins."""
FAIR = 20.0
"""Cloud cover in percent under which a catalogue search takes a scene for fair."""


def build_world(recipe: Recipe, folder: Path, *, workers: int = 2) -> dict[str, Any]:
    """Draw a world into a folder.

    Args:
        recipe: what to draw.
        folder: where to; files of an earlier world of the folder are replaced.
        workers: processes that draw.

    Returns:
        The manifest, as written last to `world.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("world.json", "http", "stac", WORK):
        _remove(folder / name)
    land = tasks.landscape(recipe)
    squares = squares_of(land)
    points = survey(land, recipe, squares)
    _write_tables(folder, recipe, points)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        ground = tasks.Ground.over(squares, folder / WORK / "ground.npy")
        blocks = tasks.ground_jobs(land, ground, points)
        drawn = pool.map(tasks.draw_ground, *_spread(recipe, ground, blocks))
        truths = pool.map(tasks.draw_photos, *_spread(recipe, folder, _chunks(points, 60)))
        scattered = flickr_rows.jobs(recipe, snapshots(land, recipe, squares, points, {block for group in blocks for block in group}))
        listed = pool.map(tasks.draw_listed, *_spread(recipe, folder, _chunks(scattered, 60)))
        captioned = _start_captioned(pool, recipe)
        chips = choose_chips(land, recipe.chips)
        images = pool.map(tasks.draw_chip_images, *_spread(recipe, None, tasks.chip_jobs(chips)))
        _LOG.info("%d blocks of ground drawn", sum(drawn))
        scenes = [scene for square in squares for scene in scenes_of(recipe.seed, square)]
        written = list(pool.map(tasks.draw_scene, *_spread(recipe, (folder, ground), scenes)))
        told = [one for part in truths for one in part]
        _write_archive(folder, chips, images)
        _write_parquet(folder / "eurosat_footprints.parquet", footprints(chips))
        photos = _write_listed(folder, [one for part in listed for one in part])
        for name, parts in captioned.items():
            _write_captioned(folder / f"{name}.parquet", [one for part in parts for one in part])
    _remove(folder / WORK)
    _write_catalogues(folder, written)
    _write_parquet(folder / "truth.parquet", pa.Table.from_pylist([asdict(one) for one in told]))
    facts = _facts(recipe, points, squares, told, written)
    facts["flickr_photos"] = photos
    facts["chips"] = Counter(NAMES[c.cover] for c in chips)
    return _write_manifest(folder, recipe, land, facts)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _spread(recipe: Recipe, shared: object, jobs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the argument lists of a task that takes recipe, shared argument and job."""
    return [recipe] * len(jobs), [shared] * len(jobs), list(jobs)


def _start_captioned(pool: Executor, recipe: Recipe) -> dict[str, Iterable[list[Captioned]]]:
    learn, total = recipe.captioned_photos, recipe.captioned_photos + recipe.heldout_photos
    parts = {"captioned_photos": _chunks(range(learn), 250), "heldout_photos": _chunks(range(learn, total), 250)}
    found: dict[str, Iterable[list[Captioned]]] = {}
    for name, jobs in parts.items():
        found[name] = pool.map(tasks.draw_captioned, *_spread(recipe, None, jobs))
    indoors = _chunks(range(recipe.captioned_indoors), 250)
    found["captioned_photos"] = chain(found["captioned_photos"], pool.map(tasks.draw_captioned_indoors, *_spread(recipe, None, indoors)))
    return found


def _write_captioned(path: Path, photos: Sequence[Captioned]) -> None:
    table = pa.table(
        {
            "image": pa.array([p.image for p in photos], pa.large_binary()),
            "class_name": pa.array([p.name for p in photos], pa.string()),
            "captions": pa.array([list(p.captions) for p in photos], pa.list_(pa.string())),
        }
    )
    _write_parquet(path, table)


def _write_listed(folder: Path, photos: Sequence[flickr_rows.Listed]) -> Counter[str]:
    """Write what the service knows and what the world knows of the scattered photos; returns the photos by fate."""
    _write_parquet(folder / TABLE, pa.Table.from_pylist([one.row for one in photos]))
    _write_parquet(folder / TRUTH, pa.Table.from_pylist([one.truth for one in photos]))
    return Counter(one.truth["fate"] for one in photos)


def _write_tables(folder: Path, recipe: Recipe, points: Sequence[Point]) -> None:
    rows = micro_rows(recipe.seed, points)
    write_text(folder / "http" / MICRO_PATH, micro_csv(rows))
    write_text(folder / "http" / HARMONISED_PATH, harmonised_csv(points, rows))


def _write_archive(folder: Path, chips: Sequence[Chip], images: Iterable[list[bytes]]) -> None:
    order = [chip for job in tasks.chip_jobs(chips) for chip in job]
    write_bytes(folder / "http" / ARCHIVE_PATH, archive(order, [image for part in images for image in part]))


def _write_parquet(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=1000)


def _write_catalogues(folder: Path, written: Sequence[tasks.Written]) -> None:
    for name, root in (("planetary", PC_ROOT), ("earth_search", ES_ROOT)):
        items = [json.dumps(w.planetary if root == PC_ROOT else w.earth_search, sort_keys=True) for w in written]
        write_text(folder / "stac" / name / "collections.ndjson", json.dumps(collection(root), sort_keys=True) + "\n")
        write_text(folder / "stac" / name / "items.ndjson", "\n".join(items) + "\n")


def _facts(
    recipe: Recipe, points: Sequence[Point], squares: Sequence[Square], told: Sequence[Truth], written: Sequence[tasks.Written]
) -> dict[str, Any]:
    fair = [(w.square, w.month) for w in written if w.cover < FAIR]
    unseen = 0
    for point in points:
        near = [s for s in squares if s.holds(point.theory[0], point.theory[1], 520.0)]
        unseen += not any((s.name, point.day.month) in fair for s in near)
    return {
        "points": len(points),
        "points_interpreted": sum(p.interpreted for p in points),
        "points_without_fair_scene": unseen,
        "points_by_class": Counter(NAMES[p.cover] for p in points),
        "photos": Counter(t.fate for t in told),
        "scenes": len(written),
        "scenes_fair": len(fair),
        "scene_pixels": sum(s.rows * s.columns for s in squares) * len(written) // len(squares),
        "captioned_photos": recipe.captioned_photos,
        "captioned_indoors": recipe.captioned_indoors,
        "heldout_photos": recipe.heldout_photos,
        "months": {s.name: s.month for s in squares},
    }


def _write_manifest(folder: Path, recipe: Recipe, land: Landscape, facts: dict[str, Any]) -> dict[str, Any]:
    photos = {host: hashlib.sha256() for host in (PHOTO_HOST, PICTURE_HOST)}
    files: dict[str, str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        host = name.split("/")[1] if name.startswith("http/") else ""
        if host in photos:
            photos[host].update(name.encode() + b"\0" + sha256_file(path).encode())
        elif name.startswith(("http/", "stac/")) or name.endswith(".parquet"):
            files[name] = sha256_file(path)
    low, high = land.nodes.reshape(-1, 2).min(axis=0), land.nodes.reshape(-1, 2).max(axis=0)
    manifest: dict[str, Any] = {
        "recipe": recipe.as_dict(),
        "recipe_digest": digest(recipe.as_dict()),
        "epsg": EPSG,
        "bounds": [float(low[0]), float(low[1]), float(high[0]), float(high[1])],
        "months": facts.pop("months"),
        "failures": {k: v for k, v in facts["photos"].items() if k != "ok"},
        "counts": facts,
        "files": files,
        "photos_sha256": photos[PHOTO_HOST].hexdigest(),
        "flickr_photos_sha256": photos[PICTURE_HOST].hexdigest(),
    }
    write_json(folder / "world.json", manifest)
    return manifest
