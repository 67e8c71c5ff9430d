"""Attention of short whole sequences: the tokens of a frame over each other.

Shape legend: F frames, H heads, N tokens, E head size, Q query tokens of a program, K key tokens of a step.

257 tokens are 256 and one more: what is left over after whole tiles goes through products of 16, keys ahead of the
others and queries in a small program of their own. The programs of one head are neighbours, so that its keys and values
are read from memory once.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

# The fewest rows, and columns, of a product.
_FEWEST = 16


class Tiling(NamedTuple):
    """How the work is cut up and compiled.

    Attributes:
        queries, keys: of a program, and of one of its steps.
        stages: steps whose keys and values are loaded ahead.
        splits_queries, splits_keys: whether the last few go through smaller products, where they are few.
        has_descriptors: keys and values by Hopper's tensor memory accelerator.
        registers: of a thread, at most: 128 leave room for two programs of 8 warps.
    """

    queries: int = 128
    keys: int = 64
    warps: int = 8
    stages: int = 2
    splits_queries: bool = True
    splits_keys: bool = True
    has_descriptors: bool = True
    registers: int | None = 128


_TILING = Tiling()


@triton.jit
def _load(x, start, tokens, N, x_n, E: tl.constexpr, E_PADDED: tl.constexpr):
    """Tokens of one head, zeros where there are none."""
    tokens = start + tokens
    elements = tl.arange(0, E_PADDED)
    mask = (tokens < N)[:, None] & (elements < E)[None, :]
    return tl.load(x + tokens[:, None] * x_n + elements[None, :], mask=mask, other=0.0)


@triton.jit
def _step(
    q_QE, k_KE, v_KE, maximum_Q, total_Q, sums, left, scale,
    SIDE_K: tl.constexpr, MASKS: tl.constexpr, ARE_FEW: tl.constexpr,
):  # fmt: skip
    """Some more keys: the running maximum, the softmax's denominator and the weighted values.

    A few queries are the products' columns, and ``sums`` [E, Q] instead of [Q, E]: keys make whole tiles of rows.
    """
    is_there_K = tl.arange(0, SIDE_K) < left
    if ARE_FEW:
        scores_KQ = tl.dot(k_KE, tl.trans(q_QE), input_precision="ieee")
        if MASKS:
            scores_KQ = tl.where(is_there_K[:, None], scores_KQ, float("-inf"))
        new_maximum_Q = tl.maximum(maximum_Q, tl.max(scores_KQ, 0) * scale)
        weights_KQ = tl.exp2(scores_KQ * scale - new_maximum_Q[None, :])
        shrink_Q = tl.exp2(maximum_Q - new_maximum_Q)
        total_Q = total_Q * shrink_Q + tl.sum(weights_KQ, 0)
        sums = tl.dot(
            tl.trans(v_KE), weights_KQ.to(v_KE.dtype), sums * shrink_Q[None, :], input_precision="ieee"
        )
    else:
        scores_QK = tl.dot(q_QE, tl.trans(k_KE), input_precision="ieee")
        if MASKS:
            scores_QK = tl.where(is_there_K[None, :], scores_QK, float("-inf"))
        new_maximum_Q = tl.maximum(maximum_Q, tl.max(scores_QK, 1) * scale)
        weights_QK = tl.exp2(scores_QK * scale - new_maximum_Q[:, None])
        shrink_Q = tl.exp2(maximum_Q - new_maximum_Q)
        total_Q = total_Q * shrink_Q + tl.sum(weights_QK, 1)
        sums = tl.dot(weights_QK.to(v_KE.dtype), v_KE, sums * shrink_Q[:, None], input_precision="ieee")
    return new_maximum_Q, total_Q, sums


@triton.jit
def _attend(
    q, k, v, out, k_whole, v_whole, frame, head, start, scale, q_n, k_n, v_n, out_n,
    N: tl.constexpr, E: tl.constexpr, E_PADDED: tl.constexpr, SIDE_Q: tl.constexpr, SIDE_K: tl.constexpr,
    SPLITS_K: tl.constexpr, FEWEST: tl.constexpr, HAS_DESCRIPTORS: tl.constexpr, ARE_FEW: tl.constexpr,
):  # fmt: skip
    """One tile of queries over all keys."""
    places = tl.arange(0, SIDE_K)
    q_QE = _load(q, start, tl.arange(0, SIDE_Q), N, q_n, E, E_PADDED)
    maximum_Q = tl.full([SIDE_Q], float("-inf"), tl.float32)
    total_Q = tl.zeros([SIDE_Q], tl.float32)
    sums = tl.zeros([E_PADDED, SIDE_Q], tl.float32) if ARE_FEW else tl.zeros([SIDE_Q, E_PADDED], tl.float32)
    STEPS: tl.constexpr = N // SIDE_K if SPLITS_K else (N + SIDE_K - 1) // SIDE_K
    MASKS: tl.constexpr = STEPS * SIDE_K > N
    if SPLITS_K:
        # Asked for before the others, used after them.
        REST: tl.constexpr = N // SIDE_K * SIDE_K
        rest_KE = _load(k, REST, tl.arange(0, FEWEST), N, k_n, E, E_PADDED)
        rest_v_KE = _load(v, REST, tl.arange(0, FEWEST), N, v_n, E, E_PADDED)
    for step in range(STEPS):
        key = step * SIDE_K
        if HAS_DESCRIPTORS:
            k_KE = k_whole.load([frame, key, head, 0]).reshape(SIDE_K, E_PADDED)
            v_KE = v_whole.load([frame, key, head, 0]).reshape(SIDE_K, E_PADDED)
        else:
            k_KE = _load(k, key, places, N, k_n, E, E_PADDED)
            v_KE = _load(v, key, places, N, v_n, E, E_PADDED)
        maximum_Q, total_Q, sums = _step(
            q_QE, k_KE, v_KE, maximum_Q, total_Q, sums, N - key, scale, SIDE_K, MASKS, ARE_FEW
        )
    if SPLITS_K:
        maximum_Q, total_Q, sums = _step(
            q_QE, rest_KE, rest_v_KE, maximum_Q, total_Q, sums, N - REST, scale, FEWEST, True, ARE_FEW
        )
    out_QE = tl.trans(sums / total_Q[None, :]) if ARE_FEW else sums / total_Q[:, None]
    tokens = start + tl.arange(0, SIDE_Q)
    elements = tl.arange(0, E_PADDED)
    mask = (tokens < N)[:, None] & (elements < E)[None, :]
    tl.store(out + tokens[:, None] * out_n + elements[None, :], out_QE.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _frames_kernel(
    q, k, v, out, k_whole, v_whole, scale, q_f, q_h, q_n, k_f, k_h, k_n, v_f, v_h, v_n,
    H: tl.constexpr, N: tl.constexpr, E: tl.constexpr, E_PADDED: tl.constexpr, TILES: tl.constexpr,
    SIDE_Q: tl.constexpr, SIDE_K: tl.constexpr, SPLITS_Q: tl.constexpr, SPLITS_K: tl.constexpr,
    FEWEST: tl.constexpr, HAS_DESCRIPTORS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    tile, head, frame = program % TILES, program // TILES % H, program // TILES // H
    wide = frame.to(tl.int64)
    q += wide * q_f + head * q_h
    k += wide * k_f + head * k_h
    v += wide * v_f + head * v_h
    out += wide * (N * H * E) + head * E
    if SPLITS_Q and tile == TILES - 1:
        _attend(
            q, k, v, out, k_whole, v_whole, frame, head, tile * SIDE_Q, scale, q_n, k_n, v_n, H * E,
            N, E, E_PADDED, FEWEST, SIDE_K, SPLITS_K, FEWEST, HAS_DESCRIPTORS, True,
        )  # fmt: skip
    else:
        _attend(
            q, k, v, out, k_whole, v_whole, frame, head, tile * SIDE_Q, scale, q_n, k_n, v_n, H * E,
            N, E, E_PADDED, SIDE_Q, SIDE_K, SPLITS_K, FEWEST, HAS_DESCRIPTORS, False,
        )  # fmt: skip


def _is_few(count: int, side: int) -> bool:
    """Whether what whole tiles leave over is little, and there are whole tiles."""
    return count >= side and 0 < count % side <= _FEWEST


def frame_attention(q_FHNE: Tensor, k_FHNE: Tensor, v_FHNE: Tensor, *, tiling: Tiling = _TILING) -> Tensor:
    """Softmax attention without a mask, [F, H, N, E]; in memory [F, N, H, E], so that joining the heads is a view.

    The last axes must be dense, the others need not be; up to about 1,100 tokens of up to 128 elements.
    """
    frames, heads, tokens, size = q_FHNE.shape
    out_FNHE = torch.empty((frames, tokens, heads, size), dtype=q_FHNE.dtype, device=q_FHNE.device)
    if not out_FNHE.numel():
        return out_FNHE.transpose(1, 2)
    padded = max(_FEWEST, triton.next_power_of_2(size))
    splits_queries = tiling.splits_queries and _is_few(tokens, tiling.queries)
    splits_keys = tiling.splits_keys and _is_few(tokens, tiling.keys)
    tiles = triton.cdiv(tokens, tiling.queries)
    whole = (k_FHNE, v_FHNE)
    if tiling.has_descriptors:
        whole = tuple(
            TensorDescriptor.from_tensor(x.transpose(1, 2), [1, tiling.keys, 1, padded]) for x in whole
        )
    _frames_kernel[(tiles * heads * frames,)](
        q_FHNE, k_FHNE, v_FHNE, out_FNHE, *whole, size**-0.5 * math.log2(math.e),
        *q_FHNE.stride()[:3], *k_FHNE.stride()[:3], *v_FHNE.stride()[:3],
        H=heads, N=tokens, E=size, E_PADDED=padded, TILES=tiles, SIDE_Q=tiling.queries, SIDE_K=tiling.keys,
        SPLITS_Q=splits_queries, SPLITS_K=splits_keys, FEWEST=_FEWEST, HAS_DESCRIPTORS=tiling.has_descriptors,
        num_warps=tiling.warps, num_stages=tiling.stages, maxnreg=tiling.registers,
    )  # fmt: skip
    return out_FNHE.transpose(1, 2)
