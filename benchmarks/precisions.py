"""What each precision changes on trained weights: logits, tokens and captions of the bundled model.

    python -m benchmarks.precisions --clips 200 --quant fp8 8 4 --json benchmarks/results/precisions_cpu.json
    python -m benchmarks.precisions --device cuda --clips 200 --quant fp8 fp8-kv --json precisions.json

On clips of the synthetic world (half of them with held-out pairs), rendered here and not coded as video, the engine
captions with each precision. Teacher forcing on the captions that the fp32 model writes compares logits: relative error
and the share of equal argmaxes, against fp32's and against bf16's. The last product, which no precision quantizes, is
in fp32 here: rounded to bf16, the two largest of a token's logits are often equal, and their order would decide. On a
CPU fp8 is what ``Fp8Linear`` computes there: the same rounding, multiplied plainly. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.provenance import provenance, publish
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.eval.attributes import score_attributes
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.model.config import ModelConfig
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import DtypeName, Precision
from framescribe.model.quantize import parse_quant, quantizer
from framescribe.prompt import PromptBuilder
from framescribe.synthetic.batches import make_batch
from framescribe.synthetic.facts import Facts
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import DEFAULT_QUESTION, GenerationSettings, Prompt
from framescribe.video.transform import transform

RENDERED_TOGETHER = 20
# Logits of this model are about 24, and there bf16 has steps of an eighth: less than half of one is no lead.
LEAD = 1 / 16


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A clip: its request and what it shows."""

    request: Request
    facts: Facts


def examples(count: int, prompts: PromptBuilder, size: int, device: str) -> Iterator[Example]:
    limit = GenerationSettings(max_new_tokens=160)
    for first in range(0, count, RENDERED_TOGETHER):
        held_out = first >= count // 2
        batch = make_batch(7, first, min(RENDERED_TOGETHER, count - first), device, held_out=held_out)
        for row, clip in enumerate(batch.clips):
            pixels = transform(batch.pixels[row], size)
            seconds = range(len(pixels))
            prompt = prompts.build(DEFAULT_QUESTION, "chat", seconds)
            yield Example(Request(str(first + row), prompt, pixels, limit), clip.facts)


def caption_logits(model: CaptionModel, answered: list[tuple[Prompt, Request]]) -> torch.Tensor:
    """Logits [N, W] that predict the answers' tokens, not rounded: fp32 on the CPU."""
    logits = []
    head_WD = model.lm_head.weight.float()
    for prompt, request in answered:
        pixels = request.pixels_P3SS
        assert pixels is not None
        ids, positions, is_vision, labels = (
            torch.tensor(values, device=model.device)
            for values in (prompt.input_ids, prompt.position_ids, prompt.is_vision, prompt.labels)
        )
        x_BLD = model.embed(ids[None], is_vision[None], model.vision(pixels.to(model.device, model.dtype)))
        hidden = model.decoder(x_BLD, positions[None], causal_attention)
        logits.append((hidden[0, :-1][labels[1:] >= 0].float() @ head_WD.T).cpu())
    return torch.cat(logits)


def compare(found_NW: torch.Tensor, base_NW: torch.Tensor) -> dict[str, float]:
    """How far logits are from others, and how often they have the same token on top: of all, and where it leads."""
    same_N = found_NW.argmax(-1) == base_NW.argmax(-1)
    first_N, second_N = base_NW.topk(2).values.unbind(-1)
    leads_N = first_N - second_N > LEAD
    return {
        "logits_relative_error": ((found_NW - base_NW).norm() / base_NW.norm()).item(),
        "top1_agreement": same_N.float().mean().item(),
        "tokens_with_a_lead": leads_N.float().mean().item(),
        "top1_agreement_with_a_lead": same_N[leads_N].float().mean().item(),
    }


def captions(
    model: CaptionModel, clips: list[Example], stop_ids: frozenset[int], kv_dtype: torch.dtype
) -> dict[str, tuple[int, ...]]:
    engine = Engine(model, stop_ids, 64, kv_tokens=64 * 1024, kv_dtype=kv_dtype)
    return {done.id: done.token_ids for done in engine.generate(clip.request for clip in clips)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--clips", type=int, default=40, help="half of them with held-out pairs")
    parser.add_argument("--quant", nargs="*", default=["8", "4"], help="as `framescribe caption` takes it")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    made_by = provenance()
    device = torch.device(arguments.device)
    folder = fetch_checkpoint("tiny").folder
    config = ModelConfig.from_file(folder / "config.json")
    tokenizer = CaptionTokenizer(folder)
    prompts = PromptBuilder(
        tokenizer, config.bos_token_id, config.eos_token_id, config.pad_token_id,
        config.vision_config.tokens_per_frame,
    )  # fmt: skip
    clips = list(examples(arguments.clips, prompts, config.vision_config.image_size, arguments.device))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    variants: list[tuple[DtypeName, str | None]] = [("fp32", None), ("bf16", None)]
    variants += [("bf16", quant) for quant in arguments.quant]
    answered: list[tuple[Prompt, Request]] = []
    logits: dict[str, torch.Tensor] = {}
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    results: dict[str, object] = {}
    for dtype, quant in variants:
        precision = Precision(device, dtype, parse_quant(quant, device.type))
        name = str(precision)
        quantize = None if precision.quant is None else quantizer(precision.quant)
        model = load_model(folder, device, precision.dtype, quantize)
        started = time.monotonic()
        found[name] = captions(model, clips, frozenset({config.eos_token_id}), precision.kv_dtype)
        seconds = time.monotonic() - started
        if not answered:  # fp32 comes first
            for clip in clips:
                text = tokenizer.decode(found[name][clip.request.id])
                answered.append((prompts.with_answer(clip.request.prompt, text), clip.request))
        with torch.inference_mode():
            logits[name] = caption_logits(model, answered)
        texts = [(tokenizer.decode(found[name][clip.request.id]), clip.facts) for clip in clips]
        result: dict[str, object] = {
            base: {
                **compare(logits[name], logits[base]),
                "equal_captions": sum(found[name][key] == found[base][key] for key in found[base])
                / len(clips),
            }
            for base in ("fp32", "bf16")
            if base in logits and base != name
        }
        result["scores"] = {
            split: {attribute: share.share for attribute, share in shares.items()}
            for split, shares in score_attributes(texts).shares.items()
        }
        results[name] = result | {"captioning_s": seconds}
        print(name, json.dumps(results[name]), flush=True)
    report = made_by | {"clips": len(clips), "tokens": len(logits["fp32"]), "results": results}
    publish(report, arguments.json)


if __name__ == "__main__":
    main()
