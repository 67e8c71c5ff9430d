"""A 6 s clip at the official size on a CPU: seconds and memory by phase, beside the machine's floor.

    python -m benchmarks.laptop --quant 8 --json benchmarks/results/laptop_int8_cpu.json
    python -m benchmarks.laptop --quant 4 --json benchmarks/results/laptop_int4_cpu.json

One clip of 7 frames and 482 prompt tokens goes through the engine on random weights, quantized layer by layer. Decode
steps are timed over ``--steps`` of them and counted for the caption's 130 tokens. The floor is the work counted
(``speed/work.py``) over ceilings measured here: oneDNN's int8 products of the model's largest shape, fp32 products, and
reading memory. Weights are drawn once for each shape and rolled from layer to layer, as drawing 12.5 billion normal
numbers would take longer than all else. Last line: JSON.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.provenance import provenance, publish
from benchmarks.speed.ceilings import typical_seconds
from benchmarks.speed.work import language_weight_bytes, prefill_flops, vision_flops
from framescribe.bench.clips import ClipRunner
from framescribe.bench.subject import open_subject, subject_preparer
from framescribe.bench.workload import SHORT, Workload
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer
from framescribe.model.checkpoint import empty_model, fill
from framescribe.model.config import ModelConfig
from framescribe.model.cpu_linear import Int8Linear
from framescribe.model.decoder import rotary_frequencies
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, choose_precision, kv_bytes_per_token, weight_bytes
from framescribe.model.quantize import quantizer
from framescribe.model_spec import ModelSpec


def quick_model(config: ModelConfig, precision: Precision) -> CaptionModel:
    """Random weights as ``random_model``'s in size and scale; those of one shape are the same numbers, rolled."""
    model = empty_model(config)
    model.decoder.rotary.inv_freq_NE = rotary_frequencies(config)
    quantize = None if precision.quant is None else quantizer(precision.quant)
    drawn: dict[torch.Size, Tensor] = {}
    for number, (path, parameter) in enumerate(list(model.named_parameters())):
        if path.endswith("norm.weight"):
            weight = torch.ones(parameter.shape)
        elif path.endswith("bias"):
            weight = torch.zeros(parameter.shape)
        elif parameter.ndim == 2 and parameter.numel() < 1 << 27:
            if parameter.shape not in drawn:
                drawn[parameter.shape] = torch.randn(parameter.shape).mul_(0.02)
            weight = drawn[parameter.shape].roll(number, dims=0)
        else:
            weight = torch.randn(parameter.shape).mul_(0.02)
        fill(model, path, weight.to(precision.dtype), quantize)
    return model.eval().requires_grad_(False)


def ceilings() -> dict[str, float]:
    """Operations and bytes a second, each the best of several."""
    cpu = torch.device("cpu")
    rows, width, hidden = 1799, 1792, 15_360
    linear = Int8Linear(nn.Linear(width, hidden, bias=False))
    values = torch.randint(1, 256, (rows, width), dtype=torch.uint8)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    memory = torch.ones(1 << 26, dtype=torch.int64)

    def per_second(work: Callable[[], object], amount: float) -> float:
        return amount / typical_seconds(work, cpu)

    return {
        "int8_flops_per_s": per_second(lambda: linear._product(values), 2 * rows * width * hidden),
        "fp32_flops_per_s": per_second(lambda: torch.mm(a, b), 2 * 1024**3),
        "read_bytes_per_s": per_second(memory.sum, memory.nbytes),
    }


def floor_s(
    model: CaptionModel, workload: Workload, precision: Precision, most: dict[str, float]
) -> dict[str, float]:
    """Seconds of each phase at the ceilings: linear layers in int8, attention in fp32, weights read once a step."""
    config, tokens = model.config, workload.prompt_tokens(model.config)
    work = {"encode": vision_flops(config, workload.frames), "prefill": prefill_flops(config, tokens)}
    step_bytes = language_weight_bytes(model.decoder, model.lm_head)
    step_bytes += int((tokens + workload.new_tokens / 2) * kv_bytes_per_token(config, precision.kv_dtype))
    seconds = {
        phase: flops.linear / most["int8_flops_per_s"] + flops.attention / most["fp32_flops_per_s"]
        for phase, flops in work.items()
    }
    seconds["decode"] = (workload.new_tokens - 1) * step_bytes / most["read_bytes_per_s"]
    return seconds | {"sum": sum(seconds.values())}


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quant", default="8")
    parser.add_argument("--model", default="random", help="`tiny` to try it")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    precision = choose_precision(ModelSpec(device="cpu", quant=arguments.quant))
    subject = open_subject(arguments.model)
    most = ceilings()
    started = time.perf_counter()
    model = quick_model(subject.config, precision)
    build_s = time.perf_counter() - started
    weights_peak = peak_bytes()
    workload = Workload(1, SHORT.frames, SHORT.text_tokens, arguments.steps + 1, batch=1)
    timer = PhaseTimer(model.device)
    engine = Engine(model, frozenset(), 1, kv_tokens=1024, kv_dtype=precision.kv_dtype, observer=timer)
    ClipRunner(engine, subject_preparer(subject, precision), workload).run()
    phases = timer.take()
    step_s = phases["decode"].seconds / phases["decode"].runs
    took = {
        "encode": phases["encode"].seconds,
        "prefill": phases["prefill"].seconds,
        "decode": (SHORT.new_tokens - 1) * step_s,
    }
    took["sum"] = sum(took.values())
    whole = Workload(1, SHORT.frames, SHORT.text_tokens, SHORT.new_tokens, batch=1)
    floor = floor_s(model, whole, precision, most)
    figures = {
        "precision": str(precision),
        "model": arguments.model,
        "build_s": build_s,
        "seconds": took,
        "step_s": step_s,
        "floor_s": floor,
        "ratio_to_floor": {phase: took[phase] / floor[phase] for phase in took},
        "weight_bytes": weight_bytes(subject.config, precision),
        "peak_bytes_loaded": weights_peak,
        "peak_bytes": peak_bytes(),
        "ceilings": most,
        "cpu_threads": torch.get_num_threads(),
    }
    publish(figures | made_by, arguments.json)


if __name__ == "__main__":
    main()
