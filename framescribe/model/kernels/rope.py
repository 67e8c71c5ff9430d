"""Rotary embedding of queries and keys where they lie, in the output of the fused product.

Shape legend: B sequences, X heads that are rotated, L tokens, E head size.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _rotate_kernel(
    x, cos, sin, x_b, x_h, x_l, table_b, table_l,
    X: tl.constexpr, HALF: tl.constexpr, X_PADDED: tl.constexpr, HALF_PADDED: tl.constexpr,
):  # fmt: skip
    sequence, token = tl.program_id(1).to(tl.int64), tl.program_id(0).to(tl.int64)
    heads = tl.arange(0, X_PADDED)[:, None]
    pairs = tl.arange(0, HALF_PADDED)[None, :]
    in_half = pairs < HALF
    mask = (heads < X) & in_half
    # Both halves of a table's row are the same.
    at_table = sequence * table_b + token * table_l + pairs
    cos_1E = tl.load(cos + at_table, mask=in_half, other=0.0).to(tl.float32)
    sin_1E = tl.load(sin + at_table, mask=in_half, other=0.0).to(tl.float32)
    at = x + sequence * x_b + heads * x_h + token * x_l + pairs
    first = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    second = tl.load(at + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, (first * cos_1E - second * sin_1E).to(x.dtype.element_ty), mask=mask)
    tl.store(at + HALF, (second * cos_1E + first * sin_1E).to(x.dtype.element_ty), mask=mask)


def rotate_in_place(x_BXLE: Tensor, cos_B1LE: Tensor, sin_B1LE: Tensor) -> None:
    """Half rotation of every head; only the last axes need be dense."""
    batch, heads, tokens, size = x_BXLE.shape
    if not x_BXLE.numel():
        return
    _rotate_kernel[(tokens, batch)](
        x_BXLE, cos_B1LE, sin_B1LE, *x_BXLE.stride()[:3], cos_B1LE.stride(0), cos_B1LE.stride(2),
        X=heads, HALF=size // 2, X_PADDED=triton.next_power_of_2(heads),
        HALF_PADDED=triton.next_power_of_2(size // 2), num_warps=4,
    )  # fmt: skip
