"""The benchmark's archive from a mirror and from a server: checked, kept through reruns, refused when it is not the right one."""

import json
from pathlib import Path

import pytest
from tests.eurosat_files import write_archive
from tests.servers import html_page, ok, scripted_server, truncated

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.evaluation.benchmarks.eurosat import EuroSatArchive
from skygraft.evaluation.protocol import load_protocol
from skygraft.stages import fetch_benchmark, identities
from skygraft.stages.layout import Layout

_FILE = "EuroSAT_RGB.zip"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror folder with an archive, beside the empty place that the stage works in."""
    write_archive(tmp_path / "mirror/eurosat" / _FILE, per_class=3)
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "mirror"


def _config(mirror: str | None, sha256: list[str], **benchmark: object) -> Config:
    section = {"sha256": sha256, "network": {"attempts": 3, "backoff_s": 0.01}} | benchmark
    return load_mapping({"name": "fetched", "mirror": mirror, "benchmarks": {"eurosat": section}}, Path(), "test")


def _target(config: Config, file: str = _FILE) -> Path:
    return Layout(config).benchmark_file("eurosat", file)


def _left() -> list[str]:
    return [str(path) for path in Path().rglob("*") if path.is_file() and not path.name.endswith(".lock")]


def test_an_archive_comes_from_a_mirror_by_either_digest(mirror: Path) -> None:
    source = mirror / "eurosat" / _FILE
    with EuroSatArchive(source) as archive:
        content = archive.content_sha256()
    for accepted in ([sha256_file(source)], ["0" * 64, content], []):
        config = _config(str(mirror), accepted)
        fetch_benchmark.run(config, benchmark="eurosat")
        assert _target(config).read_bytes() == source.read_bytes()
        _target(config).unlink()


def test_a_forced_rerun_asks_the_server_for_nothing(mirror: Path) -> None:
    source = mirror / "eurosat" / _FILE
    with scripted_server({f"/m/eurosat/{_FILE}": [ok(source.read_bytes(), "application/zip")]}) as server:
        config = _config(server.url("/m"), [sha256_file(source)])
        for _ in range(3):
            fetch_benchmark.run(config, benchmark="eurosat", file=_FILE)
            # As Snakemake does before it runs a rule again.
            _target(config).unlink()
        assert server.count() == 1


def test_a_public_archive_comes_from_its_own_address(mirror: Path) -> None:
    source = mirror / "eurosat" / _FILE
    body = source.read_bytes()
    with scripted_server({f"/files/{_FILE}": [truncated(body, 500, "application/zip"), ok(body, "application/zip")]}) as server:
        config = _config(None, [sha256_file(source)], url=server.url("/files/"))
        fetch_benchmark.run(config, benchmark="eurosat")
        assert _target(config).read_bytes() == body


def test_a_wrong_checksum_names_what_was_found_and_leaves_nothing(mirror: Path) -> None:
    found = sha256_file(mirror / "eurosat" / _FILE)
    with pytest.raises(CorruptDataError, match=rf"sha256 {found} .*is not among the accepted .*{'0' * 64}"):
        fetch_benchmark.run(_config(str(mirror), ["0" * 64]), benchmark="eurosat")
    assert _left() == []


@pytest.mark.parametrize("accepted", [[], ["1" * 64]])
def test_a_truncated_archive_is_refused(mirror: Path, accepted: list[str]) -> None:
    source = mirror / "eurosat" / _FILE
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(CorruptDataError, match="not a complete zip archive"):
        fetch_benchmark.run(_config(str(mirror), accepted), benchmark="eurosat")
    assert _left() == []


def test_a_damaged_image_is_found_without_a_checksum_to_compare(mirror: Path) -> None:
    source = mirror / "eurosat" / _FILE
    data = bytearray(source.read_bytes())
    data[len(data) // 3] ^= 0xFF
    source.write_bytes(data)
    with pytest.raises(CorruptDataError, match=r"wrong checksum|damaged"):
        fetch_benchmark.run(_config(str(mirror), []), benchmark="eurosat")
    assert _left() == []


def test_a_page_served_as_an_archive_is_refused(mirror: Path) -> None:
    page = {f"/files/{_FILE}": [html_page("application/zip")]}
    with scripted_server(page) as server, pytest.raises(CorruptDataError, match="not a complete zip archive"):
        fetch_benchmark.run(_config(None, [], url=server.url("/files/")), benchmark="eurosat")
    assert _left() == []


def test_a_split_list_comes_from_a_mirror_and_is_checked_by_its_protocol(mirror: Path) -> None:
    name = "split_zhou_EuroSAT.json"
    (mirror / "eurosat" / name).write_text(json.dumps({"train": [], "val": [], "test": []}))
    values = {
        "name": "fetched",
        "mirror": str(mirror),
        "benchmarks": {"eurosat": {"split_file": name}},
        "eurosat_kshot": {"protocols": ["zhou"], "models": {"floor_statistics": {"kind": "floor"}}},
    }
    with pytest.raises(CorruptDataError, match="541503a77d0b26b7"):
        fetch_benchmark.run(load_mapping(values, Path(), "test"), benchmark="eurosat", file=name)
    with pytest.raises(ConfigError, match=rf"{name} has no public address .*set 'mirror'"):
        fetch_benchmark.run(load_mapping(values | {"mirror": None}, Path(), "test"), benchmark="eurosat", file=name)
    # Without a protocol that names it, there is nothing to compare with.
    config = _config(str(mirror), [], split_file=name)
    fetch_benchmark.run(config, benchmark="eurosat")
    assert _target(config, name).is_file() and _target(config).is_file()


def test_what_is_not_there_is_named(mirror: Path, tmp_path: Path) -> None:
    config = _config(str(mirror), [])
    with pytest.raises(ConfigError, match=r"there is no 'eurosta'; did you mean 'eurosat'"):
        fetch_benchmark.run(config, benchmark="eurosta")
    with pytest.raises(ConfigError, match=r"there is no file 'EuroSAT\.zip'; did you mean 'EuroSAT_RGB\.zip'"):
        fetch_benchmark.run(config, benchmark="eurosat", file="EuroSAT.zip")
    with pytest.raises(ConfigError, match="There is no file"):
        fetch_benchmark.run(_config(str(tmp_path / "empty"), []), benchmark="eurosat")


def test_features_are_asked_for_again_when_a_protocol_changes(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"

    def asked(**changes: object) -> object:
        own.write_text(json.dumps(load_protocol("eurosat", "embedded").model_dump(mode="json", exclude_none=True) | changes))
        task = {"protocols": [str(own)], "models": {"floor_statistics": {"kind": "floor"}}}
        values = {"name": "asked", "benchmarks": {"eurosat": {}}, "eurosat_kshot": task}
        return identities.model_identity(load_mapping(values, tmp_path, "test"), "floor_statistics")

    before = asked()
    assert asked(notes="other prose") == before
    assert asked(seeds=list(range(5, 20))) != before
