"""What a configuration calls a model, and the files that stand behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skygraft.config.encoders import names_file
from skygraft.core.errors import ConfigError, CorruptDataError, SkygraftError
from skygraft.core.files import sha256_file
from skygraft.core.identity import digest
from skygraft.encoders.library import FOLDER_PREFIX, HUB_PREFIX, open_clip

CONFIG_NAME = "open_clip_config.json"
WEIGHTS_NAME = "open_clip_model.safetensors"
# In the order in which open_clip itself looks for them.
_WEIGHT_NAMES = (
    WEIGHTS_NAME, "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth",
    "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip


@dataclass(frozen=True)
class ModelReference:
    """A CLIP model by one of five names.

    Args:
        model: An open_clip architecture (``RN50``), ``hf-hub:owner/name``, or ``local-dir:folder``.
        weights: With an architecture: one of open_clip's pretrained tags, or a checkpoint file. None with an architecture: random weights.
        sha256: Of the weights' file, 64 hexadecimal digits; checked before loading.
        image_size: Another input side than the architecture's own, pixels.
        seed: What random weights are drawn from.
    """

    model: str
    weights: str | None = None
    sha256: str | None = None
    image_size: int | None = None
    seed: int = 0

    @property
    def names_hub(self) -> bool:
        """Whether the weights come from a hub, by its name or by a pretrained tag."""
        if self.model.startswith(FOLDER_PREFIX):
            return False
        return self.model.startswith(HUB_PREFIX) or (self.weights is not None and not names_file(self.weights))


@dataclass(frozen=True)
class Resolved:
    """A model reference with its files at hand.

    Args:
        reference: What was asked for.
        config: open_clip's model configuration: ``embed_dim``, ``vision_cfg``, ``text_cfg`` and so on.
        preprocess: What is known of open_clip's preprocessing: mean, std, interpolation, resize mode.
        weights: The weights' file, verified; None for random weights.
        sha256: Of that file, or ``random:seed``.
    """

    reference: ModelReference
    config: dict[str, Any]
    preprocess: dict[str, Any]
    weights: Path | None
    sha256: str


def architecture_name(reference: ModelReference, config: dict[str, Any]) -> str:
    """The architecture's name and a digest of its configuration: the same wherever a model's folder lies."""
    name = "local" if reference.model.startswith(FOLDER_PREFIX) else reference.model
    return f"{name}:{digest(config)}"


def resolve(reference: ModelReference) -> Resolved:
    """Finds the model's configuration and its weights, and checks the weights' sha256 where one is given.

    Raises:
        ConfigError: The architecture, tag, folder or file is not there, or the sha256 is not the one expected.
        CorruptDataError: The folder's configuration cannot be read.
        SkygraftError: A download failed.
    """
    weights: Path | None
    if reference.model.startswith(FOLDER_PREFIX):
        config, preprocess, weights = _folder(reference)
    elif reference.model.startswith(HUB_PREFIX):
        config, preprocess, weights = _hub(reference)
    else:
        config, preprocess, weights = _architecture(reference)
    if reference.image_size is not None:
        config["vision_cfg"]["image_size"] = reference.image_size
    sha256 = f"random:{reference.seed}" if weights is None else _verified(weights, reference)
    return Resolved(reference, config, preprocess, weights, sha256)


def _folder(reference: ModelReference) -> tuple[dict[str, Any], dict[str, Any], Path]:
    folder = Path(reference.model.removeprefix(FOLDER_PREFIX)).expanduser()
    if reference.weights is not None:
        raise ConfigError(f"{reference.model} brings its own weights: leave out weights={reference.weights!r}.")
    if not (folder / CONFIG_NAME).is_file():
        raise ConfigError(f"{folder} is no model folder: {CONFIG_NAME} is missing. Make the model first, or mend the path.")
    config, preprocess = _read_config(folder / CONFIG_NAME)
    found = [folder / name for name in _WEIGHT_NAMES if (folder / name).is_file()]
    if not found:
        raise ConfigError(f"{folder} holds no weights; expected {WEIGHTS_NAME}. Make the model again.")
    return config, preprocess, found[0]


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["model_cfg"]), dict(content.get("preprocess_cfg", {}))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"{path} is no open_clip configuration ({error!r}); expected JSON with model_cfg. Make it again.") from error


def _hub(reference: ModelReference) -> tuple[dict[str, Any], dict[str, Any], Path]:
    open_clip(hub=True)
    from open_clip.pretrained import download_pretrained_from_hf

    name = reference.model.removeprefix(HUB_PREFIX)
    try:
        config, preprocess = _read_config(Path(download_pretrained_from_hf(name, filename=CONFIG_NAME)))
        return config, preprocess, Path(download_pretrained_from_hf(name))
    except OSError as error:
        raise SkygraftError(
            f"{reference.model} could not be had from the hub ({error}): check the name and the connection, or fetch the model folder "
            f"by other means and name it as {FOLDER_PREFIX}folder."
        ) from error


def _architecture(reference: ModelReference) -> tuple[dict[str, Any], dict[str, Any], Path | None]:
    library = open_clip(hub=reference.names_hub)
    config = library.get_model_config(reference.model)
    if config is None:
        import difflib

        near = difflib.get_close_matches(reference.model, library.list_models(), n=3, cutoff=0.4)
        raise ConfigError(f"open_clip knows no architecture {reference.model!r}; nearest: {', '.join(near) or 'none'}.")
    if reference.weights is None:
        return config, {}, None
    tag = library.get_pretrained_cfg(reference.model, reference.weights)
    if tag:
        return _tagged(reference, config, tag)
    file = Path(reference.weights).expanduser()
    if file.is_file():
        return config, {}, file
    tags = ", ".join(library.list_pretrained_tags_by_model(reference.model)) or "none"
    raise ConfigError(f"weights {reference.weights!r} of {reference.model} are neither a file nor a pretrained tag; tags: {tags}.")


def _tagged(reference: ModelReference, config: dict[str, Any], tag: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Path]:
    from open_clip.pretrained import download_pretrained

    # OpenAI's weights were trained with QuickGELU. open_clip 3 only warns where the architecture's name lacks the suffix.
    if tag.get("quick_gelu"):
        config["quick_gelu"] = True
    preprocess: dict[str, Any] = {name: tag[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in tag}
    try:
        return config, preprocess, Path(download_pretrained(tag))
    except (OSError, RuntimeError) as error:
        raise SkygraftError(
            f"weights {reference.weights!r} of {reference.model} could not be fetched ({error}): check the connection, or fetch the file "
            "by other means and give its path as weights."
        ) from error


def _verified(weights: Path, reference: ModelReference) -> str:
    found = sha256_file(weights)
    if reference.sha256 is not None and reference.sha256.lower() != found:
        raise ConfigError(
            f"{weights} has another checksum: expected sha256 {reference.sha256.lower()}, found {found}. Fetch the file again, or mend the "
            "sha256 if you trust the file."
        )
    return found
