"""Photos as the pixels that a network takes, by a shorter way than open_clip's to nearly the same pixels.

A JPEG is decoded at a half, a quarter or an eighth of its size, which libjpeg does inside its inverse cosine transform, but to no less than
:data:`MARGIN` times the network's input, so that vectors stay within a cosine of 0.999 of open_clip's own (tests/unit/test_pixels.py);
LUCAS's 1600 x 1200 pixels are still decoded at a half. The resizing that follows is open_clip's: Pillow's own filter, worked out for the
crop alone. Colours become numbers of mean 0 later, a batch at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from skygraft.encoders.decode import opened

MARGIN = 2.5
DECODER = f"pillow, exif orientation applied, jpeg scaled in its cosine transform to no less than {MARGIN} times the input"
Box = tuple[float, float, float, float]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
# EXIF orientation: what makes the picture upright, and where a box of the upright picture (left, top, right, bottom; 0 to 1) lies before.
_TURNS: dict[int, tuple[Image.Transpose, Callable[[Box], Box]]] = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, lambda b: (1 - b[2], b[1], 1 - b[0], b[3])),
    3: (Image.Transpose.ROTATE_180, lambda b: (1 - b[2], 1 - b[3], 1 - b[0], 1 - b[1])),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, lambda b: (b[0], 1 - b[3], b[2], 1 - b[1])),
    5: (Image.Transpose.TRANSPOSE, lambda b: (b[1], b[0], b[3], b[2])),
    6: (Image.Transpose.ROTATE_270, lambda b: (b[1], 1 - b[2], b[3], 1 - b[0])),
    7: (Image.Transpose.TRANSVERSE, lambda b: (1 - b[3], 1 - b[2], 1 - b[1], 1 - b[0])),
    8: (Image.Transpose.ROTATE_90, lambda b: (1 - b[3], b[0], 1 - b[1], b[2])),
}
_FIRST_TURNED = 5
# Of palettes pixels are picked, and beside transparent ones colours are uncertain: there the last rounding would show.
_SMOOTH = ("RGB", "L", "CMYK")


class PixelReader:
    """Reads photos for one network.

    Args:
        preprocessing: open_clip's: ``size``, ``interpolation``, ``resize_mode``.
        transform: open_clip's own steps from a picture to a normalised tensor; those before the tensor are taken, on the whole picture,
            where the short way does not apply: to palettes and transparency, to rectangles, with bars beside the picture.
    """

    def __init__(self, preprocessing: Mapping[str, Any], transform: Any) -> None:
        size = preprocessing["size"]
        self._height, self._width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self._filter = _FILTERS.get(preprocessing["interpolation"])
        self._squash = preprocessing["resize_mode"] == "squash"
        modes = ("squash", "shortest")
        self._short = self._height == self._width and preprocessing["resize_mode"] in modes and self._filter is not None
        # The last two make a tensor and normalise it.
        self._steps = transform.transforms[:-2]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and colours of what is read."""
        return self._height, self._width, 3

    def read(self, data: bytes) -> NDArray[np.uint8]:
        """A photo's bytes as (height, width, 3) RGB.

        Raises:
            PermanentItemError: The bytes are no whole picture, or one too large to be opened safely.
        """
        with opened(data) as picture:
            if self._short and picture.mode in _SMOOTH:
                return np.asarray(self._crop(picture).convert("RGB"))
            upright = ImageOps.exif_transpose(picture)
            for step in self._steps:
                upright = step(upright)
            return np.asarray(upright)

    def _crop(self, picture: Image.Image) -> Image.Image:
        """The middle of a picture, upright, at the network's size; in the picture's own colours, as open_clip resizes them."""
        full, side = picture.size, self._height
        least = math.ceil(MARGIN * side)
        drafted = picture.draft(None, (least, least))
        picture.load()
        # A decoded side is rounded up where the eighths do not come out even: what was added there is no part of the photo.
        extent = drafted[1][2:] if drafted is not None else full
        turn = picture.getexif().get(ExifTags.Base.Orientation, 1)
        method, before = _TURNS.get(turn, (None, lambda box: box))
        left, top, right, bottom = before(self._middle(full[::-1] if method is not None and turn >= _FIRST_TURNED else full))
        place = (left * extent[0], top * extent[1], right * extent[0], bottom * extent[1])
        crop = picture.resize((side, side), self._filter, box=place)
        return crop if method is None else crop.transpose(method)

    def _middle(self, size: tuple[int, int]) -> Box:
        """Which part of a picture of some width and height the network sees, 0 to 1; rounded as torchvision does."""
        if self._squash:
            return 0.0, 0.0, 1.0, 1.0
        (width, height), side = size, self._height
        wide, high = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        left, top = round((wide - side) / 2), round((high - side) / 2)
        return left / wide, top / high, (left + side) / wide, (top + side) / high
