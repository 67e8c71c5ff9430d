"""The architecture's sizes, read from the official ``config.json``."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from framescribe.errors import UsageError
from framescribe.reading import read_json
from framescribe.shown import shorten, shown_value

ARCHITECTURE = "CogVLMVideoForCausalLM"
ROPE_BASE = 500_000.0
RopeDtype = Literal["weights", "float32", "bfloat16"]

MAX_JSON_BYTES = 1 << 20
"""Largest size of a checkpoint's small files."""

# Far above any such model, and low enough that a config which asks for more is refused before anything is built.
_LARGEST = {
    "num_hidden_layers": 512, "hidden_size": 1 << 16, "intermediate_size": 1 << 27, "num_attention_heads": 1 << 10,
    "num_multi_query_heads": 1 << 10, "num_heads": 1 << 10, "vocab_size": 1 << 22, "image_size": 1 << 12,
    "patch_size": 1 << 12, "num_positions": (1 << 16) + 1, "in_channels": 3, "rms_norm_eps": 1.0, "layer_norm_eps": 1.0,
}  # fmt: skip

# Keys of the official file that say nothing about the computation.
_DESCRIPTIVE = {
    "architectures", "auto_map", "initializer_range", "max_position_embeddings", "model_type", "template_version",
    "tie_word_embeddings", "torch_dtype", "dtype", "transformers_version", "use_cache", "_name_or_path",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """EVA2-CLIP-E: sizes of the vision tower; field names as in the official ``vision_config``."""

    hidden_size: int
    image_size: int
    in_channels: int
    intermediate_size: int
    layer_norm_eps: float
    num_heads: int
    num_hidden_layers: int
    num_positions: int
    patch_size: int

    def __post_init__(self) -> None:
        _require_positive("vision_config", self)
        if self.hidden_size % self.num_heads:
            raise UsageError(
                f"vision hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}"
            )
        if self.image_size % self.patch_size or self.grid_size % 2:
            raise UsageError(
                f"image_size {self.image_size} must be an even number of patches of {self.patch_size} pixels"
            )
        if self.num_positions != self.grid_size**2 + 1:
            raise UsageError(
                f"num_positions must be {self.grid_size**2 + 1} (patches and class token), not {self.num_positions}"
            )

    @property
    def grid_size(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def tokens_per_frame(self) -> int:
        """Slots of one frame in the prompt: a token for each 2×2 patches, boi and eoi (66 as published)."""
        return (self.grid_size // 2) ** 2 + 2


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the whole model; field names as in the official ``config.json``.

    Attributes:
        rope_dtype: precision of the RoPE table. ``weights``, as published: the table is built in the dtype that the
            weights are computed in, so a bf16 model sees bf16 angles, those it was trained with.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_multi_query_heads: int
    rms_norm_eps: float
    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    vision_config: VisionConfig
    rope_dtype: RopeDtype = "weights"

    def __post_init__(self) -> None:
        _require_positive("config", self)
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise UsageError(
                f"hidden_size {self.hidden_size} must divide into {self.num_attention_heads} heads of even size"
            )
        if self.num_attention_heads % self.num_multi_query_heads:
            raise UsageError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_multi_query_heads {self.num_multi_query_heads}"
            )
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            token_id = getattr(self, name)
            if type(token_id) is not int or not 0 <= token_id < self.vocab_size:
                raise UsageError(
                    f"{name} {shown_value(token_id)} lies outside the vocabulary of {self.vocab_size}"
                )
        if self.rope_dtype not in get_args(RopeDtype):
            raise UsageError(
                f"rope_dtype must be one of {', '.join(get_args(RopeDtype))}, not {shown_value(self.rope_dtype)}"
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Makes a config from the parsed ``config.json``.

        Raises:
            UsageError: another architecture, a key that is missing, unknown, or that asks for something this model
                does not compute.
        """
        architectures = values.get("architectures")
        if not isinstance(architectures, list) or ARCHITECTURE not in architectures:
            raise UsageError(f"architectures is {shown_value(architectures)}, not [{ARCHITECTURE!r}]")
        language = {key: value for key, value in values.items() if key not in _DESCRIPTIVE}
        vision = language.pop("vision_config", None)
        if not isinstance(vision, dict):
            raise UsageError("vision_config is missing")
        vision = {key: value for key, value in vision.items() if key not in _DESCRIPTIVE}
        _require_value(language, "hidden_act", "silu")
        _require_value(vision, "hidden_act", "gelu")
        # Dropout acts in training only, and the published value is 0.
        _require_value(vision, "dropout_prob", 0.0)
        if values.get("tie_word_embeddings"):
            raise UsageError("tie_word_embeddings is true, but this architecture has its own lm_head")
        language["vision_config"] = _build(VisionConfig, "vision_config", vision)
        config: ModelConfig = _build(cls, "config", language)
        return config

    @classmethod
    def from_file(cls, path: Path) -> ModelConfig:
        """Reads ``config.json``; errors name the file.

        Raises:
            UsageError: not JSON, or not this architecture (see ``from_dict``).
        """
        try:
            return cls.from_dict(read_json(path, MAX_JSON_BYTES))
        except (UsageError, OSError) as error:
            raise UsageError(f"{path} does not describe a CogVLM2-Caption model: {error}") from error

    def official_values(self, torch_dtype: str) -> dict[str, Any]:
        """The official ``config.json``'s keys and values for this model, without its ``auto_map`` to remote code."""
        language = {name: getattr(self, name) for name in self.__dataclass_fields__}
        vision = {name: getattr(self.vision_config, name) for name in self.vision_config.__dataclass_fields__}
        if self.rope_dtype == "weights":
            del language["rope_dtype"]
        return language | {
            "architectures": [ARCHITECTURE],
            "hidden_act": "silu",
            "template_version": "base",
            "tie_word_embeddings": False,
            "torch_dtype": torch_dtype,
            "vision_config": vision | {"hidden_act": "gelu", "dropout_prob": 0.0},
        }


def _require_positive(where: str, config: VisionConfig | ModelConfig) -> None:
    for name in config.__dataclass_fields__:
        value = getattr(config, name)
        if name.endswith(("_token_id", "vision_config", "rope_dtype")):
            continue
        kinds = (int, float) if name.endswith("_eps") else (int,)
        if type(value) not in kinds or not value > 0:
            raise UsageError(f"{where}.{name} must be a number above 0, not {shown_value(value)}")
        if value > _LARGEST[name]:
            raise UsageError(
                f"{where}.{name} is {shown_value(value)}, more than {_LARGEST[name]}: no such model is known"
            )


def _require_value(values: dict[str, Any], key: str, expected: Any) -> None:
    if (found := values.pop(key, expected)) != expected:
        raise UsageError(f"{key} is {shown_value(found)}; this architecture has {expected!r}")


def _build(kind: Any, where: str, values: dict[str, Any]) -> Any:
    missing = [field.name for field in fields(kind) if field.name not in values and field.default is MISSING]
    unknown = values.keys() - {field.name for field in fields(kind)}
    if missing or unknown:
        listed = shorten(shown_value(sorted(unknown))) if unknown else "nothing"
        raise UsageError(f"{where}: missing {missing or 'nothing'}, unknown {listed}")
    return kind(**values)
