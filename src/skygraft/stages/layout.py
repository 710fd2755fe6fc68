"""Where everything lies, for one configuration; the rules and the verbs ask here and nowhere else.

All paths are relative to the folder that the workflow runs in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skygraft.config.evaluation import EncoderModel, FloorModel, FolderModel, RunModel
from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorCheckpoint, OutdoorSentences
from skygraft.core.shards import ShardName

EMBEDDED = "embedded"
# Who takes a photo down means every copy of it: one list for all configurations.
FORGOTTEN = Path("data", "forgotten.parquet")
MODEL_FILES = ("open_clip_config.json", "open_clip_model.safetensors", "skygraft.json")


def table_lock(table: Path) -> Path:
    """Held by whoever writes a table that no shard has: the stage that makes it, and 'forget' which takes rows out of it."""
    return Path("work", "tables", f"{'-'.join(table.with_suffix('').parts)}.lock")


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

    def teacher_files(self) -> list[Path]:
        """The files of the teacher's folder, the declared outputs of its training."""
        return [self.teacher / name for name in MODEL_FILES]

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
        """How many files, and jobs, the embeddings of a photo source have; each takes several photo shards."""
        return -(-self.config.photos[photos].shards // self.config.encoders[encoder].shards_per_job)

    def embedding_inputs(self, encoder: str, photos: str, job: int) -> list[Path]:
        """The photo shards that an embedding job takes."""
        size = self.config.encoders[encoder].shards_per_job
        shards = range(self.config.photos[photos].shards)[job * size : (job + 1) * size]
        return [self.photo_shard(photos, shard) for shard in shards]

    def embedding_shard(self, encoder: str, photos: str, job: int) -> Path:
        """What an embedding job writes."""
        name = ShardName(job, self.embedding_jobs(encoder, photos))
        return self.data / "embeddings" / encoder / photos / f"{name}.parquet"

    def embedding_shards(self, encoder: str, photos: str) -> list[Path]:
        """All embeddings of a photo source."""
        return [self.embedding_shard(encoder, photos, job) for job in range(self.embedding_jobs(encoder, photos))]

    def tiles(self, plan: str) -> Path:
        """Table of a plan's tiles."""
        return self.data / "tiles" / plan / "tiles.parquet"

    def pairs(self, plan: str) -> Path:
        """Table of a plan's pairs."""
        return self.data / "tiles" / plan / "pairs.parquet"

    def imagery(self, imagery: str) -> Path:
        """The folder of an imagery."""
        return self.data / "imagery" / imagery

    def scenes(self, imagery: str) -> Path:
        """Snapshot of the catalogue for an imagery."""
        return self.imagery(imagery) / "scenes.parquet"

    def tile_shard(self, imagery: str, shard: int) -> Path:
        """Pixels of a shard of tiles."""
        total = self.config.plans[self.config.imagery[imagery].plan].shards
        return self.imagery(imagery) / f"{ShardName(shard, total)}.parquet"

    def tile_shards(self, imagery: str) -> list[Path]:
        """All shards of an imagery."""
        return [self.tile_shard(imagery, shard) for shard in range(self.config.plans[self.config.imagery[imagery].plan].shards)]

    def run(self, run: str) -> Path:
        """Everything a run publishes."""
        return Path("runs", self.config.name, run)

    def model_folder(self, run: str) -> Path:
        """A run's model folder, which open_clip loads in one line."""
        return self.run(run) / "model"

    def run_files(self, run: str) -> list[Path]:
        """The model folder's files and the curves, the declared outputs of a training."""
        return [*(self.model_folder(run) / name for name in (*MODEL_FILES, "README.md")), self.run(run) / "history.csv"]

    def benchmark_file(self, benchmark: str, file: str) -> Path:
        """A benchmark's archive or split list."""
        return self.data / "benchmarks" / benchmark / file

    def benchmark_files(self, benchmark: str) -> list[Path]:
        """A benchmark's archive, then its split list where one is configured."""
        section = self.config.benchmarks[benchmark]
        return [self.benchmark_file(benchmark, file) for file in (section.file, section.split_file) if file is not None]

    def footprints(self, benchmark: str) -> Path | None:
        """Where a benchmark's images lie: the file that the configuration names, or the embedded world's own; none where nobody says it."""
        section = self.config.benchmarks[benchmark]
        if section.footprints is None and section.synthetic and self.config.world is not None:
            return self.world / "eurosat_footprints.parquet"
        return section.footprints

    def footprint_files(self, benchmarks: Iterable[str]) -> list[Path]:
        """What must be there before footprints are read; the embedded world's come with it."""
        files = [file for name in benchmarks if (file := self.footprints(name)) is not None]
        return sorted({self.world_manifest if self.world in file.parents else file for file in files})

    def features(self, benchmark: str, model: str) -> Path:
        """A scored model's features of a benchmark; models of one name in two configurations never meet."""
        scored = self.config.scored_models()[model]
        preprocess = "statistics" if isinstance(scored, FloorModel) else "native"
        return self.data / "features" / self.config.name / benchmark / preprocess / f"{model}.parquet"

    def model_files(self, model: str) -> list[Path]:
        """The files of a scored model that a workflow knows: a run's, another configuration's, or the teacher's."""
        scored = self.config.scored_models()[model]
        if isinstance(scored, RunModel):
            return self.run_files(scored.run)
        if isinstance(scored, FolderModel):
            return [Path(scored.folder, name) for name in MODEL_FILES]
        if isinstance(scored, EncoderModel):
            return self.encoder_files(scored.encoder)
        return []

    def encoder_files(self, encoder: str) -> list[Path]:
        """The files of an encoder that a workflow knows: the teacher's, which it makes itself, or a checkpoint file of the user's."""
        section = self.config.encoders[encoder]
        if section.weights_file is not None:
            return [section.weights_file]
        folder = Path(section.model.removeprefix("local-dir:"))
        return self.teacher_files() if self.config.world is not None and folder == self.teacher else []

    def outdoor_files(self, encoder: str) -> list[Path]:
        """The files of the user's that an encoder's outdoor score is told by: a list of sentences, or a checkpoint and its classes."""
        section = self.config.encoders[encoder].outdoor
        if isinstance(section, OutdoorCheckpoint):
            return list(section.files)
        return [section.file] if isinstance(section, OutdoorSentences) and section.file is not None else []

    def part(self, task: str, model: str) -> Path:
        """One model's rows of a task."""
        return self.results / "parts" / task / f"{model}.csv"

    def kshot_parts(self, model: str) -> list[Path]:
        """What scoring one model on EuroSAT writes: k-shot rows, zero-shot rows, and the confusion matrix."""
        return [self.part(task, model) for task in ("eurosat_kshot", "eurosat_zeroshot", "eurosat_confusion")]

    def table(self, task: str) -> Path:
        """A task's table."""
        return self.results / f"{task}.csv"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.results / "report.html"

    @property
    def attribution(self) -> Path:
        """Who is to be named for which photo, beside the report."""
        return self.results / "attribution.csv"

    def log(self, rule: str) -> Path:
        """Folder of a rule's logs."""
        return Path("logs", self.config.name, rule)

    @property
    def workflow_log(self) -> Path:
        """What Snakemake itself said in the last run."""
        return Path("logs", self.config.name, "workflow.log")

    def timing(self, rule: str) -> Path:
        """Folder of a rule's times and memory, one file a job."""
        return Path("timings", self.config.name, rule)

    def _photo_shard_name(self, photos: str, shard: int) -> ShardName:
        return ShardName(shard, self.config.photos[photos].shards)
