"""The product of ``products.py`` with warps of their own for each task, in Gluon: one asks for operands, two groups of
four multiply half a tile's rows each. While one group finishes its half, the other keeps the tensor cores busy.

Shape legend: T tokens, D inputs, O outputs. Hopper only; Triton 3.6, whose Gluon is experimental.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from framescribe.model.kernels.paged import _multiprocessors

_FP8_MAX = gl.constexpr(448.0)
# Rows of a warp group's products, and of both groups'.
_HALF, _SIDE_T = 64, 128


class Tiling(NamedTuple):
    """As in ``products.py``; ``registers`` of a thread that multiplies."""

    outputs: int = 256
    inputs: int = 64
    stages: int = 3
    group: int = 8
    registers: int = 232


@gluon.jit
def _place(tile, tiles_T, tiles_O, SIDE_O: gl.constexpr, GROUP: gl.constexpr):
    """First token and first output of a tile."""
    in_group = GROUP * tiles_O
    first = tile // in_group * GROUP
    size = gl.minimum(tiles_T - first, GROUP)
    return (first + tile % in_group % size) * 128, tile % in_group // size * SIDE_O


@gluon.jit
def _load(
    x, weight, x_bufs, weight_bufs, ready, empty, tiles_T, tiles_O,
    STEPS: gl.constexpr, STEP_D: gl.constexpr, SIDE_O: gl.constexpr, GROUP: gl.constexpr, STAGES: gl.constexpr,
    PROGRAMS: gl.constexpr,
):  # fmt: skip
    """Fills stages as they come free."""
    count = 0
    for tile in range(gl.program_id(0), tiles_T * tiles_O, PROGRAMS):
        token, output = _place(tile, tiles_T, tiles_O, SIDE_O, GROUP)
        for step in range(STEPS):
            stage = count % STAGES
            mbarrier.wait(empty.index(stage), (count // STAGES & 1) ^ 1)
            bar = ready.index(stage)
            mbarrier.expect(bar, 2 * x.block_type.nbytes + weight.block_type.nbytes)
            tma.async_copy_global_to_shared(x, [token, step * STEP_D], bar, x_bufs.index(2 * stage))
            tma.async_copy_global_to_shared(x, [token + 64, step * STEP_D], bar, x_bufs.index(2 * stage + 1))
            tma.async_copy_global_to_shared(weight, [output, step * STEP_D], bar, weight_bufs.index(stage))
            count += 1


@gluon.jit
def _multiply(
    out, bias, scales, row_scales, out_scales, x_bufs, weight_bufs, out_bufs, ready, empty, rows, columns,
    tiles_T, tiles_O, HALF: gl.constexpr, STEPS: gl.constexpr, SIDE_O: gl.constexpr, GROUP: gl.constexpr,
    STAGES: gl.constexpr, PROGRAMS: gl.constexpr, IS_FP8: gl.constexpr, HAS_BIAS: gl.constexpr,
    IS_GELU: gl.constexpr, QUANTISES: gl.constexpr,
):  # fmt: skip
    """One group: its half of every tile of this program."""
    INSTRUCTION_D: gl.constexpr = 32 if IS_FP8 else 16
    LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, SIDE_O, INSTRUCTION_D])
    count = 0
    for tile in range(gl.program_id(0), tiles_T * tiles_O, PROGRAMS):
        token, output = _place(tile, tiles_T, tiles_O, SIDE_O, GROUP)
        token += 64 * HALF
        sum_TO = gl.zeros((64, SIDE_O), gl.float32, LAYOUT)
        for step in range(STEPS):
            stage = count % STAGES
            mbarrier.wait(ready.index(stage), count // STAGES & 1)
            # The product before has ended when this one has begun: its stage is free.
            sum_TO = warpgroup_mma(
                x_bufs.index(2 * stage + HALF), weight_bufs.index(stage).permute((1, 0)), sum_TO,
                use_acc=step > 0, is_async=True,
            )  # fmt: skip
            sum_TO = warpgroup_mma_wait(1, deps=[sum_TO])
            gl.thread_barrier()
            mbarrier.arrive(empty.index((count + STAGES - 1) % STAGES), count=1, pred=step > 0)
            count += 1
        sum_TO = warpgroup_mma_wait(0, deps=[sum_TO])
        gl.thread_barrier()
        mbarrier.arrive(empty.index((count + STAGES - 1) % STAGES), count=1)

        outputs = output + gl.arange(0, SIDE_O, gl.SliceLayout(0, LAYOUT))
        tokens = token + gl.arange(0, 64, gl.SliceLayout(1, LAYOUT))
        if IS_FP8:
            scales_O = gl.load(scales + outputs, mask=outputs < columns, other=0.0)
            scales_T = gl.load(row_scales + tokens, mask=tokens < rows, other=0.0)
            sum_TO = sum_TO * gl.expand_dims(scales_T, 1) * gl.expand_dims(scales_O, 0)
        if HAS_BIAS:
            bias_O = gl.load(bias + outputs, mask=outputs < columns, other=0.0).to(gl.float32)
            sum_TO += gl.expand_dims(bias_O, 0)
        if IS_GELU:
            inner = 0.7978845608028654 * sum_TO + 0.035677408136300125 * sum_TO * sum_TO * sum_TO
            tanh = gl.inline_asm_elementwise(
                "tanh.approx.f32 $0, $1;", "=f,f", [inner], dtype=gl.float32, is_pure=True, pack=1
            )
            sum_TO = 0.5 * sum_TO + 0.5 * sum_TO * tanh
        if QUANTISES:
            inverse_T = 1.0 / gl.load(out_scales + tokens, mask=tokens < rows, other=1.0)
            sum_TO = sum_TO * gl.expand_dims(inverse_T, 1)
            sum_TO = gl.minimum(gl.maximum(sum_TO, -_FP8_MAX), _FP8_MAX)
        tma.store_wait(0)
        gl.thread_barrier()
        buf = out_bufs.index(HALF)
        buf.store(sum_TO.to(out.dtype))
        fence_async_shared()
        gl.thread_barrier()
        tma.async_copy_shared_to_global(out, [token, output], buf)
    tma.store_wait(0)


@gluon.jit
def _product_kernel(
    x, weight, out, bias, scales, row_scales, out_scales, rows, columns, D: gl.constexpr,
    PROGRAMS: gl.constexpr, SIDE_O: gl.constexpr, STEP_D: gl.constexpr, STAGES: gl.constexpr,
    GROUP: gl.constexpr, REGISTERS: gl.constexpr, IS_FP8: gl.constexpr, HAS_BIAS: gl.constexpr,
    IS_GELU: gl.constexpr, QUANTISES: gl.constexpr,
):  # fmt: skip
    x_bufs = gl.allocate_shared_memory(x.dtype, [2 * STAGES, 64, STEP_D], x.layout)
    weight_bufs = gl.allocate_shared_memory(weight.dtype, [STAGES, SIDE_O, STEP_D], weight.layout)
    out_bufs = gl.allocate_shared_memory(out.dtype, [2, 64, SIDE_O], out.layout)
    ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for stage in gl.static_range(STAGES):
        mbarrier.init(ready.index(stage), count=1)
        mbarrier.init(empty.index(stage), count=2)
    fence_async_shared()
    tiles_T, tiles_O = gl.cdiv(rows, 128), gl.cdiv(columns, SIDE_O)
    STEPS: gl.constexpr = (D + STEP_D - 1) // STEP_D
    ZERO: gl.constexpr = 0
    ONE: gl.constexpr = 1
    gl.warp_specialize(
        [
            (_multiply, (
                out, bias, scales, row_scales, out_scales, x_bufs, weight_bufs, out_bufs, ready, empty, rows, columns,
                tiles_T, tiles_O, ZERO, STEPS, SIDE_O, GROUP, STAGES, PROGRAMS, IS_FP8, HAS_BIAS, IS_GELU, QUANTISES,
            )),
            (_multiply, (
                out, bias, scales, row_scales, out_scales, x_bufs, weight_bufs, out_bufs, ready, empty, rows, columns,
                tiles_T, tiles_O, ONE, STEPS, SIDE_O, GROUP, STAGES, PROGRAMS, IS_FP8, HAS_BIAS, IS_GELU, QUANTISES,
            )),
            (_load, (
                x, weight, x_bufs, weight_bufs, ready, empty, tiles_T, tiles_O,
                STEPS, STEP_D, SIDE_O, GROUP, STAGES, PROGRAMS,
            )),
        ],
        [4, 1],
        [REGISTERS, 40],
    )  # fmt: skip


_DTYPES = {
    torch.bfloat16: gl.bfloat16, torch.float16: gl.float16, torch.float32: gl.float32,
    torch.float8_e4m3fn: gl.float8e4nv,
}  # fmt: skip


def _describe(x: Tensor, block: list[int]) -> Any:
    layout = gl.NVMMASharedLayout.get_default_for(block, _DTYPES[x.dtype])
    return TensorDescriptor.from_tensor(x, block, layout)


def linear(
    x_TD: Tensor,
    weight_OD: Tensor,
    bias_O: Tensor | None,
    *,
    gelu: bool = False,
    x_scales_T1: Tensor | None = None,
    weight_scales_1O: Tensor | None = None,
    out_scales_T1: Tensor | None = None,
    dtype: torch.dtype | None = None,
    tiling: Tiling | None = None,
) -> Tensor:
    """As ``products.linear``, the GELU by the hardware's tanh."""
    (tokens, inputs), outputs, is_fp8 = x_TD.shape, len(weight_OD), x_TD.dtype == torch.float8_e4m3fn
    quantises = out_scales_T1 is not None
    dtype = torch.float8_e4m3fn if quantises else dtype or x_TD.dtype
    out_TO = torch.empty((tokens, outputs), dtype=dtype, device=x_TD.device)
    if not tokens:
        return out_TO
    tiling = tiling or Tiling(inputs=128 if is_fp8 else 64)
    programs = _multiprocessors(x_TD.device)
    _product_kernel[(programs,)](
        _describe(x_TD, [_HALF, tiling.inputs]), _describe(weight_OD, [tiling.outputs, tiling.inputs]),
        _describe(out_TO, [_HALF, tiling.outputs]),
        x_TD if bias_O is None else bias_O,
        x_TD if weight_scales_1O is None else weight_scales_1O,
        x_TD if x_scales_T1 is None else x_scales_T1,
        x_TD if out_scales_T1 is None else out_scales_T1,
        tokens, outputs, D=inputs, PROGRAMS=programs, SIDE_O=tiling.outputs, STEP_D=tiling.inputs,
        STAGES=tiling.stages, GROUP=tiling.group, REGISTERS=tiling.registers,
        IS_FP8=is_fp8, HAS_BIAS=bias_O is not None, IS_GELU=gelu, QUANTISES=quantises,
        num_warps=4, maxnreg=168,
    )  # fmt: skip
    return out_TO
