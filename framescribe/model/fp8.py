"""Linear layers in fp8 (e4m3): weights scaled per output row, activations per token.

Products are ``torch._scaled_mm`` with row-wise scales. Elsewhere than on CUDA the same numbers are multiplied plainly,
for tests.

Shape legend: T tokens, D inputs, O outputs.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framescribe.model.kernels import have_kernels

FP8 = torch.float8_e4m3fn
_LARGEST = torch.finfo(FP8).max
# A row of zeros has no scale of its own.
_SMALLEST_SCALE = 1e-12


class QuantizedTensor(NamedTuple):
    """Activations in fp8: ``values`` [..., D] times ``scales`` fp32 [..., 1]."""

    values: Tensor
    scales: Tensor


# What a linear layer takes: activations, or their quantized form where the step before made it.
Operand = Tensor | QuantizedTensor


def quantize_rows(x: Tensor) -> QuantizedTensor:
    """Scales each row so that its largest element is the largest of e4m3."""
    if have_kernels(x):
        from framescribe.model.kernels import rows

        return QuantizedTensor(*rows.quantize(x))
    scales = (x.abs().amax(-1, keepdim=True).float() / _LARGEST).clamp(min=_SMALLEST_SCALE)
    return QuantizedTensor((x.float() / scales).clamp(-_LARGEST, _LARGEST).to(FP8), scales)


class Fp8Linear(nn.Module):
    """The fp8 form of a linear layer; what comes out has the dtype of that layer's weight, bf16 on CUDA.

    Args:
        linear: weight [O, D], both multiples of 16.
    """

    scales_1O: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = quantize_rows(linear.weight.data)
        self.weight = nn.Parameter(weight.values, requires_grad=False)
        self.bias = linear.bias
        self.dtype = linear.weight.dtype
        self.register_buffer("scales_1O", weight.scales.t().contiguous(), persistent=False)

    @functools.cached_property
    def largest(self) -> tuple[Tensor, Tensor]:
        """The largest norm of a row of weights, and bias in absolute value: both bound an output's size."""
        norms_O = torch.cat([part.float().norm(dim=-1) for part in self.weight.split(1024)])
        bias = self.scales_1O.new_zeros(()) if self.bias is None else self.bias.abs().max().float()
        return (norms_O * self.scales_1O[0]).max(), bias

    def forward(self, x: Operand) -> Tensor:
        rows = x if isinstance(x, QuantizedTensor) else quantize_rows(x)
        if not rows.values.is_cuda:
            weight = (self.weight.float() * self.scales_1O.t()).to(self.dtype)
            return F.linear((rows.values.float() * rows.scales).to(self.dtype), weight, self.bias)
        out_TO: Tensor = torch._scaled_mm(
            rows.values.flatten(0, -2),
            self.weight.t(),
            scale_a=rows.scales.flatten(0, -2),
            scale_b=self.scales_1O,
            bias=self.bias,
            out_dtype=self.dtype,
            use_fast_accum=True,
        )
        out: Tensor = out_TO.unflatten(0, rows.values.shape[:-1])
        return out
