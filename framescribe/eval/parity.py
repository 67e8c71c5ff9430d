"""How far the model is from recorded outputs of the published code.

A folder of cases holds ``cases.json`` (name, query, template, history, answer of each) and one ``NAME.safetensors``
per case with inputs and outputs; ``tests/data/README.md`` lists the keys. Everything is computed in fp32, as recorded,
and features, logits and loss in fp64 too: fp32 sums differ from one CPU to another, so that two right results are as
far apart as each may be from the exact one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framescribe.checkpoint import open_checkpoint
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.errors import UsageError
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.model.model import CaptionModel
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.types import Clip, FrameSampling, GenerationSettings, Prompt
from framescribe.video.decode import decode_frames
from framescribe.video.transform import transform

# Largest differences allowed. Of ids, types, positions, labels and tokens, the places that differ are counted.
BOUNDS = {
    "input_ids": 0.0,
    "token_type_ids": 0.0,
    "position_ids": 0.0,
    "labels": 0.0,
    "pixels": 1e-5,
    "clip_pixels": 0.02,  # of cases whose video is decoded here
    "vision_features": 2e-3,
    "vision_features_to_fp64": 1e-3,
    "vision_features_recorded_to_fp64": 1e-3,
    "logits": 2e-3,
    "logits_to_fp64": 1e-3,
    "logits_recorded_to_fp64": 1e-3,
    "greedy_tokens": 0.0,
    "greedy_text": 0.0,
    "loss": 2e-4,
    "loss_to_fp64": 1e-4,
    "loss_recorded_to_fp64": 1e-4,
}
_CLIP_CASE = "clip-"
_RECORDED_AS = {"vision_features": "vision_features", "logits": "logits_last8", "loss": "loss"}


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Differences by case and kind.

    Attributes:
        cases: case name -> kind (a key of ``BOUNDS``) -> largest difference.
    """

    cases: dict[str, dict[str, float]]

    @property
    def largest(self) -> dict[str, float]:
        """Kind -> largest difference over all cases."""
        by_kind = {kind: [found[kind] for found in self.cases.values() if kind in found] for kind in BOUNDS}
        # NaN is the largest of all, and out of bounds.
        return {
            kind: max(values, key=lambda value: (math.isnan(value), value))
            for kind, values in by_kind.items()
            if values
        }

    @property
    def within_bounds(self) -> bool:
        # False for NaN too.
        return all(value <= BOUNDS[kind] for kind, value in self.largest.items())


def measure_parity(checkpoint: str, cases_folder: Path, device: str = "cpu") -> ParityReport:
    """Runs every case of ``cases_folder`` through the model of ``checkpoint``.

    The weights are held in fp32 on ``device`` and in fp64 on the CPU: 4 and 8 bytes each.

    Raises:
        UsageError: the checkpoint cannot be loaded, or the folder holds no cases.
    """
    from safetensors.torch import load_file

    path = cases_folder / "cases.json"
    if not path.is_file():
        raise UsageError(f"{path} is missing: not a folder of recorded cases")
    cases = json.loads(path.read_text(encoding="utf-8"))
    runner = _Runner(ModelSpec(checkpoint, device=device, dtype="fp32"), cases_folder)
    report = {}
    for case in cases:
        recorded = load_file(cases_folder / f"{case['name']}.safetensors")
        with torch.inference_mode():
            report[case["name"]] = dict(runner.differences(case, recorded))
    return ParityReport(report)


