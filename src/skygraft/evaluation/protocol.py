"""What a score means: the protocol files, and the splits and draws that follow from them.

A protocol fixes everything that a k-shot number depends on besides the features: which images are drawn from and which are tested, the
shots, the draws, how features are scaled, the strength of the regularisation, the solver's tolerance and the interval. It is a YAML
file of the package (``protocols/{benchmark}/{name}.yaml``) or one of the user's own. Seeds choose the k images a class and nothing else:
the split has a seed of its own, and it ranks images by a digest of their names, so that no release of a library can change it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.core.files import sha256_file
from skygraft.core.identity import digest
from skygraft.evaluation.benchmarks.eurosat import label_of, natural_key

Labels = npt.NDArray[np.int64]
MIN_SEEDS: Final = 10


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BalancedSplit(_Part):
    """A seeded split with equally many images of every class.

    ``per_class`` images of each class take part (none given: as many as the smallest class has). Of those, ``test_per_class`` are
    tested, or the share ``test_share``; ``pool_per_class`` (none given: all others) are what the shots are drawn from. Images are ranked
    by sha256 of ``{seed}:{sample_id}``.
    """

    rule: Literal["balanced"]
    seed: int
    per_class: Annotated[int, Field(ge=2)] | None = None
    test_per_class: Annotated[int, Field(ge=1)] | None = None
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    pool_per_class: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_size_of_test(self) -> BalancedSplit:
        if (self.test_per_class is None) == (self.test_share is None):
            raise ValueError("give either test_per_class or test_share")
        return self


class StratifiedSplit(_Part):
    """A seeded split of every image there is: the share ``test_share`` of each class is tested, the rest is drawn from."""

    rule: Literal["stratified"]
    seed: int
    test_share: Annotated[float, Field(gt=0, lt=1)]


class FileSplit(_Part):
    """A published split: a JSON file of ``{part: [[path, label, class name], …]}``, in its own order."""

    rule: Literal["file"]
    file: str
    sha256: str
    pool: str
    test: str


class Probe(_Part):
    """L2-regularised multinomial logistic regression with an unpenalised intercept, in scikit-learn's terms.

    ``scale`` is ``unit`` (each feature vector divided by its length) or ``pool_standardised`` (mean and standard deviation of the whole
    pool, labels unused). ``c`` is the inverse strength of the regularisation.
    """

    scale: Literal["unit", "pool_standardised"]
    c: Annotated[float, Field(gt=0)]


class Solver(_Part):
    """L-BFGS stops where no entry of the gradient of the mean loss exceeds ``tolerance`` (scikit-learn's own default is 1e-4)."""

    tolerance: Annotated[float, Field(gt=0, le=1e-3)]
    max_iterations: Annotated[int, Field(ge=1)]


class Interval(_Part):
    """How the interval of an accuracy is made; see :mod:`skygraft.evaluation.intervals`."""

    method: Literal["two_way_bootstrap"]
    level: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=100)]
    seed: int


class Protocol(_Part):
    """One protocol file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    benchmark: Literal["eurosat"]
    version: Annotated[int, Field(ge=1)]
    title: str
    notes: str
    data: Literal["real", "any"]
    paper: str | None = None
    split: Annotated[BalancedSplit | StratifiedSplit | FileSplit, Field(discriminator="rule")]
    shots: tuple[Annotated[int, Field(ge=1)], ...]
    seeds: tuple[int, ...]
    preprocessing: Literal["model"]
    probe: Probe
    floor: Probe
    solver: Solver
    interval: Interval

    @model_validator(mode="after")
    def _enough_and_distinct(self) -> Protocol:
        if len(set(self.seeds)) != len(self.seeds) or len(self.seeds) < MIN_SEEDS:
            raise ValueError(f"seeds: at least {MIN_SEEDS}, all different; got {self.seeds}")
        if not self.shots or tuple(sorted(set(self.shots))) != self.shots:
            raise ValueError(f"shots: ascending and all different; got {self.shots}")
        return self

    def identity(self) -> str:
        """Hash of everything in the file but its prose."""
        return digest(self.model_dump(mode="json", exclude={"title", "notes"}))


def protocol_names(benchmark: str) -> tuple[str, ...]:
    """Names of the protocols that the package ships for a benchmark."""
    folder = resources.files("skygraft.evaluation").joinpath("protocols", benchmark)
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_protocol(benchmark: str, name: str) -> Protocol:
    """Read a protocol.

    Args:
        benchmark: ``eurosat``.
        name: A name that the package ships, or the path of a YAML file (ends in ``.yaml``).

    Raises:
        ConfigError: No such protocol, or a file that is not one; names the key and what was expected.
    """
    if name.endswith(".yaml"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"protocol file {name} is not there")
        text = path.read_text(encoding="utf-8")
    else:
        known = protocol_names(benchmark)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"benchmark {benchmark} has no protocol {name!r} (known: {', '.join(known) or 'none'}){hint}")
        text = resources.files("skygraft.evaluation").joinpath("protocols", benchmark, f"{name}.yaml").read_text("utf-8")
    try:
        return Protocol.model_validate(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"protocol {name}: {error}") from error


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
