"""The recipe of an embedded world: every number that decides what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skygraft.core.errors import ConfigError

EPSG = 32632
"""Coordinate reference system of the whole world: UTM zone 32 north."""
LAEA_EPSG = 3035
"""Reference system of the LUCAS grid, whose nodes are whole kilometres."""
GSD = 10.0
"""Ground sample distance of the drawn Sentinel-2 pixels, metres."""
STRETCH_DN = 3000
"""Digital number (reflectance x 10000) that stands for 255 in an 8-bit chip."""
SURVEY_YEAR = 2018
"""Year of the survey, of its photos and of the satellite's scenes."""
CENTRE_EN_KM = (4352, 2843)
"""LAEA node (easting, northing in km) at the middle of the surveyed region: near 10.4 E, 48.7 N."""


@dataclass(frozen=True)
class Recipe:
    """Numbers that decide a world's bytes.

    Attributes:
        seed: source of every random stream; the teacher's photos come from a landscape of another seed.
        points: LUCAS points, shared out evenly among the ten classes.
        chips: EuroSAT-format chips, shared out evenly among the ten classes.
        captioned_photos: photos with captions that the teacher learns from.
        heldout_photos: photos that the teacher is scored on.
        flickr_photos: photos that the world's Flickr holds, copies and wrongly placed ones included.
        photo_widths: smallest and largest width in pixels of a photo (4:3).
        cloudy_share: share of points surveyed in a month that has cloudy scenes alone.
        not_taken_share: photos that the table says were not taken (code 2).
        absent_share: photos that the table announces and the server does not have.
        html_share: photos that are an HTML page under a .jpg name.
        truncated_share: photos whose JPEG stream is cut.
        interpreted_share: points read from an office photo, with missing codes and no photos.
    """

    seed: int = 1
    points: int = 1600
    chips: int = 2200
    captioned_photos: int = 4000
    heldout_photos: int = 800
    flickr_photos: int = 600
    photo_widths: tuple[int, int] = (112, 160)
    cloudy_share: float = 0.03
    not_taken_share: float = 0.01
    absent_share: float = 0.004
    html_share: float = 0.002
    truncated_share: float = 0.001
    interpreted_share: float = 0.01

    def __post_init__(self) -> None:
        """Refuse numbers that no landscape can hold.

        Raises:
            ConfigError: when a count is too small for ten classes or a share lies outside [0, 0.5].
        """
        for name in ("points", "chips", "captioned_photos", "heldout_photos", "flickr_photos"):
            if getattr(self, name) < 20:
                raise ConfigError(f"world recipe: {name} must be at least 20 (two a class)")
        for name, value in asdict(self).items():
            if name.endswith("_share") and not 0.0 <= value <= 0.5:
                raise ConfigError(f"world recipe: {name} must lie between 0 and 0.5")
        if not 48 <= self.photo_widths[0] <= self.photo_widths[1] <= 160:
            raise ConfigError("world recipe: photo_widths must rise between 48 and 160 pixels")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Read back what :meth:`as_dict` gave."""
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**plain)

    @property
    def teacher_seed(self) -> int:
        """Seed of the landscape that the captioned photos come from."""
        return self.seed + 7_000_003

    @property
    def captioned_indoors(self) -> int:
        """Indoor photos that the teacher learns from, beside the captioned photos of the ten classes."""
        return self.captioned_photos // 5

    def as_dict(self) -> dict[str, object]:
        """Plain values for a manifest."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
