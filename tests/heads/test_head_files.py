"""Heads come from elsewhere: whatever their file holds is a head or one refusal."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from framescribe import UsageError
from framescribe.heads.apply import load_heads
from framescribe.heads.head import Head
from tests.heads.sets import TINY

CARD = {"version": 1, "name": "kinds", "labels": ["dark", "text"], "features_of": TINY, "card": {}}
TENSORS = {"weight": np.ones((2, 4), np.float32), "bias": np.zeros(2, np.float32)}


HIDDEN = TENSORS | {
    "weight": np.ones((2, 3), np.float32),
    "hidden_weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 24,
    "hidden_bias": np.ones((2, 3), np.float32),
}


def content(card=CARD, tensors=TENSORS) -> bytes:
    return save(tensors, {"framescribe.head": json.dumps(card)})


def loaded(path, data: bytes) -> Head:
    path.write_bytes(data)
    return Head.load(path)


def test_a_head_is_read(tmp_path):
    head = loaded(tmp_path / "head.safetensors", content())
    assert head.probabilities(np.zeros((1, 4), np.float16)).tolist() == [[0.5, 0.5]]
    with pytest.raises(UsageError, match="takes 4 features a clip, not 5"):
        head.probabilities(np.zeros((1, 5), np.float16))


def test_a_hidden_layer_is_read(tmp_path):
    head, clip_D = loaded(tmp_path / "head.safetensors", content(tensors=HIDDEN)), np.array([1, -2, 0.5, 1])
    units_KH = np.tanh(HIDDEN["hidden_weight"] @ clip_D + 1)
    expected = 1 / (1 + np.exp(-units_KH.sum(1)))
    assert head.probabilities(clip_D[None])[0] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UsageError, match="takes 4 features a clip, not 3"):
        head.probabilities(np.zeros((1, 3), np.float16))


def test_the_revision_must_be_the_same_and_the_path_may_differ(tmp_path):
    head = loaded(tmp_path / "head.safetensors", content())
    head.check_features(TINY.replace("tiny@", "/models/copy of tiny@"))
    with pytest.raises(UsageError, match="was taught with features of"):
        head.check_features(TINY.replace("0123", "4567"))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80\x04pickle", content()[:-3], content() + b"x",
        content(CARD | {"version": 2}), content(CARD | {"labels": []}), content(CARD | {"labels": ["a", "a"]}),
        content(CARD | {"labels": ["caption", "text"]}), content(CARD | {"labels": ["a\x1b[31m", "b"]}),
        content(CARD | {"labels": ["dark"]}), content(CARD | {"name": "../up"}), content(CARD | {"features_of": 3}),
        content(CARD | {"version": "1"}), content({}), content([]), save(TENSORS),
        content(tensors=TENSORS | {"bias": np.zeros(3, np.float32)}),
        content(tensors=TENSORS | {"weight": np.ones((2, 4), np.float64)}),
        content(tensors=TENSORS | {"weight": np.full((2, 4), np.nan, np.float32)}),
        content(tensors=TENSORS | {"weight": np.full((2, 4), -3e38, np.float32)}),
        content(tensors=HIDDEN | {"hidden_bias": np.full((2, 3), np.inf, np.float32)}),
        content(CARD | {"labels": ["motion", "text"]}), content(CARD | {"labels": ["duplicate_number", "text"]}),
        content(tensors=TENSORS | {"more": np.zeros(1, np.float32)}),
        content(tensors=TENSORS | {"weight": np.ones((2, 0), np.float32)}),
        content(tensors={**HIDDEN, "hidden_weight": np.zeros((2, 3, 0), np.float32)}),
        content(tensors={**HIDDEN, "hidden_bias": np.zeros((2, 4), np.float32)}),
        content(tensors={**HIDDEN, "hidden_weight": np.zeros((2, 4, 4), np.float32)}),
        content(tensors={**HIDDEN, "hidden_weight": np.zeros(3, np.float32)}),
        content(tensors={**HIDDEN, "hidden_weight": np.zeros((), np.float32)}),
        content(tensors={name: each for name, each in HIDDEN.items() if name != "hidden_bias"}),
        content(tensors={name: each for name, each in HIDDEN.items() if name != "hidden_weight"}),
    ],
)  # fmt: skip
def test_what_is_no_head_is_refused(data, tmp_path):
    with pytest.raises(UsageError, match=r"head\.safetensors is no head: "):
        loaded(tmp_path / "head.safetensors", data)


@settings(max_examples=200)
@given(st.data())
def test_any_damage_is_a_refusal_or_a_head(tmp_path_factory, data):
    damaged = bytearray(content())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    try:
        head = loaded(path, bytes(damaged))
    except UsageError:
        return
    assert np.isfinite(head.weight_KD).all()


def test_two_heads_of_one_score_are_refused(tmp_path):
    loaded(tmp_path / "a.safetensors", content())
    loaded(tmp_path / "b.safetensors", content(CARD | {"name": "others"}))
    with pytest.raises(UsageError, match="two heads are named, or score, dark"):
        load_heads([tmp_path / "a.safetensors", tmp_path / "b.safetensors"])
