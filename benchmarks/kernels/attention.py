"""Attention over whole frames and prompts, on each of torch's kernels."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.kernels.report import (
    PREFILL,
    VISION,
    Report,
    draw,
)
from framescribe.model.attention import frame_attention

BACKENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


def measure_attention(report: Report) -> None:
    """Frames and prompts on each of torch's kernels."""
    qkv = draw(96, VISION.num_positions, 3, 16, 112)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    flops = 4.0 * 96 * 16 * VISION.num_positions**2 * 112

    def expected() -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(q[:4].float(), k[:4].float(), v[:4].float())

    report.measure(
        "frame attention, as chosen",
        lambda: frame_attention(q, k, v),
        expected=expected,
        found=lambda out: out[:4],
        flops=flops,
    )
    out = frame_attention(q, k, v).transpose(1, 2)
    report.rows.append({"name": "frame attention: its output needs no copy", "is_so": out.is_contiguous()})
    for name, backend in BACKENDS.items():
        report.measure(
            f"frame attention, {name}", attending(backend, q, k, v), expected=expected,
            found=lambda out: out[:4], flops=flops,
        )  # fmt: skip
    # A number of frames not seen before: cuDNN plans anew for each shape.
    for frames in (95, 94):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        frame_attention(q[:frames], k[:frames], v[:frames])
        torch.cuda.synchronize()
        report.rows.append(
            {"name": f"frame attention, first call of {frames}", "ms": (time.perf_counter() - begun) * 1e3}
        )
        print(report.rows[-1])
    for length in (482, 1622, PREFILL):
        qkv = draw(1, length, 48, 128).transpose(1, 2)
        q, k, v = qkv.split((32, 8, 8), dim=1)

        def causal(q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
            with sdpa_kernel(SDPBackend.MATH):
                return F.scaled_dot_product_attention(
                    q[:, :4, :1024].float(), k[:, :1, :1024].float(), v[:, :1, :1024].float(),
                    is_causal=True, enable_gqa=True,
                )  # fmt: skip

        for name, backend in ({"torch's choice": None} | BACKENDS).items():
            for is_expanded in (False, True):
                report.measure(
                    f"causal attention, {length} tokens, {name}{', keys repeated' * is_expanded}",
                    attending(backend, q, k, v, is_causal=True, is_expanded=is_expanded),
                    expected=causal,
                    found=lambda out: out[:, :4, :1024],
                    flops=2.0 * length**2 * 32 * 128,
                )


def attending(
    backend: SDPBackend | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool = False,
    is_expanded: bool = False,
) -> Callable[[], Tensor]:
    """Attention by one backend, or torch's own choice."""

    def work() -> Tensor:
        keys, values = (x.repeat_interleave(4, 1) for x in (k, v)) if is_expanded else (k, v)
        with sdpa_kernel([backend] if backend else list(SDPBackend.__members__.values())[1:5]):
            return F.scaled_dot_product_attention(
                q, keys, values, is_causal=is_causal, enable_gqa=keys.shape[1] != q.shape[1]
            )

    return work
