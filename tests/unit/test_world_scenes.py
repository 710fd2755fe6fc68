"""Scenes: the landscape's own pixels where no cloud hangs, and numbers that are true to the pixels."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from skygraft.world.landscape import Frame, Landscape
from skygraft.world.scene_items import earth_search_item, es_path, names, pc_path, planetary_item
from skygraft.world.scenes import BANDS, Rendered, Scene, render_scene, write_scene
from skygraft.world.squares import Square

ROWS, COLUMNS = 420, 360


@pytest.fixture(scope="module")
def land() -> Landscape:
    return Landscape(4, Frame.square(14))


@pytest.fixture(scope="module")
def square(land: Landscape) -> Square:
    x, y = land.nodes[8, 5]
    return Square("32UNU", x // 20 * 20, y // 20 * 20, COLUMNS, ROWS, 7)


@pytest.fixture(scope="module")
def ground(land: Landscape, square: Square) -> np.ndarray:
    drawn = land.render(square.west, square.north, COLUMNS, ROWS)
    drawn[:64, :64] = 0
    return drawn


def _scene(square: Square, cover: float, baseline: str, day: int = 14) -> Scene:
    return Scene(square, datetime(2018, 7, day, 10, 10, 31, 24000), "S2A", 22, baseline, datetime(2020, 1, 2), cover)


def _both(mask: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)


def test_clear_pixels_are_the_landscape_and_others_are_not(land: Landscape, square: Square, ground: np.ndarray) -> None:
    pixels = render_scene(4, _scene(square, 0.3, "02.08"), ground)
    expected = land.render(square.west, square.north, COLUMNS, ROWS, month=7)
    clear, cloud = _both(np.isin(pixels.scl, (4, 5, 6))), _both(pixels.scl == 9)
    assert np.array_equal(pixels.dn[clear], expected[clear])
    assert (pixels.dn[cloud] > expected[cloud]).mean() > 0.99


def test_shadows_darken_and_nodata_stays(square: Square, ground: np.ndarray) -> None:
    pixels = render_scene(4, _scene(square, 0.3, "02.08"), ground)
    clear = render_scene(4, _scene(square, 0.0, "02.08"), ground)
    shade = _both(pixels.scl == 3)
    assert shade.any() and (pixels.dn[shade] < clear.dn[shade]).mean() > 0.99
    assert (pixels.dn[:64, :64] == 0).all() and (pixels.scl[:32, :32] == 0).all()


def test_clouds_move_from_day_to_day(square: Square, ground: np.ndarray) -> None:
    one, two = (render_scene(4, _scene(square, 0.3, "02.08", day), ground).scl for day in (14, 19))
    assert (np.isin(one, (8, 9, 10)) != np.isin(two, (8, 9, 10))).mean() > 0.1


@pytest.mark.parametrize("cover", [0.0, 0.06, 0.45])
def test_cloud_cover_is_true_to_the_pixels(square: Square, ground: np.ndarray, cover: float) -> None:
    scene = _scene(square, cover, "05.00")
    pixels = render_scene(4, scene, ground)
    valid = pixels.scl > 0
    true = 100 * np.isin(pixels.scl[valid], (8, 9, 10)).mean()
    for item in (planetary_item(scene, pixels), earth_search_item(scene, pixels)):
        assert item["properties"]["eo:cloud_cover"] == pytest.approx(true, abs=1e-4)
    assert true == pytest.approx(100 * cover, abs=2.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, square: Square, ground: np.ndarray) -> tuple[Scene, Rendered, Path]:
    scene = _scene(square, 0.1, "05.00")
    pixels = render_scene(4, scene, ground)
    root = tmp_path_factory.mktemp("scene")
    assets = (*BANDS, "SCL")
    write_scene(scene, pixels, {a: root / pc_path(scene, a) for a in assets}, {a: root / es_path(scene, a) for a in assets})
    return scene, pixels, root


def test_files_hold_the_offset_of_their_baseline(files: tuple[Scene, Rendered, Path]) -> None:
    scene, pixels, root = files
    for name, index in BANDS.items():
        with rasterio.open(root / pc_path(scene, name)) as raw, rasterio.open(root / es_path(scene, name)) as applied:
            with_offset, without = raw.read(1), applied.read(1)
            assert raw.nodata == 0 and raw.crs.to_epsg() == 32632 and raw.block_shapes[0] == (256, 256)
            assert raw.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        data = pixels.dn[..., index] > 0
        assert np.array_equal(without, pixels.dn[..., index])
        assert np.array_equal(with_offset[data], without[data] + 1000) and (with_offset[~data] == 0).all()


def test_old_baseline_is_one_file_under_two_names(tmp_path: Path, square: Square, ground: np.ndarray) -> None:
    scene = _scene(square, 0.1, "02.08")
    blobs, cogs = ({a: tmp_path / side / f"{a}.tif" for a in (*BANDS, "SCL")} for side in ("pc", "es"))
    write_scene(scene, render_scene(4, scene, ground), blobs, cogs)
    assert all(blobs[a].samefile(cogs[a]) for a in blobs)


def test_items_describe_the_files(files: tuple[Scene, Rendered, Path]) -> None:
    scene, pixels, root = files
    for item in (planetary_item(scene, pixels), earth_search_item(scene, pixels)):
        for asset in item["assets"].values():
            path = root / asset["href"].split("/", 3)[3]
            with rasterio.open(path) as file:
                assert list(file.shape) == asset["proj:shape"]
                assert list(file.transform)[:6] == asset["proj:transform"]
                assert file.transform.c % 20 == 0 and file.transform.f % 20 == 0


def test_planetary_names_follow_the_true_form(files: tuple[Scene, Rendered, Path]) -> None:
    scene, pixels, _ = files
    item = planetary_item(scene, pixels)
    assert item["id"] == "S2A_MSIL2A_20180714T101031_R022_T32UNU_20200102T000000"
    assert item["properties"]["s2:product_uri"] == "S2A_MSIL2A_20180714T101031_N0500_R022_T32UNU_20200102T000000.SAFE"
    head = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/32/U/NU/2018/07/14/"
    href = item["assets"]["B04"]["href"]
    assert href.startswith(head) and href.endswith("/IMG_DATA/R10m/T32UNU_20180714T101031_B04_10m.tif") and "?" not in href
    assert names(scene)["es_id"] == "S2A_32UNU_20180714_0_L2A"
    twin = earth_search_item(scene, pixels)
    assert twin["properties"]["earthsearch:boa_offset_applied"] is True
    assert set(twin["assets"]) == {"red", "green", "blue", "nir", "scl"}
