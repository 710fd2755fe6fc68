"""The account before a run: its arithmetic against figures worked out by hand, and what it says."""

from __future__ import annotations

import datetime
import json
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from skygraft.config.load import load_file, load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError
from skygraft.core.files import write_json
from skygraft.core.schemas import PHOTOS
from skygraft.core.shards import shard_of
from skygraft.core.tables import write_table
from skygraft.stages import check, plan_tiles
from skygraft.stages.ahead import problems, registry, sources
from skygraft.stages.ahead.counts import ImageryCount, count_imagery, count_photos
from skygraft.stages.ahead.rates import Machine
from skygraft.stages.ahead.shares import Sharding, largest_shard, propose_shards
from skygraft.stages.ahead.work import Account, Work, window_reads
from skygraft.stages.layout import Layout

ROOT = Path(__file__).parents[2]
LAPTOP = Machine(2, gpu=False)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and an environment without keys."""
    monkeypatch.chdir(tmp_path)
    for name in ("PC_SDK_SUBSCRIPTION_KEY", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def overlay(name: str) -> Config:
    return load_file(ROOT / "workflow" / "configs" / f"{name}.yaml")


def changed(config: Config, **values: Any) -> Config:
    return config.model_copy(update=values)


def lucas(**values: Any) -> Config:
    """A real configuration of a few sections."""
    photos = {"source": "lucas", "shards": 1, **values}
    plan = {"photos": ["p"], "shards": 1}
    return load_mapping({"name": "x", "photos": {"p": photos}, "plans": {"t": plan}, "imagery": {"i": {"plan": "t"}}}, Path(), "test")


def photos_table(places: Sequence[tuple[float, float, datetime.datetime]], path: Path) -> None:
    """Four photos a place."""
    rows: list[Mapping[str, object]] = [
        {
            "photo_id": f"lucas:2018:{number}:{direction}", "source": "lucas", "location_id": f"{number}", "direction": direction,
            "geometry": shapely.to_wkb(shapely.Point(lon, lat)), "captured_at": day, "year": day.year, "url": "https://x.eu/a.jpg",
        }
        for number, (lon, lat, day) in enumerate(places) for direction in "NESW"
    ]  # fmt: skip
    write_table(PHOTOS, pa.Table.from_pylist(rows, schema=PHOTOS.schema()), path)


def work_of(config: Config, rule: str) -> Work:
    found = [work for work in Account(config, LAPTOP).work() if work.rule == rule]
    assert len(found) == 1
    return found[0]


# Shards


@given(items=st.integers(1, 20_000_000), size=st.integers(1, 3_000_000), hashed=st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_proposal_is_the_smallest_number_that_keeps_both_limits(items: int, size: int, hashed: bool) -> None:
    def keeps(shards: int) -> bool:
        largest = largest_shard(items, shards, hashed)
        return largest <= 5_000 and largest * size <= 1_000_000_000

    proposal = propose_shards(items, size, hashed)
    assert keeps(proposal)
    assert proposal == 1 or not keeps(proposal - 1)


def test_an_item_larger_than_a_shard_gets_one_of_its_own() -> None:
    assert propose_shards(3, 2_000_000_000, hashed=False) == 3


@pytest.mark.parametrize(("items", "shards"), [(20_000, 5), (100_000, 40), (9_000, 200)])
def test_the_largest_shard_is_not_underestimated(items: int, shards: int) -> None:
    counts = [0] * shards
    for number in range(items):
        counts[shard_of(f"lucas:2018:{number}:N", shards)] += 1
    assert items / shards < max(counts) <= largest_shard(items, shards, hashed=True)


def test_even_shards_differ_by_one_at_most() -> None:
    assert [largest_shard(10, shards, hashed=False) for shards in (1, 3, 4, 10)] == [10, 4, 3, 1]


def test_the_papers_size_by_hand() -> None:
    # 900,000 photos of 200 kB: 1 GB holds 5,000, so that both limits ask for the same; 191 shards hold 4,712 each, and 4 x 69 more.
    photos = Sharding("photos", 900_000, 200_000, 200, hashed=True)
    assert (photos.proposal, photos.fits) == (191, True)
    assert photos.largest == pytest.approx(4_500 + 4 * 67, abs=2)
    # 235,000 tiles of 60 kB: 5,000 of them are 0.3 GB, so that the number decides.
    tiles = Sharding("tiles", 235_000, 60_000, 48, hashed=False)
    assert (tiles.proposal, tiles.largest, tiles.fits) == (47, 4_896, True)
    assert not Sharding("tiles", 235_000, 60_000, 46, hashed=False).fits


# Counts


def test_lucas_2018_is_planned_from_the_published_counts() -> None:
    config = overlay("igarss")
    count = count_photos(config, "lucas_2018")
    assert (count.points, count.photos) == (235_000, 900_000)
    assert count_imagery(config, "sentinel2_rgb").tiles == 235_000


@pytest.mark.parametrize(("directions", "photos"), [(["N"], 225_000), (["N", "E", "S", "W", "P"], 1_125_000), (["E", "W"], 450_000)])
def test_fewer_directions_are_fewer_photos(directions: list[str], photos: int) -> None:
    assert count_photos(lucas(directions=directions), "p").photos == photos


def test_other_surveys_and_tables_have_their_own_counts() -> None:
    assert count_photos(lucas(years=[2009, 2018], layout="harmonised"), "p").points == 234_623 + 235_000
    assert count_photos(lucas(layout="topsoil"), "p").points == 18_984


def test_a_table_that_is_there_is_counted() -> None:
    config = lucas()
    june, july = datetime.datetime(2018, 6, 3, tzinfo=datetime.UTC), datetime.datetime(2018, 7, 3, tzinfo=datetime.UTC)
    # Vienna twice in one square and month, once in another month; Lisbon is in another zone.
    photos_table([(16.30, 48.20, june), (16.31, 48.21, june), (16.30, 48.22, july), (-9.1, 38.7, july)], Layout(config).photos("p"))
    assert (count_photos(config, "p").points, count_photos(config, "p").photos) == (4, 16)
    found = count_imagery(config, "i")
    assert (found.tiles, found.searches) == (4, 3)
    # With a month either side: Vienna May to August, Lisbon June to August.
    wider = load_mapping({**config.model_dump(mode="json"), "imagery": {"i": {"plan": "t", "months_either_side": 1}}}, Path(), "test")
    assert count_imagery(wider, "i").searches == 4 + 3
    # By quarters: Vienna April to September, Lisbon July to September; a scene serves three months.
    quarters = {"plan": "t", "season_months": 3, "order": "least_cloud"}
    seasons = count_imagery(load_mapping({**config.model_dump(mode="json"), "imagery": {"i": quarters}}, Path(), "test"), "i")
    assert seasons.searches == 6 + 3 and seasons.scenes <= found.scenes


def test_no_more_is_searched_than_there_are_tiles() -> None:
    config = lucas()
    few = {**config.model_dump(mode="json"), "plans": {"t": {"photos": ["p"], "expected": 30}}}
    assert count_imagery(load_mapping(few, Path(), "test"), "i").searches == 30
    assert count_imagery(config, "i").searches == 760 * 5.5


def test_searches_estimated_from_photos_are_those_of_the_plan() -> None:
    config = lucas()
    draw = random.Random(3)
    start = datetime.datetime(2018, 3, 1, tzinfo=datetime.UTC)
    places = [(draw.uniform(4, 24), draw.uniform(44, 60), start + datetime.timedelta(days=draw.randrange(200))) for _ in range(300)]
    photos_table(places, Layout(config).photos("p"))
    before = count_imagery(config, "i")
    plan_tiles.run(config, plan="t")
    after = count_imagery(config, "i")
    assert "tiles.parquet" in after.counted
    assert after.tiles == before.tiles == 300
    assert after.searches == pytest.approx(before.searches, abs=2)


# Requests, bytes, jobs


def test_reads_of_windows_by_hand() -> None:
    # One block a side holds a window of 100 of 512 px with a chance of (512 - 99) / 512: 1.193 blocks a side, 1.424 in all; the
    # scene classification at 20 m has windows of 50 px: 1.096 a side, 1.201 in all.
    reads = window_reads(("B04", "B03", "B02"), 100, 512, ImageryCount(tiles=1_000, searches=1, scenes=10, counted=""))
    assert reads.headers == 40
    assert reads.blocks == pytest.approx(1_000 * (3 * 1.424 + 1.201), abs=3)


def test_reads_of_windows_against_windows_laid_at_random() -> None:
    draw = random.Random(0)
    touched = 0
    for _ in range(20_000):
        x, y = draw.randrange(10_240), draw.randrange(10_240)
        touched += ((x + 99) // 512 - x // 512 + 1) * ((y + 99) // 512 - y // 512 + 1)
    expected = (
        window_reads(("B04",), 100, 512, ImageryCount(20_000, 0, 0, "")).blocks
        - window_reads((), 100, 512, ImageryCount(20_000, 0, 0, "")).blocks
    )
    assert touched == pytest.approx(expected, rel=0.02)


def test_the_papers_requests_and_bytes_by_hand() -> None:
    photos = work_of(overlay("igarss"), "fetch_photos")
    assert (photos.jobs, photos.requests) == (200, 900_000)
    assert photos.received == photos.disk == 180_000_000_000
    # 16 requests at once in each of two jobs, a quarter of a second each: 1.95 h; the line alone would take an hour.
    assert photos.seconds == pytest.approx(900_000 * 0.25 / 32)
    tiles = work_of(overlay("igarss"), "fetch_tiles")
    assert tiles.jobs == 48
    assert tiles.disk == pytest.approx(235_000 * 60_000, rel=0.01)
    embeddings = work_of(overlay("igarss"), "embed_photos")
    assert embeddings.jobs == 25
    assert embeddings.disk == pytest.approx(900_000 * 2 * 1024, rel=0.1)


def test_a_configured_rate_is_respected() -> None:
    slow = lucas(network={"per_second": 1.0, "concurrency": 64})
    assert work_of(slow, "fetch_photos").seconds == pytest.approx(900_000 / 2)


def test_what_is_there_is_measured_and_not_written_again() -> None:
    config = lucas(shards=4)
    layout = Layout(config)
    layout.photo_shard("p", 0).parent.mkdir(parents=True)
    pq.write_table(pa.table({"image": [random.Random(1).randbytes(1_000_000)] * 1}), layout.photo_shard("p", 0))
    account = Account(config, LAPTOP)
    size, how = account.photo_bytes("p")
    assert size == pytest.approx(1_000_000, rel=0.01)
    assert how == "measured on 1 shards"
    work = work_of(config, "fetch_photos")
    assert (work.done, len(work.outputs)) == (1, 4)
    assert work.missing_disk == pytest.approx(work.disk * 3 / 4, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("configfile", ["config.yaml", "workflow/configs/igarss.yaml", "workflow/configs/reduced.yaml"])
def test_jobs_are_those_that_snakemake_plans(configfile: str, tmp_path: Path) -> None:
    for name in ("Snakefile", "config.yaml", "workflow", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "2", "--configfile", configfile],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    planned = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)}
    planned = {rule: count for rule, count in planned.items() if rule not in ("all", "total")}
    ours: dict[str, int] = {}
    for work in Account(load_file(ROOT / configfile), LAPTOP).work():
        ours[work.rule] = ours.get(work.rule, 0) + work.jobs
    assert ours == planned


# Sources


def test_weights_by_tag_are_named_with_their_place() -> None:
    found = {source.name: source for source in sources.sources(overlay("igarss"))}
    weights = found["encoder clip_rn50: RN50-quickgelu, openai"]
    assert (weights.place, weights.there, weights.remedy) == ("huggingface.co/timm/resnet50_clip.openai", False, None)


def test_the_table_of_weights_is_open_clips_own() -> None:
    code = (
        "import json; from skygraft.encoders.library import open_clip; open_clip(hub=False);"
        "from open_clip.pretrained import get_pretrained_cfg as g, list_pretrained;"
        "print(json.dumps({f'{m} {t}': [g(m, t).get('hf_hub'), g(m, t).get('url')] for m, t in list_pretrained()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    theirs: dict[str, list[str | None]] = json.loads(done.stdout.splitlines()[-1])
    assert len(theirs) > 100
    for name, (hub, url) in theirs.items():
        model, tag = name.split(" ")
        place = registry.published(model, tag)
        assert place is not None
        assert str(place) == (f"huggingface.co/{hub.rstrip('/')}" if hub else url or "unknown")


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        ({"model": "RN5O"}, "open_clip knows no architecture 'RN5O'"),
        ({"model": "RN50", "weights": "opanai"}, "has no such tag; it has: openai, yfcc15m, cc12m"),
        ({"model": "RN50", "weights": "checkpoints/senclip.pt"}, "there is no file checkpoints/senclip.pt"),
        ({"model": "local-dir:models/mine"}, "there is no model in models/mine"),
    ],
)
def test_weights_that_cannot_be_had_block(encoder: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_mapping({"name": "x", "encoders": {"clip": encoder}}, Path(), "test")
    with pytest.raises(ConfigError, match="1 problem above"):
        check.run(config)
    assert re.search(rf"BLOCKS: encoder clip: .*{re.escape(said)}", capsys.readouterr().out)


def test_a_checkpoint_with_another_checksum_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    Path("w.pt").write_bytes(b"weights")
    config = load_mapping({"name": "x", "encoders": {"clip": {"model": "RN50", "weights": "w.pt", "sha256": "0" * 64}}}, Path(), "test")
    with pytest.raises(ConfigError):
        check.run(config)
    assert "w.pt has another sha256" in capsys.readouterr().out


def test_the_files_of_an_outdoor_score_must_be_there_and_be_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    Path("io.txt").write_text("/a/airfield 2\n", encoding="utf-8")
    outdoor = {"kind": "checkpoint", "weights": "resnet18.pth.tar", "classes": "io.txt", "sha256": "0" * 64}
    config = load_mapping({"name": "x", "encoders": {"e": {"model": "RN50", "outdoor": outdoor}}}, Path(), "test")
    with pytest.raises(ConfigError, match="1 problem above"):
        check.run(config)
    assert "outdoor score of encoder e: there is no file resnet18.pth.tar" in capsys.readouterr().out
    Path("resnet18.pth.tar").write_bytes(b"weights")
    with pytest.raises(ConfigError, match="1 problem above"):
        check.run(config)
    assert "encoders.e.outdoor.weights: resnet18.pth.tar has another sha256 than 000000" in capsys.readouterr().out


def test_a_mirror_replaces_the_internet_and_must_have_the_files() -> None:
    config = changed(overlay("igarss"), mirror="mirror")
    assert all("huggingface" in source.place or source.place.startswith("mirror/") for source in sources.sources(config))
    assert [source.remedy for source in sources.sources(config) if source.remedy] == [
        "the mirror lacks mirror/lucas/EU_2018_20200213.CSV",
        "the mirror lacks mirror/eurosat/EuroSAT_RGB.zip",
    ]
    for file in ("lucas/EU_2018_20200213.CSV", "eurosat/EuroSAT_RGB.zip"):
        Path("mirror", file).parent.mkdir(parents=True, exist_ok=True)
        Path("mirror", file).write_bytes(b"")
    assert [source.remedy for source in sources.sources(config) if source.remedy] == []


def test_terms_follow_from_what_is_used() -> None:
    real = {term.source for term in sources.terms(overlay("igarss"))}
    assert real == {"LUCAS table and photos", "Sentinel-2", "Planetary Computer", "OpenAI's CLIP weights", "EuroSAT"}
    assert {term.source for term in sources.terms(overlay("reduced"))} == {"the embedded world"}


def test_the_worlds_packages_are_those_of_its_extra() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]["world"]
    assert sorted(problems.WORLD_PACKAGES.values()) == sorted(re.split(r"[<>=]", requirement)[0] for requirement in declared)


# Problems


def said(config: Config) -> list[tuple[bool, str]]:
    account = Account(config, LAPTOP)
    return [(problem.blocks, problem.text) for problem in problems.problems(account, account.work())]


def test_the_papers_run_is_not_blocked_and_told_that_it_wants_a_gpu() -> None:
    found = said(overlay("igarss"))
    assert not any(blocks for blocks, _ in found)
    assert any("use a machine with a GPU" in text for _, text in found)
    account = Account(overlay("igarss"), Machine(16, gpu=True))
    assert not any("GPU" in problem.text for problem in problems.problems(account, account.work()))


def test_too_few_shards_are_told_with_a_number_that_does() -> None:
    texts = [text for blocks, text in said(lucas(shards=20)) if not blocks]
    assert any(re.search(r"photos\.p\.shards: 20 gives shards of up to 45,\d+ items and 9\.\d GB; set 191", text) for text in texts)


def test_missing_models_of_another_configuration_name_the_command() -> None:
    texts = [text for blocks, text in said(changed(overlay("real_eurosat"), mirror="m")) if blocks]
    assert "model igarss: make it with 'snakemake --cores 2 results/eurosat_kshot.csv'" in texts


def test_a_data_folder_of_another_identity_blocks() -> None:
    write_json(Path("data/photos/p/identity.json"), {"photos": {"shards": 7}})
    assert any(blocks and "data/photos/p was made under other settings" in text for blocks, text in said(lucas()))


@pytest.mark.parametrize(
    ("task", "benchmark", "text"),
    [
        ({"protocols": ["igars"]}, {}, "igars"),
        ({"protocols": ["zhou"]}, {}, "zhou needs 'split_file: split_zhou_EuroSAT.json'"),
        ({"protocols": ["full"]}, {"synthetic": True}, "full is made for the real archive"),
        ({"protocols": ["full"], "prompts": "eurosat_genric"}, {}, "there is no 'eurosat_genric'; did you mean 'eurosat_generic'?"),
    ],
)
def test_protocols_that_do_not_fit_block(task: dict[str, Any], benchmark: dict[str, Any], text: str) -> None:
    config = load_mapping({"name": "x", "benchmarks": {"eurosat": benchmark}, "eurosat_kshot": task}, Path(), "test")
    assert any(blocks and text in found for blocks, found in said(config))


def test_offline_without_cached_weights_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert any(blocks and "RN50-quickgelu, openai is not in the cache" in text for blocks, text in said(overlay("igarss")))


# Output


def test_the_account_as_plain_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "planted-secret")
    check.run(overlay("igarss"))
    text = capsys.readouterr().out
    assert text.isascii()
    assert "planted-secret" not in text
    assert re.search(r"^PC_SDK_SUBSCRIPTION_KEY +set ", text, re.MULTILINE)
    assert re.search(r"^HF_TOKEN +not set, optional ", text, re.MULTILINE)
    assert re.search(r"^fetch_photos +lucas_2018 +900,000 photos +900,000 +180 GB +180 GB +200 +0 of 200 ", text, re.MULTILINE)
    assert re.search(r"^photos.lucas_2018 +900,000 +200 kB +200 +4,\d+ +95\d MB +191 +fits", text, re.MULTILINE)
    assert "200 kB a photo assumed" in text
    assert "none that keeps the run from starting" in text
    # Each line of the table of work fits its width: numbers are never folded.
    assert max(len(line) for line in text.splitlines() if not line.startswith("  ")) <= 150


def test_the_exit_code_and_what_was_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from skygraft.config.load import load_file; from skygraft.stages import check;"
        f"check.run(load_file(Path({str(ROOT / 'workflow/configs/igarss.yaml')!r})));"
        "print([name for name in ('torch', 'open_clip', 'rasterio', 'cv2', 'sklearn', 'snakemake') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    verb = [str(Path(sys.executable).parent / "skygraft"), "check", "--configfile"]
    good = subprocess.run([*verb, str(ROOT / "workflow/configs/igarss.yaml")], capture_output=True, text=True, check=False)
    assert good.returncode == 0
    bad = subprocess.run([*verb, str(ROOT / "workflow/configs/real_eurosat.yaml")], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "5 problems above must be mended before 'real' can start" in bad.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (950, "950 B"),
        (1_500, "1.5 kB"),
        (999_700, "1.0 MB"),
        (94_658_721, "95 MB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_sizes_for_people(count: int | None, text: str) -> None:
    assert check._bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (0.4, "< 1 s"), (60, "60 s"), (121, "2 min"), (7_200, "2 h"), (172_800, "2 days")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert check._time(seconds) == text


def test_open_photo_sources_name_their_keys_limits_and_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAPILLARY_TOKEN", raising=False)
    area = {"bbox": [10.0, 48.0, 10.3, 48.3]}
    photos = {
        "free": {"source": "commons", "area": area},
        "street": {"source": "mapillary", "area": area},
        "nature": {"source": "inaturalist", "area": area},
        "own": {"source": "table", "file": "absent.csv"},
    }
    config = load_mapping({"name": "open", "photos": photos}, tmp_path, "open")
    with pytest.raises(ConfigError, match="2 problems above"):
        check.run(config)
    said = " ".join(capsys.readouterr().out.split())
    assert "MAPILLARY_TOKEN missing" in said and "BLOCKS: MAPILLARY_TOKEN is not set" in said
    for words in ("CC BY-SA 4.0", "photos.*.contact", "at most 10,000 a day", "there is no file absent.csv"):
        assert words in said
    # 0.3 degrees lie in 2 or 3 cells of 0.16 degrees, and in 4 or 5 of 0.08.
    asked = {match[1]: int(match[2]) for match in re.finditer(r"ingest_(commons|mapillary) \w+: .*?(\d+) boxes", said)}
    assert 4 <= asked["commons"] <= 9
    assert 16 <= asked["mapillary"] <= 25
    assert [f"ingest_{source}" in said for source in ("commons", "mapillary", "inaturalist", "table")] == [True] * 4


def test_every_lucas_table_of_a_source_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lucas = {"layout": "harmonised", "file": "lucas_harmo_uf.csv", "years": [2015, 2018], "more_tables": [{}]}
    check.run(load_mapping({"name": "surveys", "photos": {"lucas": lucas}}, tmp_path, "surveys"))
    said = "".join(capsys.readouterr().out.split())
    for address in (
        "jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/LUCAS/LUCAS_harmonised/lucas_harmo_uf.csv",
        "205002/17561401/EU_LUCAS_2022.zip",
    ):
        assert address in said
    assert "publishedfiguresfor2015,2018,2022" in said
