"""What a user would run instead, in a process of its own: a plain open_clip loop, or clip-retrieval's clip_inference.

    python embedding_peers.py {plain|clip_retrieval} MODEL WEIGHTS [CONFIGS]

Knows nothing of skygraft beyond the one thing without which open_clip does not start on a CPU build of torch. Reads tasks from standard
input, one JSON object a line (``photos``, ``out``, ``batch_size``, ``workers``, ``threads``), and answers each with the ``seconds`` of its
loop, of the ``whole`` call, and of all ``processor`` time, child processes included. Everything is loaded before the first task. Vectors
go to ``out`` as float16 of unit length, in the order of the files' names. clip_inference's loop is what it counts itself: reading,
encoding and writing; that its call starts processes which import everything anew is no part of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Task = dict[str, Any]


def plain(model_name: str, weights: str) -> Callable[[Task], float | None]:
    import numpy as np
    import open_clip
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    model, _, preprocess = open_clip.create_model_and_transforms(model_name, pretrained=weights)
    model.eval()

    class Photos(Dataset):  # type: ignore[type-arg]
        def __init__(self, folder: str) -> None:
            self.paths = sorted(Path(folder).iterdir())

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, at: int) -> Any:
            return preprocess(Image.open(self.paths[at]).convert("RGB"))

    def run(task: Task) -> float | None:
        torch.set_num_threads(task["threads"])
        found = []
        with torch.no_grad():
            for batch in DataLoader(Photos(task["photos"]), task["batch_size"], num_workers=task["workers"]):
                features = model.encode_image(batch)
                found.append((features / features.norm(dim=-1, keepdim=True)).half().numpy())
        np.save(task["out"], np.concatenate(found))
        return None

    return run


def clip_retrieval(model_name: str, weights: str) -> Callable[[Task], float | None]:
    import shutil

    from clip_retrieval.clip_inference.main import main

    def run(task: Task) -> float | None:
        folder = task["out"] + ".folder"
        main(
            task["photos"],
            folder,
            batch_size=task["batch_size"],
            num_prepro_workers=task["workers"],
            enable_text=False,
            clip_model=f"open_clip:{model_name}/{weights}",
        )
        shutil.copy(Path(folder) / "img_emb" / "img_emb_0.npy", task["out"])
        stats = json.loads((Path(folder) / "stats" / "0.json").read_text())
        shutil.rmtree(folder)
        return float(stats["total_duration"])

    return run


def main() -> None:
    peer, model_name, weights, *configs = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    # Whatever libraries print is no answer.
    os.dup2(2, 1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if peer == "plain":
        from skygraft.core.torchvision_shim import ensure_torchvision

        ensure_torchvision()
    import open_clip

    for config in configs:
        open_clip.add_model_config(config)
    run = {"plain": plain, "clip_retrieval": clip_retrieval}[peer](model_name, weights)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        start, before = time.perf_counter(), os.times()
        loop = run(task)
        whole, after = time.perf_counter() - start, os.times()
        facts = {"seconds": whole if loop is None else loop, "whole": whole, "processor": sum(after[:4]) - sum(before[:4])}
        print(json.dumps(facts), file=answers, flush=True)


if __name__ == "__main__":
    main()
