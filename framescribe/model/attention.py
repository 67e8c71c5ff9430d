"""Attention: the only file that picks its kernels, from whole sequences to one token over a paged KV cache.

Shape legend: B clips, F frames, H query heads, K key-value heads, L tokens of this call, S cached tokens, E head size,
T tokens of any sequences; of a paged cache: N blocks, P tokens in each, M blocks of a sequence at most.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from framescribe.model.kernels import have_kernels

# On CUDA, in the order of speed that ``benchmarks/kernels`` measures; the first that can compute a shape does.
_BACKENDS = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
)


def frame_attention(q_FHLE: Tensor, k_FHLE: Tensor, v_FHLE: Tensor) -> Tensor:
    """Every token of a frame sees every other of the same frame. Returns [F, H, L, E].

    Views into the output of a fused qkv product are taken as they are, and the result is laid out as they are.
    """
    with _fastest(q_FHLE):
        return F.scaled_dot_product_attention(q_FHLE, k_FHLE, v_FHLE)


def _fastest(q: Tensor) -> AbstractContextManager[None]:
    """Lets torch choose by our order, where that is not for parity or training."""
    if q.dtype == torch.float32 or not have_kernels(q):
        return nullcontext()
    return sdpa_kernel(list(_BACKENDS), set_priority=True)


# A decoder layer's new queries [B, H, L, E], keys and values [B, K, L, E] to what they attend to, [B, H, L, E].
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
# The attention of each layer, by its index: with or without a cache, many tokens or one.
LayerAttention = Callable[[int], Attention]


def causal_attention(layer: int) -> Attention:
    """Whole sequences at once, nothing kept: training. Padding belongs at the end, where no real token sees it."""
    return causal


def causal(q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
    """Each of B sequences of L tokens over itself. Returns [B, H, L, E]."""
    with _fastest(q_BHLE):
        return F.scaled_dot_product_attention(q_BHLE, k_BKLE, v_BKLE, is_causal=True, enable_gqa=True)


def write_kv(
    k_TKE: Tensor, v_TKE: Tensor, keys_NKPE: Tensor, values_NKPE: Tensor, slot_mapping_T: Tensor
) -> None:
    """Writes the keys and values of T tokens into a paged cache, cast to its dtype (fp8: clamped to what it holds).

    Args:
        k_TKE, v_TKE: of the new tokens.
        keys_NKPE, values_NKPE: the cache.
        slot_mapping_T: int64, where each goes: block * P + place in the block. Negative: nowhere.
    """
    if have_kernels(k_TKE):
        from framescribe.model.kernels import paged

        paged.write_kv(k_TKE, v_TKE, keys_NKPE, values_NKPE, slot_mapping_T)
        return
    kept_T = slot_mapping_T >= 0
    blocks_T, places_T = (
        slot_mapping_T[kept_T] // keys_NKPE.shape[2],
        slot_mapping_T[kept_T] % keys_NKPE.shape[2],
    )
    for new_TKE, cache_NKPE in ((k_TKE, keys_NKPE), (v_TKE, values_NKPE)):
        kept_TKE = new_TKE[kept_T]
        if cache_NKPE.dtype == torch.float8_e4m3fn:
            largest = torch.finfo(cache_NKPE.dtype).max
            kept_TKE = kept_TKE.clamp(-largest, largest)
        cache_NKPE[blocks_T, :, places_T] = kept_TKE.to(cache_NKPE.dtype)


def paged_attention(
    q_BHE: Tensor, keys_NKPE: Tensor, values_NKPE: Tensor, block_tables_BM: Tensor, context_lens_B: Tensor
) -> Tensor:
    """One query token of each sequence over that sequence's cached tokens.

    Args:
        q_BHE: queries; H is a multiple of K.
        keys_NKPE, values_NKPE: the cache, in the queries' dtype or fp8.
        block_tables_BM: int32, the numbers of each sequence's blocks; what follows its last is not read.
        context_lens_B: int32, cached tokens of each sequence, its new one included; 0 for rows that fill the batch.

    Returns:
        [B, H, E] in the queries' dtype; zeros where the length is 0.
    """
    if have_kernels(q_BHE):
        from framescribe.model.kernels import paged

        return paged.paged_attention(q_BHE, keys_NKPE, values_NKPE, block_tables_BM, context_lens_B)
    block_size, kv_heads = keys_NKPE.shape[2], keys_NKPE.shape[1]
    # Only as many blocks as the longest needs: a table is as wide as the cache.
    block_tables_BM = block_tables_BM[:, : -(-int(context_lens_B.max()) // block_size)]
    is_there_BS = (
        torch.arange(block_tables_BM.shape[1] * block_size, device=q_BHE.device) < context_lens_B[:, None]
    )
    # Blocks that are not a sequence's may have any number.
    block_tables_BM = block_tables_BM.long().where(is_there_BS[:, ::block_size], 0)
    # What was never written may be NaN, which neither the mask nor a weight of 0 would hide.
    is_missing_B1S1 = ~is_there_BS[:, None, :, None]
    k_BKSE, v_BKSE = (
        cache[block_tables_BM]
        .transpose(1, 2)
        .flatten(2, 3)
        .to(q_BHE.dtype)
        .masked_fill_(is_missing_B1S1, 0.0)
        for cache in (keys_NKPE, values_NKPE)
    )
    # The query heads that share a key head become query rows.
    q_BKGE = q_BHE.unflatten(1, (kv_heads, -1))
    y_BKGE = F.scaled_dot_product_attention(q_BKGE, k_BKSE, v_BKSE, attn_mask=is_there_BS[:, None, None])
    return y_BKGE.flatten(1, 2).masked_fill((context_lens_B == 0)[:, None, None], 0.0)
