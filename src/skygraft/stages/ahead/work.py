"""The work of a run, rule by rule: items, requests, bytes, jobs and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from skygraft.config.aerial import AerialImagery
from skygraft.config.evaluation import EncoderModel, FolderModel, RunModel, ScoredModel
from skygraft.config.flickr import FlickrPhotos
from skygraft.config.imagery import Catalogued, Imagery
from skygraft.config.model import Config
from skygraft.config.naip import Naip
from skygraft.config.network import Network
from skygraft.config.photo_source import PhotoSource
from skygraft.config.photos import LucasPhotos
from skygraft.config.sentinel2 import Sentinel2
from skygraft.stages.ahead import aerial, earth_engine, flickr, open_photos, rates
from skygraft.stages.ahead.counts import ImageryCount, PhotoCount, count_imagery, count_photos, said_of_tiles
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.shares import Sharding
from skygraft.stages.layout import Layout

_TEN_METRES = frozenset({"B02", "B03", "B04", "B08"})


@dataclass(frozen=True)
class Work:
    """What one rule does for one name.

    Args:
        rule: The rule and verb.
        name: What it works on.
        items: What it makes, for people.
        outputs: The declared outputs.
        jobs: How many jobs.
        requests: Requests over the network.
        received: Bytes over the network.
        disk: Bytes on disk.
        seconds: Time at the assumed rates, all jobs together.
        assumed: What the figures rest on.
    """

    rule: str
    name: str
    items: str
    outputs: Sequence[Path]
    jobs: int = 1
    requests: int = 0
    received: int = 0
    disk: int = 0
    seconds: float = 0.0
    assumed: str = ""

    @property
    def done(self) -> int:
        """Outputs that are there already."""
        return sum(path.exists() for path in self.outputs)

    @property
    def missing_disk(self) -> int:
        """Bytes still to be written."""
        return round(self.disk * (1 - self.done / len(self.outputs))) if self.outputs else self.disk


class Account:
    """The work of a configuration on a machine.

    Args:
        config: The configuration.
        machine: What it computes with.
    """

    def __init__(self, config: Config, machine: Machine) -> None:
        self.config, self.machine, self.layout = config, machine, Layout(config)
        self.line = rates.INTERNET if config.world is None else rates.LOOPBACK
        self.photos: dict[str, PhotoCount] = {name: count_photos(config, name) for name in config.photos}
        self.imagery: dict[str, ImageryCount] = {name: count_imagery(config, name) for name in config.imagery}

    def work(self) -> list[Work]:
        """All of it, in the order of the flow."""
        parts = (self._world(), self._ground(), self._images(), self._runs(), self._benchmarks(), self._scores())
        return [work for part in parts for work in part]

    def shardings(self) -> list[Sharding]:
        """How photos and tiles are cut."""
        photos = [
            Sharding(f"photos.{name}", self.photos[name].photos, self.photo_bytes(name)[0], section.shards, hashed=True)
            for name, section in self.config.photos.items()
        ]
        plans = {
            imagery.plan: Sharding(
                f"plans.{imagery.plan}",
                self.imagery[name].tiles,
                self.tile_bytes(name),
                self.config.plans[imagery.plan].shards,
                hashed=False,
            )
            for name, imagery in sorted(self.config.imagery.items(), key=lambda entry: self.tile_bytes(entry[0]))
        }
        return [*photos, *plans.values()]

    def photo_bytes(self, photos: str) -> tuple[int, str]:
        """Bytes of a photo: measured on the shards that are there, else assumed."""
        there = [path for path in self.layout.photo_shards(photos) if path.exists()]
        rows = sum(pq.read_metadata(path).num_rows for path in there)
        if rows:
            return -(-sum(path.stat().st_size for path in there) // rows), f"measured on {len(there)} shards"
        size = rates.PHOTO_BYTES if self.config.world is None else rates.WORLD_PHOTO_BYTES
        return size, f"{size / 1000:g} kB a photo assumed"

    def tile_bytes(self, imagery: str) -> int:
        """Bytes of a tile's pixels, uncompressed."""
        return self.tile_values(imagery) * (2 if isinstance(self.config.imagery[imagery], Sentinel2) else 1)

    def tile_values(self, imagery: str) -> int:
        """Values of a tile: its pixels in all bands."""
        section = self.config.imagery[imagery]
        if isinstance(section, AerialImagery):
            return aerial.tile_values(section, self.config.plans[section.plan])
        return self.config.plans[section.plan].size_px ** 2 * len(section.bands)

    def _world(self) -> Iterator[Work]:
        world = self.config.world
        if world is None:
            return
        drawn = world.points * 4 + world.captioned_photos + world.heldout_photos + world.flickr_photos
        disk = drawn * rates.WORLD_PHOTO_BYTES + world.chips * rates.WORLD_CHIP_BYTES + world.points * rates.WORLD_SCENE_BYTES
        seconds = (drawn / 400 + world.chips / 180 + world.points * 0.09) / min(world.workers, self.machine.cores)
        yield Work(
            "build_world", "world", f"{drawn:,} photos, {world.chips:,} chips, scenes", [self.layout.world_manifest], disk=disk,
            seconds=seconds, assumed="400 photos, 180 chips and the scenes around 11 points a second and core",
        )  # fmt: skip
        steps = world.captioned_photos * world.teacher.epochs
        seconds = steps / 70 / min(world.torch_threads, self.machine.cores)
        yield Work(
            "train_teacher", "teacher", f"{steps:,} photos seen", self.layout.teacher_files(), disk=30_000_000, seconds=seconds,
            assumed="70 photos a second and core",
        )  # fmt: skip

    def _ground(self) -> Iterator[Work]:
        for name, section in self.config.photos.items():
            count, (size, sized) = self.photos[name], self.photo_bytes(name)
            yield self._ingest(name, section, count)
            received, requests = count.photos * size, count.photos * open_photos.requests_a_photo(section)
            yield Work(
                "fetch_photos", name, f"{count.photos:,} photos", self.layout.photo_shards(name), jobs=section.shards,
                requests=requests, received=received, disk=received,
                seconds=self._network_seconds(requests, received, section.network),
                assumed=f"{sized}; {self.line.request_s:g} s a request",
            )  # fmt: skip
        for encoder, photos in self.config.wanted_embeddings():
            yield self._embedding(encoder, photos)

    def _ingest(self, name: str, section: PhotoSource, count: PhotoCount) -> Work:
        outputs = [self.layout.photos(name)]
        if isinstance(section, LucasPhotos):
            table = round(count.points * 1.44) * rates.LUCAS_ROW_BYTES
            return Work(
                "ingest_lucas", name, f"{count.points:,} points", outputs, requests=len(section.tables()), received=table,
                disk=table + count.photos * 100, seconds=count.photos / 50_000 + table / self.line.bytes_a_second,
                assumed=f"{count.counted}; {rates.LUCAS_ROW_BYTES} bytes a row, 1.44 rows a photographed point",
            )  # fmt: skip
        if isinstance(section, FlickrPhotos):
            calls, seconds, how = flickr.calls(section, count.photos)
            return Work(
                "ingest_flickr", name, f"{count.photos:,} photos", outputs, requests=calls, received=flickr.received(count.photos),
                disk=count.photos * 200, seconds=seconds, assumed=f"{count.counted}; {how}",
            )  # fmt: skip
        asked = open_photos.asked(section) or open_photos.Asked(0, 0.0, "the service's answers are not counted")
        return Work(
            f"ingest_{self.config.photos[name].source}", name, f"{count.photos:,} photos", outputs, requests=asked.requests,
            disk=count.photos * 200, seconds=asked.seconds + count.photos / 50_000, assumed=f"{count.counted}; {asked.assumed}",
        )  # fmt: skip

    def _embedding(self, encoder: str, photos: str) -> Work:
        section, count = self.config.encoders[encoder], self.photos[photos].photos
        dimension, rate = rates.dimension(section), self.machine.forward(section.model)
        return Work(
            "embed_photos", f"{encoder}, {photos}", f"{count:,} embeddings", self.layout.embedding_shards(encoder, photos),
            jobs=self.layout.embedding_jobs(encoder, photos), disk=count * (2 * dimension + 120), seconds=count / rate,
            assumed=f"{dimension} half floats each; {rate:,.0f} photos a second ({self.machine})",
        )  # fmt: skip

    def _images(self) -> Iterator[Work]:
        for plan, settings in self.config.plans.items():
            points = settings.expected or sum(self.photos[name].points for name in settings.photos)
            photos = sum(self.photos[name].photos for name in settings.photos)
            yield Work(
                "plan_tiles", plan, f"{points:,} tiles, {photos:,} pairs", [self.layout.tiles(plan), self.layout.pairs(plan)],
                disk=points * 250 + photos * 60, seconds=photos / 50_000, assumed=said_of_tiles(settings),
            )  # fmt: skip
        for name, section in self.config.imagery.items():
            yield from self._imagery(name, section, self.imagery[name])

    def _imagery(self, name: str, section: Imagery, count: ImageryCount) -> Iterator[Work]:
        if isinstance(section, Catalogued):
            yield self._searches(name, section, count)
        yield self._tiles(name, section, count) if isinstance(section, Catalogued) else self._pictures(name, section, count)

    def _pictures(self, name: str, section: AerialImagery, count: ImageryCount) -> Work:
        plan = self.config.plans[section.plan]
        asked = aerial.asked(section, plan)
        requests, received = round(count.tiles * asked.requests), round(count.tiles * asked.received)
        return Work(
            "fetch_tiles", name, f"{count.tiles:,} tiles", self.layout.tile_shards(name), jobs=plan.shards, requests=requests,
            received=received, disk=count.tiles * (self.tile_bytes(name) + 400),
            seconds=self._network_seconds(requests, received, section.network),
            assumed=f"{count.counted}; {asked.assumed}; {self.tile_bytes(name) / 1000:g} kB a tile, uncompressed",
        )  # fmt: skip

    def _searches(self, name: str, section: Catalogued, count: ImageryCount) -> Work:
        by, items, item_bytes = "region and month", self.line.items, self.line.item_bytes
        if isinstance(section, Naip):
            by = "region"
            if self.config.world is None:
                items, item_bytes = rates.NAIP_ITEMS, rates.NAIP_ITEM_BYTES
        pages, received = count.searches * -(-items // rates.PAGE_ITEMS), count.searches * items * item_bytes
        if section.catalogue == "earth_engine":
            (pages, received), item_bytes = earth_engine.lists(section, count.searches, items), earth_engine.IMAGE_BYTES
        return Work(
            "search_scenes", name, f"{count.searches:,} searches by {by}", [self.layout.scenes(name)], requests=pages,
            received=received, disk=count.searches * items * 1_500,
            seconds=pages * self.line.search_s / section.network.concurrency,
            assumed=f"{count.counted}; {items} items of {item_bytes // 1000} kB and {self.line.search_s:g} s each",
        )  # fmt: skip

    def _tiles(self, name: str, section: Catalogued, count: ImageryCount) -> Work:
        if section.catalogue == "earth_engine":
            return self._computed(name, section, count)
        shards, windows = self.config.plans[section.plan].shards, self._reads(section, count)
        received = windows.blocks * self.line.block_bytes + windows.headers * rates.HEADER_BYTES
        seconds = self._network_seconds(windows.blocks + windows.headers, received, section.network)
        tokens = max(shards, round(seconds / rates.TOKEN_S)) if section.catalogue == "planetary_computer" else 0
        return Work(
            "fetch_tiles", name, f"{count.tiles:,} tiles of {count.scenes:,} scenes", self.layout.tile_shards(name), jobs=shards,
            requests=windows.blocks + windows.headers + tokens, received=received, disk=count.tiles * (self.tile_bytes(name) + 400),
            seconds=seconds,
            assumed=(
                f"{windows.headers:,} headers, {windows.blocks:,} blocks of {self.line.block_px} px and "
                f"{self.line.block_bytes // 1000} kB before neighbours share any, {tokens:,} SAS tokens; "
                f"{self.tile_bytes(name) / 1000:g} kB a tile, uncompressed"
            ),
        )  # fmt: skip

    def _computed(self, name: str, section: Catalogued, count: ImageryCount) -> Work:
        plan = self.config.plans[section.plan]
        requests, received, seconds, assumed = earth_engine.tiles(section, count.tiles, plan.size_px)
        return Work(
            "fetch_tiles", name, f"{count.tiles:,} tiles of {count.scenes:,} scenes", self.layout.tile_shards(name), jobs=plan.shards,
            requests=requests, received=received, disk=count.tiles * (self.tile_bytes(name) + 400),
            seconds=max(seconds, received / self.line.bytes_a_second), assumed=assumed,
        )  # fmt: skip

    def _reads(self, section: Catalogued, count: ImageryCount) -> WindowReads:
        plan = self.config.plans[section.plan]
        if isinstance(section, Sentinel2):
            return window_reads(section.bands, plan.size_px, self.line.block_px, count)
        # One file holds all bands; most of them have pixels of 0.6 m.
        touched = 1 + (plan.size_px * plan.gsd_m / rates.NAIP_PIXEL_M - 1) / self.line.block_px
        return WindowReads(count.scenes, round(count.tiles * touched**2))

    def _network_seconds(self, requests: int, received: int, network: Network) -> float:
        """The longest of: waiting for answers, the configured rate, and the line."""
        jobs = self.config.net_jobs
        paced = requests / (network.per_second * jobs) if network.per_second is not None else 0.0
        return max(requests * self.line.request_s / (network.concurrency * jobs), paced, received / self.line.bytes_a_second)

    def _runs(self) -> Iterator[Work]:
        for name, run in self.config.runs.items():
            architecture = self.config.encoders[run.encoder].model
            tiles = self.imagery[run.imagery].tiles
            scratch = 3 * rates.weights_bytes(architecture) + tiles * self.tile_values(run.imagery)
            rate = self.machine.training(architecture)
            yield Work(
                "train", name, f"{run.optimiser.epochs} epochs of at most {tiles:,} tiles", self.layout.run_files(name),
                disk=rates.weights_bytes(architecture) + scratch, seconds=run.optimiser.epochs * tiles / rate,
                assumed=f"{rate:,.0f} tiles a second ({self.machine}); the model, and meanwhile its checkpoints and the tiles' bytes",
            )  # fmt: skip

    def _benchmarks(self) -> Iterator[Work]:
        for name in self.config.benchmarks:
            files = self.layout.benchmark_files(name)
            size = rates.EUROSAT_BYTES if self.config.world is None else self.config.world.chips * rates.WORLD_CHIP_BYTES
            yield Work(
                "fetch_benchmark", name, ", ".join(path.name for path in files), files, jobs=len(files), requests=len(files),
                received=size, disk=size, seconds=size / self.line.bytes_a_second, assumed="the archive's published size",
            )  # fmt: skip

    def _scores(self) -> Iterator[Work]:
        task = self.config.eurosat_kshot
        if task is None:
            return
        images = rates.EUROSAT_IMAGES if self.config.world is None else self.config.world.chips
        models = self.config.scored_models()
        seconds = sum(images / rates.scored_forward(model, self._architecture(model), self.machine) for model in models.values())
        yield Work(
            "extract_features", task.benchmark, f"{len(models)} models, at most {images:,} images each",
            [self.layout.features(task.benchmark, name) for name in models], jobs=len(models), disk=len(models) * images * 4_200,
            seconds=seconds, assumed=f"encoded as the photos are ({self.machine})",
        )  # fmt: skip
        yield Work(
            "evaluate_eurosat_kshot", task.benchmark, f"{len(models)} models, {len(task.protocols)} protocols",
            [part for name in models for part in self.layout.kshot_parts(name)], jobs=len(models), disk=len(models) * 100_000,
            seconds=20.0 * len(models) * len(task.protocols) / self.machine.cores, assumed="20 s a model, protocol and core",
        )  # fmt: skip
        yield Work("collect_eurosat_kshot", "eurosat_kshot", "one table", [self.layout.table("eurosat_kshot")], seconds=5, disk=100_000)
        yield Work("report", "report", "one page", [self.layout.report], seconds=30, disk=5_000_000)

    def _architecture(self, model: ScoredModel) -> str:
        if isinstance(model, RunModel):
            return self.config.encoders[self.config.runs[model.run].encoder].model
        if isinstance(model, EncoderModel):
            return self.config.encoders[model.encoder].model
        return f"local-dir:{model.folder}" if isinstance(model, FolderModel) else ""


@dataclass(frozen=True)
class WindowReads:
    """Reads of cloud-optimised files: a header for each scene and band, and the blocks that the tiles touch."""

    headers: int
    blocks: int


def window_reads(bands: Sequence[str], size_px: int, block_px: int, count: ImageryCount) -> WindowReads:
    """The reads that tiles need, before neighbours share a block; the scene classification is always read too.

    Args:
        bands: Names of the bands.
        size_px: Side of a tile, pixels of 10 m.
        block_px: Side of a block of the scenes' files, pixels.
        count: Tiles and scenes.
    """
    fine = sum(band in _TEN_METRES for band in bands)
    coarse = len(bands) - fine + 1
    # A window at a random place touches 1 + (n - 1) / b blocks of b pixels along each side.
    touched_fine = (1 + (size_px - 1) / block_px) ** 2
    touched_coarse = (1 + (size_px / 2 - 1) / block_px) ** 2
    return WindowReads(count.scenes * (fine + coarse), round(count.tiles * (fine * touched_fine + coarse * touched_coarse)))
