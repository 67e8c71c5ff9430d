"""tiny-random with heads of 32 instead of 16 numbers, which computes the same: vLLM's CPU kernels know none of 16."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.reference import TINY

OVERRIDES: dict[str, Any] = {
    "head_dim": 32,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0, "mrope_section": [16, 0, 0]},
}
"""What vLLM has to be told of them."""

_HEADS, _KV_HEADS = 4, 2


def write_padded(folder: Path) -> None:
    """Writes the checkpoint: each half of a head, which RoPE pairs number by number, is padded by as many zeros."""
    shutil.copytree(TINY, folder, dirs_exist_ok=True)
    for path in folder.glob("*.safetensors"):
        save_file(
            {name: padded(name, tensor) for name, tensor in load_file(path).items()}, path, {"format": "pt"}
        )
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert index["weight_map"]


def padded(name: str, tensor: Tensor) -> Tensor:
    """A tensor of the padded checkpoint."""
    if name.endswith("inv_freq"):
        return F.pad(tensor, (0, 8))
    if "language_expert_query_key_value" in name:
        halves = F.pad(tensor.unflatten(0, (_HEADS + 2 * _KV_HEADS, 2, 8)), (0, 0, 0, 8))
        halves[:_HEADS] *= math.sqrt(2)  # attention divides by the root of the heads' size
        return halves.flatten(0, 2)
    if "language_expert_dense" in name:
        return F.pad(tensor.unflatten(1, (_HEADS, 2, 8)), (0, 8)).flatten(1)
    return tensor
