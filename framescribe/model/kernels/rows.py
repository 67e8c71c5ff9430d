"""Element-wise steps over rows, with the result in bf16 or quantized to fp8 in the same pass.

Shape legend: T tokens, D width. A row that is quantized is held whole by one program, for its largest element.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_FP8_MAX = tl.constexpr(448.0)
_SMALLEST_SCALE = tl.constexpr(1e-12)
# Columns of a program that need not see its whole row: short rows of work where there are few tokens.
_TILE = 2048


@triton.jit
def quantize_row(x_D):
    """A row, 0 past its end, as e4m3 values and their scale."""
    scale = tl.maximum(tl.max(tl.abs(x_D), 0) / _FP8_MAX, _SMALLEST_SCALE)
    # Clamped, because a quotient may round past the largest.
    return tl.clamp(x_D * (1.0 / scale), -_FP8_MAX, _FP8_MAX).to(tl.float8e4nv), scale


@triton.jit
def store_quantized(x_D, out, scales, row, columns, mask, D: tl.constexpr):
    """Writes one row as fp8 and its scale; ``x_D`` is 0 where the mask is."""
    values_D, scale = quantize_row(x_D)
    tl.store(out + row * D + columns, values_D, mask=mask)
    tl.store(scales + row, scale)


@triton.jit
def _erf(x):
    """Abramowitz and Stegun 7.1.26: within 1.5e-7, in half the instructions of the library's."""
    t = 1.0 / (1.0 + 0.3275911 * tl.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    magnitude = 1.0 - series * tl.exp(-x * x)
    return tl.where(x < 0, -magnitude, magnitude)


@triton.jit
def _rows_kernel(
    x, gated, out, scales, x_t, gated_t,
    D: tl.constexpr, TILE: tl.constexpr, STEP: tl.constexpr, QUANTIZES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * TILE + tl.arange(0, TILE)
    mask = columns < D
    x_D = tl.load(x + row * x_t + columns, mask=mask, other=0.0).to(tl.float32)
    if STEP == "gelu":
        x_D = 0.5 * x_D * (1.0 + _erf(x_D * 0.7071067811865476))
    if STEP == "gelu_tanh":
        x_D = x_D / (1.0 + tl.exp(-1.5957691216057308 * (x_D + 0.044715 * x_D * x_D * x_D)))
    if STEP == "silu":
        gated_D = tl.load(gated + row * gated_t + columns, mask=mask, other=0.0).to(tl.float32)
        x_D = x_D / (1.0 + tl.exp(-x_D)) * gated_D
    if QUANTIZES:
        store_quantized(x_D, out, scales, row, columns, mask, D)
    else:
        tl.store(out + row * D + columns, x_D.to(out.dtype.element_ty), mask=mask)


def warps_for(width: int) -> int:
    """Warps of a program that holds so many elements: 16 or 32 a thread."""
    return int(min(16, max(1, triton.next_power_of_2(width) // 512)))


def as_rows(x: Tensor) -> Tensor:
    """[..., D] as [T, D] with a dense last axis; a view unless the leading axes do not collapse."""
    x_TD = x.reshape(-1, x.shape[-1])
    return x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()


def empty_quantized(shape: torch.Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """Room for fp8 values of ``shape`` and the fp32 scale of each row."""
    return (
        torch.empty(shape, dtype=torch.float8_e4m3fn, device=device),
        torch.empty((*shape[:-1], 1), dtype=torch.float32, device=device),
    )


def _launch(x: Tensor, gated: Tensor, step: str, out: Tensor, scales: Tensor | None) -> None:
    x_TD, gated_TD = as_rows(x), as_rows(gated)
    tokens, width = x_TD.shape
    if not tokens:
        return
    tile = triton.next_power_of_2(width)
    if scales is None:
        tile = min(tile, _TILE)
    _rows_kernel[(tokens, triton.cdiv(width, tile))](
        x_TD, gated_TD, out, out if scales is None else scales, x_TD.stride(0), gated_TD.stride(0),
        D=width, TILE=tile, STEP=step, QUANTIZES=scales is not None, num_warps=warps_for(tile),
    )  # fmt: skip


def quantize(x: Tensor, step: str = "none", gated: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Values and scales of ``x`` [..., D] after a step, which ``apply`` describes."""
    values, scales = empty_quantized(x.shape, x.device)
    _launch(x, x if gated is None else gated, step, values, scales)
    return values, scales


def apply(x: Tensor, step: str, gated: Tensor | None = None) -> Tensor:
    """``gelu``: the exact form; ``gelu_tanh``: the quicker one. ``silu``: SiLU(x) * gated. In ``x``'s dtype, dense."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    _launch(x, x if gated is None else gated, step, out, None)
    return out
