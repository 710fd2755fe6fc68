"""Photos read by the short way: the same pixels and the same vectors as by open_clip's own steps, near enough."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from tests.tiny_clip import PREPROCESS, VIT, write_folder

from skygraft.core.errors import PermanentItemError, Reason
from skygraft.encoders.clip import FrozenClip, load_clip, load_folder
from skygraft.encoders.pixels import MARGIN, PixelReader
from skygraft.encoders.reference import ModelReference

ORIENTATION = 0x0112
SIDE = 64
PHOTOS = [Image.fromarray(pixels) for pixels in load_sample_images().images]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> FrozenClip:
    folder = write_folder(tmp_path_factory.mktemp("vit"), vision_cfg=VIT | {"image_size": SIDE})
    return load_folder(folder)


def file(picture: Image.Image, orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, **({"format": "JPEG", "quality": 90, "exif": exif} | options))
    return buffer.getvalue()


def reference(clip: FrozenClip, data: bytes) -> torch.Tensor:
    """open_clip's own steps on the upright picture."""
    return clip.preprocess(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


def contrast(prepared: torch.Tensor) -> NDArray[np.float32]:
    """A network's input without its mean colour, which two pictures may share by chance."""
    return (prepared - prepared.mean((1, 2), keepdim=True)).flatten().numpy()


def hold_same(clip: FrozenClip, data: bytes) -> None:
    theirs, ours = reference(clip, data), clip.prepare(data)
    assert cosine(contrast(ours), contrast(theirs)) > 0.998
    vectors = clip.encode_prepared(torch.stack([theirs, ours]))
    assert cosine(vectors[0], vectors[1]) > 0.999


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    photo=st.sampled_from(PHOTOS),
    width=st.integers(20, 1400),
    height=st.integers(20, 1400),
    orientation=st.integers(1, 8),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    quality=st.integers(70, 96),
    progressive=st.booleans(),
)
def test_jpegs_of_any_size_and_kind_give_open_clips_vectors(
    clip: FrozenClip, photo: Image.Image, width: int, height: int, orientation: int, mode: str, quality: int, progressive: bool
) -> None:
    picture = photo.resize((width, height), Image.Resampling.LANCZOS).convert(mode)
    hold_same(clip, file(picture, orientation, quality=quality, progressive=progressive))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("size", [(500, 400), (41, 67), (400, 901)])
def test_pngs_give_open_clips_pixels(clip: FrozenClip, mode: str, size: tuple[int, int]) -> None:
    picture = PHOTOS[0].resize(size)
    if mode in ("RGBA", "LA"):
        picture = picture.convert(mode)
        picture.putalpha(Image.radial_gradient("L").resize(size))
    data = file(picture.convert(mode), orientation=6, format="PNG")
    difference = (reference(clip, data) - clip.prepare(data)) * torch.tensor(PREPROCESS["std"]).view(3, 1, 1) * 255
    # Where the crop is worked out alone, a weight may round otherwise.
    assert difference.abs().max() < 1.01


@pytest.mark.parametrize("resize_mode", ["squash", "longest"])
@pytest.mark.parametrize("size", [SIDE, (48, 64)])
def test_other_ways_of_resizing_give_open_clips_vectors(clip: FrozenClip, resize_mode: str, size: int | tuple[int, int]) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    preprocessing = PREPROCESS | {"resize_mode": resize_mode, "size": size}
    transform = image_transform_v2(PreprocessCfg(**preprocessing), is_train=False)
    other = dataclasses.replace(clip, preprocess=transform, pixels=PixelReader(preprocessing, transform))
    for orientation in range(1, 9):
        data = file(PHOTOS[1].resize((907, 603)), orientation)
        assert cosine(contrast(other.prepare(data)), contrast(reference(other, data))) > 0.998


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(clip: FrozenClip, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    load = Image.Image.resize

    def noted(self: Image.Image, *arguments: object, **options: object) -> Image.Image:
        seen.append(self.size)
        return load(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", noted)
    clip.pixels.read(file(PHOTOS[0].crop((0, 0, 640, 427))))
    large = file(Image.new("RGB", (4000, 3001)))
    clip.pixels.read(large)
    # 427 / 2 would leave 213, and 3001 / 8 leaves 376 of the 160 that are asked for.
    assert MARGIN * SIDE == 160
    assert seen == [(320, 214), (500, 376)]


def test_a_photo_of_the_networks_size_or_less_is_not_scaled_before(clip: FrozenClip) -> None:
    data = file(PHOTOS[0].resize((159, 300)))
    np.testing.assert_allclose(clip.prepare(data), reference(clip, data), atol=1.01 / 255 / min(PREPROCESS["std"]))


def test_a_thin_strip_is_cut_before_it_is_enlarged(clip: FrozenClip) -> None:
    """open_clip's steps would first draw it 64 pixels high and 1.3 million wide."""
    assert clip.pixels.read(file(Image.new("RGB", (20_000, 1), "red"), format="PNG")).tolist() == [[[255, 0, 0]] * SIDE] * SIDE


def test_normalised_pixels_are_open_clips_tensor(clip: FrozenClip) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    ours = clip.normalised(torch.from_numpy(pixels))
    theirs = torch.stack([clip.preprocess(Image.fromarray(picture)) for picture in pixels])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("cut", [2, 300, 5000])
def test_what_is_no_whole_picture_is_refused(clip: FrozenClip, cut: int) -> None:
    with pytest.raises(PermanentItemError) as caught:
        clip.pixels.read(file(PHOTOS[0])[:-cut])
    assert caught.value.reason is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("model", ["RN50", "ViT-B-32"])
@pytest.mark.slow
def test_networks_of_full_size_give_the_same_vectors(model: str) -> None:
    clip = load_clip(ModelReference(model))
    for size in ((640, 480), (1600, 1200), (3000, 2000)):
        hold_same(clip, file(PHOTOS[1].resize(size, Image.Resampling.LANCZOS)))


def test_the_short_way_is_part_of_the_encoders_identity(clip: FrozenClip, tmp_path: Path) -> None:
    assert f"{MARGIN} times the input" in clip.identity.preprocessing["decoder"]
    other = dataclasses.replace(clip.identity, preprocessing=clip.identity.preprocessing | {"decoder": "pillow"})
    assert other.digest() != clip.identity.digest()
    assert "decoder" in other.differences(clip.identity)
