"""The Llama decoder under its official names: it computes what ``model/decoder.py`` does, and attends by transformers.

Shape legend: B clips, L tokens of this call, D width, H query heads, K key-value heads, E head size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward

from framescribe.model.config import ModelConfig
from framescribe.model.decoder import RMSNorm, rope_dtype, rotary_frequencies

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

    from framescribe.integrations.transformers.config import CogVLMVideoConfig


class RotaryEmbedding(nn.Module):
    """cos and sin from a layer's stored frequencies, in the dtype that ``ModelConfig.rope_dtype`` says."""

    inv_freq: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("inv_freq", rotary_frequencies(config)[0])

    def forward(self, x_BLD: Tensor, positions_BL: Tensor) -> tuple[Tensor, Tensor]:
        dtype = rope_dtype(self.config, x_BLD.dtype)
        angles = positions_BL.to(dtype)[..., None] * self.inv_freq.to(dtype)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(x_BLD.dtype), angles.sin().to(x_BLD.dtype)


class CogVLMVideoAttention(nn.Module):
    """Grouped-query attention with a fused qkv product.

    Positions reach only the rotation: repeated ones, such as all patches of a frame have, would look to transformers'
    masks and to FlashAttention like sequences packed in one row.
    """

    def __init__(self, config: CogVLMVideoConfig, layer: int) -> None:
        super().__init__()
        sizes = config.sizes
        self.config = config
        self.layer_idx = layer
        self.head_dim = sizes.head_dim
        self.heads = (sizes.num_attention_heads, sizes.num_multi_query_heads, sizes.num_multi_query_heads)
        # What transformers' attention functions read.
        self.num_key_value_groups = sizes.num_attention_heads // sizes.num_multi_query_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        self.rotary_emb = RotaryEmbedding(sizes)
        self.language_expert_query_key_value = nn.Linear(
            sizes.hidden_size, sum(self.heads) * sizes.head_dim, bias=False
        )
        self.language_expert_dense = nn.Linear(sizes.hidden_size, sizes.hidden_size, bias=False)

    def forward(
        self, x_BLD: Tensor, positions_BL: Tensor, attention_mask: Any, cache: Cache | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        qkv = self.language_expert_query_key_value(x_BLD).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        q_BHLE, k_BKLE, v_BKLE = qkv.split(self.heads, dim=1)
        cos_BLE, sin_BLE = self.rotary_emb(x_BLD, positions_BL)
        q_BHLE, k_BKLE = apply_rotary_pos_emb(q_BHLE, k_BKLE, cos_BLE, sin_BLE)
        if cache is not None:
            k_BKLE, v_BKLE = cache.update(k_BKLE, v_BKLE, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        y_BLHE, weights = attend(
            self, q_BHLE, k_BKLE, v_BKLE, attention_mask, dropout=0.0, scaling=self.scaling, **kwargs
        )
        return self.language_expert_dense(y_BLHE.flatten(2)), weights


class LanguageMLP(nn.Module):
    """The gated MLP."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BLD: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x_BLD)) * self.up_proj(x_BLD))
        return out


class CogVLMVideoDecoderLayer(GradientCheckpointingLayer):
    """One pre-norm layer."""

    def __init__(self, config: CogVLMVideoConfig, layer: int) -> None:
        super().__init__()
        sizes = config.sizes
        self.input_layernorm = RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.self_attn = CogVLMVideoAttention(config, layer)
        self.post_attention_layernorm = RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.mlp = nn.ModuleDict({"language_mlp": LanguageMLP(sizes)})

    def forward(
        self, x_BLD: Tensor, positions_BL: Tensor, attention_mask: Any, cache: Cache | None, **kwargs: Any
    ) -> Tensor:
        attended, _ = self.self_attn(
            self.input_layernorm(x_BLD), positions_BL, attention_mask, cache, **kwargs
        )
        x_BLD = x_BLD + attended
        out: Tensor = x_BLD + self.mlp["language_mlp"](self.post_attention_layernorm(x_BLD))
        return out
