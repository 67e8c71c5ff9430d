"""The official checkpoint layout: file names, and every tensor's name with its place in ``CaptionModel``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from framescribe.model.config import ModelConfig
from framescribe.model.model import CaptionModel

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
GENERATION_FILE = "generation_config.json"

# Official name -> native name, in the official order (it decides the shards). {i} is the layer.
_INV_FREQ = "decoder.rotary.inv_freq_NE"
_EMBEDDING = {"model.embed_tokens.weight": "embedding.weight"}
_DECODER_LAYER = {
    "model.layers.{i}.self_attn.rotary_emb.inv_freq": _INV_FREQ,
    "model.layers.{i}.self_attn.language_expert_query_key_value.weight": "decoder.layers.{i}.qkv.weight",
    "model.layers.{i}.self_attn.language_expert_dense.weight": "decoder.layers.{i}.attention_out.weight",
    "model.layers.{i}.mlp.language_mlp.gate_proj.weight": "decoder.layers.{i}.gate.weight",
    "model.layers.{i}.mlp.language_mlp.up_proj.weight": "decoder.layers.{i}.up.weight",
    "model.layers.{i}.mlp.language_mlp.down_proj.weight": "decoder.layers.{i}.down.weight",
    "model.layers.{i}.input_layernorm.weight": "decoder.layers.{i}.attention_norm.weight",
    "model.layers.{i}.post_attention_layernorm.weight": "decoder.layers.{i}.mlp_norm.weight",
}
_BETWEEN = {
    "model.norm.weight": "decoder.norm.weight",
    "model.vision.boi": "vision.boi",
    "model.vision.eoi": "vision.eoi",
    "model.vision.patch_embedding.cls_embedding": "vision.class_embedding",
    "model.vision.patch_embedding.proj.weight": "vision.patches.weight",
    "model.vision.patch_embedding.proj.bias": "vision.patches.bias",
    "model.vision.patch_embedding.position_embedding.weight": "vision.position_embedding",
}
_VISION_LAYER = {
    "model.vision.transformer.layers.{i}.input_layernorm.weight": "vision.layers.{i}.attention_norm.weight",
    "model.vision.transformer.layers.{i}.input_layernorm.bias": "vision.layers.{i}.attention_norm.bias",
    "model.vision.transformer.layers.{i}.attention.query_key_value.weight": "vision.layers.{i}.qkv.weight",
    "model.vision.transformer.layers.{i}.attention.query_key_value.bias": "vision.layers.{i}.qkv.bias",
    "model.vision.transformer.layers.{i}.attention.dense.weight": "vision.layers.{i}.attention_out.weight",
    "model.vision.transformer.layers.{i}.attention.dense.bias": "vision.layers.{i}.attention_out.bias",
    "model.vision.transformer.layers.{i}.mlp.fc1.weight": "vision.layers.{i}.mlp_in.weight",
    "model.vision.transformer.layers.{i}.mlp.fc1.bias": "vision.layers.{i}.mlp_in.bias",
    "model.vision.transformer.layers.{i}.mlp.fc2.weight": "vision.layers.{i}.mlp_out.weight",
    "model.vision.transformer.layers.{i}.mlp.fc2.bias": "vision.layers.{i}.mlp_out.bias",
    "model.vision.transformer.layers.{i}.post_attention_layernorm.weight": "vision.layers.{i}.mlp_norm.weight",
    "model.vision.transformer.layers.{i}.post_attention_layernorm.bias": "vision.layers.{i}.mlp_norm.bias",
}
_ADAPTER = {
    "model.vision.linear_proj.linear_proj.weight": "vision.adapter.proj.weight",
    "model.vision.linear_proj.norm1.weight": "vision.adapter.norm.weight",
    "model.vision.linear_proj.norm1.bias": "vision.adapter.norm.bias",
    "model.vision.linear_proj.dense_h_to_4h.weight": "vision.adapter.up.weight",
    "model.vision.linear_proj.gate_proj.weight": "vision.adapter.gate.weight",
    "model.vision.linear_proj.dense_4h_to_h.weight": "vision.adapter.down.weight",
    "model.vision.conv.weight": "vision.downsample.weight",
    "model.vision.conv.bias": "vision.downsample.bias",
}
_HEAD = {"lm_head.weight": "lm_head.weight"}


@dataclass(frozen=True, slots=True)
class NativeName:
    """Where the model keeps an official tensor: a parameter, or (for ``inv_freq``) one ``row`` of a buffer."""

    path: str
    row: int | None


def native_names(config: ModelConfig) -> dict[str, NativeName]:
    """Every official tensor name, in the official order, with its place in ``CaptionModel``."""

    def expand(table: dict[str, str], layers: int = 1) -> Iterator[tuple[str, NativeName]]:
        for i in range(layers):
            for official, native in table.items():
                row = i if native == _INV_FREQ else None
                yield official.format(i=i), NativeName(native.format(i=i), row)

    return dict(
        [
            *expand(_EMBEDDING),
            *expand(_DECODER_LAYER, config.num_hidden_layers),
            *expand(_BETWEEN),
            *expand(_VISION_LAYER, config.vision_config.num_hidden_layers),
            *expand(_ADAPTER),
            *expand(_HEAD),
        ]
    )


def official_tensors(model: CaptionModel) -> dict[str, Tensor]:
    """The model's tensors under their official names, in the official order; views, also on the meta device."""
    native = model.state_dict()
    return {
        official: native[name.path] if name.row is None else native[name.path][name.row]
        for official, name in native_names(model.config).items()
    }


def linear_weights(model: CaptionModel) -> dict[str, Tensor]:
    """Those of ``official_tensors`` that are weights of linear layers."""
    tensors = official_tensors(model)
    return {
        official: tensors[official]
        for official, name in native_names(model.config).items()
        if name.path.endswith(".weight")
        and isinstance(model.get_submodule(name.path.removesuffix(".weight")), nn.Linear)
    }
