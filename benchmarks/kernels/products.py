"""Every linear layer's product in bf16, in fp8, in fp8 without scales and bias, and in fp8 by torchao."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.kernels.report import (
    BF16,
    CUDA,
    PREFILL,
    TOKENS,
    Report,
    draw,
    finished,
)
from framescribe.model.fp8 import Fp8Linear, quantize_rows


def measure_products(report: Report) -> None:
    """Each linear layer's shape, bf16 and fp8; torchao's fp8 where it is installed."""
    vision_shapes = {"qkv": (1792, 5376), "out": (1792, 1792), "in": (1792, 15360), "down": (15360, 1792)}
    decoder_shapes = {"qkv": (4096, 6144), "out": (4096, 4096), "gate": (4096, 14336), "down": (14336, 4096)}
    for place, shapes, counts in (
        ("vision", vision_shapes, (TOKENS,)),
        ("decoder", decoder_shapes, (PREFILL, 256, 128, 32, 1)),
    ):
        for name, (inputs, outputs) in shapes.items():
            linear = nn.Linear(inputs, outputs, bias=place == "vision", device=CUDA, dtype=BF16)
            fp8, other = Fp8Linear(linear), torchao_fp8(linear)
            for tokens in counts:
                x = draw(tokens, inputs)
                ready = quantize_rows(x)
                few = slice(0, 256)

                def expected(linear: nn.Linear = linear, x: Tensor = x, few: slice = few) -> Tensor:
                    bias = None if linear.bias is None else linear.bias.float()
                    return F.linear(x[few].float(), linear.weight.float(), bias)

                variants = {
                    "bf16": (linear, x), "fp8, quantized before": (fp8, ready), "fp8": (fp8, x),
                    "fp8, quantized before, unscaled": (fp8.unscaled, ready),
                }  # fmt: skip
                if other is not None:
                    variants["fp8 by torchao"] = (other, x)
                for kind, (module, operand) in variants.items():
                    is_fp8 = kind != "bf16"
                    size = 1 if is_fp8 else 2
                    report.measure(
                        f"{place} {name} {tokens} x {inputs} x {outputs}, {kind}",
                        lambda module=module, operand=operand: module(operand),
                        expected=expected,
                        found=lambda out, few=few: finished(out)[few],
                        flops=2.0 * tokens * inputs * outputs,
                        fp8=is_fp8,
                        moved=size * inputs * (outputs + tokens) + 2 * tokens * outputs,
                    )


def torchao_fp8(linear: nn.Linear) -> nn.Module | None:
    """The layer as torchao makes it fp8; None without torchao."""
    try:
        from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow, quantize_
    except ImportError:
        return None
    layer = copy.deepcopy(linear).requires_grad_(False)
    quantize_(layer, Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()))
    return layer
