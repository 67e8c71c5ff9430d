"""The recorded cases, and that the tool which compares with them notices a difference of every kind."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from framescribe.eval import parity
from framescribe.eval.parity import ParityReport, measure_parity
from tests.reference import CASES, CASES_FOLDER, recorded

# The bounds that README tells. Kinds that a video, a continuation or an answer add to those of every case.
BOUNDS = {
    "input_ids": 0, "token_type_ids": 0, "position_ids": 0, "labels": 0, "greedy_tokens": 0, "greedy_text": 0,
    "pixels": 1e-5, "clip_pixels": 0.02,
    "vision_features": 2e-3, "vision_features_to_fp64": 1e-3, "vision_features_recorded_to_fp64": 1e-3,
    "logits": 2e-3, "logits_to_fp64": 1e-3, "logits_recorded_to_fp64": 1e-3,
    "loss": 2e-4, "loss_to_fp64": 1e-4, "loss_recorded_to_fp64": 1e-4,
}  # fmt: skip

TO_FP64 = ("_to_fp64", "_recorded_to_fp64")


@pytest.fixture(scope="module")
def report() -> ParityReport:
    return measure_parity("tiny-random", CASES_FOLDER)


@pytest.mark.parametrize("name", CASES)
def test_case_is_within_bounds(name, report):
    found = report.cases[name]
    kinds = {"input_ids", "token_type_ids", "position_ids", "logits"}
    if name != "text-only":
        kinds |= {"vision_features", "clip_pixels" if name.startswith("clip-") else "pixels"}
    kinds |= {"labels", "loss"} if CASES[name]["answer"] else {"greedy_tokens", "greedy_text"}
    kinds |= {f"{kind}{to}" for kind in kinds & {"vision_features", "logits", "loss"} for to in TO_FP64}
    assert found.keys() == kinds
    assert {kind: value for kind, value in found.items() if not value <= BOUNDS[kind]} == {}


@pytest.mark.parametrize(
    ("kind", "case", "key", "change"),
    [
        ("input_ids", "text-only", "input_ids", lambda ids: ids + 1),
        ("input_ids", "text-only", "input_ids", lambda ids: ids[:-1]),
        ("token_type_ids", "vqa-1f", "token_type_ids", lambda types: 1 - types),
        ("position_ids", "text-only", "position_ids", lambda positions: positions + 1),
        ("labels", "train-answer", "labels", lambda labels: labels.clamp(min=-99)),
        ("loss", "train-answer", "loss", lambda loss: loss + 3e-4),
        ("pixels", "chat-history", "pixel_mean", lambda mean: mean + 2e-5),
        ("pixels", "chat-5f", "pixel_values", lambda pixels: pixels.flip(3)),
        ("vision_features", "vqa-1f", "vision_features", lambda features: features - 3e-3),
        ("vision_features", "vqa-1f", "vision_features", lambda features: features[:, 1:-1]),
        ("logits", "text-only", "logits_last8", lambda logits: logits + 3e-3),
        ("logits", "text-only", "logits_last8", lambda logits: logits * math.nan),
        ("greedy_tokens", "text-only", "greedy_ids", lambda ids: ids.flip(0)),
        # The recording ended at end of text; the model goes on.
        ("greedy_tokens", "text-only", "greedy_ids", lambda ids: torch.cat((ids, torch.tensor([510])))),
    ],
)
def test_a_difference_is_noticed(kind, case, key, change, tmp_path):
    for name in (case, "chat-5f"):
        tensors = recorded(name)
        if name == case:
            tensors[key] = change(tensors[key]).contiguous()
        save_file(tensors, tmp_path / f"{name}.safetensors")
    # The healthy case comes first, then last: the largest difference must win from either side.
    for order in ([case, "chat-5f"], ["chat-5f", case]):
        (tmp_path / "cases.json").write_text(json.dumps([CASES[name] for name in order]))
        report = measure_parity("tiny-random", tmp_path)
        assert not report.within_bounds
        assert not report.largest[kind] <= BOUNDS[kind]


def test_the_bounds_are_those_that_are_told():
    assert parity.BOUNDS == BOUNDS


def test_a_folder_without_cases(tmp_path):
    with pytest.raises(ValueError, match=r"cases.json is missing"):
        measure_parity("tiny-random", tmp_path)
