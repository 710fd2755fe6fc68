"""Who made an embedding: embeddings of different makers never meet in one table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skygraft.core.errors import CorruptDataError
from skygraft.core.identity import digest

META_KEY = "encoder"


@dataclass(frozen=True)
class EncoderIdentity:
    """Everything that decides what an encoder makes of a picture.

    Args:
        architecture: The model's name and a digest of its configuration.
        weights_sha256: Of the weights' file, or ``random:seed``.
        preprocessing: How bytes become the network's input: decoding, size, interpolation, mean and deviation.
        library: Name and version of the library that ran it, and what was left out of its network.
        dtype: The arithmetic.
        dimension: Length of an embedding.
    """

    architecture: str
    weights_sha256: str
    preprocessing: Mapping[str, Any]
    library: str
    dtype: str
    dimension: int

    def to_meta(self) -> dict[str, str]:
        """The identity as a file's metadata."""
        return {META_KEY: json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def from_meta(cls, meta: Mapping[str, str], place: str) -> EncoderIdentity:
        """The identity out of a file's metadata.

        Raises:
            CorruptDataError: The file does not tell its encoder.
        """
        try:
            return cls(**json.loads(meta[META_KEY]))
        except (KeyError, ValueError, TypeError) as error:
            raise CorruptDataError(f"{place} does not tell which encoder made it: delete it and run embed_photos again.") from error

    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for the identity."""
        return digest(asdict(self))

    def differences(self, other: EncoderIdentity) -> str:
        """Which fields differ from ``other``, for messages."""
        mine, theirs = asdict(self), asdict(other)
        return "; ".join(f"{name}: {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name])
