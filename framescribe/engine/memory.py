"""What each phase may take at once, and how large the KV cache can be: the memory is probed, not guessed."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

from framescribe.engine.kv_cache import BLOCK_SIZE
from framescribe.engine.scheduler import Limits
from framescribe.errors import UsageError
from framescribe.model.attention import causal_attention
from framescribe.model.model import CaptionModel
from framescribe.model.precision import PUBLISHED_CLIP_TOKENS, available_bytes, kv_bytes_per_token

log = logging.getLogger("framescribe")

# Five published clips: so many that the tiles of the vision tower's products fill an H100's multiprocessors almost a
# whole number of times.
_GPU_FRAMES, _GPU_TOKENS = 120, 8192
_CPU_FRAMES, _CPU_TOKENS = 24, 4096
# Decode steps that a GPU's newcomers wait for company: in a full batch another clip ends every few steps.
_GPU_PATIENCE = 16
# No sequence needs more than the context that the language model was trained for.
_MAX_TOKENS = 8192
# Share of a GPU's memory that is left free for CUDA graphs, frames that wait, and fragmentation.
_SPARE_SHARE = 0.08
# Share of a computer's free memory that is taken: other programs need some too.
_CPU_SHARE = 0.5


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Makes ``device`` this thread's current one, to whose stream events and kernels go."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def phase_limits(device: torch.device, max_batch: int) -> Limits:
    """Phases that keep the device busy (``benchmarks/kernels``)."""
    if device.type == "cuda":
        return Limits(_GPU_FRAMES, _GPU_TOKENS, max_batch, _GPU_PATIENCE)
    return Limits(_CPU_FRAMES, _CPU_TOKENS, max_batch)


def plan_cache(
    model: CaptionModel, limits: Limits, kv_dtype: torch.dtype, reserved_bytes: int = 0
) -> tuple[int, Limits]:
    """Blocks that the KV cache can have, and the limits of the phases that leave it so many, and ``reserved_bytes``.

    On a GPU the largest phases are run once: what they take at their peak stays free. Where that leaves too little for
    one clip, smaller ones are tried.

    Raises:
        UsageError: not even one block fits.
    """
    block_bytes = BLOCK_SIZE * kv_bytes_per_token(model.config, kv_dtype)
    wanted = limits.batch * -(-_MAX_TOKENS // BLOCK_SIZE)
    fitting = (_free_bytes(model, limits) - reserved_bytes) // block_bytes
    while fitting * BLOCK_SIZE < PUBLISHED_CLIP_TOKENS and limits.frames > 1 and model.device.type == "cuda":
        limits = limits.halved()
        fitting = (_free_bytes(model, limits) - reserved_bytes) // block_bytes
    if fitting < 1:
        raise UsageError(
            f"{model.device} has no memory left for a KV cache once the model and its work are there; "
            "use `quant`, or a device with more memory"
        )
    num_blocks = min(wanted, fitting)
    log.debug("KV cache: %d tokens, %.1f GB", num_blocks * BLOCK_SIZE, num_blocks * block_bytes / 1e9)
    return num_blocks, limits


def _free_bytes(model: CaptionModel, limits: Limits) -> int:
    """Bytes left for the cache; none where the phases themselves have no room."""
    if model.device.type != "cuda":
        return int(_CPU_SHARE * available_bytes(model.device))
    try:
        peak_bytes = probe_phases(model, limits)
    except torch.OutOfMemoryError:
        return 0
    total_bytes = torch.cuda.get_device_properties(model.device).total_memory
    return int(available_bytes(model.device) - peak_bytes - _SPARE_SHARE * total_bytes)


@torch.inference_mode()
def probe_phases(model: CaptionModel, limits: Limits) -> int:
    """Bytes that the largest vision chunk and prefill take beside weights and cache; compiles their kernels, too."""
    device, config = model.device, model.config
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    size = config.vision_config.image_size
    features_FVD = model.vision(torch.randn(limits.frames, 3, size, size, device=device, dtype=model.dtype))
    x_1TD = torch.randn(1, limits.tokens, config.hidden_size, device=device, dtype=model.dtype)
    positions_1T = torch.arange(limits.tokens, device=device)[None]
    hidden_1TD = model.decoder(x_1TD, positions_1T, causal_attention)
    model.lm_head(hidden_1TD[0, : limits.batch]).float()
    del features_FVD, x_1TD, positions_1T, hidden_1TD
    peak = torch.cuda.max_memory_allocated(device) - before
    torch.cuda.empty_cache()
    return peak
