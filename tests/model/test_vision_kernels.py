"""Frame attention, and a linear layer with its GELU, as Triton kernels against plain torch: as ``test_kernels.py``."""

import pytest
import torch
import torch.nn.functional as F

from framescribe.model import fused
from framescribe.model.fp8 import Fp8Linear, quantise_rows
from tests.model.test_kernels import DEVICES, ERRORS, draw, relative_error

pytest.importorskip("triton")
from framescribe.model.kernels import frames, products


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device(request.param)


@pytest.fixture
def descriptors(device) -> None:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        pytest.skip("no tensor memory accelerator")


ATTENTION_CASES = [
    # tokens, head_size, and whether the last queries and keys are few, many, or none.
    (65, 112, frames.Tiling(64, 64, 4)),
    (33, 24, frames.Tiling(32, 16, 4, 3)),
    (33, 24, frames.Tiling(32, 16, 4, splits_queries=False)),
    (33, 24, frames.Tiling(32, 16, 4, splits_keys=False)),
    (32, 16, frames.Tiling(16, 32, 4)),
    (60, 48, frames.Tiling(32, 32, 4)),
    (7, 128, frames.Tiling(16, 16, 4)),
]


@pytest.mark.parametrize("has_descriptors", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("tokens", "size", "tiling"), ATTENTION_CASES)
def test_frame_attention(tokens, size, tiling, dtype, has_descriptors, device, descriptors):
    """Views into a fused product, with NaN beside them; the heads join without a copy."""
    beside = torch.full((2, tokens, 1, 2, size), float("nan"), dtype=dtype, device=device)
    qkv = torch.cat((draw(2, tokens, 3, 2, size, dtype=dtype, device=device), beside), dim=2)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)[:3]
    found = frames.frame_attention(q, k, v, tiling=tiling._replace(has_descriptors=has_descriptors))
    assert found.dtype == dtype
    assert found.transpose(1, 2).is_contiguous()
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    assert relative_error(found, expected) < ERRORS[dtype]


def test_frame_attention_of_large_scores(device, descriptors):
    """The maximum moves from step to step, and nothing overflows."""
    q, k, v = (draw(1, 1, 65, 16, dtype=torch.bfloat16, device=device, seed=seed) for seed in range(3))
    q, k = q * 30, k * torch.linspace(0, 30, 65, device=device).bfloat16()[:, None]
    found = frames.frame_attention(q, k, v, tiling=frames.Tiling(16, 16, 4))
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    assert relative_error(found, expected) < ERRORS[torch.bfloat16]


PRODUCT_TILINGS = [
    products.Tiling(16, 64, 32, 4, 2, parts=4, group=2),
    products.Tiling(32, 32, 32, 4, 3, parts=2, group=3, is_flat=False),
    products.Tiling(16, 32, 64, 4, 2, parts=1, group=8),
]


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("tiling", PRODUCT_TILINGS)
def test_linear(tiling, has_bias, gelu, device, descriptors):
    if device.type == "cuda":
        tiling = tiling._replace(tokens=64, inputs=64, outputs=128)
    x = draw(2 * 37, 48, dtype=torch.bfloat16, device=device)[::2]
    weight = draw(80, 48, dtype=torch.bfloat16, device=device, seed=1)
    bias = draw(80, dtype=torch.bfloat16, device=device, seed=2) if has_bias else None
    expected = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    if gelu:
        expected = F.gelu(expected, approximate="tanh")
    found = products.linear(x, weight, bias, gelu=gelu, tiling=tiling)
    assert found.dtype == x.dtype
    assert relative_error(found, expected) < ERRORS[x.dtype]


