"""The model as vLLM runs it: vLLM's Llama on the published positions, behind the vision tower.

Shape legend: N tokens of any requests, L tokens of one, F frames, S image size, D decoder width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from vllm.model_executor.models.interfaces import SupportsLoRA, SupportsMRoPE, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.llama import LlamaForCausalLM
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY

from framescribe.integrations.vllm.layers import CheckpointRotary, VisionTower
from framescribe.integrations.vllm.processing import FIELD, DummyInputs, ProcessingInfo, Processor
from framescribe.model.decoder import rope_dtype
from framescribe.prompt import position_ids

# vLLM's newer model runner does not run the tower before it gives the memory to its KV cache: so many frames take
# no more than its largest step of text does.
_FRAMES = 48
_INV_FREQ = re.compile(r"model\.layers\.(\d+)\.self_attn\.rotary_emb\.inv_freq")


@MULTIMODAL_REGISTRY.register_processor(Processor, info=ProcessingInfo, dummy_inputs=DummyInputs)
class CogVLMVideoForCausalLM(nn.Module, SupportsMultiModal, SupportsMRoPE, SupportsLoRA, SupportsPP):
    """CogVLM2-Llama3-Caption."""

    # Official names to vLLM's; adapters, whose layers are called as in the official checkpoint, go by it too.
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.vision.": "vision.",
            "model.": "language_model.model.",
            "lm_head.": "language_model.lm_head.",
        },
        orig_to_new_substr={
            ".language_expert_query_key_value": ".qkv_proj",
            ".language_expert_dense": ".o_proj",
            ".mlp.language_mlp.": ".mlp.",
        },
    )
    packed_modules_mapping = {  # noqa: RUF012
        "qkv_proj": ["qkv_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
        "query_key_value": ["query_key_value"],
        "merged_proj": ["gate_proj", "dense_h_to_4h"],
    }

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """What stands for a video in a chat's text."""
        if modality != "video":
            raise ValueError(f"this model takes videos, not {modality}")
        return "<|reserved_special_token_0|>"

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__()
        self.config = vllm_config.model_config.hf_config
        self.vision = VisionTower(self.config, vllm_config.quant_config, maybe_prefix(prefix, "vision"))
        self.language_model = LlamaForCausalLM(
            vllm_config=vllm_config, prefix=maybe_prefix(prefix, "language_model")
        )
        tokens, dtype = vllm_config.model_config.max_model_len, vllm_config.model_config.dtype
        for attention in self._attentions().values():
            table_dtype = rope_dtype(self.config.sizes, dtype)
            attention.rotary_emb = CheckpointRotary(attention.head_dim, tokens, dtype, table_dtype)
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def _attentions(self) -> dict[int, Any]:
        """The attention of each layer that this process holds."""
        layers = enumerate(self.language_model.model.layers)
        return {number: layer.self_attn for number, layer in layers if hasattr(layer, "self_attn")}

    def get_language_model(self) -> Any:
        return self.language_model

    def get_mm_mapping(self) -> MultiModelKeys:
        return MultiModelKeys.from_string_field(
            language_model="language_model", connector="vision.linear_proj", tower_model="vision.transformer"
        )

    def get_mrope_input_positions(self, input_tokens: list[int], mm_features: Any) -> tuple[Tensor, int]:
        """The published positions in three equal rows, and how far they are behind the tokens' numbers."""
        slot = self.config.pad_token_id
        positions = position_ids([token == slot for token in input_tokens])
        return torch.tensor([positions] * 3), positions[-1] + 1 - len(input_tokens)

    def embed_multimodal(self, **kwargs: Any) -> list[Tensor]:
        """Features of each video's vision slots, [F * (V + 2), D]."""
        videos = kwargs.get(FIELD)
        if videos is None:
            return []
        frames_F3SS = torch.cat(list(videos)).to(self.vision.boi.dtype)
        features_FVD = torch.cat([self.vision(some) for some in frames_F3SS.split(_FRAMES)])
        return [each.flatten(0, 1) for each in features_FVD.split([len(video) for video in videos])]

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Hidden states [N, D]; ``positions`` [3, N] are equal rows."""
        first = positions[0] if positions.ndim == 2 else positions
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model.model(input_ids, first, intermediate_tensors, inputs_embeds)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        logits: Tensor | None = self.language_model.compute_logits(hidden_states)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Loads the official tensors; their frequencies become the layers' RoPE tables."""
        attentions = self._attentions()

        def without_frequencies() -> Iterator[tuple[str, Tensor]]:
            for name, weight in weights:
                if found := _INV_FREQ.fullmatch(name):
                    if int(found[1]) in attentions:
                        attentions[int(found[1])].rotary_emb.set_frequencies(weight)
                else:
                    yield name, weight

        loaded: set[str] = AutoWeightsLoader(self).load_weights(
            without_frequencies(), mapper=self.hf_to_vllm_mapper
        )
        return loaded
