"""Every kernel and matrix product of the forward pass on one GPU: right, and how near the machine's ceilings.

    python -m benchmarks.kernels --json benchmarks/results/kernels_h100.json

Official sizes, random data. Errors are relative (norms) to fp32 or fp64 of plain torch; outputs come from memory full
of NaN. Times are medians of CUDA graph replays. A variant that fails is a row with its error. About a minute; last
line: JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.provenance import provenance
from framescribe.bench.ceilings import Ceilings, measure_ceilings
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.model import fused
from framescribe.model.attention import causal_attention, frame_attention
from framescribe.model.decoder import DecoderLayer
from framescribe.model.fp8 import Fp8Linear, quantise_rows
from framescribe.model.kernels import norms, paged, rope, rows
from framescribe.model.precision import Precision
from framescribe.model.vision import VisionLayer

CUDA, BF16 = torch.device("cuda"), torch.bfloat16
VISION = OFFICIAL_CONFIG.vision_config
FRAME_CHUNKS = (96, 128)
TOKENS = 96 * VISION.num_positions
PREFILL = 8192
BACKENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
# Blocks of a cache of 128 sequences of 1,700 tokens hold 0.9 GB a layer in bf16: no cache of the chip's holds that.
PAGED_CASES = [(1, 1700), (1, 20000), (8, 1700), (32, 1700), (128, 1700), (256, 600)]


class Report:
    """Rows of results, printed as they come."""

    def __init__(self, ceilings: Ceilings) -> None:
        self.ceilings = ceilings
        self.rows: list[dict[str, Any]] = []

    def measure(
        self,
        name: str,
        work: Callable[[], Any],
        *,
        expected: Callable[[], Tensor] | None = None,
        found: Callable[[Any], Tensor] = lambda out: out,
        flops: float = 0,
        fp8: bool = False,
        moved: float = 0,
    ) -> None:
        """Runs ``work`` once for its error (``found`` of its result against ``expected``), then for its time.

        ``flops`` and ``moved`` bytes are what it must do; the larger of their times is the floor.
        """
        row: dict[str, Any] = {"name": name}
        try:
            if expected is not None:
                poison()
                row["error"] = relative_error(found(work()), expected())
            seconds = triton.testing.do_bench_cudagraph(work, rep=10, return_mode="median") / 1e3
            row["us"] = seconds * 1e6
            peak = (self.ceilings.fp8_matmul_flops_per_s if fp8 else None) or self.ceilings.matmul_flops_per_s
            floor = max(flops / peak, moved / self.ceilings.copy_bytes_per_s)
            if flops:
                row["tflop_per_s"] = flops / seconds / 1e12
            if moved:
                row["tb_per_s"] = moved / seconds / 1e12
            if floor:
                row["share_of_floor"] = floor / seconds
        except Exception as error:  # noqa: BLE001 - one variant's failure is a result, not the end
            row["failed"] = f"{type(error).__name__}: {error}"[:400]
        self.rows.append(row)
        print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def section(report: Report, name: str) -> Iterator[None]:
    """A group of rows; what fails while its data is made costs that group only."""
    started = time.monotonic()
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        report.rows.append({"name": name, "failed": f"{type(error).__name__}: {error}"[:400]})
        print(report.rows[-1])
    torch.cuda.empty_cache()
    print(f"-- {name}: {time.monotonic() - started:.1f} s", flush=True)


def poison() -> None:
    """Leaves NaN in the memory that the next outputs are made of."""
    torch.cuda.empty_cache()
    torch.full((1 << 29,), float("nan"), device=CUDA)


def relative_error(found: Tensor, expected: Tensor) -> float:
    found, expected = found.double(), expected.double()
    return ((found - expected).norm() / expected.norm()).item()


def draw(*shape: int, dtype: torch.dtype = BF16, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, device=CUDA, dtype=torch.float32).mul_(scale).to(dtype)


def dequantised(rows_out: tuple[Tensor, Tensor]) -> Tensor:
    return rows_out[0].float() * rows_out[1]


def in_fp8(layer: nn.Module) -> nn.Module:
    """The layer with fp8 linears."""
    layer = copy.deepcopy(layer)
    for path, module in list(layer.named_modules()):
        if isinstance(module, nn.Linear):
            layer.set_submodule(path, Fp8Linear(module))
    return layer


def measure_steps(report: Report) -> None:
    """The passes between products."""
    for name, step, width, inputs in (
        ("gelu", "gelu", VISION.intermediate_size, 1),
        ("gelu, tanh form", "gelu_tanh", VISION.intermediate_size, 1),
        ("silu_mul", "silu", OFFICIAL_CONFIG.intermediate_size, 2),
        ("quantise", "none", VISION.hidden_size, 1),
    ):
        tokens = PREFILL if step == "silu" else TOKENS
        x, gated = draw(tokens, width), draw(tokens, width)
        size = x.numel()

        def expected(step: str = step, x: Tensor = x, gated: Tensor = gated) -> Tensor:
            if step.startswith("gelu"):
                return F.gelu(x.float())
            return F.silu(x.float()) * gated.float() if step == "silu" else x.float()

        def quantising(step: str = step, x: Tensor = x, gated: Tensor = gated) -> tuple[Tensor, Tensor]:
            return rows.quantise(x, step, gated)

        report.measure(
            f"{name} to fp8", quantising, expected=expected, found=dequantised, moved=(2 * inputs + 1) * size
        )
        if step != "none":
            report.measure(
                f"{name} in bf16",
                lambda step=step, x=x, gated=gated: rows.apply(x, step, gated),
                expected=expected,
                moved=2 * (inputs + 1) * size,
            )
    x, y, weight, bias = draw(TOKENS, 1792), draw(TOKENS, 1792), draw(1792), draw(1792)
    for quantises in (False, True):
        report.measure(
            f"add_layer_norm{' to fp8 too' * quantises}",
            lambda q=quantises: norms.add_layer_norm(x, y, weight, bias, 1e-6, q),
            expected=lambda: x.float() + F.layer_norm(y.float(), (1792,), weight.float(), bias.float(), 1e-6),
            found=lambda out: out[0],
            moved=(6 + quantises) * x.numel(),
        )
    for tokens in (128, PREFILL):
        x, y, weight = draw(tokens, 4096), draw(tokens, 4096), draw(4096)

        def normed(x: Tensor = x, y: Tensor = y, weight: Tensor = weight) -> Tensor:
            total = (x + y).float()
            return total * (total.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.float()

        for quantises in (False, True):
            report.measure(
                f"add_rms_norm, {tokens} tokens{' to fp8' * quantises}",
                lambda q=quantises, x=x, y=y, w=weight: norms.add_rms_norm(x, y, w, 1e-5, q),
                expected=normed,
                found=lambda out: dequantised(out[1]) if isinstance(out[1], tuple) else out[1],
                moved=(8 - quantises) * x.numel(),
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
                ready = quantise_rows(x)
                few = slice(0, 256)

                def expected(linear: nn.Linear = linear, x: Tensor = x, few: slice = few) -> Tensor:
                    bias = None if linear.bias is None else linear.bias.float()
                    return F.linear(x[few].float(), linear.weight.float(), bias)

                variants = {"bf16": (linear, x), "fp8, quantised before": (fp8, ready), "fp8": (fp8, x)}
                if other is not None:
                    variants["fp8 by torchao"] = (other, x)
                for kind, (module, operand) in variants.items():
                    is_fp8 = kind != "bf16"
                    size = 1 if is_fp8 else 2
                    report.measure(
                        f"{place} {name} {tokens} x {inputs} x {outputs}, {kind}",
                        lambda module=module, operand=operand: module(operand),
                        expected=expected,
                        found=lambda out, few=few: out[few],
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


def measure_paged(report: Report) -> None:
    """Decode attention by block size, warps, stages and splits; writing the cache."""
    for dtype in (BF16, torch.float8_e4m3fn):
        for batch, length in PAGED_CASES:
            for block_size in (64, 128):
                q, cache, arguments, expected = paged_case(batch, length, block_size, dtype)
                moved = 2 * batch * length * 8 * 128 * dtype.itemsize
                tag = f"paged attention {batch} x {length}, {str(dtype)[6:]}, blocks of {block_size}"
                report.measure(
                    f"{tag}, as chosen",
                    lambda q=q, a=arguments: paged.paged_attention(q, *a),
                    expected=expected,
                    moved=moved,
                )
                if (batch, length) not in ((1, 1700), (128, 1700)):
                    continue
                chosen = paged.choose_splits(batch, 8, arguments[2].shape[1], CUDA)
                variants = [(warps, stages, chosen) for warps in (2, 4, 8) for stages in (2, 3, 4)]
                variants += [(4, 3, splits) for splits in (1, 2, 4, 8) if splits != chosen]
                for warps, stages, splits in variants:
                    report.measure(
                        f"{tag}, {warps} warps, {stages} stages, {splits} splits",
                        lambda q=q, a=arguments, w=warps, s=stages, n=splits: paged.paged_attention(
                            q, *a, num_warps=w, num_stages=s, splits=n
                        ),
                        moved=moved,
                    )
                del cache
        k, v = draw(PREFILL, 8, 128), draw(PREFILL, 8, 128)
        keys, values = (torch.zeros(160, 8, 64, 128, device=CUDA, dtype=dtype) for _ in range(2))
        slots = torch.randperm(160 * 64, device=CUDA)[:PREFILL]
        report.measure(
            f"write_kv {PREFILL}, {str(dtype)[6:]}",
            lambda k=k, v=v, keys=keys, values=values, slots=slots: paged.write_kv(k, v, keys, values, slots),
            moved=2 * k.numel() * (2 + dtype.itemsize),
        )


def paged_case(
    batch: int, length: int, block_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, tuple[Tensor, ...], Callable[[], Tensor]]:
    """Queries, the cache, the other arguments, and the expected output of sequences in scattered blocks."""
    blocks = -(-length // block_size)
    cache = torch.empty(2, batch * blocks, 8, block_size, 128, device=CUDA, dtype=dtype)
    for part in cache.flatten(0, 1).split(2048):
        part.copy_(torch.randn(part.shape, device=CUDA))
    q = draw(batch, 32, 128)
    tables = torch.randperm(batch * blocks, device=CUDA).int().view(batch, blocks)
    lengths = torch.full((batch,), length, dtype=torch.int32, device=CUDA)

    def expected() -> Tensor:
        out = []
        for row in range(batch):
            k, v = (
                part[tables[row].long()].transpose(0, 1).flatten(1, 2)[:, :length].float() for part in cache
            )
            scores = torch.einsum("kge,kse->kgs", q[row].view(8, 4, 128).float(), k) * 128**-0.5
            out.append(torch.einsum("kgs,kse->kge", scores.softmax(-1), v).flatten(0, 1))
        return torch.stack(out)

    return q, cache, (cache[0], cache[1], tables, lengths), expected


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

            def whole(out: tuple[Tensor, Tensor | None], few: tuple[slice, slice] = few) -> Tensor:
                return out[0][few].float() + (0 if out[1] is None else out[1][few].float())

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


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--only", help="sections whose name holds this")
    arguments = parser.parse_args()
    started = time.monotonic()
    torch.manual_seed(0)
    ceilings = measure_ceilings(Precision(CUDA, "bf16"))
    print(ceilings)
    report = Report(ceilings)
    for measure in (
        measure_layers, measure_paged, measure_attention, measure_gelu, measure_steps, measure_products,
    ):  # fmt: skip
        name = measure.__name__.removeprefix("measure_")
        if arguments.only is None or arguments.only in name:
            with section(report, name):
                measure(report)
    result = provenance() | {
        "matmul_tflop_per_s": ceilings.matmul_flops_per_s / 1e12,
        "fp8_matmul_tflop_per_s": (ceilings.fp8_matmul_flops_per_s or 0) / 1e12,
        "copy_tb_per_s": ceilings.copy_bytes_per_s / 1e12,
        "seconds": time.monotonic() - started,
        "rows": report.rows,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
