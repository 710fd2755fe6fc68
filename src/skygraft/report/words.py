"""What the report says in words: what was done, how to read the numbers, and whose data it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from skygraft.config.evaluation import FolderModel
from skygraft.config.model import Config
from skygraft.config.outdoor import OutdoorCheckpoint
from skygraft.ground.attribution import Share
from skygraft.report.page import Source

_COPERNICUS = "Contains modified Copernicus Sentinel data, processed by ESA."


def lead(config: Config) -> str:
    """One sentence on what this run did."""
    runs, models = len(config.runs), len(config.scored_models()) if config.eurosat_kshot is not None else 0
    trained = f"{_number(runs, 'satellite encoder')} learned from ground photos" if runs else "No encoder was trained"
    scored = f"{_number(models, 'model')} scored on {_images(config)}" if models else "no model was scored"
    return f"{trained}; {scored}."


def synthetic_notice(config: Config) -> str | None:
    """What must stand beside synthetic numbers; None for a real run on real images."""
    if config.world is not None:
        return (
            f"Landscape, photos, satellite scenes, teacher and test images were all drawn or trained from seed {config.world.seed} "
            "(embedded world). These numbers show that the whole chain works; they say nothing about real ground, and no paper's may stand "
            "beside them."
        )
    if any(section.synthetic for section in config.benchmarks.values()):
        return "The test images are synthetic; these numbers say nothing about real ground and stand beside no paper's."
    return None


def remarks(config: Config, imageries: Iterable[str]) -> Iterator[str]:
    """How to read the numbers.

    Args:
        config: The configuration.
        imageries: The imagery column of every scored model.
    """
    if config.eurosat_kshot is not None:
        yield (
            "Intervals are 95 % and cover two sources of chance: which labelled images were drawn and which images were tested. They do "
            "not cover the chance in training: another training seed could give a number outside."
        )
        yield (
            "Between two models, an interval of each that does not touch the other's is a safe sign of a difference; intervals that "
            "overlap are no proof of equality, since both were tested on the same draws and images."
        )
        yield "Zero-shot scores are inductive: an image is classified by itself, without statistics of the test set."
    taught = [imagery for imagery in imageries if "embedded world" in imagery]
    folders = [model for model in config.scored_models().values() if isinstance(model, FolderModel)]
    if config.world is None and (taught or folders) and any(not section.synthetic for section in config.benchmarks.values()):
        yield (
            "Models of the embedded world saw no real image in training, but this is no blind transfer: the colours of that world were "
            "chosen after looking at real EuroSAT training images."
        )
    if config.world is not None:
        yield "The world's colours were chosen after looking at real EuroSAT training images."
    if config.world is None and config.photos:
        yield "Ground photos may show people, cars and houses: look at this page before you publish it."


def forgotten(photos: int, models: Sequence[str]) -> Iterator[str]:
    """What to know of photos that their owners took down after the plans were made.

    Args:
        photos: How many left the plans.
        models: Runs that had learnt from them before.
    """
    if photos:
        yield f"{_number(photos, 'photo')} left the plans when their owners took them down; tiles and counts here are without them."
    if models:
        yield f"Trained before that, and with those photos: {', '.join(models)}. What a model has learnt cannot be taken out of it."


def sources(config: Config, shares: Sequence[Share]) -> Iterator[Source]:
    """Whose data this is.

    Args:
        config: The configuration.
        shares: The photos of the plans by source and licence.
    """
    if config.world is not None:
        yield Source(
            f"embedded world, seed {config.world.seed}",
            "photos, satellite scenes, teacher and test images",
            "none needed: drawn by skygraft",
            "The columns of its tables name the real sources' licences because the same code fills them.",
        )
        # A source of one author, which LUCAS is, has no more to tell.
        several = {share.source for share in shares if share.authors > 1}
        yield from (_photos(share, f"{share.photos:,} drawn photos") for share in shares if share.source in several)
        return
    yield from (_photos(share, f"{share.photos:,} ground photos, targets of training") for share in shares)
    for name, imagery in config.imagery.items():
        for named in imagery.terms():
            if named.credit is not None:
                yield Source(f"imagery: {name}", "what the encoders learn to read", named.terms, named.credit)
    for name, section in config.benchmarks.items():
        if section.synthetic:
            yield Source(f"benchmark: {name}", "what models are tested on", "none needed", "synthetic images in EuroSAT's format")
        else:
            cite = f"Helber et al., EuroSAT, IEEE JSTARS 2019. {_COPERNICUS}"
            yield Source(f"benchmark: {name}", "what models are tested on", "MIT", cite)
    for name, encoder in config.encoders.items():
        terms = "MIT; its model card puts surveillance and deployed use out of bounds"
        where = f"{encoder.model} {encoder.weights or ''}".strip()
        what = "reads the photos, lends its text tower"
        yield Source(f"encoder: {name}", what, terms if encoder.weights == "openai" else "see its model card", where)
        if isinstance(encoder.outdoor, OutdoorCheckpoint):
            yield Source(f"outdoor score: {name}", "tells outdoor photos", "its makers' terms (Places365: CC BY)", encoder.outdoor.weights)


def _photos(share: Share, what: str) -> Source:
    several = f"{share.authors:,} authors, each named with the photo in attribution.csv beside this page"
    named = share.author or ("not stated" if share.authors == 1 else several)
    return Source(f"photos: {share.source}", what, share.licence or "not stated", named)


def _images(config: Config) -> str:
    names = {section.synthetic for section in config.benchmarks.values()}
    return "synthetic images in EuroSAT's format" if names == {True} else "EuroSAT"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
