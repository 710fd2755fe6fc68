"""Zero-shot classification by class prompts, inductive: nothing of the test set enters but the image that is classified.

A class is the mean of its unit-length prompt embeddings, made unit length again (CLIP's prompt ensemble); an image takes the class of
largest cosine. Prompts are data files of the package (``prompts/{name}.json``, each of which names its benchmark).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skygraft.core.errors import ConfigError
from skygraft.evaluation.probe import scale_unit

Floats = npt.NDArray[np.float64]
EncodeText = Callable[[list[str]], npt.NDArray[np.floating]]


class Prompts(BaseModel):
    """A prompt file: templates with ``{}`` for the class text, and the text of each class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    benchmark: str
    source: str
    templates: Annotated[tuple[str, ...], Field(min_length=1)]
    classes: dict[str, str]

    def texts(self, class_name: str) -> list[str]:
        """The prompts of one class."""
        return [template.replace("{}", self.classes[class_name]) for template in self.templates]


def prompt_names(benchmark: str) -> tuple[str, ...]:
    """Names of the prompt files that the package ships for a benchmark, ``{benchmark}_…``."""
    folder = resources.files("skygraft.evaluation").joinpath("prompts")
    names = (entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    return tuple(sorted(name for name in names if name.startswith(f"{benchmark}_")))


def load_prompts(benchmark: str, name: str, class_names: Sequence[str]) -> Prompts:
    """Read a prompt file and check that it has exactly the benchmark's classes.

    Raises:
        ConfigError: No such file, or one that does not fit the benchmark.
    """
    known = prompt_names(benchmark)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"benchmark {benchmark} has no prompts {name!r} (known: {', '.join(known) or 'none'}){hint}")
    text = resources.files("skygraft.evaluation").joinpath("prompts", f"{name}.json").read_text("utf-8")
    try:
        prompts = Prompts.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"prompts {name}: {error}") from error
    if set(prompts.classes) != set(class_names) or not all("{}" in template for template in prompts.templates):
        raise ConfigError(f"prompts {name}: expected a text for each of {', '.join(class_names)}, and {{}} in every template")
    return prompts


def class_embeddings(prompts: Prompts, class_names: Sequence[str], encode_text: EncodeText) -> Floats:
    """One unit-length embedding a class, shape (classes, dimension).

    Args:
        prompts: Templates and class texts.
        class_names: The benchmark's classes in its own order.
        encode_text: Texts to embeddings of shape (n, dimension), of any length.
    """
    texts = [text for name in class_names for text in prompts.texts(name)]
    embeddings = scale_unit(encode_text(texts)).reshape(len(class_names), len(prompts.templates), -1)
    return scale_unit(embeddings.mean(axis=1))


def classify(features: npt.NDArray[np.floating], classes: Floats) -> npt.NDArray[np.int64]:
    """Class indices of shape (n,) of features of shape (n, dimension): largest cosine, ties to the lower class."""
    similarities = scale_unit(features) @ classes.T
    best: npt.NDArray[np.int64] = np.argmax(similarities, axis=1).astype(np.int64)
    return best


def classify_centred(features: npt.NDArray[np.floating], classes: Floats) -> npt.NDArray[np.int64]:
    """Class indices of shape (n,) after the images' mean is taken from every image and the classes' mean from every class.

    A diagnosis, not a protocol: it looks at all images at once. Where it is far above :func:`classify`, the images lie in the right order
    around the wrong place, as an objective leaves them that does not mind a common shift
    (:func:`skygraft.training.objectives.pooled_infonce`).
    """
    images = scale_unit(features)
    return classify(images - images.mean(axis=0), scale_unit(classes - classes.mean(axis=0)))
