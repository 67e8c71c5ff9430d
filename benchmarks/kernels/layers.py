"""Whole layers against the floor of their products."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from benchmarks.kernels.report import (
    BF16,
    CUDA,
    PREFILL,
    VISION,
    Report,
    draw,
    finished,
    in_fp8,
)
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.model import fused
from framescribe.model.attention import causal_attention
from framescribe.model.decoder import DecoderLayer
from framescribe.model.vision import VisionLayer

FRAME_CHUNKS = (96, 128)


def measure_layers(report: Report) -> None:
    """Whole layers against their products' floor: vision by chunk, decoder in prefill and in decoding."""
    with CUDA:
        vision, decoder = VisionLayer(VISION).to(BF16), DecoderLayer(OFFICIAL_CONFIG).to(BF16)
    plain_vision = copy.deepcopy(vision).float()
    vision_weights = sum(p.numel() for p in vision.parameters() if p.ndim == 2)
    for name, layer in (("bf16", vision), ("fp8", in_fp8(vision))):
        for frames in FRAME_CHUNKS:
            x = draw(frames, VISION.num_positions, 1792)
            report.measure(
                f"vision layer, {frames} frames, {name}",
                lambda layer=layer, x=x: layer(x, fused.operand(x, into=layer.qkv)),
                expected=lambda x=x: plain_vision(x[:4].float(), x[:4].float())[0] - x[:4].float(),
                found=lambda out, x=x: out[0][:4].float() - x[:4].float(),
                flops=2.0 * x[..., 0].numel() * vision_weights,
                fp8=name == "fp8",
            )
    plain_decoder = copy.deepcopy(decoder).float()
    decoder_weights = sum(p.numel() for p in decoder.parameters() if p.ndim == 2)
    for name, layer in (("bf16", decoder), ("fp8", in_fp8(decoder))):
        for batch, tokens in ((1, PREFILL), (1, 1), (32, 1), (128, 1), (256, 1)):
            x, delta = draw(batch, tokens, 4096), draw(batch, tokens, 4096)
            angles = draw(batch, 1, tokens, 64, dtype=torch.float32).repeat(1, 1, 1, 2)
            tables = (angles.cos(), angles.sin())
            halves = (tables[0].to(BF16), tables[1].to(BF16))
            few = (slice(0, 32), slice(0, 512))
            # Decoding is measured without its attention, which has rows of its own.
            attend = causal_attention(0) if tokens > 1 else (lambda q, k, v: q)

            def whole(out: tuple[Tensor, fused.Summand | None], few: tuple[slice, slice] = few) -> Tensor:
                return out[0][few].float() + (0 if out[1] is None else finished(out[1])[few].float())

            def expected(
                x: Tensor = x, delta: Tensor = delta, tables: tuple[Tensor, Tensor] = tables,
                few: tuple[slice, slice] = few, attend: Any = attend, whole: Any = whole,
            ) -> Tensor:  # fmt: skip
                rotary = tuple(table[:32, :, :512] for table in tables)
                return whole(plain_decoder(x[few].float(), delta[few].float(), rotary, attend), few)

            size = 1 if name == "fp8" else 2
            report.measure(
                f"decoder layer, {batch} x {tokens} tokens, {name}",
                lambda layer=layer, x=x, d=delta, h=halves, a=attend: layer(x, d, h, a),
                expected=expected,
                found=whole,
                flops=2.0 * batch * tokens * decoder_weights,
                fp8=name == "fp8",
                moved=size * decoder_weights,
            )
