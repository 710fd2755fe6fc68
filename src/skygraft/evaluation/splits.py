"""The images that a protocol names, and its draws.

Images are ranked by a digest of their names, so that a split depends on the protocol's own seed and on nothing else: not on the order of
the archive, not on the release of a library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.evaluation.benchmarks.eurosat import label_of, natural_key
from skygraft.evaluation.protocol import BalancedSplit, FileSplit, Protocol, StratifiedSplit

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The images of a protocol: what shots are drawn from, and what is tested; both in a fixed order.

    ``pool_labels`` and ``test_labels`` are class indices of shape (n,).
    """

    pool: tuple[str, ...]
    test: tuple[str, ...]
    pool_labels: Labels
    test_labels: Labels

    @property
    def named(self) -> tuple[str, ...]:
        """Every image of the split, pool first."""
        return self.pool + self.test

    def support(self, shots: int, seed: int) -> Labels:
        """Positions in the pool of one draw, class by class: numpy's default_rng(seed), without replacement.

        Raises:
            ConfigError: A class has fewer images in the pool than the shots.
        """
        generator = np.random.default_rng(seed)
        drawn = []
        for label in range(int(self.pool_labels.max()) + 1):
            members = np.flatnonzero(self.pool_labels == label)
            if len(members) < shots:
                raise ConfigError(f"{shots} shots of class {label}, and its pool holds {len(members)}: take fewer shots or more images")
            drawn.append(generator.choice(members, shots, replace=False))
        return np.concatenate(drawn)

    def drawn(self, protocol: Protocol) -> tuple[str, ...]:
        """The images that any draw of the protocol uses, and the tested ones: all that a model has to see."""
        positions = {int(p) for k in protocol.shots for seed in protocol.seeds for p in self.support(k, seed)}
        return tuple(self.pool[p] for p in sorted(positions)) + self.test


def make_split(protocol: Protocol, sample_ids: Sequence[str], files: Mapping[str, Path]) -> Split:
    """The split that a protocol makes of an archive.

    Args:
        protocol: The protocol.
        sample_ids: What the archive holds.
        files: Split files by name, for protocols that read one.

    Raises:
        ConfigError: The archive is too small for the protocol, or its split file is not there.
        CorruptDataError: A split file of another checksum or form.
    """
    rule = protocol.split
    if isinstance(rule, FileSplit):
        pool, test = _from_file(rule, files)
    else:
        by_class: dict[int, list[str]] = {}
        for sample_id in sample_ids:
            by_class.setdefault(label_of(sample_id), []).append(sample_id)
        ranked = {label: sorted(ids, key=lambda i: _rank(rule.seed, i)) for label, ids in by_class.items()}
        pool, test = _balanced(protocol.name, rule, ranked) if isinstance(rule, BalancedSplit) else _stratified(rule, ranked)
    return Split(
        tuple(pool),
        tuple(test),
        np.array([label_of(i) for i in pool], dtype=np.int64),
        np.array([label_of(i) for i in test], dtype=np.int64),
    )


def _rank(seed: int, sample_id: str) -> str:
    return hashlib.sha256(f"{seed}:{sample_id}".encode()).hexdigest()


def _balanced(name: str, rule: BalancedSplit, ranked: Mapping[int, list[str]]) -> tuple[list[str], list[str]]:
    smallest = min(len(ids) for ids in ranked.values())
    size = smallest if rule.per_class is None else rule.per_class
    tested = rule.test_per_class if rule.test_per_class is not None else round(size * (rule.test_share or 0))
    pooled = size - tested if rule.pool_per_class is None else rule.pool_per_class
    if size > smallest or pooled < 1 or tested < 1 or pooled + tested > size:
        raise ConfigError(
            f"protocol {name} takes {size} images a class, {pooled} to draw from and {tested} to test, and the archive's smallest "
            f"class has {smallest}: use a protocol made for this archive"
        )
    test = [i for label in sorted(ranked) for i in ranked[label][:tested]]
    pool = [i for label in sorted(ranked) for i in ranked[label][tested : tested + pooled]]
    return sorted(pool, key=natural_key), sorted(test, key=natural_key)


def _stratified(rule: StratifiedSplit, ranked: Mapping[int, list[str]]) -> tuple[list[str], list[str]]:
    cut = {label: round(rule.test_share * len(ids)) for label, ids in ranked.items()}
    test = [i for label in sorted(ranked) for i in ranked[label][: cut[label]]]
    pool = [i for label in sorted(ranked) for i in ranked[label][cut[label] :]]
    return sorted(pool, key=natural_key), sorted(test, key=natural_key)


def _from_file(rule: FileSplit, files: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    path = files.get(rule.file)
    if path is None or not path.is_file():
        raise ConfigError(f"split file {rule.file} is not there ({path or 'no place configured'}): name it among the benchmark's files")
    found = sha256_file(path)
    if found != rule.sha256:
        raise CorruptDataError(f"{path}: sha256 {found}, expected {rule.sha256}; fetch it again")
    parts = json.loads(path.read_text(encoding="utf-8"))
    pool, test = ([str(entry[0]) for entry in parts[part]] for part in (rule.pool, rule.test))
    for part in (rule.pool, rule.test):
        wrong = [entry[0] for entry in parts[part] if label_of(str(entry[0])) != entry[1]]
        if wrong:
            raise CorruptDataError(f"{path}: {wrong[0]} carries another label than its class")
    if set(pool) & set(test):
        raise CorruptDataError(f"{path}: images stand both in {rule.pool} and in {rule.test}")
    return pool, test
