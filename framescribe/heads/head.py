"""A head: a map from pooled features to probabilities of labels, and its file, a safetensors with a card.

Shape legend: N clips, D features, K labels, H hidden units of each label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framescribe.caption_row import CaptionRow
from framescribe.errors import UsageError
from framescribe.feature_row import are_alike
from framescribe.files import new_file
from framescribe.reading import open_regular
from framescribe.scores.catalogue import COPY_SCORES, SCORERS
from framescribe.shown import shown, shown_value

Floats = np.ndarray[Any, np.dtype[np.float32]]

HEAD_VERSION = 1
"""Of the files' meaning, and of the scores'."""
_MAX_BYTES = 256 << 20
_MAX_LABELS = 1000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CARD = "framescribe.head"
_LARGEST = 1e12
"""Of a weight: products with features, which are float16, stay finite."""
_TAKEN = {
    *CaptionRow.__dataclass_fields__,
    *COPY_SCORES,
    *(score.name for scorer in SCORERS for score in scorer.scores),
}


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head for one or more labels, each with a probability of its own.

    Attributes:
        name: it scores as ``head:NAME``.
        labels: names of its scores, K of them.
        features_of: what its features must be known by.
        weight_KD, bias_K: float32; the probability of a label is ``sigmoid(x @ weight + bias)``. With a hidden layer
            ``x`` are the label's own hidden units, ``tanh(features @ hidden + hidden_bias)``, and D is H.
        card: how it was made: counts and held-out scores by label, date, versions.
        hidden_KHD, hidden_bias_KH: float32, of a head with a hidden layer.
    """

    name: str
    labels: tuple[str, ...]
    features_of: str
    weight_KD: Floats
    bias_K: Floats
    card: Mapping[str, Any]
    hidden_KHD: Floats | None = None
    hidden_bias_KH: Floats | None = None

    @property
    def scorer(self) -> str:
        return f"head:{self.name}"

    def probabilities(self, vectors_ND: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The probability of each label: float64 [N, K].

        Args:
            vectors_ND: features, of any float dtype.

        Raises:
            UsageError: they are of another size.
        """
        hidden_KHD, start_KH = self.hidden_KHD, self.hidden_bias_KH
        size = (self.weight_KD if hidden_KHD is None else hidden_KHD).shape[-1]
        if vectors_ND.shape[1] != size:
            raise UsageError(f"the head {self.name} takes {size} features a clip, not {vectors_ND.shape[1]}")
        x_ND = vectors_ND.astype(np.float32)
        if hidden_KHD is None or start_KH is None:
            logits_NK = x_ND @ self.weight_KD.T
        else:
            units_NKH = (x_ND @ hidden_KHD.reshape(-1, size).T).reshape(-1, *self.weight_KD.shape)
            logits_NK = (np.tanh(units_NKH + start_KH) * self.weight_KD).sum(-1)
        return np.exp(-np.logaddexp(0.0, -(logits_NK + self.bias_K).astype(np.float64)))

    def check_features(self, features_of: str) -> None:
        """Raises UsageError if features of that name are not what it was taught with."""
        if not are_alike(features_of, self.features_of):
            raise UsageError(
                f"the head {self.name} was taught with features of {shown(self.features_of)}, not of "
                f"{shown(features_of)}; teach it with these"
            )

    def save(self, path: str | Path) -> None:
        """Writes the head whole.

        Raises:
            OSError: it cannot be written.
        """
        from safetensors.numpy import save

        card = {"version": HEAD_VERSION, "name": self.name, "labels": list(self.labels)}
        card |= {"features_of": self.features_of, "card": dict(self.card)}
        tensors = {"weight": np.ascontiguousarray(self.weight_KD), "bias": self.bias_K}
        if self.hidden_KHD is not None and self.hidden_bias_KH is not None:
            tensors |= {"hidden_weight": self.hidden_KHD, "hidden_bias": self.hidden_bias_KH}
        with new_file(path) as file:
            file.write(save(tensors, {_CARD: json.dumps(card)}))

    @classmethod
    def load(cls, path: str | Path) -> Head:
        """Reads a head; the file may be anyone's.

        Raises:
            UsageError: it is none, too large, or of a newer version.
        """
        try:
            with open_regular(path) as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{shown(str(path))} cannot be read: {error.strerror or error}") from error
        try:
            return cls._read(content)
        except UsageError as error:
            raise UsageError(f"{shown(str(path))} is no head: {error}") from error

    @classmethod
    def _read(cls, content: bytes) -> Head:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if len(content) > _MAX_BYTES:
            raise UsageError(f"it has more than {_MAX_BYTES >> 20} MiB")
        try:
            length = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + length])
            card = json.loads(header["__metadata__"][_CARD])
            shapes = {
                name: (each["dtype"], each["shape"]) for name, each in header.items() if name[:2] != "__"
            }
            if card["version"] > HEAD_VERSION:
                raise UsageError(
                    f"a newer framescribe wrote it (version {card['version']}); update framescribe"
                )
            name, labels, features_of = card["name"], card["labels"], card["features_of"]
            if not isinstance(features_of, str) or not isinstance(card["card"], dict):
                raise TypeError("its card lacks something")
            check_name(name)
            labels = check_labels(labels)
            count, (_, size) = len(labels), shapes["weight"][1]
            expected = {"weight": [count, size], "bias": [count]}
            if "hidden_weight" in shapes:
                expected |= {"hidden_weight": [count, size, shapes["hidden_weight"][1][-1]]}
                expected |= {"hidden_bias": [count, size]}
            is_empty = any(0 in shape for shape in expected.values())
            if is_empty or shapes != {name: ("F32", shape) for name, shape in expected.items()}:
                raise ValueError(f"its tensors are {shapes}")
            tensors = load(content)
        except UsageError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
            raise UsageError(
                f"it is not as `framescribe teach` writes one ({shown_value(str(error))})"
            ) from error
        if not all((np.abs(tensor) <= _LARGEST).all() for tensor in tensors.values()):
            raise UsageError(f"it has weights that are no numbers, or above {_LARGEST:g}")
        weights = (tensors.get(each) for each in ("hidden_weight", "hidden_bias"))
        return cls(name, labels, features_of, tensors["weight"], tensors["bias"], card["card"], *weights)


def check_name(name: Any) -> None:
    """Raises UsageError for what cannot name a head or a label."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{shown_value(name)} is no name; use small letters, digits and _, such as `lecture`"
        )


def check_labels(labels: Any) -> tuple[str, ...]:
    """The labels of a head, which become names of scores.

    Raises:
        UsageError: a label is no name, taken, or there twice.
    """
    if not isinstance(labels, list | tuple) or not 0 < len(labels) <= _MAX_LABELS:
        raise UsageError(f"it has {shown_value(labels)} for labels")
    for each in labels:
        check_name(each)
    if taken := [each for each in labels if each in _TAKEN]:
        raise UsageError(f"the label {taken[0]} is a column or a score already; give it another name")
    if twice := [each for number, each in enumerate(labels) if each in labels[:number]]:
        raise UsageError(f"it has the label {twice[0]} twice")
    return tuple(labels)


def slug(label: str) -> str:
    """A label as the name of a score: ``Text Dominated`` is ``text_dominated``."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
