"""The passes between products, and GELU inside a product or after it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.kernels.report import (
    BF16,
    CUDA,
    PREFILL,
    TOKENS,
    VISION,
    Report,
    dequantized,
    draw,
)
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.model.kernels import norms, rope, rows


def measure_steps(report: Report) -> None:
    """The passes between products."""
    for name, step, width, inputs in (
        ("gelu", "gelu", VISION.intermediate_size, 1),
        ("gelu, tanh form", "gelu_tanh", VISION.intermediate_size, 1),
        ("silu_mul", "silu", OFFICIAL_CONFIG.intermediate_size, 2),
        ("quantize", "none", VISION.hidden_size, 1),
    ):
        tokens = PREFILL if step == "silu" else TOKENS
        x, gated = draw(tokens, width), draw(tokens, width)
        size = x.numel()

        def expected(step: str = step, x: Tensor = x, gated: Tensor = gated) -> Tensor:
            if step.startswith("gelu"):
                return F.gelu(x.float())
            return F.silu(x.float()) * gated.float() if step == "silu" else x.float()

        def quantizing(step: str = step, x: Tensor = x, gated: Tensor = gated) -> tuple[Tensor, Tensor]:
            return rows.quantize(x, step, gated)

        report.measure(
            f"{name} to fp8", quantizing, expected=expected, found=dequantized, moved=(2 * inputs + 1) * size
        )
        if step != "none":
            report.measure(
                f"{name} in bf16",
                lambda step=step, x=x, gated=gated: rows.apply(x, step, gated),
                expected=expected,
                moved=2 * (inputs + 1) * size,
            )
    x, y, weight, bias = draw(TOKENS, 1792), draw(TOKENS, 1792), draw(1792), draw(1792)
    for quantizes in (False, True):
        report.measure(
            f"add_layer_norm{' to fp8 too' * quantizes}",
            lambda q=quantizes: norms.add_layer_norm(x, y, weight, bias, 1e-6, q),
            expected=lambda: x.float() + F.layer_norm(y.float(), (1792,), weight.float(), bias.float(), 1e-6),
            found=lambda out: out[0],
            moved=(6 + quantizes) * x.numel(),
        )
    for tokens in (128, PREFILL):
        x, y, weight = draw(tokens, 4096), draw(tokens, 4096), draw(4096)

        def normed(x: Tensor = x, y: Tensor = y, weight: Tensor = weight) -> Tensor:
            total = (x + y).float()
            return total * (total.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.float()

        for quantizes in (False, True):
            report.measure(
                f"add_rms_norm, {tokens} tokens{' to fp8' * quantizes}",
                lambda q=quantizes, x=x, y=y, w=weight: norms.add_rms_norm(x, y, w, 1e-5, q),
                expected=normed,
                found=lambda out: dequantized(out[1]) if isinstance(out[1], tuple) else out[1],
                moved=(8 - quantizes) * x.numel(),
            )
    qkv, angles = draw(1, PREFILL, 48, 128), draw(1, 1, PREFILL, 64, dtype=torch.float32).repeat(1, 1, 1, 2)
    cos, sin = angles.cos().to(BF16), angles.sin().to(BF16)
    report.measure(
        "rotate in place",
        lambda: rope.rotate_in_place(qkv.transpose(1, 2)[:, :40], cos, sin),
        moved=4 * PREFILL * (40 + 1) * 128,
    )


def measure_gelu(report: Report) -> None:
    """GELU inside the product (tanh form) and after it."""
    x, linear = draw(TOKENS, 1792), nn.Linear(1792, VISION.intermediate_size, device=CUDA, dtype=BF16)
    flops = 2.0 * TOKENS * 1792 * VISION.intermediate_size

    def expected() -> Tensor:
        return F.gelu(F.linear(x[:4096].float(), linear.weight.float(), linear.bias.float()))

    variants: dict[str, Callable[[], Tensor]] = {
        "product alone": lambda: linear(x),
        "in the product (tanh)": lambda: torch._addmm_activation(
            linear.bias, x, linear.weight.t(), use_gelu=True
        ),
        "our pass after": lambda: rows.apply(linear(x), "gelu"),
        "torch's pass after": lambda: F.gelu(linear(x)),
    }
    for name, work in variants.items():
        is_whole = name != "product alone"
        report.measure(
            f"gelu: {name}",
            work,
            expected=expected if is_whole else None,
            found=lambda out: out[:4096],
            flops=flops,
        )
