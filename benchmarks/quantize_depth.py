"""Why int8 on random full-size weights is far from bf16: depth makes them chaotic, for bf16 itself too.

    python -m benchmarks.quantize_depth --json benchmarks/results/quantize_depth_cpu.json

A narrow model of the official depth (63 vision, 32 decoder layers) whose random matrices have the gain of the official
widths at initialiser 0.02, or a part of it. For each gain: how far bf16 is from fp32, and int8 from bf16, relative, at
the end of the tower and in the logits. CPU, a minute. Last line: JSON.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from benchmarks.provenance import provenance, publish
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import Quantize, random_model
from framescribe.model.config import ModelConfig, VisionConfig
from framescribe.model.model import CaptionModel
from framescribe.model.quantize import quantizer

CONFIG = ModelConfig(
    vocab_size=1000, hidden_size=256, intermediate_size=896, num_hidden_layers=32, num_attention_heads=8,
    num_multi_query_heads=2, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    vision_config=VisionConfig(
        hidden_size=192, image_size=56, in_channels=3, intermediate_size=1024, layer_norm_eps=1e-6, num_heads=4,
        num_hidden_layers=63, num_positions=17, patch_size=14,
    ),
)  # fmt: skip
FRAMES, TEXT_TOKENS = 4, 20
# Columns of the official matrices, by the last part of a layer's name; else the width of its half.
OFFICIAL_COLUMNS = {"mlp_out": 15360, "down": 14336, "patches": 588, "downsample": 4 * 1792}
# (gain of the vision norms, part of the official matrices' gain)
SETTINGS = ((1.0, 1.0), (0.125, 1.0), (0.125, 0.5), (0.125, 0.25), (1.0, 0.25))


def scaled_model(
    dtype: torch.dtype, norm_gain: float, matrix_gain: float, quantize: Quantize | None
) -> CaptionModel:
    """A random model whose layers amplify as the official sizes' would, times ``matrix_gain``."""
    model = random_model(CONFIG, torch.device("cpu"), dtype, seed=0)
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear | nn.Conv2d):
            name = path.rpartition(".")[2]
            columns = OFFICIAL_COLUMNS.get(name, 1792 if path.startswith("vision.layers") else 4096)
            module.weight.data.mul_((columns / module.weight[0].numel()) ** 0.5 * matrix_gain)
        if path.startswith("vision.layers") and path.endswith("norm"):
            module.weight.data.fill_(norm_gain)
        if quantize is not None and isinstance(module, nn.Linear):
            model.set_submodule(path, quantize(path, module))
    return model


@torch.inference_mode()
def outputs(model: CaptionModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Vision features, and logits of the last 16 tokens, for fixed random frames and text; fp32."""
    slots = FRAMES * CONFIG.vision_config.tokens_per_frame
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(FRAMES, 3, 56, 56, generator=generator).to(model.dtype)
    input_ids_BL = torch.randint(3, 1000, (1, slots + TEXT_TOKENS), generator=generator)
    is_vision_BL = torch.arange(slots + TEXT_TOKENS)[None] < slots
    features = model.vision(pixels)
    positions_BL = torch.arange(slots + TEXT_TOKENS)[None]
    hidden = model.decoder(model.embed(input_ids_BL, is_vision_BL, features), positions_BL, causal_attention)
    return features.float(), model.lm_head(hidden[0, -16:]).float()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()
    made_by = provenance()
    results = []
    for norm_gain, matrix_gain in SETTINGS:
        fp32, bf16, int8 = (
            outputs(scaled_model(dtype, norm_gain, matrix_gain, quantize))
            for dtype, quantize in (
                (torch.float32, None), (torch.bfloat16, None), (torch.bfloat16, quantizer("int8")),
            )
        )  # fmt: skip
        result = {"vision_norm_gain": norm_gain, "matrix_gain": matrix_gain}
        for name, found, expected in (("bf16 from fp32", bf16, fp32), ("int8 from bf16", int8, bf16)):
            for place, a, b in zip(("vision", "logits"), found, expected, strict=True):
                result[f"{name}, {place}"] = round(((a - b).norm() / b.norm()).item(), 4)
        results.append(result)
        print(result)
    publish({**made_by, "results": results}, arguments.json)


if __name__ == "__main__":
    main()
