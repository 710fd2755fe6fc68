"""The photo stage as a process: killed at any moment, locked, short of disk, refused; and what it never says."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.integration.lucas_trial import SERVICE, jpeg, photo_path, settings, write_table
from tests.servers import Answer, ScriptedServer, html_page, ok, scripted_server, status

from skygraft.config.load import load_file
from skygraft.core.schemas import PHOTO_SHARD
from skygraft.core.tables import read_table
from skygraft.stages import ingest_lucas

POINTS = 20
BODIES = {photo_path(number, direction): jpeg(10 * number + n) for number in range(POINTS) for n, direction in enumerate("NESW")}
# Every seventh photo is not there: the reasons must survive a kill as well.
SCRIPT = {
    path: [status(404)] if n % 7 == 3 else [Answer(body=body, content_type="image/jpeg", delay=0.03)]
    for n, (path, body) in enumerate(BODIES.items())
}
TARGET = Path("data", "photos", "lucas", "0000-of-0001.parquet")
UNDER_WAY = 3
KILLS = 3


def folder(place: Path, name: str) -> Path:
    """A working folder with its configuration and its table of photos."""
    here = place / name
    here.mkdir()
    write_table(place / "mirror", POINTS)
    values = settings(place / "mirror", SERVICE, {"concurrency": UNDER_WAY}, shards=1, min_success_rate=0.5)
    (here / "config.yaml").write_text(yaml.safe_dump(values))
    with contextlib.chdir(here):
        ingest_lucas.run(load_file(here / "config.yaml"), photos="lucas")
    return here


def environment(server: ScriptedServer | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | ({"HTTP_PROXY": server.base} if server is not None else {})


def command(name: str) -> list[str]:
    return [sys.executable, "-m", "skygraft.cli", name, "--photos", "lucas"]


def verb(here: Path, name: str, server: ScriptedServer | None, *before: str, **options: object) -> subprocess.CompletedProcess[str]:
    """A verb, to its end."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*before, *command(name)], cwd=here, env=environment(server), capture_output=True, text=True, timeout=300, **options
    )


@contextlib.contextmanager
def started(here: Path, server: ScriptedServer) -> Iterator[subprocess.Popen[str]]:
    """The photo stage under way."""
    process = subprocess.Popen(command("fetch-photos"), cwd=here, env=environment(server), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], server: ScriptedServer, requests: int) -> None:
    while server.count() < requests and process.poll() is None:
        threading.Event().wait(0.005)


def finished(here: Path) -> set[str]:
    """The photos that the journal calls finished; a line follows its row, so there may be rows without a line."""
    (journal,) = here.glob("work/fetch_photos/lucas/*/0000-of-0001.journal.jsonl")
    lines = journal.read_text().split("\n")[:-1]
    return {json.loads(line)["key"] for line in lines}


def photo_of(path: str) -> str:
    name = Path(path).stem
    return f"lucas:2018:{name[:-1]}:{name[-1]}"


def test_a_stage_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    with scripted_server(SCRIPT, process=True) as server:
        calm = folder(tmp_path, "calm")
        assert verb(calm, "fetch-photos", server).returncode == 0
        assert server.count() == len(BODIES)
    hurt = folder(tmp_path, "hurt")
    draw = random.Random(5)
    with scripted_server(SCRIPT, process=True) as server:
        for kill in range(KILLS):
            before, done = server.count(), finished(hurt) if kill else set()
            with started(hurt, server) as process:
                wait_for(process, server, before + draw.randint(1, 16))
                assert process.poll() is None
                process.kill()
                process.wait()
            assert not (hurt / TARGET).exists()
            assert not done & {photo_of(one.path) for one in server.requests()[before:]}
        before, done = server.count(), finished(hurt)
        assert len(done) >= KILLS
        last = verb(hurt, "fetch-photos", server)
        assert last.returncode == 0, last.stderr
        assert not done & {photo_of(one.path) for one in server.requests()[before:]}
        # Each kill can lose what was under way, and nothing else.
        assert server.count() <= len(BODIES) + KILLS * 2 * UNDER_WAY
    assert (hurt / TARGET).read_bytes() == (calm / TARGET).read_bytes()
    assert read_table(PHOTO_SHARD, hurt / TARGET).num_rows == len(BODIES)


