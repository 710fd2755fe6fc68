"""A ResNet18 for scenes as a judge of outdoor photos: what GRAFT used, where the user brings its checkpoint.

The published form is Places365's ``resnet18_places365.pth.tar`` (CSAILVision/places365; no archive in spite of its name): a dictionary
whose ``state_dict`` has torchvision's names behind ``module.``, 365 classes, beside ``IO_places365.txt`` with a line ``/a/airfield 2`` for
each class in the network's order, 1 for indoors and 2 for outdoors. A network for SUN397 is read alike, with a list of its own. The demo of
Places365 lets the ten likeliest classes vote; here their probabilities are summed, which tells photos apart that would get the same vote:

    P(outdoor) = sum of softmax(logits) over the outdoor classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from skygraft.config.outdoor import OutdoorCheckpoint
from skygraft.core.errors import ConfigError
from skygraft.core.files import sha256_file
from skygraft.core.torchvision_shim import ensure_torchvision
from skygraft.encoders.decode import decode
from skygraft.encoders.weights import load_into, read_state_dict

_WRAPPER = "module."
_HEAD = "fc.weight"
_SHORT_SIDE, _SIDE = 256, 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_INDOOR, _OUTDOOR = "1", "2"


@dataclass(frozen=True)
class SceneNetwork:
    """A network that names scenes, and which of its classes lie outdoors.

    Args:
        model: torchvision's ResNet18, in evaluation mode.
        transform: A picture to the network's input.
        outdoor: (classes,) float32, 1 for outdoors.
        device: Where it runs.
        identity: What the scores are made of.
    """

    model: nn.Module
    transform: Callable[[Image.Image], Tensor]
    outdoor: Tensor
    device: torch.device
    identity: dict[str, Any]

    def prepare(self, photo: bytes) -> Tensor:
        """One photo as the network's input, (3, 224, 224) float32: shorter side to 256, the middle 224, ImageNet's normalisation.

        Raises:
            PermanentItemError: The bytes are no picture.
        """
        prepared: Tensor = self.transform(decode(photo))
        return prepared

    @torch.inference_mode()
    def probabilities(self, batch: Tensor) -> NDArray[np.float32]:
        """Probabilities (N,) of an outdoor picture for prepared photos (N, 3, 224, 224)."""
        shares = torch.softmax(self.model(batch.to(self.device)).float(), dim=1) @ self.outdoor
        return shares.clamp(0, 1).cpu().numpy()


def load_scene_network(section: OutdoorCheckpoint, device: torch.device) -> SceneNetwork:
    """Loads the user's checkpoint; nothing in it is executed.

    Raises:
        ConfigError: A file is missing, has another checksum, or is of another network; or the list does not fit it.
        CorruptDataError: The checkpoint cannot be read.
    """
    weights, classes = section.files
    outdoor = read_classes(classes)
    if not weights.is_file():
        raise ConfigError(f"outdoor.weights: there is no file {weights}: fetch the checkpoint, or mend the path.")
    found = sha256_file(weights)
    if section.sha256 is not None and section.sha256 != found:
        raise ConfigError(f"outdoor.weights: {weights} has another checksum: expected sha256 {section.sha256}, found {found}.")
    state = {name.removeprefix(_WRAPPER): value for name, value in read_state_dict(weights).items()}
    head = state.get(_HEAD)
    if head is not None and len(head) != len(outdoor):
        raise ConfigError(
            f"outdoor.classes: {classes} lists {len(outdoor)} classes and {weights} tells {len(head)} apart: give the list that belongs to "
            "it, in the network's order."
        )
    ensure_torchvision()
    from torchvision import transforms
    from torchvision.models import resnet18

    steps = [transforms.Resize(_SHORT_SIDE), transforms.CenterCrop(_SIDE), transforms.ToTensor(), transforms.Normalize(_MEAN, _STD)]
    with torch.random.fork_rng(devices=[]):
        model = resnet18(weights=None, num_classes=len(outdoor))
    # Checkpoints of 2017 lack the counters of batches that later versions of torch save; nothing reads them in evaluation.
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    load_into(model, counters | state, str(weights), "torchvision's resnet18")
    model.requires_grad_(False).eval().to(device)
    identity = {"kind": "checkpoint", "rule": "sum over outdoor classes", "weights_sha256": found, "classes_sha256": sha256_file(classes)}
    shares = torch.tensor(outdoor, dtype=torch.float32, device=device)
    return SceneNetwork(model, transforms.Compose(steps), shares, device, identity)


def read_classes(path: Path) -> list[bool]:
    """Whether each class of a list lies outdoors, in the list's order.

    Raises:
        ConfigError: The file is missing, or a line does not end in 1 or 2; the text names it.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"outdoor.classes: {path} cannot be read ({error}): give a list as IO_places365.txt is one.") from error
    for number, words in enumerate(lines, 1):
        if len(words) < 2 or words[-1] not in (_INDOOR, _OUTDOOR):
            raise ConfigError(
                f"outdoor.classes: {path}, class {number} is {' '.join(words)!r}; expected a name and 1 (indoor) or 2 (outdoor), such as "
                "'/a/airfield 2'."
            )
    kinds = {words[-1] for words in lines}
    if kinds != {_INDOOR, _OUTDOOR}:
        raise ConfigError(f"outdoor.classes: {path} names no class {'indoors' if _INDOOR not in kinds else 'outdoors'}.")
    return [words[-1] == _OUTDOOR for words in lines]
