"""EVA2-CLIP-E under its official names; what it computes stands in ``framescribe/model/vision.py``.

Shape legend: F frames, N patches and class token, C vision width, V visual tokens, D decoder width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from framescribe.model.attention import frame_attention
from framescribe.model.config import ModelConfig, VisionConfig


class PatchEmbedding(nn.Module):
    """Frames to patches, with the class token before them and their positions added."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.hidden_size, size, stride=size)
        self.cls_embedding = nn.Parameter(torch.zeros(1, config.hidden_size))
        self.position_embedding = nn.Embedding(config.num_positions, config.hidden_size)

    def forward(self, pixels_F3SS: Tensor) -> Tensor:
        x_FPC = self.proj(pixels_F3SS).flatten(2).transpose(1, 2)
        x_FNC = torch.cat((self.cls_embedding.expand(len(x_FPC), 1, -1), x_FPC), dim=1)
        return x_FNC + self.position_embedding.weight


class VisionAttention(nn.Module):
    """Every token of a frame sees every other of the same frame."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x_FNC: Tensor) -> Tensor:
        q, k, v = self.query_key_value(x_FNC).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.dense(frame_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class VisionMLP(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x_FNC: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x_FNC)))
        return out


class CogVLMVideoVisionLayer(GradientCheckpointingLayer):
    """One post-norm transformer layer."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = VisionAttention(config)
        self.mlp = VisionMLP(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x_FNC: Tensor) -> Tensor:
        x_FNC = x_FNC + self.input_layernorm(self.attention(x_FNC))
        out: Tensor = x_FNC + self.post_attention_layernorm(self.mlp(x_FNC))
        return out


class VisionTransformer(nn.Module):
    """The layers, one after the other."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CogVLMVideoVisionLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x_FNC: Tensor) -> Tensor:
        for layer in self.layers:
            x_FNC = layer(x_FNC)
        return x_FNC


class LinearProjection(nn.Module):
    """Gated linear unit from the vision width to the decoder's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, hidden = config.hidden_size, config.intermediate_size
        self.linear_proj = nn.Linear(config.vision_config.hidden_size, width, bias=False)
        self.norm1 = nn.LayerNorm(width)
        self.dense_h_to_4h = nn.Linear(width, hidden, bias=False)
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.dense_4h_to_h = nn.Linear(hidden, width, bias=False)

    def forward(self, x_FVC: Tensor) -> Tensor:
        x_FVD = F.gelu(self.norm1(self.linear_proj(x_FVC)))
        out: Tensor = self.dense_4h_to_h(F.silu(self.gate_proj(x_FVD)) * self.dense_h_to_4h(x_FVD))
        return out


class VisionTower(nn.Module):
    """Normalized frames [F, 3, S, S] to the features that stand in their vision slots, [F, V + 2, D]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision = config.vision_config
        self.grid_size = vision.grid_size
        self.patch_embedding = PatchEmbedding(vision)
        self.transformer = VisionTransformer(vision)
        self.conv = nn.Conv2d(vision.hidden_size, vision.hidden_size, 2, stride=2)
        self.linear_proj = LinearProjection(config)
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def forward(self, pixels_F3SS: Tensor) -> Tensor:
        x_FNC = self.transformer(self.patch_embedding(pixels_F3SS))
        grid = x_FNC[:, 1:].transpose(1, 2).unflatten(2, (self.grid_size, self.grid_size))
        x_FVD = self.linear_proj(self.conv(grid).flatten(2).transpose(1, 2))
        boi, eoi = (edge.to(x_FVD.device).expand(len(x_FVD), -1, -1) for edge in (self.boi, self.eoi))
        return torch.cat((boi, x_FVD, eoi), dim=1)
