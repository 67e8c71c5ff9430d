"""Several adapters over one loaded model: after each change it is as if loaded anew, to the last bit."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import framescribe
from framescribe import (
    CaptionRow,
    CaptionSettings,
    Dataset,
    DecodeLimits,
    Endpoint,
    GenerationSettings,
    ModelSpec,
    Observer,
)
from framescribe.captioner import Captioner
from framescribe.checkpoint import open_checkpoint
from framescribe.dataset.runs import OtherSettings
from framescribe.errors import UsageError
from framescribe.model.adapter import Adapter
from framescribe.model.checkpoint import load_model
from framescribe.model.precision import Precision
from framescribe.model.quantize import quantizer
from framescribe.model.rewrite import rewrite
from framescribe.model.stored import stored_tensors
from framescribe.serving.service import Service
from framescribe.serving.settings import ServerSettings
from tests.integrations.adapters import write_adapter
from tests.reference import CLIPS, CPU, TINY, write_random_checkpoint

HORSE = CLIPS / "horse.mp4"
SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=6))
# Layers with and without a bias, of the tower, of what joins it to the decoder, and the last.
OTHER_LAYERS = (
    "mlp.fc1.weight", "attention.dense.weight", "linear_proj.gate_proj.weight", "language_expert_dense.weight",
    "language_mlp.gate_proj.weight", "lm_head.weight",
)  # fmt: skip


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a")
    write_adapter(folder)
    return folder


@pytest.fixture(scope="module")
def b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("b")
    write_adapter(folder, layers=OTHER_LAYERS, seed=1)
    return folder


def plain_tensors(value: Any) -> Iterator[Tensor]:
    """What a tensor or a quantization's state is made of."""
    if hasattr(value, "__tensor_flatten__"):
        for name in value.__tensor_flatten__()[0]:
            yield from plain_tensors(getattr(value, name))
    elif isinstance(value, Tensor):
        yield value.data
        yield from plain_tensors(getattr(value, "quant_state", None))
    elif value is not None:
        for name in ("absmax", "code", "offset", "state2"):
            yield from plain_tensors(getattr(value, name, None))


def weights(model: nn.Module) -> list[Tensor]:
    return [part for each in (*model.parameters(), *model.buffers()) for part in plain_tensors(each)]


def same(found: Tensor, expected: Tensor) -> bool:
    """To the last bit; oneDNN's own layout is compared by what it multiplies to."""
    if not found.is_mkldnn:
        return found.dtype == expected.dtype and torch.equal(found, expected)
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(0, 255, (64, found.shape[-2]), generator=drawn, dtype=torch.uint8)

    def product(weight: Tensor) -> Tensor:
        ones = torch.ones(weight.shape[-1])
        return torch.ops.onednn.qlinear_pointwise(
            x, 1.0, 0, weight, ones, ones.int() * 0, None, 1.0, 0, torch.float32, "none", [], ""
        )

    return torch.equal(product(found), product(expected))


def check_same(found: nn.Module, expected: nn.Module) -> None:
    for mine, its in zip(weights(found), weights(expected), strict=True):
        assert same(mine, its)


def addresses(model: nn.Module) -> list[int]:
    return [part.data_ptr() for part in weights(model) if not part.is_mkldnn]


def caption(captioner: Captioner) -> CaptionRow:
    (row,) = captioner.caption(HORSE, SETTINGS)
    return replace(row, created_at="")


@pytest.mark.parametrize(("dtype", "quant"), [("fp32", None), ("bf16", 8), ("fp32", 4)])
def test_each_change_gives_what_loading_anew_gives(dtype: str, quant: int | None, a: Path, b: Path) -> None:
    def loaded(adapter: Path | None) -> Captioner:
        return Captioner.from_pretrained(TINY, device="cpu", dtype=dtype, quant=quant, adapter=adapter)

    captioner, anew = loaded(a), {adapter: loaded(adapter) for adapter in (a, b, None)}
    rows = {adapter: caption(each) for adapter, each in anew.items()}
    assert len({row.caption_raw for row in rows.values()}) == 3
    before = addresses(captioner.engine.model)
    for adapter in (b, None, a, a):
        captioner.use_adapter(adapter)
        check_same(captioner.engine.model, anew[adapter].engine.model)
        assert caption(captioner) == rows[adapter]  # text, tokens, model and revision
    assert addresses(captioner.engine.model) == before


