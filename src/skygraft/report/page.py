"""The page itself: what it holds, and how it becomes one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from skygraft.report.examples import Example
from skygraft.report.outdoor import OutdoorSection
from skygraft.report.overlaps import OverlapSection
from skygraft.report.scores import Confusion, KShotTable, ZeroShotLine
from skygraft.report.statuses import Fate
from skygraft.report.windows import WindowsLine


@dataclass(frozen=True)
class ScoreSection:
    """The scores under one protocol."""

    table: KShotTable
    figure: str
    zero_shot: tuple[ZeroShotLine, ...]
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class Curves:
    """A run's curves: its name, how it departs from the paper, the drawing, and the last row in words."""

    run: str
    note: str | None
    figure: str
    last: str


@dataclass(frozen=True)
class PairsSection:
    """The pairs of a plan: drawings of where they are, numbers, and how many copies of photos it left out, where it does."""

    plan: str
    map: str
    density: str
    tiles: int
    photos: int
    places: int
    copies: str | None = None


@dataclass(frozen=True)
class Source:
    """Where data comes from: its licence, and who is to be named."""

    name: str
    what: str
    licence: str
    attribution: str


@dataclass(frozen=True)
class Page:
    """Everything that the report shows.

    ``notes`` are what runs say beside their numbers, by models that say the same; ``notices`` are what the sources' terms ask to be said.
    """

    title: str
    name: str
    lead: str
    synthetic: str | None
    remarks: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    scores: tuple[ScoreSection, ...]
    curves: tuple[Curves, ...]
    pairs: tuple[PairsSection, ...]
    examples: tuple[Example, ...]
    fates: tuple[Fate, ...]
    sources: tuple[Source, ...]
    versions: Mapping[str, str]
    identities: Sequence[tuple[str, str, str]]
    settings: str
    outdoor: tuple[OutdoorSection, ...] = ()
    notices: tuple[str, ...] = ()
    overlaps: tuple[OverlapSection, ...] = ()
    windows: tuple[WindowsLine, ...] = ()


def render(page: Page) -> str:
    """The page as HTML: no script, no reference to another file; all text from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("skygraft.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = lambda value: f"{value:.1f}"
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["spaced"] = _spaced
    return environment.get_template("report.html.j2").render(page=page)


def _spaced(name: str) -> str:
    """``AnnualCrop`` as ``Annual crop``: class names for people."""
    return "".join(f" {letter.lower()}" if letter.isupper() and i else letter for i, letter in enumerate(name))
