"""EVA2-CLIP-E: a frame to 64 visual tokens between boi and eoi.

Sources: EVA-CLIP (arXiv 2303.15389), CogVLM2 (arXiv 2408.16500). Post-norm layers (x + LN(f(x))), the class token is
dropped after the last one, a 2×2 convolution quarters the patches, a gated adapter maps them to the decoder's width.

Shape legend: F frames, N patches and class token, P patches, V visual tokens (P / 4), C vision width, D decoder width,
H heads, E head size.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framescribe.model import fused
from framescribe.model.attention import frame_attention
from framescribe.model.config import ModelConfig, VisionConfig
from framescribe.model.fp8 import Operand


class VisionLayer(nn.Module):
    """One post-norm transformer layer."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp_in = nn.Linear(width, config.intermediate_size)
        self.mlp_out = nn.Linear(config.intermediate_size, width)
        self.mlp_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, x_FNC: Tensor, normed_FNC: Operand) -> tuple[Tensor, Operand]:
        """Takes and returns the residual stream, and the same as the next product takes it."""
        x_FNC, normed_FNC = fused.add_layer_norm(
            x_FNC, self._attention(normed_FNC), self.attention_norm, into=self.mlp_in
        )
        y_FNC = fused.product(fused.linear_gelu(normed_FNC, self.mlp_in, into=self.mlp_out), self.mlp_out)
        # The next layer's qkv takes what this one's does.
        return fused.add_layer_norm(x_FNC, y_FNC, self.mlp_norm, into=self.qkv)

    def _attention(self, normed_FNC: Operand) -> fused.Summand:
        q, k, v = self.qkv(normed_FNC).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        y_FNC = frame_attention(q, k, v).transpose(1, 2).flatten(2)
        return fused.product(y_FNC, self.attention_out)


class Adapter(nn.Module):
    """Gated linear unit from the vision width to the decoder's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, hidden = config.hidden_size, config.intermediate_size
        self.proj = nn.Linear(config.vision_config.hidden_size, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_FVC: Tensor) -> Tensor:
        gelu_FVD = fused.operand(F.gelu(self.norm(self.proj(x_FVC))), into=self.gate)
        out: Tensor = self.down(fused.silu_mul(self.gate(gelu_FVD), self.up(gelu_FVD), into=self.down))
        return out


class VisionTower(nn.Module):
    """Turns frames into the features that stand in the prompt's vision slots.

    ``recomputes_activations`` (for training) keeps only each layer's input for the backward pass.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision = config.vision_config
        self.grid_size = vision.grid_size
        self.patches = nn.Conv2d(
            vision.in_channels, vision.hidden_size, vision.patch_size, stride=vision.patch_size
        )
        self.class_embedding = nn.Parameter(torch.zeros(1, vision.hidden_size))
        self.position_embedding = nn.Parameter(torch.zeros(vision.num_positions, vision.hidden_size))
        self.layers = nn.ModuleList(VisionLayer(vision) for _ in range(vision.num_hidden_layers))
        self.downsample = nn.Conv2d(vision.hidden_size, vision.hidden_size, 2, stride=2)
        self.adapter = Adapter(config)
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.recomputes_activations = False

    def forward(self, pixels_F3SS: Tensor) -> Tensor:
        """Encodes normalised frames.

        Args:
            pixels_F3SS: [F, 3, image_size, image_size], in the weights' dtype.

        Returns:
            [F, V + 2, D]: boi, visual tokens row by row, eoi.
        """
        return self.features(self.patch_states(pixels_F3SS))

    def patch_states(self, pixels_F3SS: Tensor) -> Tensor:
        """What the transformer makes of normalised frames: [F, P, C], patches row by row."""
        frames = len(pixels_F3SS)
        x_FPC = _over_patches(self.patches, pixels_F3SS)
        x_FNC = (
            torch.cat((self.class_embedding.expand(frames, 1, -1), x_FPC), dim=1) + self.position_embedding
        )
        normed_FNC = fused.operand(x_FNC, into=self.get_submodule("layers.0.qkv"))
        for layer in self.layers:
            run = partial(checkpoint, layer, use_reentrant=False) if self.recomputes_activations else layer
            x_FNC, normed_FNC = run(x_FNC, normed_FNC)
        return x_FNC[:, 1:]

    def features(self, states_FPC: Tensor) -> Tensor:
        """The second half of ``forward``: from what ``patch_states`` gives."""
        frames = len(states_FPC)
        grid = states_FPC.transpose(1, 2).unflatten(2, (self.grid_size, self.grid_size))
        x_FVD = self.adapter(_over_patches(self.downsample, grid))
        return torch.cat((self.boi.expand(frames, -1, -1), x_FVD, self.eoi.expand(frames, -1, -1)), dim=1)


def _over_patches(conv: nn.Conv2d, x_FCYX: Tensor) -> Tensor:
    """A convolution whose kernel is its stride, as the product that it is: one row for each patch, [F, P, O]."""
    height, width = conv.kernel_size
    patches = x_FCYX.unflatten(3, (-1, width)).unflatten(2, (-1, height)).permute(0, 2, 4, 1, 3, 5)
    return F.linear(patches.flatten(3).flatten(1, 2), conv.weight.flatten(1), conv.bias)