class _Runner:
    def __init__(self, spec: ModelSpec, cases_folder: Path) -> None:
        precision = choose_precision(spec)
        checkpoint = open_checkpoint(spec.name)
        self.model = checkpoint.load(precision)
        self.exact = load_model(checkpoint.folder, torch.device("cpu"), torch.float64, merge=checkpoint.merge)
        self.tokenizer, self.stop_ids = checkpoint.tokenizer, checkpoint.stop_ids
        self.prompts = checkpoint.prompts
        self.clips_folder = cases_folder / ".." / ".." / "clips"

    def differences(self, case: dict[str, Any], recorded: dict[str, Tensor]) -> Iterator[tuple[str, float]]:
        """Yields (kind, largest difference) of one case."""
        model = self.model
        pixels = self._pixels(case, recorded)
        frames = 0 if pixels is None else len(pixels)
        prompt = self.prompts.build(
            case["query"],
            case["template"],
            range(frames),
            history=[(asked, answered) for asked, answered in case["history"]],
            answer=case["answer"],
        )
        yield "input_ids", _places(prompt.input_ids, recorded["input_ids"])
        yield "token_type_ids", _places(prompt.is_vision, recorded["token_type_ids"])
        yield "position_ids", _places(prompt.position_ids, recorded["position_ids"])

        if pixels is not None:
            kind = "clip_pixels" if case["name"].startswith(_CLIP_CASE) else "pixels"
            yield kind, _pixel_difference(pixels, recorded)
        if prompt.labels is not None:
            yield "labels", _places(prompt.labels, recorded["labels"])
        exact = _outputs(self.exact, prompt, pixels)
        for kind, output in _outputs(model, prompt, pixels).items():
            was = recorded[_RECORDED_AS[kind]]
            yield kind, _largest(output, was)
            yield f"{kind}_to_fp64", _largest(output, exact[kind])
            yield f"{kind}_recorded_to_fp64", _largest(exact[kind], was)
        if "greedy_ids" in recorded:
            expected = recorded["greedy_ids"].tolist()
            settings = GenerationSettings(max_new_tokens=len(expected) + 1, stop_loops=False)
            engine = Engine(model, self.stop_ids, max_batch=1, kv_tokens=len(prompt) + len(expected) + 1)
            found = list(engine.stream(Request(case["name"], prompt, pixels, settings)))
            yield from self._greedy_differences(found, expected, case)

    def _greedy_differences(
        self, found: list[int], expected: list[int], case: dict[str, Any]
    ) -> Iterator[tuple[str, float]]:
        kept = [token for token in expected if token not in self.stop_ids]
        if len(kept) == len(expected):
            found = found[: len(kept)]  # the recording stopped at its own limit
        yield "greedy_tokens", _places(found, torch.tensor(kept))
        if "greedy_text" in case:
            yield "greedy_text", float(self.tokenizer.decode(found) != case["greedy_text"])

    def _pixels(self, case: dict[str, Any], recorded: dict[str, Tensor]) -> Tensor | None:
        """Normalised frames [T, 3, S, S] of the recorded video, or of the clip that the case's name tells; or None."""
        size = self.model.config.vision_config.image_size
        if "video_u8_cthw" in recorded:
            return transform(recorded["video_u8_cthw"].transpose(0, 1), size)
        if case["name"].startswith(_CLIP_CASE):
            clip_name, _, strategy = case["name"].removeprefix(_CLIP_CASE).rpartition("-")
            clip = Clip(str(self.clips_folder / f"{clip_name}.mp4"))
            return transform(decode_frames(clip, FrameSampling(strategy)).pixels, size)
        return None


def _outputs(model: CaptionModel, prompt: Prompt, pixels: Tensor | None) -> dict[str, Tensor]:
    """What the model makes of a prompt, by kind: features, the last 8 places' logits, and the loss if it has labels."""
    found = {}
    if pixels is not None:
        pixels = pixels.to(model.device, model.dtype)
        found["vision_features"] = model.vision(pixels)
    input_ids_BL = torch.tensor([prompt.input_ids], device=model.device)
    is_vision_BL = torch.tensor([prompt.is_vision], device=model.device)
    positions_BL = torch.tensor([prompt.position_ids], device=model.device)
    x_BLD = model.embed(input_ids_BL, is_vision_BL, found.get("vision_features"))
    found["logits"] = model.lm_head(model.decoder(x_BLD, positions_BL, causal_attention))[0, -8:]
    if prompt.labels is not None:
        labels_BL = torch.tensor([prompt.labels], device=model.device)
        found["loss"] = model(input_ids_BL, positions_BL, is_vision_BL, labels_BL, pixels)[None]
    return found


def _places(found: Any, expected: Tensor) -> float:
    """How many places differ; a difference in length counts too."""
    expected_list = expected.tolist()
    differing = sum(int(a) != b for a, b in zip(found, expected_list, strict=False))
    return float(differing + abs(len(found) - len(expected_list)))


def _largest(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return (found.double().cpu() - expected.double().cpu()).abs().max().item()


def _pixel_difference(pixels_T3SS: Tensor, recorded: dict[str, Tensor]) -> float:
    """Against the recorded pixels where a case has them, and against their summaries."""
    summaries = {
        "pixel_values": pixels_T3SS,
        "pixel_mean": pixels_T3SS.mean((2, 3)),
        "pixel_std": pixels_T3SS.std((2, 3)),
        "pixel_row_112": pixels_T3SS[:, :, 112],
    }
    return max(_largest(found, recorded[key]) for key, found in summaries.items() if key in recorded)
