"""The model's config with what vLLM reads beside the official keys."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from framescribe.integrations.transformers import config as official
from framescribe.integrations.transformers.register import read_official_configs
from framescribe.model.config import ROPE_BASE

MAX_TOKENS = 8192
"""Longest sequence that vLLM plans for; the file's 2,048 are positions, and a frame's 66 tokens take three."""


class CogVLMVideoConfig(official.CogVLMVideoConfig):
    """As in transformers. ``mrope_section`` has vLLM ask the model for positions; its three rows are equal."""

    rope_parameters: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        half = self.hidden_size // self.num_attention_heads // 2
        self.rope_parameters = {
            "rope_type": "default",
            "rope_theta": ROPE_BASE,
            "mrope_section": [half, 0, 0],
        }
        super().__post_init__(**kwargs)
        self.max_position_embeddings = MAX_TOKENS


def register_config() -> None:
    """Makes transformers, by which vLLM reads configs and tokenizers, know the official folder."""
    AutoConfig.register(official.MODEL_TYPE, CogVLMVideoConfig, exist_ok=True)
    read_official_configs()
