"""Where versions of vLLM differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import BatchFeature
from vllm.multimodal.processing import BaseMultiModalProcessor


class FramesProcessor(BaseMultiModalProcessor):
    """A processor that makes tensors of the multi-modal data, and tokens of the text where it is asked to."""

    def tensors(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The model's tensors, by field."""
        raise NotImplementedError

    def _call_hf_processor(self, *args: Any, **kwargs: Any) -> BatchFeature:
        # Until 0.26: (prompt, mm_data, mm_kwargs, tok_kwargs), to tokens and tensors; since: (hf_data, hf_kwargs).
        names = ("prompt", "mm_data") if "prompt" in kwargs or len(args) == 4 else ("hf_data",)
        given = dict(zip(names, args, strict=False)) | kwargs
        if "prompt" not in given:
            return BatchFeature(self.tensors(given["hf_data"]))
        ids = self.info.get_tokenizer().encode(given["prompt"], **given.get("tok_kwargs", {}))
        return BatchFeature({"input_ids": [ids], **self.tensors(given["mm_data"])})

    def _hf_processor_applies_updates(self, *_: Any, **__: Any) -> bool:
        return False
