"""The official ``config.json`` as transformers holds it."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from transformers import PreTrainedConfig

from framescribe.model.config import ARCHITECTURE, ModelConfig

MODEL_TYPE = "cogvlm_video"


def _official_vision() -> dict[str, Any]:
    return {
        "dropout_prob": 0.0, "hidden_act": "gelu", "hidden_size": 1792, "image_size": 224, "in_channels": 3,
        "intermediate_size": 15360, "layer_norm_eps": 1e-6, "num_heads": 16, "num_hidden_layers": 63,
        "num_positions": 257, "patch_size": 14,
    }  # fmt: skip


class CogVLMVideoConfig(PreTrainedConfig):
    """Sizes of the model, by their official names; the defaults are CogVLM2-Llama3-Caption's.

    ``pad_token_id`` fills the vision slots, and is what batches are padded with. ``rope_dtype`` is ``ModelConfig``'s.
    """

    model_type = MODEL_TYPE
    attribute_map = {"num_key_value_heads": "num_multi_query_heads"}  # noqa: RUF012  # as transformers has it
    keys_to_ignore_at_inference = ["cache", "past_key_values"]  # noqa: RUF012

    vocab_size: int = 128256
    hidden_size: int = 4096
    intermediate_size: int = 14336
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_multi_query_heads: int = 8
    rms_norm_eps: float = 1e-5
    hidden_act: str = "silu"
    initializer_range: float = 0.02
    max_position_embeddings: int = 2048
    bos_token_id: int = 128000
    eos_token_id: int = 128001
    pad_token_id: int = 128002
    template_version: str = "base"
    tie_word_embeddings: bool = False
    use_cache: bool = True
    rope_dtype: str = "weights"
    vision_config: dict[str, Any] = field(default_factory=_official_vision)

    @property
    def sizes(self) -> ModelConfig:
        """The same as framescribe reads it.

        Raises:
            UsageError: another architecture.
        """
        names = (*ModelConfig.__dataclass_fields__, "hidden_act", "tie_word_embeddings")
        values = {name: getattr(self, name) for name in names}
        return ModelConfig.from_dict(values | {"architectures": [ARCHITECTURE]})
