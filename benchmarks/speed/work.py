"""The work in one clip, counted from the config: floating-point operations, bytes read, and the seconds they must take.

A multiplication and an addition are two operations. Elementwise steps and what fits in caches are left out, so a floor
is a bound that no implementation beats, not an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.speed.ceilings import Ceilings
from framescribe.bench.workload import Workload
from framescribe.model.config import ModelConfig
from framescribe.model.precision import kv_bytes_per_token


@dataclass(frozen=True, slots=True)
class Flops:
    """Operations of a phase for one clip.

    Attributes:
        linear: of matrix products with weights, which fp8 speeds up.
        attention: of scores and their weighted sums.
    """

    linear: float
    attention: float

    @property
    def total(self) -> float:
        return self.linear + self.attention


def vision_flops(config: ModelConfig, frames: int) -> Flops:
    """Patches, layers, downsampling and adapter of ``frames`` frames."""
    vision = config.vision_config
    width, patches = vision.hidden_size, vision.num_positions - 1
    visual_tokens = patches // 4
    layer_weights = 4 * width**2 + 2 * width * vision.intermediate_size
    patch_weights = vision.in_channels * vision.patch_size**2 * width
    adapter_weights = width * config.hidden_size + 3 * config.hidden_size * config.intermediate_size
    linear = (
        patches * patch_weights
        + vision.num_positions * vision.num_hidden_layers * layer_weights
        + visual_tokens * (4 * width**2 + adapter_weights)
    )
    attention = vision.num_hidden_layers * 2 * vision.num_positions**2 * width
    return Flops(2 * frames * linear, 2 * frames * attention)


def prefill_flops(config: ModelConfig, prompt_tokens: int) -> Flops:
    """The layers over the prompt, each token seeing those before it, and ``lm_head`` at the last token.

    Of the last layer all tokens need keys and values; the rest of it is needed for the last token only.
    """
    width, layers = config.hidden_size, config.num_hidden_layers
    kv = 2 * width * config.num_multi_query_heads * config.head_dim
    layer_weights = kv + 2 * width**2 + 3 * width * config.intermediate_size
    linear = (
        prompt_tokens * ((layers - 1) * layer_weights + kv) + (layer_weights - kv) + width * config.vocab_size
    )
    # Half of the square of tokens is seen: once for the scores, once for the sums.
    attention = (layers - 1) * prompt_tokens**2 * width + 2 * prompt_tokens * width
    return Flops(2 * linear, 2 * attention)


@dataclass(frozen=True, slots=True)
class StepBytes:
    """What one decode step must read.

    Attributes:
        weights: of the language half; once for the batch.
        kv: keys and values of all sequences, at their mean length.
    """

    weights: int
    kv: float

    @property
    def total(self) -> float:
        return self.weights + self.kv


def step_bytes(
    config: ModelConfig, workload: Workload, language_bytes: int, kv_dtype: torch.dtype
) -> StepBytes:
    """For the workload's batch; ``language_bytes`` as ``language_weight_bytes`` counts them."""
    mean_length = workload.prompt_tokens(config) + workload.new_tokens / 2
    kv_bytes = kv_bytes_per_token(config, kv_dtype)
    return StepBytes(language_bytes, workload.decoding * mean_length * kv_bytes)


def language_weight_bytes(decoder: nn.Module, lm_head: nn.Module) -> int:
    """Bytes of the weights that every decode step reads, as they are held: quantized ones are smaller."""
    tensors = [*decoder.parameters(), *decoder.buffers(), *lm_head.parameters(), *lm_head.buffers()]
    return sum(map(_held_bytes, tensors))


def _held_bytes(tensor: Tensor) -> int:
    # Quantized tensors of torchao claim the dtype that they stand for; their parts say what they take.
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.nbytes
    return sum(_held_bytes(getattr(tensor, name)) for name in flatten()[0])


def floors(
    config: ModelConfig, workload: Workload, language_bytes: int, kv_dtype: torch.dtype, ceilings: Ceilings
) -> dict[str, float]:
    """Seconds a clip that each phase takes at the machine's ceilings, and their sum."""

    def seconds(flops: Flops) -> float:
        return flops.linear / ceilings.linear_flops_per_s + flops.attention / ceilings.attention_flops_per_s

    step_s = step_bytes(config, workload, language_bytes, kv_dtype).total / ceilings.copy_bytes_per_s
    result = {
        "encode": seconds(vision_flops(config, workload.frames)),
        "prefill": seconds(prefill_flops(config, workload.prompt_tokens(config))),
        # Prefill makes the first token.
        "decode": step_s * (workload.new_tokens - 1) / workload.decoding,
    }
    return result | {"sum": sum(result.values())}
