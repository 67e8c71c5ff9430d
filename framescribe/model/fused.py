"""The steps between matrix products: one kernel each where there are kernels, plain torch elsewhere.

``into`` is the linear layer that takes the result: where that is an fp8 one, the result is quantized in the same pass.

Shape legend: T tokens, D width, O outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framescribe.model.fp8 import Fp8Linear, Operand, QuantizedTensor, UnscaledProduct, quantize_rows
from framescribe.model.kernels import have_kernels, have_tensor_memory

if TYPE_CHECKING:
    from framescribe.model.decoder import RMSNorm

# What a norm's pass adds to the residual stream.
Summand = Tensor | UnscaledProduct


def _use_kernels(x: Tensor) -> bool:
    """Whether Triton computes this step. fp32 stays with plain torch, which parity is measured with."""
    return x.dtype != torch.float32 and have_kernels(x)


def operand(x: Tensor, into: nn.Module) -> Operand:
    """``x`` as the linear layer ``into`` takes it."""
    return quantize_rows(x) if isinstance(into, Fp8Linear) else x


def product(x: Operand, linear: nn.Module) -> Summand:
    """linear(x), for the norm that takes it: of an fp8 layer without its scales and bias, which that pass applies."""
    if isinstance(linear, Fp8Linear):
        x = x if isinstance(x, QuantizedTensor) else quantize_rows(x)
        if _use_kernels(x.values):
            return linear.unscaled(x)
    out: Tensor = linear(x)
    return out


def add_layer_norm(x: Tensor, y: Summand, norm: nn.LayerNorm, into: nn.Module) -> tuple[Tensor, Operand]:
    """x + LayerNorm(y), as it is and as ``into`` takes it."""
    if not _use_kernels(x):
        assert isinstance(y, Tensor)
        x = x + norm(y)
        return x, operand(x, into)
    from framescribe.model.kernels import norms

    x, rows = norms.add_layer_norm(x, y, norm.weight, norm.bias, norm.eps, isinstance(into, Fp8Linear))
    return x, x if rows is None else QuantizedTensor(*rows)


def add_rms_norm(x: Tensor, delta: Summand | None, norm: RMSNorm, into: nn.Module) -> tuple[Tensor, Operand]:
    """x + delta (x if None), and its norm as ``into`` takes it."""
    if not _use_kernels(x):
        assert not isinstance(delta, UnscaledProduct)
        x = x if delta is None else x + delta
        return x, operand(norm(x), into)
    from framescribe.model.kernels import norms

    x, normed = norms.add_rms_norm(x, delta, norm.weight, norm.eps, isinstance(into, Fp8Linear))
    return x, normed if isinstance(normed, Tensor) else QuantizedTensor(*normed)


def add_norm(x: Tensor, delta: Summand | None, norm: RMSNorm) -> Tensor:
    """The norm of x + delta (of x if None)."""
    _, normed = add_rms_norm(x, delta, norm, into=norm)
    assert isinstance(normed, Tensor)
    return normed


def residual_pair(x: Tensor, delta: Summand) -> tuple[Tensor, Summand | None]:
    """Both summands where the norm that follows adds them in one pass; elsewhere (sum, None), one tensor to keep."""
    if _use_kernels(x):
        return x, delta
    assert isinstance(delta, Tensor)
    return x + delta, None


def silu_mul(gate: Tensor, up: Tensor, into: nn.Module) -> Operand:
    """SiLU(gate) * up, as ``into`` takes it."""
    if not _use_kernels(gate):
        return operand(F.silu(gate) * up, into)
    from framescribe.model.kernels import rows

    if isinstance(into, Fp8Linear):
        return QuantizedTensor(*rows.quantize(gate, "silu", up))
    return rows.apply(gate, "silu", up)


def linear_gelu(x: Operand, linear: nn.Module, into: nn.Module) -> Operand:
    """GELU(linear(x)), as ``into`` takes it."""
    if isinstance(linear, Fp8Linear) and isinstance(into, Fp8Linear):
        rows_in = x if isinstance(x, QuantizedTensor) else quantize_rows(x)
        if have_tensor_memory(rows_in.values) and linear.bias is not None:
            return _fp8_linear_gelu(rows_in, linear)
        x = rows_in
    if _is_plain(linear) and isinstance(x, Tensor) and _use_kernels(x):
        # cuBLASLt's epilogue, in the tanh form: its error is below bf16's rounding where it is largest.
        weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")
        out_TO = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
        return operand(out_TO.unflatten(0, x.shape[:-1]), into)
    hidden: Tensor = linear(x)
    if not _use_kernels(hidden):
        return operand(F.gelu(hidden), into)
    from framescribe.model.kernels import rows

    if isinstance(into, Fp8Linear):
        # The exact form takes longer, and e4m3 rounds by far more than the tanh form is off.
        return QuantizedTensor(*rows.quantize(hidden, "gelu_tanh"))
    return rows.apply(hidden, "gelu")


def _fp8_linear_gelu(x: QuantizedTensor, linear: Fp8Linear) -> QuantizedTensor:
    """One kernel, which scales each row before it knows it."""
    from framescribe.model.kernels import fp8_gelu

    norms = x.norms if x.norms is not None else x.values.float().norm(dim=-1, keepdim=True) * x.scales
    values_TO, scales_T1 = fp8_gelu.linear_gelu(
        x.values.flatten(0, -2),
        x.scales.flatten(0, -2),
        norms.flatten(0, -2),
        linear.weight,
        linear.scales_1O,
        linear.bias,
        linear.largest,
    )
    return QuantizedTensor(values_TO.unflatten(0, x.values.shape[:-1]), scales_T1.view(x.scales.shape))


def _is_plain(linear: nn.Module) -> bool:
    """Not a subclass, nor with a weight of one: those of quantizing libraries have products of their own."""
    return type(linear) is nn.Linear and type(linear.weight) is nn.Parameter


def rotate(x_BXLE: Tensor, cos_B1LE: Tensor, sin_B1LE: Tensor) -> Tensor:
    """Rotates pairs (i, i + E/2) of each head by the angles: RoPE in its half-rotation layout (arXiv 2104.09864).

    The kernel does it in place: ``x_BXLE`` is not to be used again.
    """
    if _use_kernels(x_BXLE):
        from framescribe.model.kernels import rope

        rope.rotate_in_place(x_BXLE, cos_B1LE, sin_B1LE)
        return x_BXLE
    first, second = x_BXLE.chunk(2, dim=-1)
    return x_BXLE * cos_B1LE + torch.cat((-second, first), dim=-1) * sin_B1LE
