"""The recorded reference (``data/README.md``), the bundled tiny checkpoint, and what tests make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import framescribe
from framescribe.engine.request import Request
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.model import CaptionModel
from framescribe.model.saving import save_checkpoint
from framescribe.prompt import PromptBuilder
from framescribe.types import GenerationSettings, Prompt
from framescribe.video.transform import transform

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "real"
DATA = ROOT / "tests" / "data"
CLIPS = DATA / "clips"
CASES_FOLDER = DATA / "reference" / "cases"
TINY = Path(framescribe.__file__).parent / "models" / "tiny-random"
CPU = torch.device("cpu")

CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((CASES_FOLDER / "cases.json").read_text(encoding="utf-8"))
}
OFFICIAL: dict[str, Any] = json.loads((DATA / "reference" / "official_checkpoint.json").read_text())

# Nothing like the official sizes: other head counts, another image size, no grouped queries' ratio in common.
ODD_SIZES: dict[str, Any] = {
    "architectures": ["CogVLMVideoForCausalLM"],
    "vocab_size": 520,
    "hidden_size": 96,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_multi_query_heads": 3,
    "rms_norm_eps": 1e-6,
    "bos_token_id": 509,
    "eos_token_id": 510,
    "pad_token_id": 511,
    "vision_config": {
        "hidden_size": 40,
        "image_size": 56,
        "in_channels": 3,
        "intermediate_size": 48,
        "layer_norm_eps": 1e-5,
        "num_heads": 5,
        "num_hidden_layers": 2,
        "num_positions": 17,
        "patch_size": 14,
    },
}


def recorded(name: str) -> dict[str, Tensor]:
    """The tensors of a case."""
    return load_file(CASES_FOLDER / f"{name}.safetensors")


def case_prompt(name: str, prompts: PromptBuilder) -> Prompt:
    case = CASES[name]
    return prompts.build(
        case["query"],
        case["template"],
        range(case.get("num_frames", 0)),
        history=[(asked, answered) for asked, answered in case["history"]],
        answer=case["answer"],
    )


def case_request(name: str, prompts: PromptBuilder, settings: GenerationSettings) -> Request:
    """The request of a case that holds its own frames, or none."""
    tensors = recorded(name)
    video = tensors.get("video_u8_cthw")
    pixels = None if video is None else transform(video.transpose(0, 1))
    return Request(name, case_prompt(name, prompts), pixels, settings)


def changed_sizes(
    change: Callable[[dict[str, Any]], None], sizes: dict[str, Any] = ODD_SIZES
) -> dict[str, Any]:
    """A copy of a ``config.json``'s values, changed."""
    values: dict[str, Any] = json.loads(json.dumps(sizes))
    change(values)
    return values


def write_random_checkpoint(
    folder: Path, sizes: dict[str, Any] = ODD_SIZES, dtype: torch.dtype = torch.float32, **options: int
) -> CaptionModel:
    """Saves a model of random weights with tiny-random's tokenizer; gives the model that was saved."""
    model = random_model(ModelConfig.from_dict(sizes), CPU, dtype, seed=1)
    save_checkpoint(model, folder, TINY, **options)
    return model
