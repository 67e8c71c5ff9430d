"""Writing to and attending over a paged KV cache.

Shape legend: B sequences, T tokens, M blocks of a sequence at most, N blocks of the cache, P tokens in a block, H query
heads, K key-value heads, G = H / K query heads that share one, S splits, E head size.

One program reads one KV head of one sequence, or a part of its blocks (flash-decoding): the G query heads are the rows
of one matrix product, so every key and value is read once. Block tables and lengths are read on the device, and the
grid depends on shapes alone: a launch can be captured in a CUDA graph.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

# tl.dot takes at least 16 rows.
_MIN_ROWS = 16
# Programs that each multiprocessor should get: enough loads in flight, and small enough pieces to even out lengths.
_PROGRAMS_PER_SM = 8
_MAX_SPLITS = 32
_FP8_MAX = tl.constexpr(448.0)


@triton.jit
def _write_kv_kernel(
    k, v, keys, values, slots,
    k_t, k_k, v_t, v_k, keys_n, keys_k, values_n, values_k,
    P: tl.constexpr, K: tl.constexpr, E: tl.constexpr, K_PADDED: tl.constexpr, E_PADDED: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    if slot >= 0:
        heads = tl.arange(0, K_PADDED)[:, None]
        elements = tl.arange(0, E_PADDED)[None, :]
        mask = (heads < K) & (elements < E)
        block, place = slot // P, slot % P
        k_KE = tl.load(k + token * k_t + heads * k_k + elements, mask=mask).to(tl.float32)
        v_KE = tl.load(v + token * v_t + heads * v_k + elements, mask=mask).to(tl.float32)
        if keys.dtype.element_ty == tl.float8e4nv:
            k_KE = tl.clamp(k_KE, -_FP8_MAX, _FP8_MAX)
            v_KE = tl.clamp(v_KE, -_FP8_MAX, _FP8_MAX)
        at = place * E + elements
        tl.store(keys + block * keys_n + heads * keys_k + at, k_KE.to(keys.dtype.element_ty), mask=mask)
        tl.store(
            values + block * values_n + heads * values_k + at, v_KE.to(values.dtype.element_ty), mask=mask
        )


def write_kv(
    k_TKE: Tensor, v_TKE: Tensor, keys_NKPE: Tensor, values_NKPE: Tensor, slot_mapping_T: Tensor
) -> None:
    """See ``model/attention.py``. The last axis of each tensor, and the blocks of the cache, must be dense."""
    tokens, heads, size = k_TKE.shape
    if not tokens:
        return
    _write_kv_kernel[(tokens,)](
        k_TKE, v_TKE, keys_NKPE, values_NKPE, slot_mapping_T,
        *k_TKE.stride()[:2], *v_TKE.stride()[:2], *keys_NKPE.stride()[:2], *values_NKPE.stride()[:2],
        P=keys_NKPE.shape[2], K=heads, E=size,
        K_PADDED=triton.next_power_of_2(heads), E_PADDED=triton.next_power_of_2(size),
        num_warps=4 if heads * size >= 1024 else 1,
    )  # fmt: skip


@triton.jit
def _fp16(words_PW, BYTE: tl.constexpr):
    """One of the e4m3 numbers of each int32 as fp16, whose upper bits e4m3's are but for the exponent's bias."""
    bits_PW = words_PW >> (8 * BYTE)
    return (((bits_PW & 0x80) << 8) | ((bits_PW & 0x7F) << 7)).to(tl.int16).to(
        tl.float16, bitcast=True
    ) * 256.0


@triton.jit
def _unpack(words_PW, HAS_CONVERSION: tl.constexpr):
    """Four e4m3 numbers to an int32, as fp16: [P, W] to [P, 4 W]."""
    if HAS_CONVERSION:
        first, second, third, fourth = tl.inline_asm_elementwise(
            """{
            .reg .b16 low, high;
            .reg .b32 pair;
            mov.b32 {low, high}, $4;
            cvt.rn.f16x2.e4m3x2 pair, low;
            mov.b32 {$0, $1}, pair;
            cvt.rn.f16x2.e4m3x2 pair, high;
            mov.b32 {$2, $3}, pair;
            }""",
            "=h,=h,=h,=h,r", [words_PW], dtype=(tl.float16,) * 4, is_pure=True, pack=1,
        )  # fmt: skip
    else:
        first, second, third, fourth = (
            _fp16(words_PW, 0), _fp16(words_PW, 1), _fp16(words_PW, 2), _fp16(words_PW, 3),
        )  # fmt: skip
    all_PW22 = tl.join(tl.join(first, third), tl.join(second, fourth))
    return all_PW22.reshape(words_PW.shape[0], 4 * words_PW.shape[1])


@triton.jit
def _attend_kernel(
    q, keys, values, tables, lengths, out, lse, scale,
    q_b, q_h, keys_n, keys_k, values_n, values_k, tables_b,
    P: tl.constexpr, K: tl.constexpr, G: tl.constexpr, G_PADDED: tl.constexpr,
    E: tl.constexpr, E_PADDED: tl.constexpr, SPLITS: tl.constexpr, DOT: tl.constexpr,
    HAS_CONVERSION: tl.constexpr,
):  # fmt: skip
    sequence, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + sequence)
    blocks = tl.cdiv(length, P)
    # Each split takes an even share of the blocks that this sequence has.
    share = tl.cdiv(blocks, SPLITS)
    first = split * share
    last = tl.minimum(first + share, blocks)

    rows, elements, places = tl.arange(0, G_PADDED), tl.arange(0, E_PADDED), tl.arange(0, P)
    is_real = (rows < G)[:, None] & (elements < E)[None, :]
    query_heads = head * G + rows
    queries = q + sequence.to(tl.int64) * q_b + query_heads[:, None] * q_h + elements[None, :]
    q_GE = tl.load(queries, mask=is_real, other=0.0).to(DOT)
    maximum_G = tl.full([G_PADDED], float("-inf"), tl.float32)
    sum_G, sum_GE = tl.zeros([G_PADDED], tl.float32), tl.zeros([G_PADDED, E_PADDED], tl.float32)
    in_block_PE = places[:, None] * E + elements[None, :]
    # A product reads values down their columns, which for single bytes would take a load each.
    ARE_WORDS: tl.constexpr = values.dtype.element_ty == tl.int32
    words, row = tl.arange(0, E_PADDED // 4), tables + sequence.to(tl.int64) * tables_b
    # A block's number is read one turn ahead: keys do not wait for it.
    block = tl.load(row + first, mask=first < last, other=0).to(tl.int64)
    for index in range(first, last):
        next_block = tl.load(row + index + 1, mask=index + 1 < last, other=0).to(tl.int64)
        # What a block holds after the sequence's end is anything, NaN too: never read.
        left = length - index * P
        there_PE = (places < left)[:, None]
        if E != E_PADDED:
            there_PE = there_PE & (elements < E)[None, :]
        k_PE = tl.load(keys + block * keys_n + head * keys_k + in_block_PE, mask=there_PE, other=0.0)
        v = values + block * values_n + head * values_k
        if ARE_WORDS:
            there_PW = (places < left)[:, None] & (words < E // 4)[None, :]
            words_PW = tl.load(v + places[:, None] * (E // 4) + words[None, :], mask=there_PW, other=0)
            v_PE = _unpack(words_PW, HAS_CONVERSION)
        else:
            v_PE = tl.load(v + in_block_PE, mask=there_PE, other=0.0).to(DOT)
        scores_GP = tl.dot(q_GE, tl.trans(k_PE.to(DOT)), input_precision="ieee") * scale
        scores_GP = tl.where((places < left)[None, :], scores_GP, float("-inf"))
        new_maximum_G = tl.maximum(maximum_G, tl.max(scores_GP, 1))
        weights_GP = tl.exp2(scores_GP - new_maximum_G[:, None])
        shrink_G = tl.exp2(maximum_G - new_maximum_G)
        sum_G = sum_G * shrink_G + tl.sum(weights_GP, 1)
        sum_GE = tl.dot(weights_GP.to(DOT), v_PE, sum_GE * shrink_G[:, None], input_precision="ieee")
        maximum_G = new_maximum_G
        block = next_block

    # No tokens: zeros.
    sum_G = tl.where(sum_G > 0, sum_G, 1.0)
    out_GE = sum_GE / sum_G[:, None]
    at_G = ((sequence * K * G + query_heads) * SPLITS + split).to(tl.int64)
    tl.store(out + at_G[:, None] * E + elements[None, :], out_GE.to(out.dtype.element_ty), mask=is_real)
    if SPLITS > 1:
        tl.store(lse + at_G, maximum_G + tl.log2(sum_G), mask=rows < G)


@triton.jit
def _merge_kernel(
    parts, lse, out,
    SPLITS: tl.constexpr, SPLITS_PADDED: tl.constexpr, E: tl.constexpr, E_PADDED: tl.constexpr,
):  # fmt: skip
    """One program: the splits of one query head, weighted by their shares of the softmax's sum."""
    head = tl.program_id(0).to(tl.int64)
    splits = tl.arange(0, SPLITS_PADDED)
    elements = tl.arange(0, E_PADDED)
    lse_S = tl.load(lse + head * SPLITS + splits, mask=splits < SPLITS, other=float("-inf"))
    maximum = tl.max(lse_S, 0)
    # All -inf: a row without tokens, whose parts are zeros.
    weights_S = tl.exp2(lse_S - tl.where(maximum == float("-inf"), 0.0, maximum))
    total = tl.sum(weights_S, 0)
    mask = (splits < SPLITS)[:, None] & (elements < E)[None, :]
    parts_SE = tl.load(
        parts + (head * SPLITS + splits)[:, None] * E + elements[None, :], mask=mask, other=0.0
    )
    out_E = tl.sum(parts_SE * weights_S[:, None], 0) / tl.where(total > 0, total, 1.0)
    tl.store(out + head * E + elements, out_E.to(out.dtype.element_ty), mask=elements < E)


