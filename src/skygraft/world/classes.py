"""The ten EuroSAT classes, their variants, LUCAS codes and wording."""

from __future__ import annotations

from dataclasses import dataclass

ANNUAL, FOREST, HERBACEOUS, HIGHWAY, INDUSTRIAL, PASTURE, PERMANENT, RESIDENTIAL, RIVER, SEALAKE = range(10)


@dataclass(frozen=True)
class Variant:
    """A kind of a class that a photo shows plainly.

    Attributes:
        name: short name, unique among all variants.
        words: phrases that name it in a caption.
        lc1: LUCAS land cover code.
        lu1: LUCAS land use code.
    """

    name: str
    words: tuple[str, ...]
    lc1: str
    lu1: str


@dataclass(frozen=True)
class Cover:
    """One of the ten classes.

    Attributes:
        name: folder of the class in the EuroSAT archive.
        text: how a zero-shot prompt names it.
        phrases: how captions name it when they use its own name.
        variants: its kinds.
    """

    name: str
    text: str
    phrases: tuple[str, ...]
    variants: tuple[Variant, ...]


CLASSES: tuple[Cover, ...] = (
    Cover(
        "AnnualCrop",
        "annual crop",
        ("annual crop", "an annual crop field"),
        (
            Variant("wheat", ("a wheat field", "a field of grain", "a cereal crop"), "B11", "U111"),
            Variant("maize", ("a maize field", "rows of corn", "an annual crop of maize"), "B16", "U111"),
            Variant("bare", ("a ploughed field", "bare soil with furrows", "an annual crop field after harvest"), "F40", "U111"),
            Variant("rape", ("a rapeseed field in flower", "yellow oilseed rape", "an annual crop of rapeseed"), "B32", "U111"),
            Variant("sunflower", ("a sunflower field", "rows of sunflowers", "an annual crop of sunflowers"), "B31", "U111"),
        ),
    ),
    Cover(
        "Forest",
        "forest",
        ("forest", "a forest"),
        (
            Variant("conifer", ("a conifer forest", "a spruce forest", "fir trees in a forest"), "C21", "U120"),
            Variant("broadleaf", ("a broadleaf forest", "a deciduous forest", "tree trunks in a forest"), "C10", "U120"),
            Variant("mixed", ("a mixed forest", "trees in a woodland", "a forest of many trees"), "C31", "U120"),
        ),
    ),
    Cover(
        "HerbaceousVegetation",
        "herbaceous vegetation",
        ("herbaceous vegetation", "natural herbaceous vegetation"),
        (
            Variant("heath", ("a heath", "heather on natural heathland", "herbaceous vegetation with heather"), "D20", "U420"),
            Variant("steppe", ("dry grassland", "wild dry grass", "natural dry grass"), "E20", "U420"),
            Variant("rough", ("rough grass", "wild grass and herbs", "tall wild herbs"), "E30", "U420"),
            Variant("scrub", ("scrub with shrubs", "herbaceous vegetation with shrubs", "scrubland"), "D10", "U420"),
        ),
    ),
    Cover(
        "Highway",
        "highway or road",
        ("highway or road", "a highway"),
        (
            Variant("motorway", ("a motorway with lane marks", "a motorway", "cars on a highway"), "A22", "U312"),
            Variant("road", ("a road", "an asphalt road", "a country road"), "A22", "U312"),
        ),
    ),
    Cover(
        "Industrial",
        "industrial buildings",
        ("industrial buildings", "an industrial area"),
        (
            Variant("halls", ("factory halls", "a warehouse", "a large industrial hall"), "A11", "U341"),
            Variant("tanks", ("storage tanks", "an industrial plant with tanks"), "A30", "U224"),
            Variant("works", ("a factory with a chimney", "an industrial plant", "factory chimneys"), "A12", "U225"),
        ),
    ),
    Cover(
        "Pasture",
        "pasture",
        ("pasture", "pasture land"),
        (
            Variant("cows", ("a pasture with cows", "cows grazing on a meadow", "cattle in a green field"), "E20", "U111"),
            Variant("sheep", ("a pasture with sheep", "sheep grazing", "sheep in a green field"), "E20", "U111"),
            Variant("meadow", ("a green meadow", "pasture land with a fence", "a fenced green pasture"), "E10", "U111"),
        ),
    ),
    Cover(
        "PermanentCrop",
        "permanent crop",
        ("permanent crop", "a permanent crop plantation"),
        (
            Variant("vines", ("a vineyard", "rows of grapevines", "a permanent crop of vines"), "B82", "U111"),
            Variant("orchard", ("an orchard", "fruit trees in rows", "a permanent crop of apple trees"), "B71", "U111"),
            Variant("hops", ("a hop yard", "hops on tall poles", "a permanent crop of hops"), "B84", "U111"),
        ),
    ),
    Cover(
        "Residential",
        "residential buildings",
        ("residential buildings", "a residential area"),
        (
            Variant("houses", ("houses with gardens", "a residential street", "family houses"), "A11", "U370"),
            Variant("terrace", ("terraced houses", "a row of houses", "town houses"), "A11", "U370"),
            Variant("flats", ("blocks of flats", "apartment buildings", "residential towers"), "A12", "U370"),
        ),
    ),
    Cover(
        "River",
        "river",
        ("river", "a river"),
        (
            Variant("stream", ("a river with trees on its banks", "flowing river water", "a winding river"), "G21", "U420"),
            Variant("canal", ("a river or canal", "a straight river", "a canal with stone banks"), "G21", "U313"),
        ),
    ),
    Cover(
        "SeaLake",
        "sea or lake",
        ("sea or lake", "a lake or the sea"),
        (
            Variant("lake", ("a lake", "a calm lake", "a lake and its shore"), "G11", "U420"),
            Variant("open", ("open water with waves", "a wide lake like a sea", "sailing boats on a lake"), "G11", "U361"),
        ),
    ),
)

NAMES: tuple[str, ...] = tuple(cover.name for cover in CLASSES)
TEXTS: tuple[str, ...] = tuple(cover.text for cover in CLASSES)
PROMPTS: tuple[str, ...] = ("a photo of {}", "a picture of {}", "a ground photo of {}")

NEIGHBOURS: dict[int, tuple[int, ...]] = {
    ANNUAL: (FOREST, PASTURE, RESIDENTIAL, PERMANENT, HERBACEOUS),
    FOREST: (PASTURE, HERBACEOUS, ANNUAL, SEALAKE),
    HERBACEOUS: (FOREST, PASTURE, PERMANENT, ANNUAL),
    INDUSTRIAL: (RESIDENTIAL, ANNUAL),
    PASTURE: (ANNUAL, FOREST, HERBACEOUS, SEALAKE),
    PERMANENT: (ANNUAL, HERBACEOUS, RESIDENTIAL),
    RESIDENTIAL: (INDUSTRIAL, ANNUAL, PASTURE, PERMANENT),
    SEALAKE: (FOREST, PASTURE),
}
"""Which covers like to lie beside which; rivers and highways cross all of them."""


def variant_of(name: str) -> tuple[int, Variant]:
    """Return class index and variant of a variant's name.

    Raises:
        KeyError: when no class has it.
    """
    for index, cover in enumerate(CLASSES):
        for variant in cover.variants:
            if variant.name == name:
                return index, variant
    raise KeyError(name)
