"""The decoder's steps in half precision, where rounding is part of what was published, by their definitions."""

import pytest
import torch
import torch.nn.functional as F

from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.decoder import RMSNorm
from framescribe.model.fp8 import Fp8Linear, quantize_rows
from tests.reference import CPU, ODD_SIZES

HALVES = (torch.bfloat16, torch.float16)


def draw(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_norm_is_computed_in_fp32_and_rounded_once_behind_its_weight(dtype):
    norm = RMSNorm(96, 1e-5).to(dtype)
    norm.weight.data = draw(96, dtype=dtype, seed=1)
    x = 30 * draw(4, 96, dtype=dtype)
    exact = x.double() * (x.double().square().mean(-1, keepdim=True) + 1e-5).rsqrt() * norm.weight.double()
    found = norm(x)
    assert found.dtype == dtype
    # One rounding is half a step at most; a second one would be up to a whole.
    steps = (found.double() - exact).abs() / (exact.abs() * torch.finfo(dtype).eps)
    assert steps.max() < 0.502


def test_only_the_last_layer_leaves_tokens_out():
    """Those that are wanted see all before them, in every layer."""
    model = random_model(ModelConfig.from_dict(ODD_SIZES), CPU, torch.float32, seed=0)
    ids = torch.arange(40)[None]
    indices = torch.tensor([5, 17, 39])
    with torch.inference_mode():
        x = model.embedding(ids)
        whole = model.decoder(x, ids, causal_attention)
        some = model.decoder(x, ids, causal_attention, indices)
    torch.testing.assert_close(some, whole[:, indices])


def test_rows_in_fp8_use_the_whole_range_and_zeros_stay():
    x = draw(6, 64) * torch.logspace(-4, 4, 6)[:, None]
    x[2] = 0
    values, scales, _ = quantize_rows(x)
    assert values.dtype == torch.float8_e4m3fn
    largest = values.float().abs().amax(-1)
    assert largest.tolist() == [448, 448, 0, 448, 448, 448]
    found = values.float() * scales
    assert ((found - x).norm(dim=-1) <= 0.04 * x.norm(dim=-1)).all()


def test_an_fp8_layer_is_the_rounded_product():
    linear = torch.nn.Linear(64, 32)
    x = draw(5, 64)
    found = Fp8Linear(linear)(x)
    assert found.dtype == torch.float32
    expected = linear(x)
    assert 1e-3 < (found - expected).norm() / expected.norm() < 0.06
    weights, rows = quantize_rows(linear.weight.data), quantize_rows(x)
    rounded = F.linear(
        rows.values.float() * rows.scales, weights.values.float() * weights.scales, linear.bias
    )
    torch.testing.assert_close(found, rounded)