def test_features_are_those_of_the_adapter(a: Path, b: Path) -> None:
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    captioner = Captioner.from_pretrained("tiny-random", device="cpu", adapter=a)
    size = captioner.checkpoint.config.vision_config.image_size
    pooled = {}
    for adapter in (a, b):
        captioner.use_adapter(adapter)
        pooled[adapter] = captioner.engine.pool(pixels[..., :size, :size], (0, 1))
    anew = Captioner.from_pretrained("tiny-random", device="cpu", adapter=b)
    assert torch.equal(anew.engine.pool(pixels[..., :size, :size], (0, 1)), pooled[b])
    assert not torch.equal(pooled[a], pooled[b])


def test_the_model_that_the_first_adapter_names_stays(a: Path, b: Path) -> None:
    captioner = Captioner.from_pretrained(adapter=a, device="cpu")
    captioner.use_adapter(b)
    anew = Captioner.from_pretrained(TINY, adapter=b, device="cpu")
    assert caption(captioner) == caption(anew)
    captioner.use_adapter(None)
    assert caption(captioner) == caption(Captioner.from_pretrained(TINY, device="cpu"))


def torchao_int8(_: str, linear: nn.Module) -> nn.Module:
    """As on a GPU; on a CPU int8 is native."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(linear, Int8WeightOnlyConfig())
    return linear


@pytest.mark.parametrize(
    ("dtype", "quantize"),
    [
        (torch.bfloat16, None),
        (torch.float16, None),
        (torch.float32, quantizer("int8")),
        (torch.bfloat16, quantizer("int4")),
        (torch.bfloat16, quantizer("fp8")),
        (torch.float16, quantizer("nf4")),
        (torch.bfloat16, quantizer("nf4")),
        (torch.bfloat16, torchao_int8),
    ],
    ids=["bf16", "fp16", "int8", "int4", "fp8", "fp16-nf4", "nf4", "torchao"],
)
def test_the_weights_are_those_of_loading_anew(
    dtype: torch.dtype, quantize: Callable[[str, nn.Linear], nn.Module] | None, a: Path, b: Path
) -> None:
    stored = stored_tensors(TINY)
    merges = [open_checkpoint(str(TINY), adapter=str(folder)).merge for folder in (a, b)]
    names = {name for folder in (a, b) for name in load_adapter(folder).factors}
    model = load_model(TINY, CPU, dtype, quantize)
    derived(model)  # what is computed of the weights once must follow them
    before = addresses(model)
    for merge in (*merges, None):
        rewrite(model, stored, names, quantize, merge)
        anew = load_model(TINY, CPU, dtype, quantize, merge=merge)
        check_same(model, anew)
        assert derived(model) == derived(anew)
    assert addresses(model) == before


def derived(model: nn.Module) -> list[Any]:
    return [getattr(layer, "largest", None) for layer in model.modules()]


def load_adapter(folder: Path) -> Adapter:
    adapter = open_checkpoint(str(TINY), adapter=str(folder)).adapter
    assert adapter is not None
    return adapter


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def _with_nan(tensors: dict[str, Tensor]) -> None:
    tensors[max(tensors)][0, 0] = torch.nan


def _with_a_product_beyond_fp32(tensors: dict[str, Tensor]) -> None:
    for each in tensors.values():
        each[0, 0] = 1e30


def _without_half_a_layer(tensors: dict[str, Tensor]) -> None:
    del tensors[max(tensors)]


def _of_the_embedding(tensors: dict[str, Tensor]) -> None:
    name, prefix = "lm_head", "base_model.model."
    for part in ("lora_A", "lora_B"):
        tensors[f"{prefix}model.embed_tokens.{part}.weight"] = tensors[
            f"{prefix}{name}.{part}.weight"
        ].clone()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with_nan, "not all numbers"),
        (_with_a_product_beyond_fp32, "not all numbers up to 1,000,000"),
        (_without_half_a_layer, "is no linear layer"),
        (_of_the_embedding, r"embed_tokens.* is no linear layer"),
        (dict.clear, "holds no layer"),
    ],
)
def test_an_adapter_that_cannot_be_used_changes_nothing(
    change: Callable[[dict[str, Tensor]], None], said: str, a: Path, b: Path, tmp_path: Path
) -> None:
    shutil.copytree(b, tmp_path / "b")
    change_weights(tmp_path / "b", change)
    captioner = Captioner.from_pretrained(TINY, device="cpu", adapter=a)
    expected = caption(captioner)
    with pytest.raises(UsageError, match=said):
        captioner.use_adapter(tmp_path / "b")
    with pytest.raises(UsageError, match=r"holds no adapter_config\.json"):
        captioner.use_adapter(tmp_path)
    check_same(captioner.engine.model, Captioner.from_pretrained(TINY, device="cpu", adapter=a).engine.model)
    assert caption(captioner) == expected


class Failing(Mapping[str, tuple[Tensor, Tensor]]):
    """An adapter's factors, the third of which cannot be had."""

    def __init__(self, factors: Mapping[str, tuple[Tensor, Tensor]], error: BaseException) -> None:
        self.factors, self.error, self.asked = factors, error, 0

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        self.asked += 1
        if self.asked == 3:
            raise self.error
        return self.factors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.factors

    def __iter__(self) -> Iterator[str]:
        return iter(self.factors)

    def __len__(self) -> int:
        return len(self.factors)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), torch.OutOfMemoryError()])
