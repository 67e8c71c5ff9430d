"""framescribe beside transformers' ``generate`` of the same model (``framescribe.integrations.transformers``).

    python -m benchmarks.against_transformers --json benchmarks/results/against_transformers_h100.json
    python -m benchmarks.against_transformers --short

The official size with random weights in bf16, on one card. framescribe captions the workload's clips in bf16 and fp8;
transformers takes one batch after the other, of each size that ``--batches`` names: normalizing, encoding, prefill and
the tokens, of which ``--timed-tokens`` are timed and the rest extrapolated. Medians of three. Last line: JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.provenance import provenance, publish
from framescribe.bench.measure import benchmark
from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.bench.workload import LONG, SHORT, Workload
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.video.transform import transform


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="clips of 6 s, not of 24 s")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--timed-tokens", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    workload = SHORT if arguments.short else LONG
    ours = {}
    for quant in (None, "fp8-kv"):
        precision = choose_precision(ModelSpec(device="cuda", quant=quant))
        found = benchmark(RANDOM_MODEL, precision, workload, arguments.repeat)
        ours[str(precision)] = {
            "seconds_per_clip": found["seconds_per_clip"],
            "first_token_s": found["latency"]["first_token_s"],
        }
        gc.collect()
        torch.cuda.empty_cache()
    model = build(arguments.attention)
    theirs = {
        batch: measure(model, workload, batch, arguments.timed_tokens, arguments.repeat)
        for batch in arguments.batches
    }
    best = min(each["seconds_per_clip"] for each in theirs.values())
    ratio = {precision: best / each["seconds_per_clip"] for precision, each in ours.items()}
    figures = {
        "framescribe": ours,
        "transformers": theirs,
        "ratio_to_its_best": ratio,
        "attention": arguments.attention,
    }
    publish(dataclasses.asdict(workload) | figures | provenance(), arguments.json)


def build(attention: str) -> Any:
    """The official size with random weights, in transformers."""
    from framescribe.integrations.transformers import CogVLMVideoConfig, CogVLMVideoForCausalLM

    config = CogVLMVideoConfig(dtype=torch.bfloat16)
    config._attn_implementation = attention
    with torch.device("meta"):
        model = CogVLMVideoForCausalLM(config).to(torch.bfloat16)
    model = model.to_empty(device="cuda").eval()
    drawn = torch.Generator("cuda").manual_seed(0)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith("norm.weight"):
            tensor.data.fill_(1.0)
        else:
            tensor.data.normal_(0.0, 0.02, generator=drawn)
    return model


def measure(model: Any, workload: Workload, batch: int, timed_tokens: int, repeat: int) -> dict[str, float]:
    """Seconds a clip and to the first token of ``batch`` clips that are captioned together."""
    seconds(model, workload, batch, 2)
    first_s = statistics.median(seconds(model, workload, batch, 1) for _ in range(repeat))
    timed_s = statistics.median(seconds(model, workload, batch, timed_tokens) for _ in range(repeat))
    token_s = (timed_s - first_s) / (timed_tokens - 1)
    whole_s = first_s + token_s * (workload.new_tokens - 1)
    return {"seconds_per_clip": whole_s / batch, "first_token_s": first_s, "ms_per_token": 1000 * token_s}


def seconds(model: Any, workload: Workload, batch: int, new_tokens: int) -> float:
    """From uint8 frames in host memory to ``new_tokens`` tokens of each clip."""
    prompt, drawn = workload.prompt(OFFICIAL_CONFIG), workload.draw_frames()
    frames = [drawn[number % len(drawn)] for number in range(batch)]
    inputs: dict[str, Tensor] = {
        "input_ids": torch.tensor([prompt.input_ids] * batch),
        "attention_mask": torch.ones(batch, len(prompt), dtype=torch.long),
        "token_type_ids": torch.tensor([prompt.is_vision] * batch).long(),
    }
    inputs = {name: tensor.cuda() for name, tensor in inputs.items()}
    torch.cuda.synchronize()
    began = time.perf_counter()
    inputs["pixel_values"] = torch.stack([transform(torch.as_tensor(each).cuda()) for each in frames])
    model.generate(**inputs, max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False)
    torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
