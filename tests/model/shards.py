"""How large a safetensors file is, by its format."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

METADATA = {"format": "pt"}


def shard_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Size of the safetensors file that would hold ``tensors``, from their shapes and dtypes alone.

    The format: 8 bytes of header length, a JSON header padded to 8 bytes, the data; wider dtypes first, then by name.
    """
    header: dict[str, object] = {"__metadata__": METADATA}
    offset = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[tensor.dtype]
        offsets = [offset, offset := offset + tensor.nbytes]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    header_bytes = len(json.dumps(header, separators=(",", ":")))
    return 8 + -(-header_bytes // 8) * 8 + offset
