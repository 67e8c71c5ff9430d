"""A model of some 70,000 parameters, and settings that train it on the CPU in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from framescribe.train.loop import train
from framescribe.train.progress import LOG_FILE, Progress, Validation
from framescribe.train.settings import TrainSettings
from tests.reference import CPU

SIZES: dict[str, Any] = {
    "architectures": ["CogVLMVideoForCausalLM"],
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_multi_query_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_dtype": "float32",
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "vision_config": {
        "hidden_size": 32,
        "image_size": 28,
        "in_channels": 3,
        "intermediate_size": 64,
        "layer_norm_eps": 1e-5,
        "num_heads": 2,
        "num_hidden_layers": 1,
        "num_positions": 17,
        "patch_size": 7,
    },
}


def architecture(folder: Path) -> str:
    """Writes the model's ``config.json``; gives its path."""
    path = folder / "config.json"
    path.write_text(json.dumps(SIZES), encoding="utf-8")
    return str(path)


def small_settings(folder: Path, **changes: Any) -> TrainSettings:
    """Synthetic clips, fp32, a line of the log for every step; ``changes`` on top."""
    values: dict[str, Any] = {
        "data": "synthetic", "steps": 4, "batch_size": 2, "learning_rate": 3e-3, "warmup_steps": 2,
        "bf16": False, "workers": 0, "log_every": 1, "save_every": 1000, "validate_every": 1000,
        "validation_clips": 0, "max_caption_tokens": 400, "seed": 5,
    }  # fmt: skip
    if "model" not in changes:
        values["architecture"] = architecture(folder)
    return TrainSettings.from_dict({**values, **changes})


def run_training(settings: TrainSettings, run: Path, **options: Any) -> list[Progress | Validation]:
    """Trains in this process; gives all that was reported."""
    reported: list[Progress | Validation] = []
    train(settings, run, CPU, reported.append, **options)
    return reported


def logged(run: Path) -> list[dict[str, float]]:
    """The lines of the run's log."""
    return [json.loads(line) for line in (run / LOG_FILE).read_text(encoding="utf-8").splitlines()]


def losses(run: Path) -> list[float]:
    """The loss of each logged step, in order of the steps."""
    return [line["loss"] for line in logged(run) if "loss" in line]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights of the run's checkpoint."""
    from safetensors.torch import load_file

    return load_file(run / "checkpoint" / "model.safetensors")
