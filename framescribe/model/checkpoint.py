"""The official checkpoint layout, read and written: sharded safetensors with an index beside ``config.json``.

Reading streams tensor by tensor to the target device and dtype. Only JSON and safetensors are read: no pickle, and no
code of the checkpoint's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from framescribe.model.config import ModelConfig
from framescribe.model.decoder import rope_dtype, rotary_frequencies
from framescribe.model.model import CaptionModel

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
GENERATION_FILE = "generation_config.json"
_COPIED_FILES = (GENERATION_FILE, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
MAX_SHARD_BYTES = 5_000_000_000
_METADATA = {"format": "pt"}

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


# A linear layer's path and the layer itself, complete on its device, to what takes its place.
Quantize = Callable[[str, nn.Linear], nn.Module]
# Called with the parameters loaded so far, and all there are.
Progress = Callable[[int, int], None]


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


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a checkpoint keeps a tensor, and its shape and dtype as its file says."""

    shard: Path
    shape: tuple[int, ...]
    dtype: str


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of the checkpoint in ``folder`` by official name, from the shards' headers alone.

    Raises:
        ValueError: no weights, a shard that the index names is missing or damaged, index and shards disagree.
    """
    from safetensors import SafetensorError, safe_open

    index_path, single_path = folder / INDEX_FILE, folder / SINGLE_FILE
    weight_map: dict[str, str] | None = None
    if index_path.is_file():
        weight_map = _read_weight_map(index_path)
        shards = [folder / name for name in sorted(set(weight_map.values()))]
        if missing := [shard.name for shard in shards if not shard.is_file()]:
            raise ValueError(
                f"{folder}: {INDEX_FILE} names shards that are not there: {', '.join(missing)}; "
                "download the checkpoint again"
            )
    elif single_path.is_file():
        shards = [single_path]
    else:
        raise ValueError(f"{folder} holds neither {INDEX_FILE} nor {SINGLE_FILE}: no weights to load")
    stored: dict[str, StoredTensor] = {}
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    part = file.get_slice(name)
                    stored[name] = StoredTensor(shard, tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{shard} is not a readable safetensors file ({error}); download it again"
            ) from error
    if weight_map is not None:
        wrong = [
            name
            for name, shard in weight_map.items()
            if name not in stored or stored[name].shard.name != shard
        ]
        if wrong:
            raise ValueError(f"{index_path} names tensors that its shards do not hold: {_listed(wrong)}")
    return stored


def _read_weight_map(index_path: Path) -> dict[str, str]:
    try:
        weight_map = dict(json.loads(index_path.read_text(encoding="utf-8"))["weight_map"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{index_path} is not a safetensors index: {error!r}") from error
    for shard in map(str, weight_map.values()):
        # An index comes from elsewhere: it may name files of its own folder only.
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ValueError(f"{index_path} names {shard!r}, which is not a .safetensors file of its folder")
    return weight_map


def check_tensors(expected: dict[str, Tensor], stored: dict[str, StoredTensor], folder: Path) -> None:
    """Raises ValueError that lists every missing, unexpected, misshapen or non-floating tensor."""
    shared = expected.keys() & stored.keys()
    problems = {
        "missing": [name for name in expected if name not in stored],
        "unexpected": [name for name in stored if name not in expected],
        "of another shape": [
            f"{name} {list(stored[name].shape)} instead of {list(expected[name].shape)}"
            for name in expected
            if name in shared and stored[name].shape != tuple(expected[name].shape)
        ],
        "not floating point": [
            f"{name} {stored[name].dtype}"
            for name in expected
            if name in shared and stored[name].dtype not in ("BF16", "F16", "F32", "F64")
        ],
    }
    if any(problems.values()):
        found = "; ".join(
            f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names
        )
        raise ValueError(f"{folder} does not hold the model that its {CONFIG_FILE} describes. {found}")


def _listed(names: list[str], most: int = 50) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def load_model(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Quantize | None = None,
    progress: Progress | None = None,
) -> CaptionModel:
    """Builds the model of ``folder``'s config on ``device`` and fills it tensor by tensor.

    Args:
        folder: the official layout.
        device, dtype: of the weights. The RoPE frequencies take the config's ``rope_dtype``.
        quantize: applied to each linear layer as soon as it is complete, so that no more than one of them is ever
            held at full precision.
        progress: called after each tensor.

    Raises:
        ValueError: what the folder lacks, has too much of, or cannot be read (``stored_tensors``, ``check_tensors``).
    """
    from safetensors import safe_open

    config = ModelConfig.from_file(folder / CONFIG_FILE)
    model = empty_model(config)
    expected = official_tensors(model)
    stored = stored_tensors(folder)
    check_tensors(expected, stored, folder)

    rotary = model.decoder.rotary
    rotary.inv_freq_NE = torch.empty_like(rotary.inv_freq_NE, device=device, dtype=rope_dtype(config, dtype))
    total = sum(tensor.numel() for tensor in expected.values())
    done = 0
    for shard in sorted({tensor.shard for tensor in stored.values()}):
        with safe_open(shard, framework="pt") as file:
            for official, name in native_names(config).items():
                if stored[official].shard != shard:
                    continue
                tensor = file.get_tensor(official)
                if name.row is not None:
                    rotary.inv_freq_NE[name.row].copy_(tensor)
                else:
                    # Always a copy: the file's tensors are views of a mapping that closes with it.
                    _fill(model, name.path, tensor.to(device=device, dtype=dtype, copy=True), quantize)
                done += tensor.numel()
                if progress is not None:
                    progress(done, total)
    return model.eval().requires_grad_(False)


def read_stop_ids(folder: Path, config: ModelConfig) -> frozenset[int]:
    """Tokens that end a caption: the config's EOS and those of ``generation_config.json``, where there is one."""
    path = folder / GENERATION_FILE
    if not path.is_file():
        return frozenset({config.eos_token_id})
    try:
        extra = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") or []
        return frozenset({config.eos_token_id, *([extra] if isinstance(extra, int) else map(int, extra))})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a generation config: {error}") from error