@pytest.mark.parametrize("tiling", PRODUCT_TILINGS)
def test_linear_in_fp8(tiling, device, descriptors):
    """In bf16, and in e4m3 by scales that nothing leaves."""
    if device.type == "cuda":
        tiling = tiling._replace(tokens=64, inputs=128, outputs=128)
    x = draw(37, 48, dtype=torch.bfloat16, device=device) * torch.logspace(-3, 3, 37, device=device)[:, None]
    x[5] = 0
    with torch.enable_grad():  # plainly: where the kernels are not used
        x_rows = quantise_rows(x.bfloat16())
        weight = quantise_rows(draw(80, 48, dtype=torch.bfloat16, device=device, seed=1))
    bias = draw(80, dtype=torch.bfloat16, device=device, seed=2) / 1000
    exact_weight = weight.values.double() * weight.scales.double()
    expected = F.gelu(
        F.linear(x_rows.values.double() * x_rows.scales.double(), exact_weight, bias.double()),
        approximate="tanh",
    )

    def found(**settings):
        return products.linear(
            x_rows.values, weight.values, bias, gelu=True, tiling=tiling, x_scales_T1=x_rows.scales,
            weight_scales_1O=weight.scales.t().contiguous(), **settings,
        )  # fmt: skip

    assert relative_error(found(dtype=torch.bfloat16), expected) < ERRORS[torch.bfloat16]
    largest = exact_weight.norm(dim=-1).max().float(), bias.abs().max().float()
    scales = products.bound_scales(x_rows.values, x_rows.scales, *largest)
    values = found(out_scales_T1=scales)
    assert values.dtype == torch.float8_e4m3fn
    assert (expected.abs() <= scales * 448).all()
    for row in (0, 20, 36):
        assert relative_error(values[row].float() * scales[row], expected[row]) < 0.04


def test_fused_gelu_is_the_tanh_form(device, descriptors):
    x = torch.zeros(16, 16, dtype=torch.bfloat16, device=device)
    bias = torch.linspace(-6, 6, 4096, device=device)
    found = products.linear(
        x, x.new_zeros(4096, 16), bias, gelu=True, dtype=torch.float32,
        tiling=products.Tiling(64, 64, 64, 4, 2) if device.type == "cuda" else PRODUCT_TILINGS[0],
    )  # fmt: skip
    assert (found[0].double() - F.gelu(bias.double(), approximate="tanh")).abs().max() < 2e-6


def test_nothing_to_do(device):
    empty = torch.empty(0, 48, dtype=torch.bfloat16, device=device)
    assert products.linear(empty, empty.new_zeros(80, 48), None).shape == (0, 80)
    heads = torch.empty(0, 2, 5, 16, dtype=torch.bfloat16, device=device)
    assert frames.frame_attention(heads, heads, heads).shape == heads.shape


@pytest.mark.parametrize("quant", [None, "fp8"])
def test_layers_take_the_kernels_where_they_are_asked_to(quant, device, descriptors, monkeypatch):
    monkeypatch.setattr(fused, "GELU_KERNEL", "products")
    linear, into = torch.nn.Linear(48, 80), torch.nn.Linear(80, 48)
    x = draw(2, 5, 48, dtype=torch.bfloat16, device=device)
    expected = F.gelu(F.linear(x.cpu().double(), linear.weight.double(), linear.bias.double()))
    linear, into = (layer.to(device, torch.bfloat16) for layer in (linear, into))
    if quant is not None:
        linear, into = Fp8Linear(linear), Fp8Linear(into)
    if device.type == "cpu":
        monkeypatch.setattr(fused, "have_kernels", lambda x: True)
    with torch.inference_mode():
        found = fused.linear_gelu(x, linear, into)
    if quant is None:
        assert relative_error(found, expected) < 8e-3
        return
    assert found.values.dtype == torch.float8_e4m3fn
    assert relative_error(found.values.float() * found.scales, expected) < 0.06


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["bf16", "fp8", "fp8 to fp8"])
def test_specialised_linear(kind, cuda):
    """Ragged in every direction, and more tiles than programs."""
    if torch.cuda.get_device_capability(cuda) != (9, 0):
        pytest.skip("Hopper's instructions")
    from framescribe.model.kernels import specialised

    x = draw(1000, 336, dtype=torch.bfloat16, device=cuda)
    weight = draw(4976, 336, dtype=torch.bfloat16, device=cuda, seed=1)
    bias = draw(4976, dtype=torch.bfloat16, device=cuda, seed=2)
    expected = F.gelu(F.linear(x.double(), weight.double(), bias.double()))
    if kind == "bf16":
        assert relative_error(specialised.linear(x, weight, bias, gelu=True), expected) < 6e-3
        return
    x_rows, weights = quantise_rows(x), quantise_rows(weight)
    norm = (weights.values.float().norm(dim=-1) * weights.scales[:, 0]).max()
    scales = products.bound_scales(*x_rows, norm, bias.abs().max().float())
    found = specialised.linear(
        x_rows.values, weights.values, bias, gelu=True, x_scales_T1=x_rows.scales, dtype=torch.bfloat16,
        weight_scales_1O=weights.scales.t().contiguous(), out_scales_T1=scales if kind == "fp8 to fp8" else None,
    )  # fmt: skip
    assert relative_error(found.float() * scales if kind == "fp8 to fp8" else found, expected) < 0.06
