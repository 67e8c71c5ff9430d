"""Makes the Auto classes know the model."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoProcessor, PreTrainedConfig

from framescribe.integrations.transformers.config import MODEL_TYPE, CogVLMVideoConfig
from framescribe.integrations.transformers.model import CogVLMVideoForCausalLM, CogVLMVideoModel
from framescribe.integrations.transformers.processor import CogVLMVideoProcessor
from framescribe.model.config import ARCHITECTURE


def register() -> None:
    """Registers config, models and processor; a second call changes nothing."""
    AutoConfig.register(MODEL_TYPE, CogVLMVideoConfig, exist_ok=True)
    AutoModel.register(CogVLMVideoConfig, CogVLMVideoModel, exist_ok=True)
    AutoModelForCausalLM.register(CogVLMVideoConfig, CogVLMVideoForCausalLM, exist_ok=True)
    AutoProcessor.register(CogVLMVideoConfig, CogVLMVideoProcessor, exist_ok=True)
    read_official_configs()


def read_official_configs() -> None:
    """Has transformers read the official ``config.json`` as one of a model that it knows."""
    read = PreTrainedConfig.get_config_dict.__func__
    if read is not _get_config_dict:
        _published.append(read)
        PreTrainedConfig.get_config_dict = classmethod(_get_config_dict)


_published: list[Any] = []


def _get_config_dict(cls: type, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As transformers reads ``config.json`` for all Auto classes, with the model's type where the file has none."""
    values, rest = _published[0](cls, *args, **kwargs)
    if ARCHITECTURE in (values.get("architectures") or ()):
        values = {name: value for name, value in values.items() if name != "auto_map"} | {
            "model_type": MODEL_TYPE
        }
    return values, rest
