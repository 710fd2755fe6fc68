"""Weights into models: state dicts in the forms that are around, read as tensors and never run as code."""

from __future__ import annotations

import copy
import logging
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from skygraft.core.errors import ConfigError, CorruptDataError
from skygraft.encoders.library import open_clip
from skygraft.encoders.reference import Resolved
from skygraft.encoders.torchscript import is_torchscript, read_torchscript

_LOG = logging.getLogger(__name__)
# Attributes that OpenAI's archives carry beside the weights; their presence tells that QuickGELU was used.
_OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")
# Buffers that some versions of the libraries save and others do not.
_IGNORED = ("attn_mask", "text.attn_mask", "text.transformer.embeddings.position_ids")
_SHOWN = 3
# What readers of pickles and archives raise on broken bytes, beside the pickle module's own error.
_BROKEN = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, zipfile.BadZipFile, struct.error,
    zlib.error, SafetensorError,
)  # fmt: skip


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a checkpoint: safetensors, a state dict, one under ``state_dict`` or ``model``, or a TorchScript archive.

    Nothing in the file is executed: ``weights_only`` is always on.

    Raises:
        CorruptDataError: The file cannot be read, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = read_torchscript(path) if is_torchscript(path) else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own advice here is to switch the protection off, which is not passed on.
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "it holds code")
        raise CorruptDataError(f"{path} was refused: it holds more than tensors ({reason}). Ask its makers for safetensors.") from error
    except _BROKEN as error:
        raise CorruptDataError(f"{path} is no whole checkpoint ({_first_line(error)}). Fetch it again.") from error
    return _tensors(content, path)


def _first_line(error: BaseException) -> str:
    # The texts of these are a key, or speak of the reader: they say nothing to a person.
    text = "" if isinstance(error, (LookupError, TypeError, AttributeError)) else str(error).strip()
    return (text or "it cannot be unpacked").splitlines()[0]


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise CorruptDataError(f"{path} holds a {type(content).__name__}; expected a dictionary of tensors (a state dict).")
    found = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not found:
        raise CorruptDataError(f"{path} holds no tensors under {sorted(map(str, content))[:_SHOWN]}; expected a state dict.")
    return found


def strip_prefix(state: Mapping[str, Tensor], expected: set[str]) -> dict[str, Tensor]:
    """Takes off the prefix that wrappers put before the names (``module.``, Lightning's ``model.``), if one gives more known names.

    Tensors outside the prefix, such as another tower of a Lightning module, are left out.
    """
    candidates = {""} | {name.removesuffix(key) for name in state for key in ("logit_scale", "visual.conv1.weight") if name.endswith(key)}
    best = max(sorted(candidates), key=lambda prefix: (sum(prefix + name in state for name in expected), -len(prefix)))
    return {name.removeprefix(best): value for name, value in state.items() if name.startswith(best)}


def load_into(model: nn.Module, state: Mapping[str, Tensor], place: str, architecture: str) -> None:
    """Loads a state dict, strictly, as float32.

    Args:
        model: The model; its own names and shapes are what is expected.
        state: Names to tensors.
        place: The file's name, for messages.
        architecture: The architecture's name, for messages.

    Raises:
        ConfigError: Names or shapes differ: these are weights of another architecture.
    """
    wanted = model.state_dict()
    given = {name: value for name, value in state.items() if name in wanted or name not in (*_OPENAI_EXTRAS, *_IGNORED)}
    given = {
        name: value.reshape(wanted[name].shape) if name.startswith("logit_") and name in wanted and value.numel() == 1 else value
        for name, value in given.items()
    }
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    differing = [
        f"{name} (expected {tuple(wanted[name].shape)}, found {tuple(value.shape)})"
        for name, value in given.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    if missing or unexpected or differing:
        found = "; ".join(
            f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
            for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", differing))
            if names
        )
        raise ConfigError(
            f"{place} holds weights of another architecture than {architecture}: {found}. Name the architecture that the file was made "
            "for as the encoder's model, or the right file as its weights."
        )
    model.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in given.items()})


def build(resolved: Resolved) -> tuple[Any, dict[str, Any]]:
    """Builds a model.

    Returns:
        The model with its weights, float32 on the CPU, in evaluation mode, whose ``visual.preprocess_cfg`` tells the preprocessing; and the
        configuration it was built by, which may use QuickGELU where the architecture's name does not say so.

    Raises:
        ConfigError: The weights are of another architecture.
        CorruptDataError: The weights cannot be read.
    """
    reference = resolved.reference
    state = None if resolved.weights is None or resolved.weights.suffix in (".npz", ".npy") else read_state_dict(resolved.weights)
    config = dict(resolved.config)
    if state is not None and set(_OPENAI_EXTRAS) <= set(state) and not config.get("quick_gelu"):
        _LOG.info("weights=%s are OpenAI's: QuickGELU is used, as by the architectures that end in -quickgelu", resolved.weights)
        config["quick_gelu"] = True
    model = _blank(config, resolved)
    if resolved.weights is None:
        return model, config
    if state is None:
        from open_clip.factory import load_checkpoint

        load_checkpoint(model, str(resolved.weights), strict=True, weights_only=True)
        return model, config
    load_into(model, _converted(model, state, reference.image_size is not None), str(resolved.weights), reference.model)
    if reference.weights is not None and not reference.names_hub and not config.get("quick_gelu"):
        _LOG.info("weights=%s: if they were tuned from OpenAI's, the architecture is %s-quickgelu", resolved.weights, reference.model)
    return model, config


def _blank(config: dict[str, Any], resolved: Resolved) -> Any:
    """The architecture with weights drawn from the reference's seed; torch's global generator is left as it was."""
    library = open_clip(hub=resolved.reference.names_hub)
    from open_clip.model import set_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    config = copy.deepcopy(config)
    own_text = config.pop("custom_text", False) or "hf_model_name" in config.get("text_cfg", {})
    kind = library.CLIP if not own_text else library.CoCa if "multimodal_cfg" in config else library.CustomTextCLIP
    try:
        # The towers' own pretrained weights would be fetched, only to be overwritten.
        for tower, switch in (("vision_cfg", "timm_model_pretrained"), ("text_cfg", "hf_model_pretrained")):
            if switch.replace("_pretrained", "_name") in config[tower]:
                config[tower][switch] = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(resolved.reference.seed)
            model = kind(**config)
    except (TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"{resolved.reference.model}: open_clip cannot build this model configuration ({_first_line(error)}).") from error
    preprocess = merge_preprocess_dict(PreprocessCfg(size=model.visual.image_size), resolved.preprocess)
    set_model_preprocess_cfg(model, preprocess)
    return model.eval()


def _converted(model: nn.Module, state: dict[str, Tensor], resize: bool) -> dict[str, Tensor]:
    """The state dict in open_clip's own names; position embeddings change size only where another image size was asked for."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed

    wanted = set(model.state_dict())
    state = strip_prefix(state, wanted)
    # Names of OpenAI's form, as models with a text tower of their own spell them.
    if "positional_embedding" in state and "text.positional_embedding" in wanted:
        state = convert_to_custom_text_state_dict(state)
    converted: dict[str, Tensor] = convert_state_dict(model, state)
    if resize:
        resize_pos_embed(converted, model)
    return converted
