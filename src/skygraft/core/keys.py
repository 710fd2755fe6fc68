"""Seeded keys of names: whatever is drawn by them depends on the names and the seed, never on the order in which names come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygraft.core.errors import ConfigError

Keys = NDArray[np.uint64]
_CHUNK = 1 << 18
_STEP = np.uint64(0x9E3779B97F4A7C15)


def mixed(values: Keys) -> Keys:
    """Numbers through the step and the finaliser of splitmix64: each bit of the result depends on every bit of the value."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def seeded_keys(seed: int, names: pa.ChunkedArray | pa.Array) -> Keys:
    """A number of 64 bits for each name, evenly spread.

    The name's bytes are taken eight at a time, the last ones filled up with zeros: ``key = mixed(key ^ word)``, from ``mixed(seed)`` on.

    Args:
        seed: Gives other keys.
        names: Strings.

    Raises:
        ConfigError: A name holds a zero byte, which would make it equal to a shorter one.
    """
    keys = np.full(len(names), mixed(np.array([seed], np.uint64))[0])
    for start in range(0, len(names), _CHUNK):
        texts = [name.encode() for name in names[start : start + _CHUNK].to_pylist()]
        if any(b"\0" in text for text in texts):
            raise ConfigError("A photo's name holds a zero byte; expected printable text: give it another name in its table.")
        padded = np.array(texts, dtype=f"S{8 * (max(map(len, texts)) // 8 + 1)}")
        part = keys[start : start + len(texts)]
        for words in padded.view("<u8").reshape(len(texts), -1).T:
            part[:] = np.where(words == 0, part, mixed(part ^ words))
    return keys
