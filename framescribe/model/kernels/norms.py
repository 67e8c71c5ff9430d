"""A residual sum and its norm in one pass, the result quantized to fp8 where the next linear layer takes that.

Shape legend: T tokens, D width. One program holds one row, in fp32.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from framescribe.model.kernels.rows import as_rows, empty_quantized, quantize_row, store_quantized, warps_for

if TYPE_CHECKING:
    from framescribe.model.fp8 import UnscaledProduct


@triton.jit
def _load_summand(
    y,
    row_scales,
    column_scales,
    bias,
    row,
    columns,
    mask,
    y_t,
    IS_UNSCALED: tl.constexpr,
    HAS_BIAS: tl.constexpr,
):
    """A row of a tensor, or of an unscaled product, which is finished here."""
    y_D = tl.load(y + row * y_t + columns, mask=mask, other=0.0).to(tl.float32)
    if IS_UNSCALED:
        y_D *= tl.load(row_scales + row) * tl.load(column_scales + columns, mask=mask, other=0.0)
        if HAS_BIAS:
            y_D += tl.load(bias + columns, mask=mask, other=0.0).to(tl.float32)
    return y_D


@triton.jit
def _layer_norm_kernel(
    x, y, row_scales, column_scales, y_bias, weight, bias, out, quantized, scales, row_norms, eps,
    x_t, y_t, D: tl.constexpr, TILE: tl.constexpr, QUANTIZES: tl.constexpr,
    IS_UNSCALED: tl.constexpr, HAS_BIAS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < D
    y_D = _load_summand(y, row_scales, column_scales, y_bias, row, columns, mask, y_t, IS_UNSCALED, HAS_BIAS)
    x_D = tl.load(x + row * x_t + columns, mask=mask, other=0.0).to(tl.float32)
    weight_D = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    bias_D = tl.load(bias + columns, mask=mask, other=0.0).to(tl.float32)
    centred_D = tl.where(mask, y_D - tl.sum(y_D, 0) / D, 0.0)
    variance = tl.sum(centred_D * centred_D, 0) / D
    sum_D = (x_D + centred_D * tl.rsqrt(variance + eps) * weight_D + bias_D).to(out.dtype.element_ty)
    tl.store(out + row * D + columns, sum_D, mask=mask)
    if QUANTIZES:
        values_D, scale = quantize_row(sum_D.to(tl.float32))
        tl.store(quantized + row * D + columns, values_D, mask=mask)
        tl.store(scales + row, scale)
        values_D = values_D.to(tl.float32)
        tl.store(row_norms + row, tl.sqrt(tl.sum(values_D * values_D, 0)) * scale)


def _summand(y: Tensor | UnscaledProduct, x: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Tensors and constants that ``_load_summand`` takes; ``x`` stands for those that it does not read."""
    if isinstance(y, Tensor):
        y_TD = as_rows(y)
        return (y_TD, x, x, x), {"IS_UNSCALED": False, "HAS_BIAS": False}
    has_bias = y.bias is not None
    bias = x if y.bias is None else y.bias
    return (as_rows(y.product), y.row_scales, y.scales_1O, bias), {"IS_UNSCALED": True, "HAS_BIAS": has_bias}


def add_layer_norm(
    x: Tensor, y: Tensor | UnscaledProduct, weight: Tensor, bias: Tensor, eps: float, quantizes: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
    """x + LayerNorm(y), all [..., D]; and, if asked for, its values in fp8, their scales, and the norms of its rows."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    quantized = (out, out, out)
    if quantizes:
        values, scales = empty_quantized(x.shape, x.device)
        quantized = (values, scales, torch.empty_like(scales))
    x_TD = as_rows(x)
    tensors, constants = _summand(y, x_TD)
    tile = triton.next_power_of_2(x.shape[-1])
    # More elements a thread for more of them to load.
    warps = max(1, warps_for(tile) // 2) if constants["IS_UNSCALED"] else warps_for(tile)
    if len(x_TD):
        _layer_norm_kernel[(len(x_TD),)](
            x_TD, *tensors, weight, bias, out, *quantized, eps, x_TD.stride(0), tensors[0].stride(0),
            D=x.shape[-1], TILE=tile, QUANTIZES=quantizes, **constants, num_warps=warps,
        )  # fmt: skip
    return out, quantized if quantizes else None


@triton.jit
def _rms_norm_kernel(
    x, delta, row_scales, column_scales, delta_bias, weight, sums, normed, scales, eps,
    x_t, delta_t, D: tl.constexpr, TILE: tl.constexpr, ADDS: tl.constexpr, QUANTIZES: tl.constexpr,
    IS_UNSCALED: tl.constexpr, HAS_BIAS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < D
    x_D = tl.load(x + row * x_t + columns, mask=mask, other=0.0).to(tl.float32)
    if ADDS:
        x_D += _load_summand(
            delta, row_scales, column_scales, delta_bias, row, columns, mask, delta_t, IS_UNSCALED, HAS_BIAS
        )  # fmt: skip
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
    x: Tensor, delta: Tensor | UnscaledProduct | None, weight: Tensor, eps: float, quantizes: bool
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """x + delta (or x), and its RMSNorm, as values and scales in fp8 if asked for; all [..., D]."""
    sums = x if delta is None else torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if quantizes:
        values, scales = empty_quantized(x.shape, x.device)
    else:
        values = scales = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    x_TD = as_rows(x)
    tensors, constants = _summand(x if delta is None else delta, x_TD)
    tile = triton.next_power_of_2(x.shape[-1])
    if len(x_TD):
        _rms_norm_kernel[(len(x_TD),)](
            x_TD, *tensors, weight, sums, values, scales, eps, x_TD.stride(0), tensors[0].stride(0),
            D=x.shape[-1], TILE=tile, ADDS=delta is not None, QUANTIZES=quantizes, **constants,
            num_warps=warps_for(tile),
        )  # fmt: skip
    return sums, (values, scales) if quantizes else values
