"""A folder in which the workflow runs, beside the repository and with a configuration of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from skygraft.world.access import LoggedRequest, read_access_log

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# What a user may have in the environment, and in a .env file; a test looks for both words everywhere.
PLANTED = ("planted-in-environment-5d1c", "planted-in-dotenv-77ab")
SECRETS = {"PC_SDK_SUBSCRIPTION_KEY": PLANTED[0], "FLICKR_API_KEY": PLANTED[0], "EARTHENGINE_TOKEN": PLANTED[0]}
_STAGES = re.compile(r"^(\w+) +(\d+)$")

# The reduced run, and smaller still where numbers do not matter: these tests look at what is done, not at what is learnt.
SMALL = {
    "extends": str(REPOSITORY / "workflow/configs/reduced.yaml"),
    "world": {"points": 100, "captioned_photos": 300, "heldout_photos": 60, "flickr_photos": 60, "teacher": {"epochs": 1}},
    "runs": {run: {"optimiser": {"epochs": 1, "batch_size": 8}} for run in ("igarss", "igarss_revised")},
}


@dataclass(frozen=True)
class Project:
    """A working folder.

    Attributes:
        folder: Where data, runs and results lie.
        source: A copy of the package that stands before the installed one; none: the installed one.
        environment: Added to that of the tests.
    """

    folder: Path
    source: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(SECRETS))

    @property
    def configfile(self) -> Path:
        return self.folder / "small.yaml"

    def configure(self, values: Mapping[str, object] | None = None, name: str = "small.yaml") -> Path:
        """Writes a configuration whose world logs its requests in this folder."""
        chosen = dict(SMALL if values is None else values)
        chosen["world"] = {**dict(chosen.get("world", {})), "access_log": str(self.access_log)}  # type: ignore[call-overload]
        path = self.folder / name
        path.write_text(yaml.safe_dump(chosen, sort_keys=False), encoding="utf-8")
        return path

    def snakemake(self, *arguments: str, configfile: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        place = ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(self.folder)]
        options = ["--cores", "2", "--configfile", str(configfile or self.configfile), *arguments]
        return self.call([sys.executable, "-m", "snakemake", *place, *options], check=check)

    def skygraft(self, *arguments: str, configfile: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.call([str(BIN / "skygraft"), *arguments, "--configfile", str(configfile or self.configfile)], check=check)

    def call(self, command: Sequence[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "SKYGRAFT_CONFIG"} | dict(self.environment)
        if self.source is not None:
            environment["PYTHONPATH"] = str(self.source)
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def planned(self, *arguments: str, configfile: Path | None = None) -> dict[str, int]:
        """The jobs that a call would run, by rule; the target rule aside."""
        said = self.snakemake("--dry-run", *arguments, configfile=configfile).stdout.splitlines()
        if "Job stats:" not in said:
            return {}
        table = said[said.index("Job stats:") :]
        rows = (_STAGES.match(line) for line in table[: table.index("")] if line)
        return {row[1]: int(row[2]) for row in rows if row is not None and row[1] not in ("all", "total")}

    @property
    def access_log(self) -> Path:
        return self.folder / "access.jsonl"

    def requests(self) -> list[LoggedRequest]:
        return read_access_log(self.access_log)

    def encoded(self) -> int:
        """How many photos the last embedding jobs encoded, as their logs say."""
        logs = [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("logs/*/embed_photos/*.log"))]
        counts = [int(count) for log in logs for count in re.findall(r"encoded=(\d+)", log)]
        assert counts, "no embedding job has said how many photos it encoded"
        return sum(counts)

    def bytes(self, *parts: str) -> dict[str, str]:
        """The sha256 of every file below ``parts``."""
        files = [path for part in parts for path in sorted((self.folder / part).rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def copy(self, folder: Path, source: Path | None = None) -> Project:
        """The same state in another folder; file times are kept, so that nothing is out of date there."""
        shutil.copytree(self.folder, folder, symlinks=True)
        twin = Project(folder, source, self.environment)
        twin.access_log.unlink(missing_ok=True)
        twin.configure()
        return twin
