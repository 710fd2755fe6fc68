"""Whether a photo was taken outdoors, told from its embedding: GRAFT keeps outdoor photos.

GRAFT (ICLR'24) sorts by a ResNet18 trained on SUN397. The default here asks the CLIP that reads the photos anyway: it compares the
embedding with sentences on scenes outdoors and indoors, so that neither a second model nor a second pass is needed. Both groups are many
scenes, and a mean of them looks like none: as in CHiLS (Novack et al., ICML 2023) the photo is classified among the scenes, and their
probabilities are then gathered by group,

    P(outdoor) = mean_o exp(s cos(v, t_o)) / (mean_o exp(s cos(v, t_o)) + mean_i exp(s cos(v, t_i))),

with the model's own scale s (exp of its ``logit_scale``) and, for each scene t, the mean of its sentences' unit vectors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skygraft.config.model import nearest
from skygraft.config.outdoor import OutdoorSentences
from skygraft.core.errors import ConfigError
from skygraft.core.identity import digest

Floats = NDArray[np.float32]
EncodeText = Callable[[Sequence[str]], Floats]
META_KEY = "outdoor"
_SUFFIX = ".json"
_Texts = Annotated[tuple[str, ...], Field(min_length=1)]


class Group(BaseModel):
    """Scenes of one side, and templates with ``{}`` for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: _Texts
    scenes: _Texts

    def texts(self) -> list[str]:
        """Every sentence, a scene's together."""
        return [template.replace("{}", scene) for scene in self.scenes for template in self.templates]


class Sentences(BaseModel):
    """What a photo's embedding is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    outdoor: Group
    indoor: Group

    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for the sentences."""
        return digest(self.model_dump(mode="json", include={"outdoor", "indoor"}))


def load_sentences(section: OutdoorSentences) -> Sentences:
    """The sentences that a section names.

    Raises:
        ConfigError: There is no such list, or the file is none.
    """
    folder = resources.files("skygraft.encoders").joinpath("sentences")
    try:
        if section.file is not None:
            text = section.file.read_text(encoding="utf-8")
        else:
            text = folder.joinpath(section.sentences + _SUFFIX).read_text("utf-8")
        found = Sentences.model_validate_json(text)
    except FileNotFoundError as error:
        known = [entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir() if entry.name.endswith(_SUFFIX)]
        hint = "name a file that is there" if section.file is not None else nearest(section.sentences, known)
        raise ConfigError(f"outdoor.sentences: there is no {section.sentences!r}; {hint}") from error
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(f"outdoor.sentences: {section.sentences} is no list of sentences: {error}") from error
    if not all("{}" in template for template in (*found.outdoor.templates, *found.indoor.templates)):
        raise ConfigError(f"outdoor.sentences: {section.sentences}: a template lacks {{}}, where the scene goes")
    return found


@dataclass(frozen=True)
class SentenceScore:
    """The probability of an outdoor picture, from embeddings alone.

    Args:
        outdoor: (O, D) unit-length embeddings of scenes outdoors.
        indoor: (I, D) of those indoors.
        scale: What CLIP multiplies a cosine with before its softmax.
        identity: What the scores are made of, beside the encoder.
    """

    outdoor: Floats
    indoor: Floats
    scale: float
    identity: dict[str, Any]

    def __call__(self, embeddings: Floats) -> Floats:
        """Probabilities (N,) of raw embeddings (N, D); NaN for one of no length."""
        # One by one, as the cache measures them: the score must be that of the vector as it is kept.
        norms = np.array([np.linalg.norm(vector) for vector in embeddings], np.float32).reshape(-1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.of_units((embeddings / norms).astype(np.float16))

    def of_units(self, units: NDArray[np.float16]) -> Floats:
        """Probabilities (N,) of embeddings (N, D) as they are kept: of unit length, in half precision."""
        vectors = self.scale * units.astype(np.float64)
        difference = _log_mean_exp(vectors @ self.indoor.T) - _log_mean_exp(vectors @ self.outdoor.T)
        return np.asarray(1 / (1 + np.exp(np.clip(difference, -80, 80))), np.float32)


def sentence_score(sentences: Sentences, encode_text: EncodeText, scale: float) -> SentenceScore:
    """Encodes the sentences.

    Args:
        sentences: The two groups.
        encode_text: Texts to embeddings (N, D) of any length.
        scale: The encoder's own.
    """
    identity = {"kind": "sentences", "rule": "mean of exponentials by group", "list": sentences.name, "digest": sentences.digest()}
    return SentenceScore(_scenes(sentences.outdoor, encode_text), _scenes(sentences.indoor, encode_text), scale, identity)


def _scenes(group: Group, encode_text: EncodeText) -> Floats:
    """A vector a scene: the mean of its unit-length templates, made unit length again (CLIP's prompt ensemble)."""
    each = _unit(encode_text(group.texts())).reshape(len(group.scenes), len(group.templates), -1)
    return _unit(each.mean(axis=1))


def sentences_identity(section: OutdoorSentences) -> str:
    """The digest of the list that a section names: a list may change under its name.

    Raises:
        ConfigError: There is no such list.
    """
    return load_sentences(section).digest()


def to_meta(identity: dict[str, Any] | None) -> dict[str, str]:
    """What an embedding file says of its scores; nothing where it has none."""
    return {META_KEY: json.dumps(identity, sort_keys=True)} if identity is not None else {}


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _log_mean_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max(axis=1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(values - top).mean(axis=1)))
