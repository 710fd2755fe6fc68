"""Aerial pictures of the embedded world: a sheet to look at, and what drawing costs.

    python benchmarks/aerial_sheets.py [--zoom 18] [--px 128] [--each 8] [--blind] [--all] [--out sheet.png]

The sheet has a row for each of the ten classes, of places that the survey would choose. With --blind the places are shuffled and numbered,
and their classes stand in a text file beside the sheet: name them first, then look. With --all every place of the survey is drawn and
packed as JPEG, and the processor's time is told.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from skygraft.world.aerial.camera import encoded
from skygraft.world.aerial.grid import mercator_grid, to_pixel
from skygraft.world.aerial.picture import photograph
from skygraft.world.classes import NAMES
from skygraft.world.landscape import Landscape
from skygraft.world.points import choose_nodes
from skygraft.world.recipe import EPSG, Recipe
from skygraft.world.tasks import landscape

BACK = Transformer.from_crs(EPSG, 4326, always_xy=True)
SHOWN_PX = 170


def picture(land: Landscape, place: NDArray[np.float64], zoom: int, px: int) -> NDArray[np.uint8]:
    across, down = to_pixel(zoom, *BACK.transform(*place))
    return photograph(land, mercator_grid(zoom, int(across) - px // 2 - 1, int(down) - px // 2 - 1, px + 2, px + 2))[..., :3]


def framed(image: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    shown = cv2.resize(image, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_CUBIC)
    cv2.putText(shown, words, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return cv2.copyMakeBorder(shown, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("--zoom", 18), ("--px", 128), ("--each", 8), ("--seed", 1), ("--shuffle", 0)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    args = parser.parse_args()
    land = landscape(Recipe(seed=args.seed))
    nodes = choose_nodes(land, 1600)
    if args.all:
        start, wall = time.process_time(), time.perf_counter()
        total = sum(len(encoded(picture(land, land.nodes[row, column], args.zoom, args.px), "jpeg")) for row, column, _ in nodes)
        spent, load = time.process_time() - start, os.getloadavg()[0]
        print(
            f"{len(nodes)} pictures of {args.px} px at zoom {args.zoom}: {spent:.1f} s of processor, {time.perf_counter() - wall:.1f} s, ",
            end="",
        )
        print(f"{spent / len(nodes) * 1e3:.1f} ms and {total / len(nodes) / 1e3:.1f} kB each, load {load:.1f}")
        return
    order = np.random.default_rng(args.shuffle).permutation(len(nodes))
    chosen = [[nodes[k] for k in order if nodes[k][2] == cover][: args.each] for cover in range(len(NAMES))]
    flat = [node for row in chosen for node in row]
    if args.blind:
        flat = [flat[k] for k in np.random.default_rng(args.shuffle + 1).permutation(len(flat))]
        args.out.with_suffix(".txt").write_text("\n".join(f"{k} {NAMES[cover]}" for k, (_, _, cover) in enumerate(flat)) + "\n")
    images = [
        framed(picture(land, land.nodes[row, column], args.zoom, args.px), str(k) if args.blind else NAMES[cover])
        for k, (row, column, cover) in enumerate(flat)
    ]
    rows = [np.hstack(images[k : k + args.each]) for k in range(0, len(images) - args.each + 1, args.each)]
    cv2.imwrite(str(args.out), np.vstack(rows)[..., ::-1])
    print(f"{len(images)} pictures in {args.out}")


if __name__ == "__main__":
    main()
