"""A linear layer in fp8, its bias, GELU, and the rounding to fp8 for the next one, as one kernel for Hopper.

Apart they are a product that writes bf16 and a pass that reads it again; and that pass has to see a whole row before it
can scale it. Here the scale is known before: no output can be larger than its row's norm times the weights' (Cauchy and
Schwarz), and e4m3, being floating point, is as exact a few powers of two below its largest number.

Shape legend: T tokens, D inputs, O outputs. There are as many programs as multiprocessors; each takes one tile of the
output after another, in an order that leaves the weights and rows of neighbours in L2. Operands and results go through
the tensor memory accelerator, which reads zeros past the ends and writes nothing there.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from framescribe.model.kernels.paged import multiprocessors

_FP8_MAX = tl.constexpr(448.0)


class Tiling(NamedTuple):
    """How the product is cut up and compiled; by default the best of those measured on an H100 for the official tower.

    Attributes:
        tokens, outputs, inputs: a tile's sides, and how much of the sum one step takes.
        stages: steps whose operands are loaded ahead, also across the end of a tile.
        parts: pieces that a tile is stored in, 1, 2 or 4: less shared memory, more of it for stages.
        programs: on each multiprocessor. With two, one multiplies while the other applies GELU and stores.
        group: tiles of tokens that share the tiles of weights in L2.
        has_fast_tanh: the hardware's tanh, within 2^-11, in place of an exponential and a quotient.
    """

    tokens: int = 128
    outputs: int = 256
    inputs: int = 128
    warps: int = 8
    stages: int = 3
    parts: int = 2
    programs: int = 1
    group: int = 16
    has_fast_tanh: bool = True


@triton.jit
def _gelu(x, share, HAS_FAST_TANH: tl.constexpr):
    """GELU in its tanh form, times ``share``, in as few operations as there are: nothing else runs meanwhile."""
    inner = x * (0.7978845608028654 + 0.035677408136300125 * (x * x))
    if HAS_FAST_TANH:
        tanh = tl.inline_asm_elementwise(
            "tanh.approx.f32 $0, $1;", "=f,f", [inner], dtype=tl.float32, is_pure=True, pack=1
        )
        half = x * (0.5 * share)
        return half * tanh + half
    # 0.5 (1 + tanh(a)) = 1 / (1 + exp(-2 a))
    return x * share / (1.0 + tl.exp2(-2.8853900817779268 * inner))


@triton.jit
def _finish(
    sum_TO, out, bias, scales, row_scales, row_norms, largest_norm, largest_bias, out_scales,
    token, output, rows, columns,
    HAS_FAST_TANH: tl.constexpr, SIDE_T: tl.constexpr, SIDE_O: tl.constexpr,
):  # fmt: skip
    """Applies scales, bias and GELU, then writes one piece of the result."""
    outputs = output + tl.arange(0, SIDE_O)
    tokens = token + tl.arange(0, SIDE_T)
    scales_O = tl.load(scales + outputs, mask=outputs < columns, other=0.0)
    scales_T = tl.load(row_scales + tokens, mask=tokens < rows, other=0.0)
    bias_O = tl.load(bias + outputs, mask=outputs < columns, other=0.0).to(tl.float32)
    bound_T = tl.load(row_norms + tokens, mask=tokens < rows, other=0.0) * tl.load(largest_norm)
    # A little more for what sums in fp32 round: nothing leaves the scale, so nothing is clamped.
    out_scale_T = tl.maximum((bound_T + tl.load(largest_bias)) * (1.001 / _FP8_MAX), 1e-12)
    if output == 0:
        tl.store(out_scales + tokens, out_scale_T, mask=tokens < rows)
    sum_TO = sum_TO * scales_T[:, None] * scales_O[None, :] + bias_O[None, :]
    out.store([token, output], _gelu(sum_TO, (1.0 / out_scale_T)[:, None], HAS_FAST_TANH).to(out.dtype))


@triton.jit
def _halves(x_TO):
    """Splits a tile into its left and right half."""
    return tl.split(tl.permute(tl.reshape(x_TO, (x_TO.shape[0], 2, x_TO.shape[1] // 2)), (0, 2, 1)))


@triton.jit
def _product_kernel(
    x, weight, out, bias, scales, row_scales, row_norms, largest_norm, largest_bias, out_scales, rows, columns,
    D: tl.constexpr, PROGRAMS: tl.constexpr,
    SIDE_T: tl.constexpr, SIDE_O: tl.constexpr, STEP_D: tl.constexpr, PARTS: tl.constexpr, GROUP: tl.constexpr,
    HAS_FAST_TANH: tl.constexpr,
):  # fmt: skip
    tiles_T, tiles_O = tl.cdiv(rows, SIDE_T), tl.cdiv(columns, SIDE_O)
    in_group = GROUP * tiles_O
    for tile in tl.range(tl.program_id(0), tiles_T * tiles_O, PROGRAMS, flatten=True):
        first = tile // in_group * GROUP
        size = tl.minimum(tiles_T - first, GROUP)
        token = (first + tile % in_group % size) * SIDE_T
        output = tile % in_group // size * SIDE_O
        sum_TO = tl.zeros((SIDE_T, SIDE_O), tl.float32)
        for step in range(tl.cdiv(D, STEP_D)):
            x_TD = x.load([token, step * STEP_D])
            weight_OD = weight.load([output, step * STEP_D])
            sum_TO = tl.dot(x_TD, weight_OD.T, sum_TO)
        # Halves of halves, each as wide as one store.
        parts = _halves(sum_TO) if PARTS > 1 else (sum_TO,)
        if PARTS == 4:
            parts = _halves(parts[0]) + _halves(parts[1])  # type: ignore[misc]
        PART: tl.constexpr = SIDE_O // PARTS
        for index in tl.static_range(PARTS):
            _finish(
                parts[index], out, bias, scales, row_scales, row_norms, largest_norm, largest_bias, out_scales,
                token, output + index * PART, rows, columns,
                HAS_FAST_TANH, SIDE_T, PART,
            )  # fmt: skip


def linear_gelu(
    x_TD: Tensor,
    x_scales_T1: Tensor,
    x_norms_T1: Tensor,
    weight_OD: Tensor,
    weight_scales_1O: Tensor,
    bias_O: Tensor,
    largest: tuple[Tensor, Tensor],
    tiling: Tiling = Tiling(),  # noqa: B008 - a constant
) -> tuple[Tensor, Tensor]:
    """GELU(x @ weight.T + bias) in e4m3, [T, O], in the tanh form, and its scales, fp32 [T, 1].

    No output leaves its scale, some ten times what is needed for random numbers: e4m3 is as exact over 2^15.

    Args:
        x_TD, weight_OD: in e4m3, with the fp32 scales of their rows; dense last axes, multiples of 16.
        x_norms_T1: fp32, of the rows as they are multiplied.
        largest: one number each, fp32: the largest norm of the rows of weights as they are multiplied, and the largest
            bias in absolute value.
    """
    (tokens, inputs), outputs = x_TD.shape, len(weight_OD)
    out_TO = torch.empty((tokens, outputs), dtype=x_TD.dtype, device=x_TD.device)
    out_scales_T1 = torch.empty_like(x_scales_T1)
    if not tokens:
        return out_TO, out_scales_T1
    programs = tiling.programs * multiprocessors(x_TD.device)
    _product_kernel[(programs,)](
        TensorDescriptor.from_tensor(x_TD, [tiling.tokens, tiling.inputs]),
        TensorDescriptor.from_tensor(weight_OD, [tiling.outputs, tiling.inputs]),
        TensorDescriptor.from_tensor(out_TO, [tiling.tokens, tiling.outputs // tiling.parts]),
        bias_O, weight_scales_1O, x_scales_T1, x_norms_T1, *largest, out_scales_T1,
        tokens, outputs, D=inputs, PROGRAMS=programs,
        SIDE_T=tiling.tokens, SIDE_O=tiling.outputs, STEP_D=tiling.inputs, PARTS=tiling.parts, GROUP=tiling.group,
        HAS_FAST_TANH=tiling.has_fast_tanh, num_warps=tiling.warps, num_stages=tiling.stages,
    )  # fmt: skip
    return out_TO, out_scales_T1
