"""What ``quant`` does to the linear layers: int8 by torchao, NF4 by bitsandbytes, fp8 natively (``fp8.py``).

int8 and NF4 quantize weights only and save memory; fp8 quantizes activations too, and is for speed; fp8-kv keeps the KV
cache in fp8 as well, and is for more of it. On a CPU int8 quantizes activations too, and 4 bits are int4 in the decoder
and int8 in the vision tower (``cpu_linear.py``): decoding waits for memory, the vision tower computes. Embedding,
``lm_head``, norms and convolutions stay as they are: small, and the most sensitive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import nn

from framescribe.extras import require
from framescribe.model.cpu_linear import INT4_GROUP, INT4_OUTPUTS, Int4Linear, Int8Linear
from framescribe.model.fp8 import Fp8Linear

if TYPE_CHECKING:
    from framescribe.model.checkpoint import Quantize

Quant = Literal["int8", "nf4", "int4", "fp8", "fp8-kv"]
# As users spell them; on a CPU 4 is int4.
FLAGS: dict[str, Quant] = {"8": "int8", "4": "nf4", "fp8": "fp8", "fp8-kv": "fp8-kv"}
_NF4_BLOCK = 64
# torch._scaled_mm takes no other sizes.
_FP8_MULTIPLE = 16
# int8: the scale of each row left out. nf4: for each block a scale that is itself 8 bits, in blocks of 256 with an fp32
# scale each. int4: for each group scale and zero in bf16.
_BYTES_PER_WEIGHT: dict[Quant, float] = {
    "int8": 1.0, "nf4": 0.5 + (1 + 4 / 256) / _NF4_BLOCK, "int4": 0.5 + 4 / INT4_GROUP, "fp8": 1.0, "fp8-kv": 1.0,
}  # fmt: skip


def parse_quant(flag: int | str | None, device_type: str) -> Quant | None:
    """What ``8``, ``4``, ``fp8`` or ``fp8-kv`` stands for on a device; None stays None."""
    quant = None if flag is None else FLAGS[str(flag)]
    return "int4" if quant == "nf4" and device_type == "cpu" else quant


def bytes_per_weight(path: str, linear: nn.Linear, quant: Quant) -> float:
    """Bytes that each weight of a quantized layer takes."""
    return _BYTES_PER_WEIGHT["int8" if quant == "int4" and not _is_int4(path, linear) else quant]


def _is_int4(path: str, linear: nn.Linear) -> bool:
    """Whether int4 holds this layer in 4 bits, and not in 8: of the decoder, and of sizes that the kernel takes."""
    fits = linear.in_features % INT4_GROUP == 0 and linear.out_features % INT4_OUTPUTS == 0
    return path.startswith("decoder.") and fits


def is_quantized(path: str, module: nn.Module, quant: Quant | None) -> bool:
    """Whether ``quantizer(quant)`` replaces the module at ``path``.

    NF4 scales blocks of 64 weights of a row, so a row must divide into them; fp8 takes multiples of 16 either way. All
    of the official sizes do.
    """
    if quant is None or not isinstance(module, nn.Linear) or path == "lm_head":
        return False
    if quant in ("fp8", "fp8-kv"):
        return module.in_features % _FP8_MULTIPLE == 0 and module.out_features % _FP8_MULTIPLE == 0
    return quant in ("int8", "int4") or module.in_features % _NF4_BLOCK == 0


def quantizer(quant: Quant) -> Quantize:
    """What ``load_model`` applies to each linear layer.

    int8: one scale per output row, by torchao, on a CPU natively. nf4: bitsandbytes (arXiv 2305.14314). int4: on a CPU,
    natively. fp8, fp8-kv: weights and activations, one scale per row.
    """
    make: dict[Quant, Callable[[], Quantize]] = {
        "int8": _int8, "nf4": _bitsandbytes_nf4, "int4": _native_int4, "fp8": _native_fp8, "fp8-kv": _native_fp8,
    }  # fmt: skip
    return make[quant]()


def require_library(quant: Quant, device_type: str) -> None:
    """Checks that what ``quantizer`` needs on a device is installed.

    Raises:
        UsageError: it is not.
    """
    if quant == "int8" and device_type != "cpu":
        require("torchao", "`quant=8`")
    elif quant == "nf4":
        require("bitsandbytes", "`quant=4`")


def _native_fp8() -> Quantize:
    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        return Fp8Linear(linear) if is_quantized(path, linear, "fp8") else linear

    return quantize


def _int8() -> Quantize:
    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if not is_quantized(path, linear, "int8"):
            return linear
        return Int8Linear(linear) if linear.weight.device.type == "cpu" else _torchao_int8(linear)

    return quantize


def _native_int4() -> Quantize:
    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if not is_quantized(path, linear, "int4"):
            return linear
        return Int4Linear(linear) if _is_int4(path, linear) else Int8Linear(linear)

    return quantize


def _torchao_int8(linear: nn.Linear) -> nn.Module:
    # torch 2.13 warns of how torchao 0.18 registers its types; users can do nothing about it.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(linear, Int8WeightOnlyConfig())
    return linear


def _bitsandbytes_nf4() -> Quantize:
    from bitsandbytes.nn.modules import LinearNF4, Params4bit

    def quantize(path: str, linear: nn.Linear) -> nn.Module:
        if not is_quantized(path, linear, "nf4"):
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
        # The library quantizes when a weight is moved to the device it will stay on.
        return replacement.to(linear.weight.device)

    return quantize
