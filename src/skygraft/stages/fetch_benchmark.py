"""The archive of a benchmark, and its split list: fetched once, checked, and kept through every rerun."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from skygraft.config.evaluation import Benchmark
from skygraft.config.model import Config, nearest
from skygraft.core.downloads import Check, download, mirror_source, require_whole_zip
from skygraft.core.errors import ConfigError
from skygraft.core.files import publish, sha256_file
from skygraft.core.identity import digest
from skygraft.evaluation.benchmarks.eurosat import EuroSatArchive
from skygraft.evaluation.protocol import FileSplit, load_protocol
from skygraft.stages.identities import benchmark_identity
from skygraft.stages.layout import Layout
from skygraft.stages.network import http_client, named_hosts
from skygraft.stages.services import services

_LOG = logging.getLogger(__name__)


def run(config: Config, *, benchmark: str, file: str | None = None) -> None:
    """Fetches one file of a benchmark, or all of them.

    Args:
        config: The configuration.
        benchmark: Name of the benchmark.
        file: Its archive's or its split list's name; None for both.

    Raises:
        ConfigError: There is no such benchmark or file, or a file that only a mirror has and no mirror.
        CorruptDataError: What came is truncated, or none of the accepted.
        ItemError: The host refuses, or failed at every try.
    """
    if benchmark not in config.benchmarks:
        raise ConfigError(f"benchmarks: there is no {benchmark!r}; {nearest(benchmark, config.benchmarks)}")
    names = [path.name for path in Layout(config).benchmark_files(benchmark)]
    if file is not None and file not in names:
        raise ConfigError(f"benchmarks.{benchmark}: there is no file {file!r}; {nearest(file, names)}")
    for name in names if file is None else [file]:
        _fetch(config, benchmark, name)


def _fetch(config: Config, benchmark: str, file: str) -> None:
    section, layout = config.benchmarks[benchmark], Layout(config)
    # Snakemake deletes a declared output before its job: what was fetched stays under a name of its own.
    twin = layout.work("fetch_benchmark", digest(benchmark_identity(config, benchmark)), file)
    target = layout.benchmark_file(benchmark, file)
    check = _archive_check(config, section) if file == section.file else Check(_split_digests(config, file))
    with services(config), http_client(section.network, config.seed, named=named_hosts(config)) as client:
        download(_source(config, section, file), twin, client=client, check=check)
    publish(twin, target)
    _LOG.info("benchmark=%s file=%s bytes=%d", benchmark, target, target.stat().st_size)


def _source(config: Config, section: Benchmark, file: str) -> str:
    if config.mirror is None and file == section.split_file:
        raise ConfigError(
            f"{file} has no public address of its own: set 'mirror' to a folder or URL prefix that holds {section.dataset}/{file}"
        )
    return mirror_source(config.mirror, section.dataset, file, section.url + file)


def _archive_check(config: Config, section: Benchmark) -> Check:
    accepted = section.sha256 or _world_digests(config, section.file)

    def whole_and_accepted(path: Path) -> None:
        with EuroSatArchive(path) as archive:
            if accepted:
                archive.verify(sha256_file(path), accepted)
            else:
                require_whole_zip(path)

    return Check(validate=whole_and_accepted)


def _world_digests(config: Config, file: str) -> tuple[str, ...]:
    """What the embedded world says its own archive is; nothing where it keeps no digest of it."""
    manifest = Layout(config).world_manifest
    if config.world is None or not manifest.is_file():
        return ()
    digest_of_file = json.loads(manifest.read_text(encoding="utf-8")).get("archives", {}).get(file)
    return (str(digest_of_file),) if digest_of_file is not None else ()


def _split_digests(config: Config, file: str) -> tuple[str, ...]:
    """The checksums that the configured protocols ask of a split list."""
    task = config.eurosat_kshot
    rules = [load_protocol("eurosat", name).split for name in (task.protocols if task is not None else ())]
    return tuple(sorted({rule.sha256 for rule in rules if isinstance(rule, FileSplit) and rule.file == file}))
