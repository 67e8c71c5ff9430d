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
    """Activations in fp8: ``values`` [..., D] times ``scales`` fp32 [..., 1].

    ``norms``, fp32 [..., 1], are those of the rows as they are multiplied, where the step before has computed them.
    """

    values: Tensor
    scales: Tensor
    norms: Tensor | None = None


class UnscaledProduct(NamedTuple):
    """What an fp8 linear layer computes but for its scales and its bias, which the pass that reads it applies.

    Attributes:
        product: bf16 [..., O], of the values.
        row_scales: fp32 [..., 1], of the activations.
        scales_1O: fp32, of the weights.
        bias: [O]; None for none.
    """

    product: Tensor
    row_scales: Tensor
    scales_1O: Tensor
    bias: Tensor | None


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
    one: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = quantize_rows(linear.weight.data)
        self.weight = nn.Parameter(weight.values, requires_grad=False)
        self.bias = linear.bias
        self.dtype = linear.weight.dtype
        self.register_buffer("scales_1O", weight.scales.t().contiguous(), persistent=False)
        self.register_buffer("one", weight.scales.new_ones(()), persistent=False)

    @functools.cached_property
    def largest(self) -> tuple[Tensor, Tensor]:
        """The largest norm of a row of weights, and bias in absolute value: both bound an output's size."""
        norms_O = torch.cat([part.float().norm(dim=-1) for part in self.weight.split(1024)])
        bias = self.scales_1O.new_zeros(()) if self.bias is None else self.bias.abs().max().float()
        return (norms_O * self.scales_1O[0]).max(), bias

    def forget_largest(self) -> None:
        """Has ``largest`` computed anew, of other weights."""
        self.__dict__.pop("largest", None)

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

    def unscaled(self, x: QuantizedTensor) -> UnscaledProduct:
        """The product alone, which is faster: cuBLAS applies one scale in kernels that it has no scales of rows for."""
        values_TD = x.values.flatten(0, -2)
        if values_TD.is_cuda:
            product_TO = torch._scaled_mm(
                values_TD,
                self.weight.t(),
                scale_a=self.one,
                scale_b=self.one,
                out_dtype=self.dtype,
                use_fast_accum=True,
            )
        else:
            product_TO = (values_TD.float() @ self.weight.float().t()).to(self.dtype)
        product = product_TO.unflatten(0, x.values.shape[:-1])
        return UnscaledProduct(product, x.scales, self.scales_1O, self.bias)
