"""What a score means: the protocol files.

A protocol fixes everything that a k-shot number depends on besides the features: which images are drawn from and which are tested, the
shots, the draws, how features are scaled, the strength of the regularisation, the solver's tolerance and the interval. It is a YAML
file of the package (``protocols/{benchmark}/{name}.yaml``) or one of the user's own. Seeds choose the k images a class and nothing else:
the split has a seed of its own (:mod:`skygraft.evaluation.splits`).
"""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skygraft.core.errors import ConfigError
from skygraft.core.identity import digest

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
