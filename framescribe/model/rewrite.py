"""Linear layers of a loaded model written anew where they are: CUDA graphs hold their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from framescribe.model.checkpoint import Quantize
from framescribe.model.fp8 import Fp8Linear
from framescribe.model.layout import native_names
from framescribe.model.model import CaptionModel
from framescribe.model.stored import Merge, StoredTensor, read_tensors


@torch.no_grad()
def rewrite(
    model: CaptionModel,
    stored: Mapping[str, StoredTensor],
    names: Iterable[str],
    quantize: Quantize | None = None,
    merge: Merge | None = None,
) -> None:
    """Reads weights again and writes them, one layer after the other, as ``load_model`` would have.

    Args:
        model: loaded from the same tensors, and with the same ``quantize``.
        stored: the checkpoint's tensors.
        names: official names of linear layers' weights.
        quantize, merge: as in ``load_model``.
    """
    places = native_names(model.config)
    for name, tensor in read_tensors(stored, names, merge):
        path = places[name].path.removesuffix(".weight")
        layer: Any = model.get_submodule(path)
        linear = _linear(tensor.to(device=model.device, dtype=model.dtype, copy=True), layer.bias)
        made = linear if quantize is None else quantize(path, linear)
        for mine, its in zip(_tensors(layer), _tensors(made), strict=True):
            mine.copy_(its)
        if isinstance(layer, Fp8Linear):
            layer.forget_largest()


def _linear(weight_OD: Tensor, bias: nn.Parameter | None) -> nn.Linear:
    outputs, inputs = weight_OD.shape
    linear = nn.Linear(inputs, outputs, bias=False, device="meta")
    linear.weight = nn.Parameter(weight_OD, requires_grad=False)
    linear.register_parameter("bias", bias)
    return linear


def _tensors(layer: Any) -> Iterator[Tensor]:
    """All that a layer computes with, in the same order for layers of the same kind."""
    yield from layer.parameters(recurse=False)
    yield from layer.buffers(recurse=False)
    # bitsandbytes keeps scales, and their own scales, beside the weight.
    state = getattr(layer.weight, "quant_state", None)
    while state is not None:
        yield from (value for value in vars(state).values() if isinstance(value, Tensor))
        state = state.state2
