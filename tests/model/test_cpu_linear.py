"""int8 and int4 layers on a CPU against plain products of the same rounded numbers, in fp64."""

import pytest
import torch
from torch import nn

from framescribe.model import cpu_linear
from framescribe.model.cpu_linear import INT4_GROUP, Int4Linear, Int8Linear
from framescribe.model.quantize import bytes_per_weight


def layer(inputs: int, outputs: int, bias: bool, dtype: torch.dtype) -> nn.Linear:
    torch.manual_seed(inputs + outputs)
    linear = nn.Linear(inputs, outputs, bias=bias, dtype=dtype)
    with torch.no_grad():
        linear.weight[0] = 0.0  # a row without a scale
        linear.weight[1] *= 100.0
    return linear.requires_grad_(False)


def activations(inputs: int, tokens: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Of very different sizes from token to token; the first is all zeros."""
    x = torch.randn(*tokens, inputs, generator=torch.Generator().manual_seed(0))
    x = x * torch.logspace(-3, 3, tokens[-1])[:, None]
    x.view(-1, inputs)[0] = 0.0
    return x.to(dtype)


def rounded_rows(values: torch.Tensor) -> torch.Tensor:
    """Each row to 255 steps that are symmetric around 0, in fp64."""
    steps = (values.abs().amax(-1, keepdim=True).double() / 127).clamp(min=1e-12)
    return (values.double() / steps).round() * steps


@pytest.mark.parametrize("products", ["the CPU's own", "plain"])
@pytest.mark.parametrize("tokens", [(1,), (2, 1), (3, 17)])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize(("inputs", "outputs", "bias"), [(96, 40, True), (33, 5, False), (256, 64, False)])
def test_int8_is_the_product_of_the_rounded_numbers(
    inputs, outputs, bias, dtype, error, tokens, products, monkeypatch
):
    if products == "plain":
        monkeypatch.setattr(cpu_linear, "_has_integer_products", lambda: False)
    linear = layer(inputs, outputs, bias, dtype)
    x = activations(inputs, tokens, dtype)
    expected = rounded_rows(x) @ rounded_rows(linear.weight).T
    if bias:
        expected = expected + linear.bias.double()
    found = Int8Linear(linear)(x)
    assert found.dtype == dtype
    # What lies in the middle of two steps may go either way, by one step of one product.
    torch.testing.assert_close(
        found.double(), expected, rtol=0, atol=error * expected.abs().max().item() + 1e-3 / 127
    )
    by_token = (found.double() - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-6)
    assert by_token.max() < 0.1
    assert by_token.median() < 5e-3


@pytest.mark.parametrize("tokens", [(1,), (2, 1), (3, 17)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int4_is_the_product_of_the_rounded_numbers(tokens, dtype):
    linear = layer(256, 128, True, dtype)
    groups = linear.weight.double().unflatten(1, (-1, INT4_GROUP))
    low, high = groups.aminmax(dim=-1, keepdim=True)
    steps = ((high - low).float() / 15).clamp(min=1e-12).bfloat16().double()
    middle = (low + 8 * steps).bfloat16().double()
    rounded = ((groups - middle) / steps).round().clamp(-8, 7) * steps + middle
    x = activations(256, tokens, dtype)
    expected = x.bfloat16().double() @ rounded.flatten(1).T + linear.bias.double()
    found = Int4Linear(linear)(x)
    assert found.dtype == dtype
    by_token = (found.double() - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert by_token.max() < 1e-2
    # 15 steps between a group's ends.
    assert ((rounded - groups).abs() <= 0.55 * steps + 0.01 * groups.abs().amax(-1, keepdim=True)).all()


@pytest.mark.parametrize(
    ("path", "inputs", "outputs", "expected"),
    [
        ("decoder.layers.0.up", 128, 64, 0.5625),
        ("decoder.layers.0.up", 96, 64, 1.0),
        ("decoder.layers.0.up", 128, 40, 1.0),
        ("vision.layers.0.mlp_in", 128, 64, 1.0),
    ],
)
def test_four_bits_are_the_decoders(path, inputs, outputs, expected):
    assert bytes_per_weight(path, nn.Linear(inputs, outputs), "int4") == expected
