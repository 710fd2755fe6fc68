"""Photos decoded ahead of the network: a few batches, no more, and the time in which the network had to wait for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from skygraft.core.errors import PermanentItemError
from skygraft.encoders.clip import FrozenClip, use_threads

Key = TypeVar("Key")
Result = TypeVar("Result")
# Batches between the photo shard and the caller, for each thread that drives the network: one that is worked on, one that is ready, one
# that is being decoded.
AHEAD = 3


@dataclass
class Clock:
    """How long a network worked, and how long it waited: for photos, or for whoever stores its answers.

    Attributes:
        worked: Seconds in which at least one batch was in the network.
        waited: Seconds before and between them.
    """

    worked: float = 0.0
    waited: float = 0.0
    _inside: int = field(default=0, repr=False)
    _since: float = field(default=0.0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def waiting_share(self) -> float:
        """The share of its time in which the network waited, 0 to 1."""
        whole = self.worked + self.waited
        return self.waited / whole if whole else 0.0

    def start(self) -> None:
        """The network is there and waits for its first batch."""
        self._since = time.perf_counter()

    def enter(self) -> None:
        """A batch goes into the network."""
        with self._lock:
            if self._inside == 0:
                self.waited += self._lap()
            self._inside += 1

    def leave(self) -> None:
        """A batch has come out."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self.worked += self._lap()

    def _lap(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before


@dataclass(frozen=True)
class Decoded(Generic[Key]):
    """A batch of photos.

    Args:
        keys: Whose they are.
        pixels: Theirs, (N, H, W, 3) uint8.
        broken: Those that could not be decoded, and why.
    """

    keys: list[Key]
    pixels: Tensor
    broken: list[tuple[Key, PermanentItemError]]


def encoded(
    batches: Iterator[list[tuple[Key, bytes]]], clip: FrozenClip, threads: int, clock: Clock, encode: Callable[[Decoded[Key]], Result]
) -> Iterator[Result]:
    """What ``encode`` makes of each batch, in their order.

    One thread reads the files, ``threads`` decode, one drives the network, and the caller stores what came out: while it does, the network
    is at the next batch already. A network that takes its pictures in parts is driven by ``threads``, each of which computes a batch of its
    own, and alone: threads that share a product wait for one another, and its last bits depend on their number. :data:`AHEAD` batches are
    under way for each thread that drives, whatever there is to encode, so that memory stays flat.

    Args:
        batches: Keys and photos' bytes; it is drawn from in a thread of its own.
        clip: The frozen CLIP that the photos are read for.
        threads: Threads that decode, and that drive a network in parts.
        clock: Told how long the network worked and waited.
        encode: Sends a batch through the network; called in threads of its own, several at once where the network is driven so.
    """
    drivers, computing = (threads, 1) if clip.in_parts else (1, torch.get_num_threads())
    clock.start()
    with (
        _threads_of_the_caller(),
        ThreadPoolExecutor(threads) as decoders,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(drivers, initializer=use_threads, initargs=(computing,)) as network,
    ):

        def read() -> Callable[[], Decoded[Key]] | None:
            members = next(batches, None)
            return None if members is None else _decoding(members, clip, decoders)

        def answer(task: Future[Callable[[], Decoded[Key]] | None]) -> Result | None:
            batch = task.result()
            if batch is None:
                return None
            photos = batch()
            clock.enter()
            try:
                return encode(photos)
            finally:
                clock.leave()

        under_way = deque(network.submit(answer, reader.submit(read)) for _ in range(AHEAD * drivers))
        try:
            while (result := under_way.popleft().result()) is not None:
                under_way.append(network.submit(answer, reader.submit(read)))
                yield result
        finally:
            for pool in (network, reader, decoders):
                pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _threads_of_the_caller() -> Iterator[None]:
    """Torch tells its threads apart when they compute, not when it is asked how many there are."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        use_threads(before)


def _decoding(members: list[tuple[Key, bytes]], clip: FrozenClip, decoders: ThreadPoolExecutor) -> Callable[[], Decoded[Key]]:
    """Has photos decoded; the function that comes back waits for the last of them."""
    # Pinned memory goes to a GPU while it computes.
    pixels = torch.empty((len(members), *clip.pixels.shape), dtype=torch.uint8, pin_memory=clip.device.type == "cuda")
    places = pixels.numpy()

    def decode(at: int, data: bytes) -> PermanentItemError | None:
        try:
            places[at] = clip.pixels.read(data)
        except PermanentItemError as error:
            return error
        return None

    tasks = [decoders.submit(decode, at, data) for at, (_, data) in enumerate(members)]

    def wait() -> Decoded[Key]:
        keys, errors = [key for key, _ in members], [task.result() for task in tasks]
        broken = [(key, error) for key, error in zip(keys, errors, strict=True) if error is not None]
        if not broken:
            return Decoded(keys, pixels, broken)
        good = [at for at, error in enumerate(errors) if error is None]
        return Decoded([keys[at] for at in good], pixels[good], broken)

    return wait
