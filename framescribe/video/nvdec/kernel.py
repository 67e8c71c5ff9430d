"""The Triton kernel of ``rgb.py``."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024


@triton.jit
def _convert_kernel(planes, kinds, values, out, height, width, K: tl.constexpr, BLOCK: tl.constexpr):
    picture = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = height * width
    mask = at < size
    row, column = at // width, at % width
    first = planes + picture * (size + size // 2)
    y = tl.load(first + at, mask=mask, other=0).to(tl.int32)
    chroma = first + size + (row // 2) * width + (column // 2) * 2
    u = tl.load(chroma, mask=mask, other=0).to(tl.int32)
    v = tl.load(chroma + 1, mask=mask, other=0).to(tl.int32)
    for channel in tl.static_range(3):
        kind = tl.load(kinds + channel * 65536 + u * 256 + v, mask=mask, other=0)
        value = tl.load(values + (channel * K + kind) * 256 + y, mask=mask, other=0)
        tl.store(out + (picture * 3 + channel) * size + at, value, mask=mask)


def convert(planes_TRW: Tensor, kinds_3C: Tensor, values_3KY: Tensor, out_T3HW: Tensor) -> None:
    """Writes the RGB of NV12 pictures to ``out_T3HW``; all are contiguous."""
    pictures, _, height, width = out_T3HW.shape
    _convert_kernel[(triton.cdiv(height * width, _BLOCK), pictures)](
        planes_TRW, kinds_3C, values_3KY, out_T3HW, height, width, K=values_3KY.shape[1], BLOCK=_BLOCK
    )  # fmt: skip
