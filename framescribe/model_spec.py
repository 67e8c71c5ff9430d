"""Which model captions, and how it is held: one value, before anything of it is looked for or loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Literal, get_args

from framescribe.errors import UsageError
from framescribe.types import DEFAULT_MODEL

Dtype = Literal["auto", "bf16", "fp16", "fp32"]
Quantization = Literal["8", "4", "fp8", "fp8-kv"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
_TORCH_NAMES = {
    "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32",
}  # fmt: skip
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, slots=True, init=False)
class ModelSpec:
    """A model by name, and how it is to be held.

    Attributes:
        name: a folder, a bundled model's name, a Hugging Face repository (``owner/name``) or ``modelscope:owner/name``;
            None: the model that the adapter was trained from.
        revision: branch, tag or commit of the repository; None is its main branch.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        dtype: ``auto``, ``bf16``, ``fp16`` or ``fp32``; ``auto`` is bf16 or fp16 on a GPU and fp32 on a CPU.
        quant: ``"8"``, ``"4"``, ``"fp8"`` or ``"fp8-kv"`` for the linear layers; None leaves them in ``dtype``.
        adapter: folder of a LoRA adapter, which is merged into the model's weights as they are loaded.

    Args:
        name, revision, device, dtype, quant, adapter: likewise; also a path, a ``torch.device``, torch's dtypes and
            their names, and the numbers 8 and 4. Without name and adapter it is the bundled ``tiny``.

    Raises:
        UsageError: an unknown device, dtype or quantization. Whether a device is there is found out when it is used.
    """

    name: str | None
    revision: str | None
    device: str
    dtype: Dtype
    quant: Quantization | None
    adapter: str | None

    def __init__(
        self,
        name: str | PathLike[str] | None = None,
        revision: str | None = None,
        device: Any = "auto",
        dtype: Any = "auto",
        quant: int | str | None = None,
        adapter: str | PathLike[str] | None = None,
    ) -> None:
        if name is None and adapter is None:
            name = DEFAULT_MODEL
        named_dtype = str(dtype).removeprefix("torch.")
        values = {
            "name": None if name is None else fspath(name),
            "revision": revision,
            "device": str(device),
            "dtype": _TORCH_NAMES.get(named_dtype, named_dtype),
            "quant": None if quant is None else str(quant),
            "adapter": None if adapter is None else fspath(adapter),
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        self._check()

    @property
    def label(self) -> str:
        """What rows call it: its name, and its adapter."""
        return "+".join(part for part in (self.name, self.adapter) if part is not None)

    def _check(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(f"unknown `device` {self.device!r}; use auto, cpu, cuda, cuda:1 or mps")
        if self.dtype not in DTYPES:
            raise UsageError(f"unknown `dtype` {self.dtype!r}; choose one of {', '.join(DTYPES)}")
        if self.quant is not None and self.quant not in QUANTIZATIONS:
            raise UsageError(f"`quant` takes 8, 4, fp8 or fp8-kv, not {self.quant}")


def as_spec(model: str | PathLike[str] | ModelSpec) -> ModelSpec:
    """A spec as it is; a name as the spec of that model with everything else left to choose."""
    return model if isinstance(model, ModelSpec) else ModelSpec(model)
