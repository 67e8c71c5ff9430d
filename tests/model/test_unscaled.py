"""fp8 products without their scales, and the passes that finish them, against plain torch: as ``test_kernels.py``."""

import pytest
import torch
import torch.nn.functional as F

from framescribe.model.fp8 import Fp8Linear, UnscaledProduct, quantize_rows
from tests.model.test_kernels import DEVICES, check_quantized, draw, relative_error, strided

pytest.importorskip("triton")
from framescribe.model.kernels import norms


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device(request.param)


def unscaled(has_bias, device) -> tuple[UnscaledProduct, torch.Tensor]:
    """A product, and what it stands for in fp64."""
    values = draw(2, 3, 40, dtype=torch.bfloat16, device=device)
    row_scales = draw(2, 3, 1, dtype=torch.float32, device=device, seed=1).abs()
    scales_1O = draw(1, 40, dtype=torch.float32, device=device, seed=2).abs()
    bias = draw(40, dtype=torch.bfloat16, device=device, seed=3) if has_bias else None
    finished = values.double() * row_scales.double() * scales_1O.double()[0]
    product = UnscaledProduct(strided(values), row_scales, scales_1O, bias)
    return product, finished + (bias.double() if has_bias else 0)


@pytest.mark.parametrize("has_bias", [True, False])
def test_add_layer_norm_finishes_a_product(has_bias, device):
    x, weight, bias = (
        draw(*shape, dtype=torch.bfloat16, device=device) for shape in ((2, 3, 40), (40,), (40,))
    )
    y, y_exact = unscaled(has_bias, device)
    expected = x.double() + F.layer_norm(y_exact, (40,), weight.double(), bias.double(), 1e-6)
    found, (values, scales, _) = norms.add_layer_norm(strided(x), y, weight, bias, 1e-6, quantizes=True)
    assert relative_error(found, expected) < 4e-3
    check_quantized((values, scales), found.double())


@pytest.mark.parametrize("has_bias", [True, False])
def test_add_rms_norm_finishes_a_product(has_bias, device):
    x, weight = (draw(*shape, dtype=torch.bfloat16, device=device) for shape in ((2, 3, 40), (40,)))
    delta, exact = unscaled(has_bias, device)
    exact = x.double() + exact
    sums, normed = norms.add_rms_norm(strided(x), delta, weight, 1e-5, quantizes=False)
    assert relative_error(sums, exact) < 4e-3
    expected = exact * (exact.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.double()
    assert relative_error(normed, expected) < 6e-3


@pytest.mark.parametrize("has_bias", [True, False])
def test_an_unscaled_product_is_the_layer_but_for_its_scales(has_bias, device):
    linear = torch.nn.Linear(48, 80, bias=has_bias).to(device, torch.bfloat16)
    layer, x = Fp8Linear(linear), draw(2, 5, 48, dtype=torch.bfloat16, device=device)
    with torch.inference_mode():
        found = layer.unscaled(quantize_rows(x))
        finished = found.product.float() * found.row_scales * found.scales_1O
        if has_bias:
            finished += found.bias
        assert relative_error(finished, layer(x)) < 6e-3
