"""Quantized weights: really smaller, still near, still captioning."""

import pytest
import torch
from torch import nn

from framescribe.captioner import Captioner
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.model.config import ModelConfig
from framescribe.model.precision import Precision, weight_bytes
from framescribe.model.quantize import is_quantized, parse_quant, quantizer
from framescribe.model.saving import save_checkpoint
from framescribe.types import CaptionSettings, GenerationSettings
from tests.reference import CLIPS, CPU, TINY, changed_sizes, write_random_checkpoint


def _widen(config):
    # Wide enough that the linear layers are most of it, as in the official model.
    config.update(hidden_size=384, intermediate_size=768)
    config["vision_config"].update(hidden_size=320, intermediate_size=640)


SIZES = changed_sizes(_widen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide")
    write_random_checkpoint(folder, SIZES)
    return folder


def held_bytes(value: object) -> int:
    """Bytes of the plain tensors that a tensor, subclasses and quantization state unfolded, is made of."""
    if hasattr(value, "__tensor_flatten__"):
        return sum(held_bytes(getattr(value, name)) for name in value.__tensor_flatten__()[0])
    if isinstance(value, torch.Tensor):
        if value.is_mkldnn:
            return value.nbytes
        state = getattr(value, "quant_state", None)
        return value.untyped_storage().nbytes() + held_bytes(state)
    return sum(held_bytes(getattr(value, name)) for name in ("absmax", "state2") if hasattr(value, name))


def model_bytes(model: nn.Module) -> int:
    return sum(map(held_bytes, [*model.parameters(), *model.buffers()]))


def logits(model) -> torch.Tensor:
    device = model.device
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, 56, 56, generator=generator).to(device, model.dtype)
    ids_BL = torch.arange(30, device=device)[None]
    is_vision_BL = (ids_BL >= 3) & (ids_BL < 15)
    x_BLD = model.embed(ids_BL, is_vision_BL, model.vision(pixels))
    return model.lm_head(model.decoder(x_BLD, ids_BL, causal_attention)).float().cpu()


def check(folder, quant: str, device: torch.device, dtype_name: str, error: float) -> None:
    precision = Precision(device, dtype_name, quant)
    plain = load_model(folder, device, precision.dtype)
    quantized = load_model(folder, device, precision.dtype, quantizer(quant))
    estimate = weight_bytes(ModelConfig.from_dict(SIZES), precision)
    assert model_bytes(quantized) == pytest.approx(estimate, rel=0.03)
    assert model_bytes(quantized) < model_bytes(plain) * (0.75 if precision.dtype.itemsize == 2 else 0.5)
    expected, found = logits(plain), logits(quantized)
    assert 0 < (found - expected).norm() / expected.norm() < error


# 4 bits lose more on these random weights than on trained ones; a wrong layer would be off by 100 % and more.
ERRORS = {"int8": 0.05, "nf4": 0.3, "int4": 0.3, "fp8": 0.15}


@pytest.mark.parametrize(("quant", "error"), ERRORS.items())
@pytest.mark.parametrize("dtype_name", ["fp32", "bf16"])
def test_smaller_and_near(quant, error, dtype_name, folder):
    check(folder, quant, CPU, dtype_name, error)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("quant", "dtype_name"),
    [("int8", "fp16"), ("int8", "bf16"), ("nf4", "fp16"), ("nf4", "bf16"), ("fp8", "bf16")],
)
def test_smaller_and_near_on_the_gpu(quant, dtype_name, folder, cuda):
    check(folder, quant, cuda, dtype_name, ERRORS[quant])


# Of tiny-random, whose vision tower is 96 wide and whose decoder's MLP is 160: no multiples of 64.
DECODER, VISION = (
    ("qkv", "attention_out", "gate", "up", "down"),
    ("qkv", "attention_out", "mlp_in", "mlp_out"),
)
ALL = (DECODER, VISION, ("proj", "up", "gate", "down"))
LAYERS = {
    "int8": ALL, "int4": ALL, "fp8": ALL, "fp8-kv": ALL, "nf4": (DECODER[:-1], ("mlp_out",), ("up", "gate")),
}  # fmt: skip


@pytest.mark.parametrize("quant", LAYERS)
def test_just_the_linear_layers_inside_are_quantized(quant):
    """Embedding, ``lm_head``, norms and convolutions stay as they are."""
    model = load_model(TINY, CPU, torch.float32, quantizer(quant))
    plain = dict(load_model(TINY, CPU, torch.float32).named_parameters())
    changed = {
        name.removesuffix(".weight")
        for name, parameter in model.named_parameters()
        if type(parameter.data) is not torch.Tensor or parameter.dtype != plain[name].dtype
    }
    decoder, vision, adapter = LAYERS[quant]
    assert changed == {
        *(f"decoder.layers.{layer}.{part}" for layer in range(3) for part in decoder),
        *(f"vision.layers.{layer}.{part}" for layer in range(3) for part in vision),
        *(f"vision.adapter.{part}" for part in adapter),
    }


@pytest.mark.parametrize(
    ("quant", "inputs", "outputs", "is_taken"),
    [
        ("int8", 33, 5, True),
        ("int4", 33, 5, True),  # in 8 bits
        ("nf4", 128, 5, True),
        ("nf4", 96, 64, False),  # scales of 64 weights of a row
        ("fp8", 48, 32, True),
        ("fp8", 48, 40, False),  # 16 either way
        ("fp8", 40, 48, False),
        ("fp8-kv", 40, 48, False),
        (None, 64, 64, False),
    ],
)
def test_sizes_that_cannot_be_quantized_stay(quant, inputs, outputs, is_taken):
    assert is_quantized("decoder.layers.0.up", nn.Linear(inputs, outputs), quant) is is_taken
    assert not is_quantized("lm_head", nn.Linear(64, 64), quant)
    assert not is_quantized("embedding", nn.Embedding(64, 64), quant)


def check_captions(folder, flag: int | str, device: str) -> None:
    captioner = Captioner.from_pretrained(folder, device=device, quant=flag)
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    (row,) = captioner.caption([CLIPS / "short-half-second.mp4"], settings)
    assert row.output_tokens == 3
    assert row.precision.endswith(f"-{parse_quant(flag, device)}")


@pytest.mark.parametrize("flag", [8, 4])
@pytest.mark.parametrize("checkpoint", ["wide", TINY])
def test_captions(flag, checkpoint, folder):
    check_captions(folder if checkpoint == "wide" else checkpoint, flag, "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("flag", [8, 4, "fp8"])
def test_captions_on_the_gpu(flag, folder, cuda):
    check_captions(folder, flag, "cuda")


@pytest.mark.parametrize("quant", ERRORS)
def test_a_quantized_model_is_not_saved(quant, folder, tmp_path):
    model = load_model(folder, CPU, torch.float32, quantizer(quant))
    with pytest.raises(ValueError, match="quantized"):
        save_checkpoint(model, tmp_path / "new", folder)
    assert not (tmp_path / "new").exists()


class Packed(torch.Tensor):
    """Weights in a form of their own, whose dtype says nothing of it."""


def test_weights_in_a_form_of_their_own_are_not_saved(folder, tmp_path):
    model = load_model(folder, CPU, torch.float32)
    weight = model.lm_head.weight.data.as_subclass(Packed)
    model.lm_head.weight = nn.Parameter(weight, requires_grad=False)
    with pytest.raises(ValueError, match="quantized"):
        save_checkpoint(model, tmp_path / "new", folder)
