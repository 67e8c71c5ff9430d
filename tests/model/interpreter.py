"""Triton's interpreter (3.6 to 3.9), which ``tests/__init__.py`` switches on, made exact enough to test with.

It truncates where hardware rounds to bf16 and fp8, multiplies bf16 matrices by their bit patterns, and its loops fail
with NumPy 2.4. Torch's conversions take the place of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def repair() -> None:
    """Replaces what is wrong in the interpreter, for this process."""
    import triton.language as tl
    from triton.runtime import interpreter

    dtypes = {
        "fp8e4nv": torch.float8_e4m3fn, "fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32,
    }  # fmt: skip
    raw = {8: torch.uint8, 16: torch.uint16, 32: torch.uint32}

    def convert(data: Any, source: Any, target: Any, _rounding: Any) -> Any:
        held = torch.from_numpy(np.array(data)).view(dtypes[str(source)])
        return held.to(dtypes[str(target)]).view(raw[target.primitive_bitwidth]).numpy()

    def dot(self: Any, a: Any, b: Any, d: Any, _precision: Any, _imprecise: Any) -> Any:
        left, right = (
            x.data if x.dtype == tl.float32 else convert(x.data, x.dtype, tl.float32, None).view(np.float32)
            for x in (a, b)
        )
        return interpreter.TensorHandle(left @ right + d.data, d.dtype.scalar)

    patch_tensor = interpreter._patch_lang_tensor

    def patch(tensor: Any, scope: Any) -> None:
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._convert_float = convert
    interpreter.InterpreterBuilder.create_dot = dot
    interpreter._patch_lang_tensor = patch
