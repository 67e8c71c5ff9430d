"""Device, dtype and the memory they need, settled before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psutil
import torch
from torch import nn

from framescribe.errors import UsageError
from framescribe.model.checkpoint import empty_model
from framescribe.model.config import ModelConfig
from framescribe.model.free_memory import host_free_bytes, host_total_bytes
from framescribe.model.quantize import Quant, bytes_per_weight, is_quantized, parse_quant, require_library
from framescribe.model_spec import ModelSpec

DtypeName = Literal["bf16", "fp16", "fp32"]
_TORCH_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

_FP8_CAPABILITY = (8, 9)

# One clip as published: 24 frames (1,622 prompt tokens) and 2,048 new ones.
_CLIP_FRAMES = 24
PUBLISHED_CLIP_TOKENS = 1622 + 2048


@dataclass(frozen=True, slots=True)
class Precision:
    """How a model is held and computed.

    Attributes:
        device: where it is.
        dtype_name: what weights and activations are computed in.
        quant: of the linear layers; None leaves them in ``dtype_name``.
    """

    device: torch.device
    dtype_name: DtypeName
    quant: Quant | None = None

    @property
    def dtype(self) -> torch.dtype:
        return _TORCH_DTYPES[self.dtype_name]

    @property
    def is_fp8(self) -> bool:
        """Whether the linear layers' products are in fp8."""
        return self.quant in ("fp8", "fp8-kv")

    @property
    def kv_dtype(self) -> torch.dtype:
        """The dtype of cached keys and values."""
        return torch.float8_e4m3fn if self.quant == "fp8-kv" else self.dtype

    @property
    def hardware(self) -> str:
        """What computes: the GPU's name, or the CPU's number of cores."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{self.device.type}, {psutil.cpu_count()} cores"

    def __str__(self) -> str:
        """As rows record it: ``bf16``, ``bf16-fp8``, ``fp32-nf4``."""
        return self.dtype_name if self.quant is None else f"{self.dtype_name}-{self.quant}"


def choose_precision(spec: ModelSpec) -> Precision:
    """Fills in what a spec leaves to choose: CUDA where there is a GPU; there bf16, or fp16 on an older one; else fp32.

    Raises:
        UsageError: a device that is not there, fp8 where it cannot be computed, a library for the quantization that is
            not installed.
    """
    device, dtype = _device(spec.device), spec.dtype
    if dtype == "auto":
        if device.type == "cuda":
            dtype = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            dtype = "fp16" if device.type == "mps" else "fp32"
    precision = Precision(device, dtype, parse_quant(spec.quant, device.type))
    if precision.quant is not None:
        require_library(precision.quant, device.type)
    if precision.is_fp8:
        _check_fp8(precision)
    return precision


def _check_fp8(precision: Precision) -> None:
    advice = "use `quant=8`, or leave `quant` out"
    if precision.device.type != "cuda":
        raise UsageError(
            f"`quant={precision.quant}` needs a CUDA GPU of Ada, Hopper or newer, not {precision.device}; {advice}"
        )
    capability = torch.cuda.get_device_capability(precision.device)
    if capability < _FP8_CAPABILITY:
        raise UsageError(
            f"`quant={precision.quant}` needs compute capability 8.9 (Ada, Hopper or newer); {precision.hardware} has "
            f"{capability[0]}.{capability[1]}; {advice}"
        )
    if precision.dtype_name != "bf16":
        raise UsageError(
            f"`quant={precision.quant}` is computed with `dtype=bf16`, not {precision.dtype_name}"
        )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name} is not there: torch sees {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps is not there: torch sees no Apple GPU")
    return device


def weight_bytes(config: ModelConfig, precision: Precision) -> int:
    """Bytes that the weights take on the device."""
    size: float = precision.dtype.itemsize
    total = 0.0
    for path, module in empty_model(config).named_modules():
        per_weight = size
        if isinstance(module, nn.Linear) and is_quantized(path, module, precision.quant):
            assert precision.quant is not None
            per_weight = bytes_per_weight(path, module, precision.quant)
        for name, parameter in module.named_parameters(recurse=False):
            total += parameter.numel() * (per_weight if name == "weight" else size)
    return int(total)


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype) -> int:
    """Bytes that one token's keys and values take in all layers."""
    return 2 * config.num_hidden_layers * config.num_multi_query_heads * config.head_dim * dtype.itemsize


def clip_bytes(config: ModelConfig, precision: Precision) -> int:
    """Bytes that one clip of 24 frames needs beside the weights: its KV cache and the widest activations.

    Those are the hidden states of one MLP over all of its frames' patches, or over its prompt; twice that for the
    gated halves.
    """
    vision = config.vision_config
    vision_wide = _CLIP_FRAMES * vision.num_positions * vision.intermediate_size
    prompt_wide = 2 * PUBLISHED_CLIP_TOKENS * config.intermediate_size
    return (
        PUBLISHED_CLIP_TOKENS * kv_bytes_per_token(config, precision.kv_dtype)
        + 2 * max(vision_wide, prompt_wide) * precision.dtype.itemsize
    )


def total_bytes(device: torch.device) -> int:
    """Bytes of memory that ``device`` has; the host's for the CPU and for Apple GPUs, which share it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return host_total_bytes()


def available_bytes(device: torch.device) -> int:
    """Bytes free on ``device`` now; host memory for the CPU and for Apple GPUs, which share it.

    Of the host's, what this process may take: a container's and ``ulimit``'s limits count.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return host_free_bytes()


def choose_batch(config: ModelConfig, precision: Precision) -> int:
    """Clips that can decode together: 256 on a GPU, where the engine takes as many as the memory holds at a time.

    Elsewhere those that fit four fifths of the memory left once the model is loaded, 1 to 8.
    """
    if precision.device.type == "cuda":
        return 256
    fitting = int(0.8 * available_bytes(precision.device) / clip_bytes(config, precision))
    return max(1, min(fitting, 8))


def check_memory(config: ModelConfig, precision: Precision) -> str:
    """Compares what the model and one clip need with what there is.

    Returns:
        One line that says both.

    Raises:
        UsageError: too little; names the setting that would fit, if one would.
    """

    def needed(option: Precision) -> int:
        return weight_bytes(config, option) + clip_bytes(config, option)

    there = available_bytes(precision.device)
    line = (
        f"{precision} on {precision.device}: needs {_gb(needed(precision))} "
        f"({_gb(weight_bytes(config, precision))} of it weights), {_gb(there)} free"
    )
    if needed(precision) <= there:
        return line
    device, dtype_name = precision.device, precision.dtype_name
    options: dict[str, Precision] = {}
    if precision.quant is None and dtype_name == "fp32":
        options["dtype=bf16"] = Precision(device, "bf16")
    for flag in (8, 4):
        options[f"quant={flag}"] = Precision(device, dtype_name, parse_quant(flag, device.type))
    for setting, option in options.items():
        if needed(option) <= there:
            raise UsageError(
                f"not enough memory. {line}. `{setting}` would fit: it needs {_gb(needed(option))}"
            )
    raise UsageError(f"not enough memory. {line}. No setting would fit; use a device with more memory")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
