"""Attention: the only file that picks kernels, and the KV cache that they read.

Shape legend: B clips, F frames, H query heads, K key-value heads, L tokens of this call, S cached tokens, E head size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from framescribe.model.config import ModelConfig

# The cache grows in steps of this many tokens: few reallocations, little memory kept for nothing.
_CACHE_STEP = 256


def frame_attention(q_FHLE: Tensor, k_FHLE: Tensor, v_FHLE: Tensor) -> Tensor:
    """Every token of a frame sees every other of the same frame. Returns [F, H, L, E]."""
    return F.scaled_dot_product_attention(q_FHLE, k_FHLE, v_FHLE)


# A decoder layer's new queries [B, H, L, E], keys and values [B, K, L, E] to what they attend to, [B, H, L, E].
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
# The attention of each layer, by its index: with or without a cache, many tokens or one.
LayerAttention = Callable[[int], Attention]


def causal_attention(layer: int) -> Attention:
    """Whole sequences at once, nothing kept: training. Padding belongs at the end, where no real token sees it."""
    return _causal


def _causal(q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q_BHLE, k_BKLE, v_BKLE, is_causal=True, enable_gqa=True)


class KVCache:
    """Keys and values of the sequences being decoded: one slot each, used slots always the first ``size``.

    One tensor pair per layer, [slots, K, S, E]; S grows as the longest sequence does.

    Args:
        config: for the number of layers, heads and their size.
        slots: sequences at most.
        dtype, device: of keys and values.
    """

    def __init__(self, config: ModelConfig, slots: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (slots, config.num_multi_query_heads, 0, config.head_dim)
        self.size = 0
        self.lengths_B = torch.zeros(slots, dtype=torch.long, device=device)
        self._longest = 0
        self._keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]
        self._values = [torch.empty_like(keys) for keys in self._keys]

    def append_slot(self, length: int) -> LayerAttention:
        """Opens the next slot for a prompt of ``length`` tokens; the result stores and attends its prefill, B = 1."""
        slot, self.size = self.size, self.size + 1
        assert self.size <= len(self.lengths_B), "more sequences than slots"
        self._reserve(length)
        self.lengths_B[slot] = length

        def prefill(layer: int, q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
            self._keys[layer][slot, :, :length] = k_BKLE[0]
            self._values[layer][slot, :, :length] = v_BKLE[0]
            return _causal(q_BHLE, k_BKLE, v_BKLE)

        return lambda layer: partial(prefill, layer)

    def decode_step(self) -> LayerAttention:
        """Makes room for one more token in every used slot; the result stores and attends it, B = size, L = 1."""
        self._reserve(self._longest + 1)
        used, slots_B = self._longest, torch.arange(self.size, device=self.lengths_B.device)
        written_B = self.lengths_B[: self.size].clone()
        self.lengths_B[: self.size] += 1
        visible_B11S = (torch.arange(used, device=written_B.device) <= written_B[:, None])[:, None, None, :]

        def decode(layer: int, q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys[slots_B, :, written_B] = k_BKLE[:, :, 0]
            values[slots_B, :, written_B] = v_BKLE[:, :, 0]
            k_BKSE, v_BKSE = keys[: self.size, :, :used], values[: self.size, :, :used]
            # The query heads that share a key head become query rows: keys and values are read once, not copied.
            q_BKGE = q_BHLE.reshape(self.size, k_BKSE.shape[1], -1, q_BHLE.shape[-1])
            return F.scaled_dot_product_attention(q_BKGE, k_BKSE, v_BKSE, attn_mask=visible_B11S).reshape(
                q_BHLE.shape
            )

        return lambda layer: partial(decode, layer)

    def free_slot(self, slot: int) -> None:
        """Gives a slot back. The last used slot moves into its place."""
        last = self.size - 1
        assert 0 <= slot <= last, "not a used slot"
        if slot != last:
            for tensors in (self._keys, self._values):
                for tensor in tensors:
                    tensor[slot].copy_(tensor[last])
            self.lengths_B[slot] = self.lengths_B[last]
        self.lengths_B[last] = 0
        self.size = last
        self._longest = int(self.lengths_B.max()) if last else 0

    def _reserve(self, length: int) -> None:
        """Makes sure that every slot has room for ``length`` tokens."""
        self._longest = max(self._longest, length)
        grow = -(-(self._longest - self._keys[0].shape[2]) // _CACHE_STEP) * _CACHE_STEP
        if grow > 0:
            for tensors in (self._keys, self._values):
                for layer, tensor in enumerate(tensors):
                    # Zeros, not garbage: a masked NaN would still spoil the weighted sum of values.
                    tensors[layer] = F.pad(tensor, (0, 0, 0, grow))
