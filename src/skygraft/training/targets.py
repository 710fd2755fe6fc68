"""What a tile is trained towards: the pooled embedding of the photos taken on its ground."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skygraft.encoders.photo_vectors import PhotoVectors

Pooling = Literal["raw_mean", "unit_mean"]
_CHUNK = 65536


def pool(
    vectors: PhotoVectors, tiles: NDArray[np.int64], photos: NDArray[np.int64], count: int, pooling: Pooling
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The mean photo embedding of each tile.

    Equation 1 of the IGARSS'24 paper, ``G_i = 1/4 sum_k g_ik``, over the photos there are: a place with two of four good photos has the
    mean of two. ``raw_mean`` takes the embeddings as the encoder gave them, so that long vectors weigh more, as the paper's code does;
    ``unit_mean`` takes each at length 1.

    Args:
        vectors: N photo embeddings.
        tiles: (P,) for each pair of tile and good photo: the tile's row, ascending.
        photos: (P,) the photo's row in ``vectors``.
        count: Number of tiles.
        pooling: Which mean.

    Returns:
        (count, D) means, zero where a tile has no photo; and (count,) photos of each tile.
    """
    sums = np.zeros((count, vectors.units.shape[1]), np.float32)
    for start in range(0, len(tiles), _CHUNK):
        rows, picks = tiles[start : start + _CHUNK], photos[start : start + _CHUNK]
        taken = vectors.units[picks].astype(np.float32)
        if pooling == "raw_mean":
            taken *= vectors.norms[picks, None]
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        # A tile whose photos straddle two chunks is added to twice.
        sums[rows[firsts]] += np.add.reduceat(taken, firsts, axis=0)
    photos_of = np.bincount(tiles, minlength=count).astype(np.int64)
    means: NDArray[np.float32] = np.divide(sums, np.maximum(photos_of, 1)[:, None], dtype=np.float32)
    return means, photos_of
