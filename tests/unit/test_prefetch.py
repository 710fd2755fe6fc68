"""Photos decoded ahead of the network: in order, only a few batches, and with the time in which the network waited."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny_clip import VIT, write_folder
from tests.unit.test_embeddings import photo, picture, write_photos

from skygraft.config.encoders import Encoder as EncoderSection
from skygraft.config.model import Config
from skygraft.config.photos import LucasPhotos
from skygraft.core.errors import CorruptDataError
from skygraft.embeddings.prefetch import AHEAD, Clock, Decoded, encoded
from skygraft.encoders.clip import FrozenClip, load_folder
from skygraft.stages import embed_photos
from skygraft.stages.layout import Layout


@pytest.fixture(scope="module", params=["resnet", "transformer"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenClip:
    """A network that one thread drives, and one that several do."""
    changes = {} if request.param == "resnet" else {"vision_cfg": VIT}
    return load_folder(write_folder(tmp_path_factory.mktemp("clip"), **changes))


def flat(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (colour, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def reds(photos: Decoded[int]) -> tuple[list[int], list[int], list[int]]:
    """What a batch's photos are called, how red they are, and which were broken."""
    return photos.keys, photos.pixels[:, 0, 0, 0].tolist(), [key for key, _ in photos.broken]


@pytest.mark.parametrize("threads", [1, 4])
def test_every_photo_comes_with_its_key_in_order_and_broken_ones_apart(clip: FrozenClip, threads: int) -> None:
    numbers = [[3, 5, 7], [11, 99], [13], [99]]
    batches = iter([[(number, flat(number) if number != 99 else b"no picture") for number in batch] for batch in numbers])
    found = list(encoded(batches, clip, threads, Clock(), reds))
    assert found == [([3, 5, 7], [3, 5, 7], []), ([11], [11], [99]), ([13], [13], []), ([], [], [99])]


def test_no_more_than_a_few_batches_are_under_way(clip: FrozenClip) -> None:
    drawn = []

    def batches() -> Iterator[list[tuple[int, bytes]]]:
        for number in range(40):
            drawn.append(number)
            yield [(number, flat(number))]

    for stored, (keys, _, _) in enumerate(encoded(batches(), clip, 2, Clock(), reds)):
        assert keys == [stored]
        # This one, and those under way.
        assert len(drawn) <= stored + 1 + AHEAD * (2 if clip.in_parts else 1)
    assert len(drawn) == 40


def test_the_next_batches_are_encoded_while_the_caller_stores_this_one(clip: FrozenClip) -> None:
    later = threading.Event()

    def encode(photos: Decoded[int]) -> list[int]:
        if photos.keys == [2]:
            later.set()
        return photos.keys

    answers = encoded(iter([[(number, flat(number))] for number in range(6)]), clip, 2, Clock(), encode)
    assert next(answers) == [0]
    assert later.wait(timeout=60)
    answers.close()


def test_a_network_in_parts_takes_two_batches_at_once_in_their_order(tmp_path: Path) -> None:
    clip = load_folder(write_folder(tmp_path, vision_cfg=VIT))
    together = threading.Barrier(2, timeout=60)
    before = torch.get_num_threads()

    def encode(photos: Decoded[int]) -> tuple[list[int], int]:
        # Alone, the first would wait here for ever.
        together.wait()
        return photos.keys, torch.get_num_threads()

    assert list(encoded(iter([[(number, flat(number))] for number in range(6)]), clip, 2, Clock(), encode)) == [([n], 1) for n in range(6)]
    assert torch.get_num_threads() == before


def test_embeddings_of_a_transformer_are_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    clip = load_folder(write_folder(tmp_path, vision_cfg=VIT))
    data = [(number, picture(number, (300, 200))) for number in range(90)]

    def vectors(threads: int) -> bytes:
        batches = iter([data[at : at + 20] for at in range(0, 90, 20)])
        return np.concatenate(list(encoded(batches, clip, threads, Clock(), lambda photos: clip.encode_pixels(photos.pixels)))).tobytes()

    assert vectors(1) == vectors(2) == vectors(5)


