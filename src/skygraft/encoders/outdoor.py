"""Whether a photo was taken outdoors, told from its embedding: GRAFT keeps outdoor photos.

GRAFT (ICLR'24) sorts by a ResNet18 trained on SUN397. The default here asks the CLIP that reads the photos anyway: it compares the
embedding with sentences on scenes outdoors and indoors, so that neither a second model nor a second pass is needed. Both groups are many
kinds of scene, and a mean of them looks like none: as in CHiLS (Novack et al., ICML 2023) the photo is classified among the kinds, and
their probabilities are then summed by group,

    P(outdoor) = mean_o exp(s cos(v, t_o)) / (mean_o exp(s cos(v, t_o)) + mean_i exp(s cos(v, t_i))),

with the model's own scale s (exp of its ``logit_scale``) and the mean of unit-length templates for each kind's sentence t.
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


class Sentences(BaseModel):
    """Kinds of scene, outdoors and indoors, and templates with ``{}`` for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    templates: _Texts
    outdoor: _Texts
    indoor: _Texts

    def texts(self) -> list[str]:
        """Every sentence: the kinds outdoors, then those indoors, each in all templates."""
        return [template.replace("{}", kind) for kind in (*self.outdoor, *self.indoor) for template in self.templates]


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
    if not all("{}" in template for template in found.templates):
        raise ConfigError(f"outdoor.sentences: {section.sentences}: a template lacks {{}}, where the kind of scene goes")
    return found


@dataclass(frozen=True)
class SentenceScore:
    """The probability of an outdoor picture, from embeddings alone.

    Args:
        outdoor: (O, D) unit-length embeddings of the sentences on scenes outdoors.
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
    """Encodes the sentences; a kind of scene is the mean of its unit-length templates, made unit length again (CLIP's ensemble).

    Args:
        sentences: The two groups.
        encode_text: Texts to embeddings (N, D) of any length.
        scale: The encoder's own.
    """
    kinds = len(sentences.outdoor) + len(sentences.indoor)
    each = _unit(encode_text(sentences.texts())).reshape(kinds, len(sentences.templates), -1)
    means = _unit(each.mean(axis=1))
    identity = {"kind": "sentences", "rule": "mean of exponentials by group", "list": sentences.name, "digest": list_digest(sentences)}
    outdoor = len(sentences.outdoor)
    return SentenceScore(means[:outdoor], means[outdoor:], scale, identity)


def list_digest(sentences: Sentences) -> str:
    """Twelve hexadecimal digits that stand for what a list says."""
    return digest(sentences.model_dump(mode="json", include={"templates", "outdoor", "indoor"}))


def sentences_identity(section: OutdoorSentences) -> str:
    """As :func:`list_digest`, of the list that a section names: a list may change under its name.

    Raises:
        ConfigError: There is no such list.
    """
    return list_digest(load_sentences(section))


def to_meta(identity: dict[str, Any] | None) -> dict[str, str]:
    """What an embedding file says of its scores; nothing where it has none."""
    return {META_KEY: json.dumps(identity, sort_keys=True)} if identity is not None else {}


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _log_mean_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max(axis=1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(values - top).mean(axis=1)))
