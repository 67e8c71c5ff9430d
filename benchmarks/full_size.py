"""The full-size model with random weights on one GPU: does it run, what does it weigh, what does quantizing change?

    python -m benchmarks.full_size --json benchmarks/results/full_size_h100.json

Builds CogVLM2-Llama3-Caption (12.5 B parameters, the official config) in fp32, bf16, int8 and nf4 from one seed,
captions a clip with each but fp32, and compares their logits with bf16's on the same prompt. The RoPE table is checked
on the GPU against the recorded one. Last: one LoRA training step, its seconds and memory. Last line: JSON.

Random weights of 0.02 make 63 post-norm layers chaotic: attention saturates, and rounding anywhere changes everything.
So the comparison is made twice: with them, and with the vision norms' gains at 1/8 (about 1/√63), which keeps the
residual stream near the scale of its input.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.provenance import provenance, publish
from framescribe.captioner import Captioner
from framescribe.checkpoint import open_checkpoint
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory, weight_bytes
from framescribe.model.quantize import quantizer
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from framescribe.train.batches import collate
from framescribe.train.parts import choose_weights
from framescribe.train.settings import TrainSettings
from framescribe.types import CaptionSettings, GenerationSettings

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "data" / "reference"
CLIP = ROOT / "examples" / "real" / "horse.mp4"
NEW_TOKENS = 100


def rope_difference(model: CaptionModel) -> dict[str, int]:
    """Largest difference of the GPU's bf16 RoPE table from the recorded one, in units in the last place."""
    recorded = load_file(REFERENCE / "rope_bf16.safetensors")
    rotary = model.decoder.rotary
    assert torch.equal(rotary.inv_freq_NE[0].cpu(), recorded["inv_freq"])
    positions = torch.arange(len(recorded["positions"]), device="cuda")[None]
    angles = rotary.angles(positions)[0, 0].cpu()
    cos, sin = (table[0, 0, 0, :, : angles.shape[-1]].cpu() for table in rotary(positions, torch.bfloat16))
    steps = {}
    for name, found in (("angles", angles), ("cos", cos), ("sin", sin)):
        # Ordered as integers, neighbouring bf16 numbers differ by one.
        ordered = [_ordered(tensor) for tensor in (found, recorded[name])]
        steps[name] = int((ordered[0] - ordered[1]).abs().max())
    return steps


def _ordered(tensor: torch.Tensor) -> torch.Tensor:
    bits = tensor.contiguous().view(torch.int16).int()
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


def last_logits(model: CaptionModel, prompts: PromptBuilder) -> torch.Tensor:
    """Logits at all text positions of a 7-frame prompt on random frames, fp32."""
    prompt = prompts.build("Please describe this video in detail.", "chat", range(7))
    pixels = torch.randn(7, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        x = model.embed(
            torch.tensor([prompt.input_ids]).cuda(),
            torch.tensor([prompt.is_vision]).cuda(),
            model.vision(pixels.cuda().to(model.dtype)),
        )
        hidden = model.decoder(x, torch.tensor([prompt.position_ids]).cuda(), causal_attention)
        return model.lm_head(hidden[0, -16:]).float()


def compare(
    model: CaptionModel, prompts: PromptBuilder, reference: dict[str, torch.Tensor]
) -> dict[str, float]:
    """Relative errors of the logits and share of equal argmaxes, against the first model's (kept in ``reference``)."""
    result = {}
    for scale, gain in (("gain 1", 1.0), ("gain 1/8", 0.125)):
        for name, parameter in model.vision.layers.named_parameters():
            if name.endswith("norm.weight"):
                parameter.data.fill_(gain)
        logits = last_logits(model, prompts)
        expected = reference.setdefault(scale, logits)
        result[f"logits_relative_error, {scale}"] = ((logits - expected).norm() / expected.norm()).item()
        result[f"top1_agreement, {scale}"] = (logits.argmax(-1) == expected.argmax(-1)).float().mean().item()
    return result


def measure(
    precision: Precision, config: ModelConfig, reference: dict[str, torch.Tensor]
) -> dict[str, object]:
    """Builds a model, captions a clip with it, compares it."""
    print(check_memory(config, precision))
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    quantize = None if precision.quant is None else quantizer(precision.quant)
    model = random_model(config, precision.device, precision.dtype, seed=0, quantize=quantize)
    torch.cuda.synchronize()
    result: dict[str, object] = {"precision": str(precision), "initialise_s": time.monotonic() - started}
    gc.collect()
    torch.cuda.empty_cache()
    result["weights_gb"] = torch.cuda.memory_allocated() / 1e9
    result["predicted_weights_gb"] = weight_bytes(config, precision) / 1e9

    stop_ids = frozenset({config.eos_token_id})
    checkpoint = dataclasses.replace(open_checkpoint("tiny-random"), config=config, stop_ids=stop_ids)
    prompts = checkpoint.prompts
    if precision.dtype_name == "bf16":
        captioner = Captioner(model, checkpoint, precision, batch_size=1)
        settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=NEW_TOKENS))
        seconds = []
        for _ in range(2):
            started = time.monotonic()
            (row,) = captioner.caption([str(CLIP)], settings)
            seconds.append(time.monotonic() - started)
        assert row.output_tokens == NEW_TOKENS, row
        result |= {"caption_s": seconds, "prompt_tokens": row.prompt_tokens}
        result["rope_steps"] = rope_difference(model)
    result |= compare(model, prompts, reference)
    result["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return result


def lora_step(config: ModelConfig) -> dict[str, float]:
    """Three LoRA steps (rank 16, all parts) on one published prompt of 24 frames: seconds of the last, peak memory."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    settings = TrainSettings(
        data="synthetic", steps=3, model="random", lora_rank=16, gradient_checkpointing=True
    )
    model = random_model(config, torch.device("cuda"), torch.bfloat16, seed=0)
    choose_weights(model, settings)
    model.vision.recomputes_activations = model.decoder.recomputes_activations = True
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    tokenizer = CaptionTokenizer(fetch_checkpoint("tiny-random").folder)
    prompts = PromptBuilder(
        tokenizer, config.bos_token_id, config.eos_token_id, config.pad_token_id,
        config.vision_config.tokens_per_frame,
    )  # fmt: skip
    prompt = prompts.build(
        settings.prompt, "chat", range(24), answer="A brown horse gallops across a meadow. " * 8
    )
    batch = collate(["random"], [prompt], torch.randn(24, 3, 224, 224)).to(torch.device("cuda"))
    for _ in range(3):
        torch.cuda.synchronize()
        started = time.monotonic()
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(
                batch.input_ids_BL, batch.positions_BL, batch.is_vision_BL, batch.labels_BL, batch.pixels_F3SS
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        seconds = time.monotonic() - started
    return {
        "step_s": seconds,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "tokens": len(prompt),
        "loss": loss.item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    arguments = parser.parse_args()
    made_by = provenance()
    official = json.loads((REFERENCE / "official_checkpoint.json").read_text(encoding="utf-8"))
    config = ModelConfig.from_dict(official["config"])
    cuda = torch.device("cuda")
    reference: dict[str, torch.Tensor] = {}
    results = []
    for precision in (
        Precision(cuda, "bf16"), Precision(cuda, "bf16", "int8"), Precision(cuda, "bf16", "nf4"),
        Precision(cuda, "fp32"),
    ):  # fmt: skip
        results.append(measure(precision, config, reference))
        print(json.dumps(results[-1]))
    publish({**made_by, "results": results, "lora": lora_step(config)}, arguments.json)


if __name__ == "__main__":
    main()