@pytest.mark.parametrize("broken", ["reading", "encoding"])
def test_an_error_of_any_thread_reaches_the_caller(clip: FrozenClip, broken: str) -> None:
    def batches() -> Iterator[list[tuple[int, bytes]]]:
        yield [(0, flat(0))]
        if broken == "reading":
            raise CorruptDataError("the shard changed")
        yield [(1, flat(1))]

    def encode(photos: Decoded[int]) -> list[int]:
        if photos.keys == [1]:
            raise CorruptDataError("out of memory")
        return photos.keys

    found, before = [], set(threading.enumerate())
    with pytest.raises(CorruptDataError, match="the shard changed" if broken == "reading" else "out of memory"):
        found.extend(encoded(batches(), clip, 2, Clock(), encode))
    assert set(threading.enumerate()) <= before


def test_who_goes_early_leaves_no_thread(clip: FrozenClip) -> None:
    endless = ([(number, flat(number % 256))] for number in iter(int, 1))
    before = set(threading.enumerate())
    answers = encoded(endless, clip, 2, Clock(), reds)
    next(answers)
    answers.close()
    assert set(threading.enumerate()) <= before


def test_the_clock_tells_working_from_waiting(clip: FrozenClip) -> None:
    clock, start = Clock(), time.perf_counter()
    list(encoded(iter([[(1, flat(1))], [(2, flat(2))]]), clip, 1, clock, reds))
    assert 0 < clock.worked + clock.waited <= time.perf_counter() - start
    assert (Clock(3, 1).waiting_share, Clock().waiting_share) == (0.25, 0)


def test_the_clock_counts_batches_that_overlap_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 11.0, 15.0, 17.0, 20.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    clock = Clock()
    clock.start()
    # At 11 one batch goes in and then another; both are out at 15; a third is in from 17 to 20.
    clock.enter(), clock.enter(), clock.leave(), clock.leave()
    clock.enter(), clock.leave()
    assert (clock.worked, clock.waited) == (4 + 3, 1 + 2)


def test_pixels_of_a_batch_give_what_single_photos_give(clip: FrozenClip) -> None:
    data = [picture(number, (300, 200)) for number in range(5)]
    (together,) = encoded(iter([list(enumerate(data))]), clip, 2, Clock(), lambda photos: clip.encode_pixels(photos.pixels))
    np.testing.assert_allclose(together, np.concatenate([clip.encode_images([one]) for one in data]), rtol=1e-4, atol=1e-5)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("encoder"))
    config = Config(
        name="test",
        encoders={"tiny": EncoderSection(model="local-dir:encoder", batch_size=4)},
        photos={"lucas": LucasPhotos(shards=1)},
    )
    rows = [photo(f"a{number}", picture(number)) for number in range(10)] + [photo("broken", picture(99)[:500])]
    write_photos(Layout(config).photo_shard("lucas", 0), rows)
    return config


def counts(config: Config, caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """Photos that a run decoded and encoded, as it says."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="skygraft"):
        embed_photos.run(config, encoder="tiny", photos="lucas")
    found = re.search(r"decoded=(\d+) encoded=(\d+) reused=\d+ encoder_waited=\d+\.\d%", caplog.text)
    assert found is not None
    return int(found[1]), int(found[2])


def test_a_warm_run_decodes_and_encodes_nothing(project: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counts(project, caplog) == (11, 10)
    opened = []
    monkeypatch.setattr(Image, "open", lambda *arguments, **options: opened.append(arguments))
    monkeypatch.setattr(torch.nn.Conv2d, "forward", lambda *arguments: opened.append(arguments))
    assert counts(project, caplog) == (0, 0)
    assert opened == []


def test_the_journal_tells_how_long_the_encoder_worked_and_waited(project: Config, caplog: pytest.LogCaptureFixture) -> None:
    counts(project, caplog)
    counts(project, caplog)
    (journal,) = Path("work").rglob("*.journal.jsonl")
    cold, warm = (json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())
    assert (cold["decoded"], cold["encoded"], warm["decoded"], warm["encoded"]) == (11, 10, 0, 0)
    assert cold["encoder_worked_s"] > 0
    assert cold["encoder_waited_s"] >= 0
    assert (warm["encoder_worked_s"], warm["encoder_waited_s"]) == (0, 0)
