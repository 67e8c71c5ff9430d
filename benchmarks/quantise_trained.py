"""What quantising changes on trained weights: logits of the bundled model, teacher-forced on its own captions.

    python benchmarks/quantise_trained.py

For each precision: relative error of the logits against fp32's and bf16's, and the share of equal argmaxes, over all
caption tokens of the example clips. CPU. Last line: JSON.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import torch

from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.model.quantize import quantizer
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import DEFAULT_QUESTION, Clip, FrameSampling, Prompt
from framescribe.video.decode import decode_frames
from framescribe.video.transform import transform

EXAMPLES = Path(__file__).parent.parent / "examples"
CPU = torch.device("cpu")
PRECISIONS = [
    Precision(CPU, "fp32"),
    *(Precision(CPU, "bf16", quant) for quant in (None, "int8", "nf4", "fp8")),
]


def caption_logits(model: CaptionModel, examples: list[tuple[Prompt, torch.Tensor]]) -> torch.Tensor:
    """Logits [N, W] that predict the captions' tokens, fp32."""
    logits = []
    for prompt, pixels in examples:
        x_BLD = model.embed(
            torch.tensor([prompt.input_ids]),
            torch.tensor([prompt.is_vision]),
            model.vision(pixels.to(model.dtype)),
        )
        hidden = model.decoder(x_BLD, torch.tensor([prompt.position_ids]), causal_attention)
        captioned = torch.tensor(prompt.labels)[1:] >= 0
        logits.append(model.lm_head(hidden[0, :-1][captioned]).float())
    return torch.cat(logits)


def main() -> None:
    folder = fetch_checkpoint("tiny").folder
    tokenizer = CaptionTokenizer(folder)
    prompts = PromptBuilder(tokenizer, bos_token_id=0, eos_token_id=1, slot_token_id=2, tokens_per_frame=38)
    captions = {}
    for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            _, name, caption, _ = (cell.strip(" `") for cell in line.split("|"))
            captions[name] = caption
    examples = []
    for name, caption in captions.items():
        frames = decode_frames(Clip(str(EXAMPLES / name)), FrameSampling())
        prompt = prompts.build(DEFAULT_QUESTION, "chat", range(len(frames.indices)), answer=caption)
        examples.append((prompt, transform(frames.pixels, 168)))
    logits = {}
    with torch.inference_mode():
        for precision in PRECISIONS:
            quantize = None if precision.quant is None else quantizer(precision.quant)
            model = load_model(folder, CPU, precision.dtype, quantize)
            logits[str(precision)] = caption_logits(model, examples)
    results = {
        f"{name} against {base}": {
            "logits_relative_error": ((found - logits[base]).norm() / logits[base].norm()).item(),
            "top1_agreement": (found.argmax(-1) == logits[base].argmax(-1)).float().mean().item(),
        }
        for base in ("fp32", "bf16")
        for name, found in logits.items()
        if name not in (base, "fp32")
    }
    for name, result in results.items():
        print(name, result)
    tokens = len(logits["fp32"])
    print(
        json.dumps(
            {"torch": torch.__version__, "cpu": platform.processor(), "tokens": tokens, "results": results}
        )
    )


if __name__ == "__main__":
    main()
