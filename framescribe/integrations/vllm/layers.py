"""The vision tower of vLLM's own EVA2-CLIP layers, and the checkpoint's RoPE table.

Shape legend: F frames, N patches and class token, V visual tokens, D decoder width.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from vllm.model_executor.layers.conv import Conv2dLayer
from vllm.model_executor.layers.rotary_embedding import RotaryEmbedding
from vllm.model_executor.model_loader.weight_utils import default_weight_loader
from vllm.model_executor.models.glm4v import EVA2CLIPGLU, EVA2CLIPPatchEmbedding, EVA2CLIPTransformer

from framescribe.model.config import ROPE_BASE

# vLLM holds the two as one layer.
_MERGED = {"linear_proj.gate_proj.": 0, "linear_proj.dense_h_to_4h.": 1}


class CheckpointRotary(RotaryEmbedding):
    """RoPE by the checkpoint's frequencies, whose table has a dtype of its own (``ModelConfig.rope_dtype``)."""

    def __init__(self, head_dim: int, max_tokens: int, dtype: torch.dtype, table_dtype: torch.dtype) -> None:
        self.table_dtype = table_dtype
        super().__init__(head_dim, head_dim, max_tokens, ROPE_BASE, True, dtype)

    def _compute_cos_sin_cache(self) -> Tensor:
        return self._table(self._compute_inv_freq(self.base).bfloat16())  # as released checkpoints store them

    def set_frequencies(self, inv_freq: Tensor) -> None:
        """Builds the table anew, from a layer's stored frequencies."""
        self.cos_sin_cache.copy_(self._table(inv_freq.to(self.cos_sin_cache.device)))

    def _table(self, inv_freq: Tensor) -> Tensor:
        positions = torch.arange(self.max_position_embeddings, device=inv_freq.device).to(self.table_dtype)
        angles = positions[:, None] * inv_freq.to(self.table_dtype)
        return torch.cat((angles.cos(), angles.sin()), dim=-1)


class VisionTower(nn.Module):
    """Normalized frames [F, 3, S, S] to features [F, V + 2, D]."""

    def __init__(self, config: Any, quant_config: Any, prefix: str) -> None:
        super().__init__()
        vision = Namespace(**config.vision_config)
        width = vision.hidden_size
        self.patch_embedding = EVA2CLIPPatchEmbedding(vision)
        self.transformer = EVA2CLIPTransformer(
            vision, quant_config=quant_config, prefix=f"{prefix}.transformer"
        )
        self.conv = Conv2dLayer(in_channels=width, out_channels=width, kernel_size=2, stride=2)
        sizes = Namespace(hidden_size=config.hidden_size, ffn_hidden_size=config.intermediate_size)
        self.linear_proj = EVA2CLIPGLU(
            sizes, width, quant_config=quant_config, prefix=f"{prefix}.linear_proj"
        )
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def forward(self, pixels_F3SS: Tensor) -> Tensor:
        x_FNC = self.transformer(self.patch_embedding(pixels_F3SS))[:, 1:]
        side = int(x_FNC.shape[1] ** 0.5)
        grid = self.conv(x_FNC.transpose(1, 2).unflatten(2, (side, side)))
        x_FVD = self.linear_proj(grid.flatten(2).transpose(1, 2))
        boi, eoi = (edge.expand(len(x_FVD), -1, -1) for edge in (self.boi, self.eoi))
        return torch.cat((boi, x_FVD, eoi), dim=1)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Loads the official tensors, without their prefix."""
        parameters, loaded = dict(self.named_parameters()), set()
        for name, weight in weights:
            place, shard = name, tuple[int, ...]()
            for official, number in _MERGED.items():
                if official in name:
                    place, shard = name.replace(official, "linear_proj.merged_proj."), (number,)
            parameter = parameters[place]
            getattr(parameter, "weight_loader", default_weight_loader)(parameter, weight, *shard)
            loaded.add(place)
        return loaded
