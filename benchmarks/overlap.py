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
from framescribe.engine.batch import DecodeBatch, decode_step
from framescribe.engine.graphs import GraphedStep
from framescribe.engine.kv_cache import BLOCK_SIZE, KVCache
from framescribe.engine.request import Request
from framescribe.engine.sequence import Sequence
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.model import CaptionModel
from framescribe.model.quantize import parse_quant, quantizer
from framescribe.types import GenerationSettings, Prompt

BATCH, PROMPT_TOKENS, FRAMES = 128, 1700, 96
BLOCKS = 32  # of a sequence: room for its prompt and the steps that are timed


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


def full_batch(model: CaptionModel) -> tuple[DecodeBatch, GraphedStep]:
    """A batch of sequences whose cached keys and values are zeros, and the step that decodes it."""
    cache = KVCache(model.config, BATCH * BLOCKS, model.dtype, model.device)
    batch = DecodeBatch(BATCH, BLOCKS, model.config.vocab_size, model.device)
    ids = tuple(range(PROMPT_TOKENS))
    prompt = Prompt(ids, ids, (False,) * PROMPT_TOKENS, PROMPT_TOKENS)
    sequences = []
    for number in range(BATCH):
        sequence = Sequence.of(Request(str(number), prompt, None, GenerationSettings()), print)
        sequence.blocks = list(range(number * BLOCKS, (number + 1) * BLOCKS))
        assert sequence.tokens + 8 <= BLOCKS * BLOCK_SIZE
        sequences.append(sequence)
    batch.add(sequences, torch.randn(BATCH, model.config.vocab_size, device=model.device))
    step = GraphedStep(lambda size: decode_step(model, cache, batch, size), BATCH, use_cuda_graphs=True)
    return batch, step


@torch.inference_mode()
def measure(quant: str | None) -> dict[str, object]:
    cuda = torch.device("cuda")
    chosen = parse_quant(quant, "cuda")
    model = random_model(
        OFFICIAL_CONFIG, cuda, torch.bfloat16, 0, None if chosen is None else quantizer(chosen)
    )
    batch, step = full_batch(model)
    for _ in range(4):
        step(BATCH)

    def decode(steps: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(steps):
                step(BATCH)
                # Stay where we are: no blocks are handed out here.
                batch.context_lens_R -= batch.is_active_R

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
