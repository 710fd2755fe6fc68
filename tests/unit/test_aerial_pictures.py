"""Pictures of map services, decoded: the pixels that Pillow reads, in every mode that services send, and nothing else."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from skygraft.core.errors import PermanentItemError, Reason, TransientError
from skygraft.core.http import Response
from skygraft.imagery.aerial.pictures import decode

NOISE = np.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def answer(image: Image.Image, kind: str, *, measured: bool = True, cut: int | None = None, **options: object) -> Response:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Response(200, {}, file.getvalue()[:cut], measured)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
def test_a_jpeg_has_the_pixels_that_were_delivered(options: dict[str, object]) -> None:
    given = answer(Image.fromarray(NOISE), "JPEG", **options)
    found = decode(given, 64)
    assert found is not None
    np.testing.assert_array_equal(found.rgb, np.asarray(Image.open(io.BytesIO(given.content))))
    assert found.shown.all()


def test_grey_is_three_equal_bands() -> None:
    found = decode(answer(Image.fromarray(NOISE[:, :, 0]), "PNG"), 64)
    assert found is not None
    np.testing.assert_array_equal(found.rgb, np.repeat(NOISE[:, :, :1], 3, axis=2))


def test_a_palette_s_transparent_entry_shows_nothing() -> None:
    indices = (np.arange(64 * 64) % 7).astype(np.uint8).reshape(64, 64)
    image = Image.fromarray(indices, "P")
    image.putpalette([value for n in range(256) for value in (n * 30 % 256, n, 255 - n)])
    found = decode(answer(image, "PNG", transparency=3), 64)
    assert found is not None
    np.testing.assert_array_equal(found.shown, indices != 3)
    np.testing.assert_array_equal(found.rgb[indices == 2], np.broadcast_to([60, 2, 253], ((indices == 2).sum(), 3)))


@pytest.mark.parametrize(
    "image", [Image.fromarray(NOISE.astype(np.uint8)).convert("CMYK"), Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 257)]
)
def test_other_modes_are_refused(image: Image.Image) -> None:
    with pytest.raises(PermanentItemError, match="expected 8 bits") as refused:
        decode(answer(image, "JPEG" if image.mode == "CMYK" else "PNG"), 64)
    assert refused.value.reason is Reason.NOT_AN_IMAGE


def test_a_known_placeholder_and_what_is_transparent_all_over_show_nothing() -> None:
    given = answer(Image.fromarray(NOISE), "PNG")
    assert decode(given, 64) is not None
    assert decode(given, 64, {hashlib.sha256(given.content).hexdigest()}) is None
    clear = np.dstack([NOISE, np.zeros((64, 64), np.uint8)])
    assert decode(answer(Image.fromarray(clear), "PNG"), 64) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_may_pass_where_its_length_was_never_said(kind: str) -> None:
    picture = Image.fromarray(NOISE)
    with pytest.raises(PermanentItemError) as broken:
        decode(answer(picture, kind, cut=-900), 64)
    assert broken.value.reason is Reason.CORRUPT_IMAGE
    with pytest.raises(TransientError) as cut:
        decode(answer(picture, kind, measured=False, cut=-900), 64)
    assert cut.value.reason is Reason.TRUNCATED