def test_two_processes_do_not_work_on_one_shard(tmp_path: Path) -> None:
    here = folder(tmp_path, "here")
    with scripted_server(SCRIPT, process=True) as server, started(here, server) as first:
        wait_for(first, server, 1)
        # Stopped, it holds its lock as long as the test likes.
        first.send_signal(signal.SIGSTOP)
        second = verb(here, "fetch-photos", server)
        first.send_signal(signal.SIGCONT)
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr and "wait until it ends" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.wait(timeout=120) == 0
        assert server.count() == len(BODIES)


def test_a_full_disk_is_one_message_and_the_rest_comes_later(tmp_path: Path) -> None:
    here = folder(tmp_path, "here")

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    with scripted_server(SCRIPT, process=True) as server:
        short = verb(here, "fetch-photos", server, preexec_fn=small)
        assert short.returncode == 1
        assert "Cannot write" in short.stderr and "ulimit" in short.stderr and "Traceback" not in short.stderr
        assert not (here / TARGET).exists()
        assert not list(here.rglob(".tmp-*"))
        before, done = server.count(), finished(here)
        assert done
        assert verb(here, "fetch-photos", server).returncode == 0
        assert not done & {photo_of(one.path) for one in server.requests()[before:]}
    assert read_table(PHOTO_SHARD, here / TARGET).num_rows == len(BODIES)


def test_a_read_only_folder_is_one_message(tmp_path: Path) -> None:
    here = folder(tmp_path, "here")
    (here / "work").mkdir(exist_ok=True)
    (here / "work").chmod(0o555)
    # Root writes anywhere unless it gives that right up.
    dropped: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("running as root without setpriv: nothing is read-only")
        dropped = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    with scripted_server(SCRIPT, process=True) as server:
        refused = verb(here, "fetch-photos", server, *dropped)
        assert server.count() == 0
    (here / "work").chmod(0o755)
    assert refused.returncode == 1
    assert "Cannot write" in refused.stderr and "permissions" in refused.stderr and "Traceback" not in refused.stderr
    assert not (here / TARGET).exists()


def test_exit_codes_tell_what_happened(tmp_path: Path) -> None:
    here = folder(tmp_path, "here")
    with scripted_server({".*": [status(404)]}, process=True) as server:
        poor = verb(here, "fetch-photos", server)
    assert poor.returncode == 3
    assert f"not_found {len(BODIES)}" in poor.stderr
    assert "Traceback" not in poor.stderr
    (here / "config.yaml").write_text((here / "config.yaml").read_text().replace("photos_url", "photo_url"))
    wrong = verb(here, "fetch-photos", None)
    assert wrong.returncode == 2
    assert "photos.lucas.photo_url" in wrong.stderr and "photos_url" in wrong.stderr


def test_a_signature_in_an_address_is_never_written(tmp_path: Path) -> None:
    secret = "planted-0xC0FFEE"
    here = folder(tmp_path, "here")
    # The service sends every photo on to a signed address: some are there, some fail for good, some for a while.
    script: dict[str, list[Answer]] = {}
    for n, (path, body) in enumerate(BODIES.items()):
        script[path] = [status(302, headers={"Location": f"/signed{path}?sig={secret}"})]
        script[f"/signed{path}"] = [[ok(body)], [status(403)], [status(500)], [html_page()]][n % 4]
    with scripted_server(script, process=True) as server:
        run = subprocess.run(
            [sys.executable, "-m", "skygraft.cli", "-v", *command("fetch-photos")[3:]],
            cwd=here,
            env=environment(server) | {"PYTHONWARNINGS": "default"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert server.requests("/signed.*")[0].query["sig"] == secret
    assert run.returncode == 3, run.stderr
    assert "forbidden" in run.stderr and "server_error" in run.stderr
    assert secret not in run.stdout + run.stderr
    written = [path for path in here.rglob("*") if path.is_file()]
    assert any(path.name.endswith(".journal.jsonl") for path in written)
    assert not [path for path in written if secret.encode() in path.read_bytes()]
