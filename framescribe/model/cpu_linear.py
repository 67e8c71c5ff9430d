"""Linear layers in int8 and int4 on a CPU, by the kernels that torch has for them.

int8 scales weights per output row and activations per token. Its products are oneDNN's where the CPU has VNNI: exact
sums of integers, at twice bf16's speed and without a copy of the weights in a wider type. Elsewhere the same numbers
are multiplied plainly. int4 keeps weights only in 4 bits, in groups of a row; activations are rounded to bf16.

Shape legend: T tokens, D inputs, O outputs, G groups of a row.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INT4_GROUP = 64
# Of the layer's outputs, in torch's kernel for 4 bits.
INT4_OUTPUTS = 64
_LARGEST = 127
# Activations go in as unsigned numbers around this one.
_ZERO = 128
# A row of zeros has no scale of its own.
_SMALLEST_SCALE = 1e-12


def _has_integer_products() -> bool:
    """Without VNNI oneDNN sums pairs in 16 bits, which overflow."""
    return torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported()


class Int8Linear(nn.Module):
    """The int8 form of a linear layer.

    Args:
        linear: weight [O, D], on the CPU.
    """

    scales_O: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_OD = linear.weight.data
        scales_O = (weight_OD.abs().amax(1).float() / _LARGEST).clamp(min=_SMALLEST_SCALE)
        values_OD = (weight_OD / scales_O[:, None]).round_().to(torch.int8)
        if _has_integer_products():
            values_OD = torch.ops.onednn.qlinear_prepack(values_OD, None)
        self.weight = nn.Parameter(values_OD, requires_grad=False)
        self.bias = linear.bias
        self.register_buffer("scales_O", scales_O, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x_TD = x.flatten(0, -2)
        low_T1, high_T1 = x_TD.aminmax(dim=-1, keepdim=True)
        scales_T1 = (torch.maximum(-low_T1, high_T1).float() / _LARGEST).clamp(min=_SMALLEST_SCALE)
        # Rounded as they are cut off to integers, all of which are positive.
        offset = scales_T1.new_tensor(_ZERO + 0.5)
        values_TD = torch.addcmul(offset, x_TD.float(), scales_T1.reciprocal()).to(torch.uint8)
        out_TO = self._product(values_TD)
        out_TO = out_TO.mul_(scales_T1) if self.bias is None else torch.addcmul(self.bias, out_TO, scales_T1)
        out: Tensor = out_TO.to(x.dtype).unflatten(0, x.shape[:-1])
        return out

    def _product(self, values_TD: Tensor) -> Tensor:
        """The integers times the weights, scaled per output, fp32 [T, O]."""
        if self.weight.is_mkldnn:
            zeros_O = torch.zeros_like(self.scales_O, dtype=torch.int32)
            out_TO: Tensor = torch.ops.onednn.qlinear_pointwise(
                values_TD, 1.0, _ZERO, self.weight, self.scales_O, zeros_O, None, 1.0, 0, torch.float32,
                "none", [], "",
            )  # fmt: skip
            return out_TO
        return F.linear(values_TD.float() - _ZERO, self.weight.float()) * self.scales_O


class Int4Linear(nn.Module):
    """The int4 form of a linear layer: w = (q - 8) · scale + zero, with q from 0 to 15.

    Args:
        linear: weight [O, D], on the CPU; D divides into groups of 64, O into 64.
    """

    scales_and_zeros_GO2: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        groups_OGI = linear.weight.data.float().unflatten(1, (-1, INT4_GROUP))
        low_OG1, high_OG1 = groups_OGI.aminmax(dim=-1, keepdim=True)
        scales_OG1 = ((high_OG1 - low_OG1) / 15).clamp(min=_SMALLEST_SCALE).bfloat16()
        zeros_OG1 = (low_OG1 + 8 * scales_OG1.float()).bfloat16()
        values_OGI = ((groups_OGI - zeros_OG1.float()) / scales_OG1.float()).round_().add_(8).clamp_(0, 15)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(values_OGI.flatten(1).int(), 1)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = linear.bias
        scales_and_zeros_GO2 = torch.cat((scales_OG1, zeros_OG1), dim=-1).transpose(0, 1).contiguous()
        self.register_buffer("scales_and_zeros_GO2", scales_and_zeros_GO2, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        out_TO: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x.flatten(0, -2).bfloat16(), self.weight, INT4_GROUP, self.scales_and_zeros_GO2
        )
        out_TO = out_TO.to(x.dtype)
        out_TO = out_TO if self.bias is None else out_TO + self.bias
        out: Tensor = out_TO.unflatten(0, x.shape[:-1])
        return out
