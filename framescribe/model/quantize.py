"""8- and 4-bit weights for the linear layers, by torchao where it can and bitsandbytes where it cannot.

Only the weights are quantised; activations keep the model's dtype. Embedding, ``lm_head``, norms and convolutions stay
as they are: small, and the most sensitive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from torch import device as Device
from torch import nn

if TYPE_CHECKING:
    from framescribe.model.checkpoint import Quantize

Bits = Literal[8, 4]
BITS: tuple[Bits, ...] = get_args(Bits)
# Bytes per weight, scales included: int8 per row; 4 bits in blocks of 64 with an fp32 scale each.
BYTES_PER_WEIGHT: dict[Bits, float] = {8: 1.0, 4: 0.5 + 4 / 64}
KEPT_LAYERS = ("lm_head",)


def quantizer(bits: Bits, device: Device) -> Quantize:
    """What ``load_model`` applies to each linear layer.

    8 bits: torchao int8, one scale per output row. 4 bits: bitsandbytes NF4 (arXiv 2305.14314), which runs on CPU and
    CUDA alike; torchao's int4 runs on CUDA only.

    Raises:
        ValueError: not 8 or 4, or the library is not installed.
    """
    if bits not in BITS:
        raise ValueError(f"--quant takes 8 or 4, not {bits}")
    try:
        return _torchao_int8() if bits == 8 else _bitsandbytes_nf4(device)
    except ImportError as error:
        raise ValueError(f"--quant {bits} needs {error.name}: pip install 'framescribe[quant]'") from error


def _torchao_int8() -> Quantize:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    config = Int8WeightOnlyConfig()

    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if path not in KEPT_LAYERS:
            quantize_(linear, config)
        return linear

    return quantize


def _bitsandbytes_nf4(device: Device) -> Quantize:
    from bitsandbytes.nn import LinearNF4

    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if path in KEPT_LAYERS:
            return linear
        replacement = LinearNF4(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=linear.weight.dtype,
            device="meta",
        )
        # The library quantises when the weight moves to its device, so it sets out from the CPU's side.
        replacement.load_state_dict(linear.to("cpu").state_dict(), assign=True)
        return replacement.to(device).requires_grad_(False)

    return quantize
