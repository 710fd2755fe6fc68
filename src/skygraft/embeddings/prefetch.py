"""Photos decoded ahead of the network: a few batches, no more, and the time in which the network had to wait for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from skygraft.core.errors import PermanentItemError
from skygraft.encoders.clip import FrozenClip

Key = TypeVar("Key")
Result = TypeVar("Result")
# Batches between the photo shard and the caller: one that is worked on, one that is ready, one that is being decoded.
AHEAD = 3


@dataclass
class Clock:
    """How long a network worked, and how long it waited: for photos, or for whoever stores its answers. Seconds."""

    worked: float = 0.0
    waited: float = 0.0

    @property
    def waiting_share(self) -> float:
        """The share of its time in which the network waited, 0 to 1."""
        whole = self.worked + self.waited
        return self.waited / whole if whole else 0.0


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
    is at the next batch already. :data:`AHEAD` batches are under way, whatever there is to encode, so that memory stays flat.

    Args:
        batches: Keys and photos' bytes; it is drawn from in a thread of its own.
        clip: The frozen CLIP that the photos are read for.
        threads: Threads that decode.
        clock: Told how long the network worked and waited.
        encode: Sends a batch through the network; called in a thread of its own.
    """
    idle_since = time.perf_counter()
    with ThreadPoolExecutor(threads) as decoders, ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as network:

        def read() -> Callable[[], Decoded[Key]] | None:
            members = next(batches, None)
            return None if members is None else _decoding(members, clip, decoders)

        def answer(task: Future[Callable[[], Decoded[Key]] | None]) -> Result | None:
            nonlocal idle_since
            batch = task.result()
            if batch is None:
                return None
            photos = batch()
            start = time.perf_counter()
            result = encode(photos)
            clock.waited += start - idle_since
            idle_since = time.perf_counter()
            clock.worked += idle_since - start
            return result

        under_way = deque(network.submit(answer, reader.submit(read)) for _ in range(AHEAD))
        try:
            while (result := under_way.popleft().result()) is not None:
                under_way.append(network.submit(answer, reader.submit(read)))
                yield result
        finally:
            for pool in (network, reader, decoders):
                pool.shutdown(wait=False, cancel_futures=True)


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
