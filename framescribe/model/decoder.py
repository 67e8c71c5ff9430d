"""The Llama decoder (arXiv 2407.21783) on explicit positions, with the RoPE table as published.

Shape legend: B clips, L tokens, D width, H query heads, K key-value heads, E head size, N layers.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framescribe.model import fused
from framescribe.model.attention import Attention, LayerAttention
from framescribe.model.config import ROPE_BASE, ModelConfig
from framescribe.model.fp8 import Operand


class RMSNorm(nn.Module):
    """Root-mean-square norm (arXiv 1910.07467) in fp32 or better; as published, it casts back after its weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        normed = precise * torch.rsqrt(precise.square().mean(-1, keepdim=True) + self.eps)
        return (self.weight * normed).to(x.dtype)


def rotary_frequencies(config: ModelConfig) -> Tensor:
    """Inverse frequencies of a new model, fp32 [N, E / 2]: rounded to bf16, as released checkpoints store them."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    return (1.0 / ROPE_BASE**exponents).bfloat16().float().repeat(config.num_hidden_layers, 1)


def rope_dtype(config: ModelConfig, weights_dtype: torch.dtype) -> torch.dtype:
    """The dtype of the RoPE table for a model whose weights are computed in ``weights_dtype``."""
    return {"weights": weights_dtype, "float32": torch.float32, "bfloat16": torch.bfloat16}[config.rope_dtype]


class RotaryTable(nn.Module):
    """cos and sin for any positions, from each layer's stored inverse frequencies.

    The published code builds its table in the dtype of the stored ``inv_freq``: positions, products, cos and sin. In
    bf16 that rounds angles by up to 0.3 rad, and the model was trained that way. So the buffer's dtype, not the
    caller's, decides; ``ModelConfig.rope_dtype`` is the switch.
    """

    inv_freq_NE: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("inv_freq_NE", rotary_frequencies(config))

    def angles(self, positions_BL: Tensor) -> Tensor:
        """Angles in radians, [N, B, L, E / 2], in the dtype of the stored frequencies."""
        return positions_BL.to(self.inv_freq_NE.dtype)[None, :, :, None] * self.inv_freq_NE[:, None, None, :]

    def forward(self, positions_BL: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos and sin, [N, B, 1, L, E] each, cast to ``dtype`` after they are rounded to the table's."""
        angles = self.angles(positions_BL).repeat(1, 1, 1, 2).unsqueeze(2)
        return angles.cos().to(dtype), angles.sin().to(dtype)


class DecoderLayer(nn.Module):
    """One pre-norm layer: grouped-query attention with fused qkv, then a gated MLP."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, head_dim = config.hidden_size, config.head_dim
        self.heads = (config.num_attention_heads, config.num_multi_query_heads, config.num_multi_query_heads)
        self.attention_norm = RMSNorm(width, config.rms_norm_eps)
        self.qkv = nn.Linear(width, sum(self.heads) * head_dim, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_norm = RMSNorm(width, config.rms_norm_eps)
        self.gate = nn.Linear(width, config.intermediate_size, bias=False)
        self.up = nn.Linear(width, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, width, bias=False)

    def forward(
        self,
        x_BLD: Tensor,
        delta_BLD: fused.Summand | None,
        rotary: tuple[Tensor, Tensor],
        attend: Attention,
        last_token_indices_W: Tensor | None = None,
    ) -> tuple[Tensor, fused.Summand | None]:
        """Takes and returns the residual stream as a pair, which the next norm adds; None for nothing to add.

        Of the tokens at ``last_token_indices_W`` alone, if given: the others are only their keys and values.
        """
        x_BLD, normed_BLD = fused.add_rms_norm(x_BLD, delta_BLD, self.attention_norm, into=self.qkv)
        y_BLD = self._attended(normed_BLD, rotary, attend)
        if last_token_indices_W is not None:
            x_BLD, y_BLD = x_BLD[:, last_token_indices_W], y_BLD[:, last_token_indices_W]
        attended = fused.product(y_BLD, self.attention_out)
        x_BLD, normed_BLD = fused.add_rms_norm(x_BLD, attended, self.mlp_norm, into=self.gate)
        hidden = fused.silu_mul(self.gate(normed_BLD), self.up(normed_BLD), into=self.down)
        return fused.residual_pair(x_BLD, fused.product(hidden, self.down))

    def _attended(self, normed_BLD: Operand, rotary: tuple[Tensor, Tensor], attend: Attention) -> Tensor:
        heads, kv_heads, _ = self.heads
        qkv = self.qkv(normed_BLD).unflatten(-1, (sum(self.heads), -1)).transpose(1, 2)
        qk, v_BKLE = qkv.split((heads + kv_heads, kv_heads), dim=1)
        q_BHLE, k_BKLE = fused.rotate(qk, *rotary).split((heads, kv_heads), dim=1)
        return attend(q_BHLE, k_BKLE, v_BKLE).transpose(1, 2).flatten(2)


class Decoder(nn.Module):
    """Turns embeddings of text and vision into hidden states.

    ``recomputes_activations`` (for training) keeps only each layer's input for the backward pass.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.rotary = RotaryTable(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.recomputes_activations = False

    def forward(
        self,
        x_BLD: Tensor,
        positions_BL: Tensor,
        attend: LayerAttention,
        last_token_indices_W: Tensor | None = None,
    ) -> Tensor:
        """Runs all layers on L new tokens of each of B sequences.

        Args:
            x_BLD: token embeddings, vision features in their slots.
            positions_BL: int64 position of each token; not its place in the sequence (see ``prompt.py``).
            attend: what the tokens see and where their keys and values go (see ``attention.py``).
            last_token_indices_W: int64, where along L the tokens are whose hidden states are wanted; None for all. The
                last layer computes no others: a prefill needs the last of each prompt.

        Returns:
            [B, L, D] hidden states after the last norm; [B, W, D] of the wanted tokens.
        """
        cos_NB1LE, sin_NB1LE = self.rotary(positions_BL, x_BLD.dtype)
        delta_BLD = None
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            run = partial(checkpoint, layer, use_reentrant=False) if self.recomputes_activations else layer
            rotary = (cos_NB1LE[index], sin_NB1LE[index])
            indices_W = last_token_indices_W if index == last else None
            x_BLD, delta_BLD = run(x_BLD, delta_BLD, rotary, attend(index), indices_W)
        return fused.add_norm(x_BLD, delta_BLD, self.norm)