def empty_model(config: ModelConfig) -> CaptionModel:
    """The model on the meta device: shapes without memory."""
    with torch.device("meta"):
        return CaptionModel(config)


def random_model(
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    quantize: Quantize | None = None,
) -> CaptionModel:
    """A model of random weights, for training from scratch and for benchmarks; arguments as in ``load_model``.

    Matrices are drawn from N(0, 0.02²) (the official ``initializer_range``); norms start at 1, biases at 0.
    """
    model = empty_model(config)
    model.decoder.rotary.inv_freq_NE = rotary_frequencies(config).to(device, rope_dtype(config, dtype))
    generator = torch.Generator(device).manual_seed(seed)
    for path, parameter in list(model.named_parameters()):
        weight = torch.empty(parameter.shape, device=device, dtype=dtype)
        if path.endswith("bias"):
            weight.zero_()
        elif path.endswith("norm.weight"):
            weight.fill_(1.0)
        else:
            weight.normal_(0.0, 0.02, generator=generator)
        _fill(model, path, weight, quantize)
    return model.eval().requires_grad_(False)


def _fill(model: CaptionModel, path: str, weight: Tensor, quantize: Quantize | None) -> None:
    module_path, _, leaf = path.rpartition(".")
    module = model.get_submodule(module_path)
    setattr(module, leaf, nn.Parameter(weight, requires_grad=False))
    complete = not any(parameter.is_meta for parameter in module.parameters(recurse=False))
    if quantize is not None and complete and isinstance(module, nn.Linear):
        model.set_submodule(module_path, quantize(module_path, module))


def plan_shards(tensors: Mapping[str, Tensor], max_bytes: int = MAX_SHARD_BYTES) -> dict[str, list[str]]:
    """Which tensors go to which file, in order, none above ``max_bytes`` unless one tensor alone is. Shapes suffice."""
    shards: list[list[str]] = []
    room = 0
    for name, tensor in tensors.items():
        if not shards or tensor.nbytes > room:
            shards.append([])
            room = max_bytes
        shards[-1].append(name)
        room -= tensor.nbytes
    if len(shards) == 1:
        return {SINGLE_FILE: shards[0]}
    return {
        f"model-{number:05d}-of-{len(shards):05d}.safetensors": names
        for number, names in enumerate(shards, start=1)
    }


def shard_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Size of the safetensors file that would hold ``tensors``, from their shapes and dtypes alone.

    The format: 8 bytes of header length, a JSON header padded to 8 bytes, the data; wider dtypes first, then by name.
    """
    header: dict[str, object] = {"__metadata__": _METADATA}
    offset = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[tensor.dtype]
        offsets = [offset, offset := offset + tensor.nbytes]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    header_bytes = len(json.dumps(header, separators=(",", ":")))
    return 8 + -(-header_bytes // 8) * 8 + offset


def save_checkpoint(
    model: CaptionModel, folder: Path, tokenizer_folder: Path, max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Writes ``model`` and the tokenizer's files in the official layout; the weights keep their dtype.

    Every file is written under a temporary name, then renamed; the config comes last.

    Raises:
        ValueError: the model is quantised (the layout has no place for that).
    """
    from safetensors.torch import save_file

    tensors = official_tensors(model)
    if any(not tensor.is_floating_point() or type(tensor.data) is not Tensor for tensor in tensors.values()):
        raise ValueError("a quantised model cannot be saved in the official layout; load it without --quant")
    folder.mkdir(parents=True, exist_ok=True)
    shards = plan_shards(tensors, max_shard_bytes)
    for file_name, names in shards.items():
        partial = folder / f"{file_name}.partial"
        save_file({name: tensors[name].contiguous() for name in names}, partial, _METADATA)
        partial.chmod(0o644)  # the library writes for the owner only
        partial.replace(folder / file_name)
    if SINGLE_FILE not in shards:
        total = sum(tensor.nbytes for tensor in tensors.values())
        weight_map = {name: file_name for file_name, names in shards.items() for name in names}
        _write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    else:
        (folder / INDEX_FILE).unlink(missing_ok=True)
    for path in folder.glob("model*.safetensors"):
        if path.name not in shards:
            path.unlink()  # of an earlier checkpoint in this folder, cut in other shards
    for file_name in _COPIED_FILES:
        source = tokenizer_folder / file_name
        if source.is_file() and source.resolve() != (folder / file_name).resolve():
            shutil.copyfile(source, folder / file_name)
    _write_json(folder / CONFIG_FILE, model.config.official_values(str(model.dtype).removeprefix("torch.")))


def _write_json(path: Path, value: object) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