@pytest.mark.parametrize("quant", [None, "int8", "int4"])
def test_what_breaks_off_half_way_leaves_the_model_as_it_was(
    error: BaseException, quant: Any, a: Path, b: Path
) -> None:
    precision = Precision(CPU, "fp32", quant)
    checkpoint = open_checkpoint(str(TINY), adapter=str(a))
    model = checkpoint.load(precision)
    other = checkpoint.with_adapter(str(b))
    assert other.adapter is not None
    factors = Failing(other.adapter.factors, error)
    with pytest.raises(type(error)):
        checkpoint.rewrite(model, precision, replace(other, adapter=Adapter(2.0, factors)))
    assert factors.asked == 3
    check_same(model, checkpoint.load(precision))


def test_a_checkpoint_that_has_changed_is_not_mixed_with_what_was_loaded(a: Path, tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path / "model", json.loads((TINY / "config.json").read_text()))
    captioner = Captioner.from_pretrained(tmp_path / "model", device="cpu")
    expected = caption(captioner)
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UsageError, match="has changed since it was loaded"):
        captioner.use_adapter(a)
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(UsageError, match="has changed since it was loaded"):
        captioner.use_adapter(a)
    assert caption(captioner) == expected


def test_captions_in_work_keep_their_adapter(a: Path, b: Path) -> None:
    captioner = Captioner.from_pretrained(TINY, device="cpu", adapter=a)
    expected = caption(captioner)
    not_begun = captioner.caption(HORSE, SETTINGS)
    with pytest.raises(UsageError, match="captions are in work"):
        captioner.use_adapter(b)
    assert replace(next(not_begun), created_at="") == expected
    with pytest.raises(UsageError, match="captions are in work"):  # it may have more rows
        captioner.use_adapter(b)
    assert list(not_begun) == []
    pieces = captioner.ask(HORSE, "What moves?", settings=SETTINGS)
    next(pieces)
    with pytest.raises(UsageError, match="captions are in work"):
        captioner.use_adapter(b)
    pieces.close()
    captioner.caption(HORSE, SETTINGS)  # dropped at once
    captioner.use_adapter(b)
    assert caption(captioner) == caption(Captioner.from_pretrained(TINY, device="cpu", adapter=b))


