"""The full-size model with random weights on one GPU: does it run, what does it weigh, what does quantising change?

    python benchmarks/full_size.py --json benchmarks/results/full_size.json

Builds CogVLM2-Llama3-Caption (12.5 B parameters, the official config) in bf16, int8 and nf4 from one seed, captions a
clip with each, and compares the quantised logits with bf16's on the same prompt. The RoPE table is checked on the GPU
against the recorded one. Last line: JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from framescribe.captioner import Captioner
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory, weight_bytes
from framescribe.model.quantize import quantizer
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import CaptionSettings, GenerationSettings

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "data" / "reference"
CLIP = ROOT / "examples" / "horse.mp4"
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


def measure(bits: int | None, config: ModelConfig, reference: torch.Tensor | None) -> dict[str, object]:
    """Builds, captions, measures; ``reference`` are bf16's logits."""
    precision = Precision(torch.device("cuda"), "bf16", bits)  # type: ignore[arg-type]
    print(check_memory(config, precision))
    started = time.monotonic()
    quantize = None if bits is None else quantizer(precision.bits)  # type: ignore[arg-type]
    model = random_model(config, precision.device, precision.dtype, seed=0, quantize=quantize)
    torch.cuda.synchronize()
    result: dict[str, object] = {"precision": str(precision), "initialise_s": time.monotonic() - started}
    gc.collect()
    torch.cuda.empty_cache()
    result["weights_gb"] = torch.cuda.memory_allocated() / 1e9
    result["predicted_weights_gb"] = weight_bytes(config, precision) / 1e9

    checkpoint = fetch_checkpoint("tiny-random")
    tokenizer = CaptionTokenizer(checkpoint.folder)
    stop_ids = frozenset({config.eos_token_id})
    captioner = Captioner(model, tokenizer, checkpoint, precision, stop_ids, batch_size=1)
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=NEW_TOKENS))
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        (row,) = captioner.caption([str(CLIP)], settings)
        seconds.append(time.monotonic() - started)
    assert row.output_tokens == NEW_TOKENS, row
    result |= {"caption_s": seconds, "status": row.caption_status, "prompt_tokens": row.prompt_tokens}
    result["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()

    prompts = PromptBuilder(
        tokenizer, config.bos_token_id, config.eos_token_id, config.pad_token_id,
        config.vision_config.tokens_per_frame,
    )  # fmt: skip
    logits = last_logits(model, prompts)
    if reference is None:
        result["rope_steps"] = rope_difference(model)
    else:
        result["logits_relative_error"] = ((logits - reference).norm() / reference.norm()).item()
        result["top1_agreement"] = (logits.argmax(-1) == reference.argmax(-1)).float().mean().item()
    return result | {"_logits": logits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    arguments = parser.parse_args()
    official = json.loads((REFERENCE / "official_checkpoint.json").read_text(encoding="utf-8"))
    config = ModelConfig.from_dict(official["config"])
    reference = None
    results = []
    for bits in (None, 8, 4):
        result = measure(bits, config, reference)
        logits = result.pop("_logits")
        reference = logits if reference is None else reference  # type: ignore[assignment]
        results.append(result)
        print(json.dumps(result))
        gc.collect()
        torch.cuda.empty_cache()
    report = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "results": results,
    }
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
