"""8- and 4-bit weights for the linear layers, by torchao where it can and bitsandbytes where it cannot.

Only the weights are quantised; activations keep the model's dtype. Embedding, ``lm_head``, norms and convolutions stay
as they are: small, and the most sensitive.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, get_args

from torch import nn

if TYPE_CHECKING:
    from framescribe.model.checkpoint import Quantize

Bits = Literal[8, 4]
BITS: tuple[Bits, ...] = get_args(Bits)
_NF4_BLOCK = 64
# Bytes per weight: int8, its scale per row left out; 4 bits and, for each block, a scale that is itself 8 bits, in
# blocks of 256 with an fp32 scale each.
BYTES_PER_WEIGHT: dict[Bits, float] = {8: 1.0, 4: 0.5 + (1 + 4 / 256) / _NF4_BLOCK}


def is_quantised(path: str, module: nn.Module, bits: Bits | None) -> bool:
    """Whether ``quantizer(bits)`` replaces the module at ``path``.

    NF4 scales blocks of 64 weights of a row, so a row must divide into them (those of the official sizes do).
    """
    if bits is None or not isinstance(module, nn.Linear) or path == "lm_head":
        return False
    return bits == 8 or module.in_features % _NF4_BLOCK == 0


def quantizer(bits: Bits) -> Quantize:
    """What ``load_model`` applies to each linear layer.

    8 bits: torchao int8, one scale per output row. 4 bits: bitsandbytes NF4 (arXiv 2305.14314), which runs on CPU and
    CUDA alike; torchao's int4 runs on CUDA only.

    Raises:
        ValueError: not 8 or 4, or the library is not installed.
    """
    if bits not in BITS:
        raise ValueError(f"--quant takes 8 or 4, not {bits}")
    try:
        return _torchao_int8() if bits == 8 else _bitsandbytes_nf4()
    except ImportError as error:
        raise ValueError(f"--quant {bits} needs {error.name}: pip install 'framescribe[quant]'") from error


def _torchao_int8() -> Quantize:
    # torch 2.13 warns of how torchao 0.18 registers its types; users can do nothing about it.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    config = Int8WeightOnlyConfig()

    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if is_quantised(path, linear, 8):
            quantize_(linear, config)
        return linear

    return quantize


def _bitsandbytes_nf4() -> Quantize:
    from bitsandbytes.nn.modules import LinearNF4, Params4bit

    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if not is_quantised(path, linear, 4):
            return linear
        replacement = LinearNF4(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=linear.weight.dtype,
            device="meta",
        )
        replacement.bias = linear.bias
        replacement.weight = Params4bit(
            linear.weight.data, requires_grad=False, quant_type="nf4", module=replacement
        )
        # The library quantises when a weight is moved to the device it will stay on.
        return replacement.to(linear.weight.device)

    return quantize
