"""Would encoding the next clips while others decode pay? Both on one GPU, on two streams, against one after the other.

    python -m benchmarks.overlap --json benchmarks/results/overlap_h100.json

Fills a decode batch of 128 long clips with the official sizes and random weights, then times a vision chunk, a prefill,
and as many decode steps as take about as long, alone and together. Last line: JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.provenance import provenance, publish
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.quantize import parse_quant, quantizer
from framescribe.types import GenerationSettings, Prompt

BATCH, PROMPT_TOKENS, FRAMES = 128, 1700, 96


def seconds(work: Callable[[], None], repeat: int = 3) -> float:
    """Median wall time on the device."""
    times = []
    for _ in range(repeat):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return sorted(times)[repeat // 2]


@torch.inference_mode()
def measure(quant: str | None) -> dict[str, object]:
    cuda = torch.device("cuda")
    chosen = parse_quant(quant)
    model = random_model(
        OFFICIAL_CONFIG, cuda, torch.bfloat16, 0, None if chosen is None else quantizer(chosen)
    )
    engine = Engine(model, frozenset(), BATCH)
    ids = tuple(range(PROMPT_TOKENS))
    prompt = Prompt(ids, ids, (False,) * PROMPT_TOKENS, PROMPT_TOKENS)
    for number in range(BATCH):
        engine.add(Request(str(number), prompt, None, GenerationSettings(max_new_tokens=400)), print)
    while len(engine._batch) < BATCH:
        engine.step()
    for _ in range(4):
        engine.step()

    def decode(steps: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(steps):
                engine._decode_step(BATCH)
                # Stay where we are: no blocks are handed out here.
                engine._batch.lengths_R -= engine._batch.used_R

        return run

    pixels = torch.randn(FRAMES, 3, 224, 224, device=cuda, dtype=torch.bfloat16)
    x_1TD = torch.randn(1, 8192, OFFICIAL_CONFIG.hidden_size, device=cuda, dtype=torch.bfloat16)
    positions_1T = torch.arange(8192, device=cuda)[None]
    works: dict[str, Callable[[], object]] = {
        "vision": lambda: model.vision(pixels),
        "prefill": lambda: model.decoder(x_1TD, positions_1T, causal_attention),
    }
    result: dict[str, object] = {"decode_step_s": seconds(decode(10)) / 10}
    for name, work in works.items():
        alone = seconds(lambda work=work: (work(), None)[1])  # type: ignore[misc]
        for share in (0.5, 1.0):
            steps = max(1, round(share * alone / float(str(result["decode_step_s"]))))
            # The decode stream is served first, or not.
            for priority in (-1, 0):
                decoding = torch.cuda.Stream(priority=priority)

                def together(work=work, steps=steps, decoding=decoding) -> None:  # type: ignore[no-untyped-def]
                    main = torch.cuda.current_stream()
                    decoding.wait_stream(main)
                    with torch.cuda.stream(decoding):
                        decode(steps)()
                    work()
                    main.wait_stream(decoding)

                apart = alone + steps * float(str(result["decode_step_s"]))
                both = seconds(together)
                result[f"{name}, {steps} steps, priority {priority}"] = {
                    "apart_s": apart, "together_s": both, "saved": 1 - both / apart,
                }  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quant", help="as `framescribe caption` takes it")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    report = provenance() | {"quant": arguments.quant, "result": measure(arguments.quant)}
    publish(report, arguments.json)


if __name__ == "__main__":
    main()
