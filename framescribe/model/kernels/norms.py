"""A residual sum and its norm in one pass, the result quantized to fp8 where the next linear layer takes that.

Shape legend: T tokens, D width. One program holds one row, in fp32.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from framescribe.model.kernels.rows import as_rows, empty_quantized, store_quantized, warps_for


@triton.jit
def _layer_norm_kernel(
    x, y, weight, bias, out, quantized, scales, eps,
    x_t, y_t, D: tl.constexpr, TILE: tl.constexpr, QUANTIZES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < D
    y_D = tl.load(y + row * y_t + columns, mask=mask, other=0.0).to(tl.float32)
    x_D = tl.load(x + row * x_t + columns, mask=mask, other=0.0).to(tl.float32)
    weight_D = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    bias_D = tl.load(bias + columns, mask=mask, other=0.0).to(tl.float32)
    centred_D = tl.where(mask, y_D - tl.sum(y_D, 0) / D, 0.0)
    variance = tl.sum(centred_D * centred_D, 0) / D
    sum_D = (x_D + centred_D * tl.rsqrt(variance + eps) * weight_D + bias_D).to(out.dtype.element_ty)
    tl.store(out + row * D + columns, sum_D, mask=mask)
    if QUANTIZES:
        store_quantized(sum_D.to(tl.float32), quantized, scales, row, columns, mask, D)


def add_layer_norm(
    x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, eps: float, quantizes: bool
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """x + LayerNorm(y), all [..., D]; and its values and scales in fp8 if asked for."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    values, scales = quantized = empty_quantized(x.shape, x.device) if quantizes else (out, out)
    x_TD, y_TD = as_rows(x), as_rows(y)
    tile = triton.next_power_of_2(x.shape[-1])
    if len(x_TD):
        _layer_norm_kernel[(len(x_TD),)](
            x_TD, y_TD, weight, bias, out, values, scales, eps, x_TD.stride(0), y_TD.stride(0),
            D=x.shape[-1], TILE=tile, QUANTIZES=quantizes, num_warps=warps_for(tile),
        )  # fmt: skip
    return out, quantized if quantizes else None


@triton.jit
def _rms_norm_kernel(
    x, delta, weight, sums, normed, scales, eps,
    x_t, delta_t, D: tl.constexpr, TILE: tl.constexpr, ADDS: tl.constexpr, QUANTIZES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < D
    x_D = tl.load(x + row * x_t + columns, mask=mask, other=0.0).to(tl.float32)
    if ADDS:
        x_D += tl.load(delta + row * delta_t + columns, mask=mask, other=0.0).to(tl.float32)
        # Rounded before the norm, as the sum that is kept is.
        rounded_D = x_D.to(sums.dtype.element_ty)
        tl.store(sums + row * D + columns, rounded_D, mask=mask)
        x_D = rounded_D.to(tl.float32)
    weight_D = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    normed_D = weight_D * (x_D * tl.rsqrt(tl.sum(x_D * x_D, 0) / D + eps))
    if QUANTIZES:
        store_quantized(normed_D, normed, scales, row, columns, mask, D)
    else:
        tl.store(normed + row * D + columns, normed_D.to(normed.dtype.element_ty), mask=mask)


def add_rms_norm(
    x: Tensor, delta: Tensor | None, weight: Tensor, eps: float, quantizes: bool
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """x + delta (or x), and its RMSNorm, as values and scales in fp8 if asked for; all [..., D]."""
    sums = x if delta is None else torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if quantizes:
        values, scales = empty_quantized(x.shape, x.device)
    else:
        values = scales = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    x_TD = as_rows(x)
    delta_TD = x_TD if delta is None else as_rows(delta)
    tile = triton.next_power_of_2(x.shape[-1])
    if len(x_TD):
        _rms_norm_kernel[(len(x_TD),)](
            x_TD, delta_TD, weight, sums, values, scales, eps, x_TD.stride(0), delta_TD.stride(0),
            D=x.shape[-1], TILE=tile, ADDS=delta is not None, QUANTIZES=quantizes, num_warps=warps_for(tile),
        )  # fmt: skip
    return sums, (values, scales) if quantizes else values
