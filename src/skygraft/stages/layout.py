"""Where everything lies, for one configuration; the rules and the verbs ask here and nowhere else.

All paths are relative to the folder that the workflow runs in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skygraft.config.model import Config
from skygraft.core.shards import ShardName

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Layout:
    """The paths of one configuration.

    A configuration with an embedded world keeps its data in ``data/{name}/``; real ones share ``data/``. The default configuration has its
    tables in ``results/``, any other in ``results/{name}/``.
    """

    config: Config

    @property
    def data(self) -> Path:
        """What is downloaded or drawn."""
        return Path("data", self.config.name) if self.config.world is not None else Path("data")

    @property
    def results(self) -> Path:
        """Tables and report."""
        return Path("results") if self.config.name == EMBEDDED else Path("results", self.config.name)

    @property
    def world(self) -> Path:
        """The embedded world's folder."""
        return self.data / "world"

    @property
    def world_manifest(self) -> Path:
        """Written last when the world is built."""
        return self.world / "world.json"

    @property
    def teacher(self) -> Path:
        """The embedded world's teacher, a model folder."""
        return self.world / "teacher"

    def work(self, stage: str, *parts: str) -> Path:
        """Resumable scratch of a stage; never a declared output."""
        return Path("work", stage, *parts)

    def photos(self, photos: str) -> Path:
        """Table of a photo source."""
        return self.data / "photos" / f"{photos}.parquet"

    def photo_shard(self, photos: str, shard: int) -> Path:
        """Bytes of a shard of photos."""
        return self.data / "photos" / photos / f"{self._photo_shard_name(photos, shard)}.parquet"

    def photo_shards(self, photos: str) -> list[Path]:
        """All shards of a photo source."""
        return [self.photo_shard(photos, shard) for shard in range(self.config.photos[photos].shards)]

    def embedding_jobs(self, encoder: str, photos: str) -> int:
        """How many jobs embed a photo source; each takes several photo shards and writes one file a shard."""
        return -(-self.config.photos[photos].shards // self.config.encoders[encoder].shards_per_job)

    def embedding_job_shards(self, encoder: str, photos: str, job: int) -> range:
        """The photo shards that an embedding job takes."""
        size = self.config.encoders[encoder].shards_per_job
        return range(job * size, min((job + 1) * size, self.config.photos[photos].shards))

    def embedding_shard(self, encoder: str, photos: str, shard: int) -> Path:
        """Embeddings of a shard of photos."""
        return self.data / "embeddings" / encoder / photos / f"{self._photo_shard_name(photos, shard)}.parquet"

    def embedding_shards(self, encoder: str, photos: str) -> list[Path]:
        """All embeddings of a photo source."""
        return [self.embedding_shard(encoder, photos, shard) for shard in range(self.config.photos[photos].shards)]

    def tiles(self, plan: str) -> Path:
        """Table of a plan's tiles."""
        return self.data / "tiles" / plan / "tiles.parquet"

    def pairs(self, plan: str) -> Path:
        """Table of a plan's pairs."""
        return self.data / "tiles" / plan / "pairs.parquet"

    def scenes(self, imagery: str) -> Path:
        """Snapshot of the catalogue for an imagery."""
        return self.data / "imagery" / imagery / "scenes.parquet"

    def tile_shard(self, imagery: str, shard: int) -> Path:
        """Pixels of a shard of tiles."""
        total = self.config.plans[self.config.imagery[imagery].plan].shards
        return self.data / "imagery" / imagery / f"{ShardName(shard, total)}.parquet"

    def tile_shards(self, imagery: str) -> list[Path]:
        """All shards of an imagery."""
        return [self.tile_shard(imagery, shard) for shard in range(self.config.plans[self.config.imagery[imagery].plan].shards)]

    def run(self, run: str) -> Path:
        """Everything a run publishes."""
        return Path("runs", self.config.name, run)

    def model_files(self, run: str) -> list[Path]:
        """The model folder's files, the declared outputs of a training."""
        names = ("open_clip_config.json", "open_clip_model.safetensors", "skygraft.json", "README.md", "history.csv")
        return [self.run(run) / "model" / name for name in names]

    def archive(self, benchmark: str) -> Path:
        """A benchmark's archive."""
        return self.data / "benchmarks" / benchmark / self.config.benchmarks[benchmark].file

    def split_file(self, benchmark: str) -> Path | None:
        """A benchmark's split list, where one is configured."""
        name = self.config.benchmarks[benchmark].split_file
        return self.data / "benchmarks" / benchmark / name if name is not None else None

    def features(self, benchmark: str, preprocess: str, model: str) -> Path:
        """A model's features of a benchmark; models of one name in two configurations never meet."""
        return self.data / "features" / self.config.name / benchmark / preprocess / f"{model}.parquet"

    def part(self, task: str, model: str, suffix: str = "csv") -> Path:
        """One model's rows of a task."""
        return self.results / "parts" / task / f"{model}.{suffix}"

    def table(self, task: str) -> Path:
        """A task's table."""
        return self.results / f"{task}.csv"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.results / "report.html"

    def log(self, rule: str) -> Path:
        """Folder of a rule's logs."""
        return Path("logs", self.config.name, rule)

    def _photo_shard_name(self, photos: str, shard: int) -> ShardName:
        return ShardName(shard, self.config.photos[photos].shards)