@functools.cache
def multiprocessors(device: torch.device) -> int:
    if device.type != "cuda":
        return 4
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def choose_splits(sequences: int, kv_heads: int, blocks: int, device: torch.device) -> int:
    """Into how many parts each sequence of up to ``blocks`` blocks is divided, so that the grid fills the device."""
    wanted = _PROGRAMS_PER_SM * multiprocessors(device)
    # A power of two: few kernels to compile. At least two blocks a part: less is all start and end. And no more than
    # fill an H100 at one sequence: ``blocks`` is what a table can hold, not what a sequence has.
    most = min(_MAX_SPLITS, blocks // 2, wanted // (sequences * kv_heads))
    return 1 << max(0, most.bit_length() - 1)


def paged_attention(
    q_BHE: Tensor,
    keys_NKPE: Tensor,
    values_NKPE: Tensor,
    block_tables_BM: Tensor,
    context_lens_B: Tensor,
    *,
    splits: int | None = None,
    num_warps: int | None = None,
    num_stages: int | None = None,
) -> Tensor:
    """See ``model/attention.py``. The last axis of each tensor, and the blocks of the cache, must be dense.

    Args:
        splits: parts that a sequence's blocks are divided into; ``choose_splits`` if None.
        num_warps, num_stages: Triton's; for benchmarks. Of warps 4, or 2 for many sequences of an fp8 cache; of stages
            3, or the 2 of which fp32 blocks fit.
    """
    (sequences, heads, size), (_, kv_heads, block_size, _) = q_BHE.shape, keys_NKPE.shape
    out_BHE = torch.empty((sequences, heads, size), dtype=q_BHE.dtype, device=q_BHE.device)
    if not sequences:
        return out_BHE
    num_stages = num_stages or (3 if keys_NKPE.dtype.itemsize < 4 else 2)
    splits = splits or choose_splits(sequences, kv_heads, block_tables_BM.shape[1], q_BHE.device)
    num_warps = num_warps or (2 if splits == 1 and keys_NKPE.dtype.itemsize == 1 else 4)
    parts_BHSE, lse_BHS = out_BHE, out_BHE
    if splits > 1:
        parts_BHSE = q_BHE.new_empty((sequences, heads, splits, size), dtype=torch.float32)
        lse_BHS = q_BHE.new_empty((sequences, heads, splits), dtype=torch.float32)
    if values_NKPE.dtype == torch.float8_e4m3fn and size % 4 == 0:
        values_NKPE = values_NKPE.view(torch.int32)
    group, padded = heads // kv_heads, max(_MIN_ROWS, triton.next_power_of_2(size))
    # fp16 holds every e4m3 value exactly, and Hopper converts to it in one instruction.
    dot = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16}.get(keys_NKPE.dtype, tl.float16)
    _attend_kernel[(sequences, kv_heads, splits)](
        q_BHE, keys_NKPE, values_NKPE, block_tables_BM, context_lens_B, parts_BHSE, lse_BHS,
        size**-0.5 * math.log2(math.e),
        *q_BHE.stride()[:2], *keys_NKPE.stride()[:2], *values_NKPE.stride()[:2], block_tables_BM.stride(0),
        P=block_size, K=kv_heads, G=group, G_PADDED=max(_MIN_ROWS, triton.next_power_of_2(group)),
        E=size, E_PADDED=padded, SPLITS=splits, DOT=dot,
        HAS_CONVERSION=q_BHE.is_cuda, num_warps=num_warps, num_stages=num_stages,
    )  # fmt: skip
    if splits > 1:
        _merge_kernel[(sequences * heads,)](
            parts_BHSE, lse_BHS, out_BHE,
            SPLITS=splits, SPLITS_PADDED=triton.next_power_of_2(splits), E=size, E_PADDED=padded, num_warps=1,
        )  # fmt: skip
    return out_BHE