def test_runs_over_one_model_are_those_of_models_of_their_own(a: Path, b: Path, tmp_path: Path) -> None:
    captioner = Captioner.from_pretrained(TINY, device="cpu", batch_size=2)

    def run(folder: str, model: Captioner | ModelSpec) -> int:
        options = {"model": model, "settings": SETTINGS, "progress": False}
        return framescribe.caption(HORSE, tmp_path / folder, **options).rows

    captioner.use_adapter(a)
    assert run("a", captioner) == 1
    assert run("a", ModelSpec(TINY, device="cpu", adapter=a)) == 0  # the same run, which is done
    captioner.use_adapter(b)
    with pytest.raises(OtherSettings, match="model"):
        run("a", captioner)
    assert run("b", captioner) == run("b-anew", ModelSpec(TINY, device="cpu", adapter=b)) == 1
    (row,), (expected,) = (Dataset(tmp_path / folder).rows() for folder in ("b", "b-anew"))
    assert row | {"created_at": ""} == expected | {"created_at": ""}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 2}, "is loaded already"),
        ({"executor": "ray"}, "is loaded already"),
        ({"executor": Endpoint("http://x")}, "is loaded already"),
        ({"limits": DecodeLimits(decoder="gpu")}, "has no video decoder"),
    ],
)
def test_a_loaded_model_is_taken_as_it_is(
    options: dict[str, Any], said: str, captioner: Captioner, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        framescribe.caption(HORSE, tmp_path / "new", model=captioner, progress=False, **options)
    assert not (tmp_path / "new").exists()


def test_a_call_that_is_refused_leaves_no_captions_in_work(a: Path) -> None:
    captioner = Captioner.from_pretrained(TINY, device="cpu")
    with pytest.raises(UsageError) as refused:  # keeps the frames that it went through
        captioner.caption_tasks(iter(()), SETTINGS, DecodeLimits(decoder="gpu"))
    captioner.use_adapter(a)
    assert refused.tb is not None


def test_a_run_that_breaks_off_leaves_no_captions_in_work(a: Path, tmp_path: Path) -> None:
    captioner = Captioner.from_pretrained(TINY, device="cpu", batch_size=1)

    class Stopping(Observer):
        def row(self, row: CaptionRow) -> None:
            raise KeyboardInterrupt

    clips = [HORSE, CLIPS / "kitten.mp4"]
    with pytest.raises(KeyboardInterrupt) as stopped:  # keeps the frames that it went through
        framescribe.caption(clips, tmp_path, model=captioner, settings=SETTINGS, progress=Stopping())
    captioner.use_adapter(a)
    assert stopped.tb is not None


def test_a_server_keeps_its_adapter(a: Path) -> None:
    captioner = Captioner.from_pretrained(TINY, device="cpu")
    service = Service(ServerSettings())
    service.open(captioner)
    with pytest.raises(UsageError, match="captions are in work"):
        captioner.use_adapter(a)
    service.close()
    captioner.use_adapter(a)
    assert captioner.checkpoint.name == f"{TINY}+{a}"


def held_bytes() -> int:
    """Of all tensors that are alive, also of those that wait for the garbage collector."""
    return sum(each.nbytes for each in gc.get_objects() if issubclass(type(each), Tensor))


@pytest.mark.parametrize("quant", [None, "int8", "int4"])
def test_nothing_is_kept_of_the_layers_before(quant: Any, a: Path, b: Path) -> None:
    precision = Precision(CPU, "bf16", quant)
    first = open_checkpoint(str(TINY), adapter=str(a))
    model, other = first.load(precision), first.with_adapter(str(b))
    first.rewrite(model, precision, other)
    gc.collect()  # of other tests, whose tensors might go meanwhile
    before = held_bytes()
    for _ in range(3):
        other.rewrite(model, precision, first)
        first.rewrite(model, precision, other)
    assert held_bytes() <= before


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "quant"), [("fp32", None), ("bf16", None), ("bf16", 8), ("bf16", 4), ("bf16", "fp8")]
)
def test_cuda_graphs_compute_with_the_new_weights(
    dtype: str, quant: int | str | None, a: Path, b: Path, cuda: torch.device
) -> None:
    def loaded(adapter: Path | None) -> Captioner:
        return Captioner.from_pretrained(
            TINY, device=cuda, dtype=dtype, quant=quant, adapter=adapter, batch_size=2
        )

    rows = {adapter: caption(loaded(adapter)) for adapter in (a, b, None)}
    captioner = loaded(a)
    assert caption(captioner) == rows[a]
    graphs = captioner.engine._runner._decode_step._graphs
    captured = dict(graphs)
    assert captured
    for adapter in (b, None, a):
        captioner.use_adapter(adapter)
        assert caption(captioner) == rows[adapter]
    assert graphs == captured
