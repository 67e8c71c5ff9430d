"""The slow baseline: one clip at a time, as the published script does it, with the same weights.

On a GPU: frames transformed on the CPU, the vision tower in plain torch, then ``LlamaForCausalLM.generate`` of
transformers, greedy, batch 1. Without transformers, or on a CPU, this engine takes one clip at a time.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from framescribe.bench.clips import ClipRunner
from framescribe.bench.workload import Workload
from framescribe.engine.engine import Engine
from framescribe.model.config import ROPE_BASE
from framescribe.model.layout import official_tensors
from framescribe.model.model import CaptionModel
from framescribe.prepare import Preparer
from framescribe.video.transform import transform


@dataclass(frozen=True, slots=True)
class Baseline:
    """Seconds a clip, and how they were measured."""

    seconds_per_clip: float
    how: str


def has_transformers() -> bool:
    """Whether the published way can be taken."""
    return importlib.util.find_spec("transformers") is not None


class OneAtATime:
    """This engine with a batch of one, each clip begun when the one before is done."""

    def __init__(self, model: CaptionModel, preparer: Preparer, workload: Workload) -> None:
        self._clips = min(8, workload.clips) if model.device.type == "cpu" else 1
        self._new_tokens = workload.new_tokens
        kv_tokens = workload.prompt_tokens(model.config) + workload.new_tokens
        self._engine = Engine(model, frozenset(), 1, kv_tokens=kv_tokens, use_cuda_graphs=False)
        self._runner = ClipRunner(self._engine, preparer, workload)
        self._runner.latency(2)
        self._seconds: list[float] = []

    def run(self) -> None:
        """A few clips."""
        start = time.perf_counter()
        for number in range(self._clips):
            self._engine.generate([self._runner.request(number, self._new_tokens)])
        self._seconds.append((time.perf_counter() - start) / self._clips)

    @property
    def result(self) -> Baseline:
        """Median of the runs."""
        how = f"this engine, {self._clips} clips one after the other, median of {len(self._seconds)}"
        return Baseline(statistics.median(self._seconds), how)


def as_published(model: CaptionModel, workload: Workload, timed_tokens: int) -> Baseline:
    """transformers' ``generate`` for one clip, of which ``timed_tokens`` tokens are timed and the rest extrapolated.

    Args:
        model: not quantized.
        workload: the clip.
        timed_tokens: at least 2, at most the clip's are.
    """
    llama = llama_of(model)
    timed = max(2, min(timed_tokens, workload.new_tokens))
    caption_seconds(model, llama, workload, 2)
    first_s = caption_seconds(model, llama, workload, 1)
    token_s = (caption_seconds(model, llama, workload, timed) - first_s) / max(1, timed - 1)
    return Baseline(
        first_s + token_s * (workload.new_tokens - 1),
        f"transformers {version('transformers')} generate, one clip, batch 1: first token after {first_s:.2f} s, then "
        f"{1000 * token_s:.1f} ms a token over {timed} tokens, extrapolated to {workload.new_tokens}",
    )


def caption_seconds(model: CaptionModel, llama: Any, workload: Workload, new_tokens: int) -> float:
    """Seconds from uint8 frames in host memory to ``new_tokens`` tokens of one clip."""
    device = model.device
    prompt, frames = workload.prompt(model.config), workload.draw_frames()[0]
    _synchronize(device)
    began = time.perf_counter()
    # With gradients allowed the fused kernels, which give none, stand back; no weight asks for any.
    with torch.enable_grad():
        pixels_F3SS = transform(frames, model.config.vision_config.image_size).to(device, model.dtype)
        features_FVD = model.vision(pixels_F3SS)
        x_1LD = model.embed(
            torch.tensor([prompt.input_ids], device=device),
            torch.tensor([prompt.is_vision], device=device),
            features_FVD,
        )
    llama.generate(
        inputs_embeds=x_1LD,
        attention_mask=torch.ones(x_1LD.shape[:2], dtype=torch.long, device=device),
        max_new_tokens=new_tokens,
        do_sample=False,
        use_cache=True,
    )
    _synchronize(device)
    return time.perf_counter() - began


def llama_of(model: CaptionModel) -> Any:
    """transformers' Llama of the same size, on the very weights of ``model``: views, no copies."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = model.config
    values = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_multi_query_heads,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": ROPE_BASE,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": None,  # every clip gets all of its tokens
        "pad_token_id": config.pad_token_id,
    }
    llama_config = LlamaConfig.from_dict(values)
    with torch.device("meta"):
        llama: Any = LlamaForCausalLM(llama_config)
    llama.load_state_dict(_llama_weights(model), assign=True)
    # Its frequencies are no weights: they are computed where it is made.
    rotary = type(llama.model.rotary_emb)(llama_config)
    llama.model.rotary_emb = rotary.to(model.device)
    llama.generation_config.eos_token_id = None
    return llama.eval().requires_grad_(False)


def _llama_weights(model: CaptionModel) -> dict[str, Tensor]:
    config = model.config
    kv_width = config.num_multi_query_heads * config.head_dim
    weights: dict[str, Tensor] = {}
    for official, tensor in official_tensors(model).items():
        if official.startswith("model.vision.") or official.endswith("inv_freq"):
            continue
        name = official.replace("mlp.language_mlp.", "mlp.").replace("language_expert_dense", "o_proj")
        before, fused, after = name.partition("language_expert_query_key_value")
        if fused:
            parts = tensor.split((config.hidden_size, kv_width, kv_width))
            weights |= {f"{before}{part}_proj{after}": view for part, view in zip("qkv", parts, strict=True)}
        else:
            weights[name] = tensor
    return weights


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
