"""An fp8 linear layer with its GELU as one kernel, against plain torch: as ``test_kernels.py``."""

import pytest
import torch
import torch.nn.functional as F

from framescribe.model import fused
from framescribe.model.fp8 import Fp8Linear, quantize_rows
from tests.model.test_kernels import DEVICES, draw, relative_error

pytest.importorskip("triton")
from framescribe.model.kernels import fp8_gelu


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    if request.param == "cuda" and torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("no tensor memory accelerator")
    return torch.device(request.param)


# The interpreter knows no assembly.
TILINGS = [
    fp8_gelu.Tiling(16, 64, 32, 4, 2, parts=4, group=2, has_fast_tanh=False),
    fp8_gelu.Tiling(32, 32, 32, 4, 3, parts=2, group=3, has_fast_tanh=False),
    fp8_gelu.Tiling(16, 32, 64, 4, 2, parts=1, group=8, has_fast_tanh=False),
]


@pytest.mark.parametrize("tiling", TILINGS)
def test_no_output_leaves_its_scale_and_none_is_less_exact(tiling, device):
    if device.type == "cuda":
        tiling = fp8_gelu.Tiling()
    x = draw(37, 48, dtype=torch.bfloat16, device=device) * torch.logspace(-3, 3, 37, device=device)[:, None]
    x[5] = 0
    with torch.enable_grad():  # plainly: where the kernels are not used
        x_rows = quantize_rows(x.bfloat16())
        weight = quantize_rows(draw(80, 48, dtype=torch.bfloat16, device=device, seed=1))
    bias = draw(80, dtype=torch.bfloat16, device=device, seed=2) / 1000
    exact_weight = weight.values.double() * weight.scales.double()
    expected = F.gelu(
        F.linear(x_rows.values.double() * x_rows.scales.double(), exact_weight, bias.double()),
        approximate="tanh",
    )
    largest = exact_weight.norm(dim=-1).max().float(), bias.abs().max().float()
    x_norms = (x_rows.values.float() * x_rows.scales).norm(dim=-1, keepdim=True)
    values, scales = fp8_gelu.linear_gelu(
        x_rows.values,
        x_rows.scales,
        x_norms,
        weight.values,
        weight.scales.t().contiguous(),
        bias,
        largest,
        tiling,
    )
    assert (expected.abs() <= scales * 448).all()
    assert values.dtype == torch.float8_e4m3fn
    for row in (0, 20, 36):
        assert relative_error(values[row].float() * scales[row], expected[row]) < 0.04


def test_nothing_to_do(device):
    empty = torch.empty(0, 48, device=device).to(torch.float8_e4m3fn)
    scales, weight = torch.empty(0, 1, device=device), torch.zeros(80, 48, device=device).to(empty.dtype)
    found, found_scales = fp8_gelu.linear_gelu(
        empty, scales, scales, weight, torch.ones(1, 80, device=device), torch.ones(80), (scales, scales)
    )
    assert found_scales.shape == (0, 1)
    assert found.shape == (0, 80)


def test_two_fp8_layers_with_a_gelu_between_take_it(device, monkeypatch):
    linear, into = torch.nn.Linear(48, 80), torch.nn.Linear(80, 48)
    x = draw(2, 5, 48, dtype=torch.bfloat16, device=device)
    expected = F.gelu(F.linear(x.cpu().double(), linear.weight.double(), linear.bias.double()))
    layers = [Fp8Linear(layer.to(device, torch.bfloat16)) for layer in (linear, into)]
    if device.type == "cpu":
        monkeypatch.setattr(fused, "have_tensor_memory", lambda x: True)
        monkeypatch.setattr(fp8_gelu.linear_gelu, "__defaults__", (TILINGS[0],))
    with torch.inference_mode():
        found = fused.linear_gelu(x, *layers)
    assert found.values.dtype == torch.float8_e4m3fn
    assert relative_error(found.values.float() * found.scales, expected) < 0.06


@pytest.mark.gpu
def test_ragged_in_every_direction_and_more_tiles_than_programs(cuda):
    if torch.cuda.get_device_capability(cuda) < (9, 0):
        pytest.skip("no tensor memory accelerator")
    x = draw(1000, 336, dtype=torch.bfloat16, device=cuda)
    weight = draw(4976, 336, dtype=torch.bfloat16, device=cuda, seed=1)
    bias = draw(4976, dtype=torch.bfloat16, device=cuda, seed=2)
    expected = F.gelu(F.linear(x.double(), weight.double(), bias.double()))
    x_rows, weights = quantize_rows(x), quantize_rows(weight)
    x_norms = (x_rows.values.float() * x_rows.scales).norm(dim=-1, keepdim=True)
    norm = (weights.values.float().norm(dim=-1) * weights.scales[:, 0]).max()
    found, scales = fp8_gelu.linear_gelu(
        x_rows.values, x_rows.scales, x_norms, weights.values, weights.scales.t().contiguous(), bias,
        (norm, bias.abs().max().float()),
    )  # fmt: skip
    assert relative_error(found.float() * scales, expected) < 0.06
