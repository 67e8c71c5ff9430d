"""The Triton kernels against plain torch: on the CPU by Triton's interpreter, on a GPU as they are (marker ``gpu``)."""

import pytest
import torch
import torch.nn.functional as F

from framescribe.model import attention, fp8, fused
from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.fp8 import Fp8Linear, quantize_rows
from framescribe.model.quantize import is_quantized
from tests.model import interpreter
from tests.model.paged_cache import Paged
from tests.reference import CPU, ODD_SIZES, changed_sizes

pytest.importorskip("triton")
from framescribe.model.kernels import norms, paged, rope, rows

if not torch.cuda.is_available():
    interpreter.repair()

# Each test runs here or there: what is interpreted cannot be compiled in the same process.
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="compiled on a GPU")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
# Relative errors: rounding of the output, and of the weights of the softmax.
ERRORS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 6e-3, torch.float8_e4m3fn: 6e-3}


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device(request.param)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """‖found - expected‖ / ‖expected‖ in fp64."""
    found, expected = found.double().cpu(), expected.double().cpu()
    return ((found - expected).norm() / expected.norm()).item()


SIZES = [
    # heads, kv_heads, head_size, block_size, splits: the official heads; those of the bundled model; odd ones.
    (32, 8, 128, 64, None),
    (5, 5, 64, 16, 1),
    (6, 3, 16, 16, 3),
    (6, 2, 48, 32, 2),
]


@pytest.mark.parametrize("cache_dtype", ERRORS)
@pytest.mark.parametrize(("heads", "kv_heads", "head_size", "block_size", "splits"), SIZES)
def test_paged_attention(heads, kv_heads, head_size, block_size, splits, cache_dtype, device):
    lengths = (3, 0, block_size, 3 * block_size + 7)
    cache = Paged(cache_dtype, lengths, kv_heads, head_size, block_size, device)
    paged.write_kv(cache.k, cache.v, cache.keys, cache.values, cache.slots)
    q = torch.randn(len(lengths), heads, head_size, generator=torch.Generator().manual_seed(1))
    q = q.to(device, cache.dtype)
    found = paged.paged_attention(
        q, cache.keys, cache.values, cache.tables, cache.context_lens_B, splits=splits
    )
    assert found.dtype == q.dtype
    assert not found[1].any()
    assert relative_error(found, cache.expected(q)) < ERRORS[cache_dtype]


@pytest.mark.parametrize("cache_dtype", ERRORS)
def test_plain_paged_attention(cache_dtype):
    """The CPU's way, which the engine's own tests lean on."""
    cache = Paged(cache_dtype, (3, 0, 16, 55), 3, 24, 16, CPU)
    attention.write_kv(cache.k, cache.v, cache.keys, cache.values, cache.slots)
    q = torch.randn(4, 6, 24, generator=torch.Generator().manual_seed(1)).to(cache.dtype)
    found = attention.paged_attention(q, cache.keys, cache.values, cache.tables, cache.context_lens_B)
    assert not found[1].any()
    assert relative_error(found, cache.expected(q)) < ERRORS[cache_dtype]
    nothing = attention.paged_attention(q, cache.keys, cache.values, cache.tables, cache.context_lens_B * 0)
    assert not nothing.any()


@pytest.mark.parametrize("cache_dtype", ERRORS)
def test_write_kv_is_the_plain_one(cache_dtype, device):
    written, plainly = (Paged(cache_dtype, (3, 40), 3, 24, 16, device) for _ in range(2))
    for cache in (written, plainly):
        cache.k.mul_(200)  # past what fp8 holds
    paged.write_kv(written.k, written.v, written.keys, written.values, written.slots)
    with torch.enable_grad():  # where the kernels are not used
        attention.write_kv(plainly.k, plainly.v, plainly.keys, plainly.values, plainly.slots)
    for name in ("keys", "values"):
        found, expected = getattr(written, name).float(), getattr(plainly, name).float()
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
        assert found.isnan().any()


@pytest.mark.gpu
def test_paged_attention_in_a_cuda_graph(cuda):
    """Captured once, replayed with other lengths: the launch depends on shapes alone."""
    cache = Paged(torch.bfloat16, (300, 70, 0), 8, 128, 64, cuda)
    paged.write_kv(cache.k, cache.v, cache.keys, cache.values, cache.slots)
    q = torch.randn(3, 32, 128, device=cuda, dtype=torch.bfloat16)
    context_lens_B = cache.context_lens_B.clone()
    with torch.inference_mode():
        attention.paged_attention(q, cache.keys, cache.values, cache.tables, context_lens_B)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = attention.paged_attention(q, cache.keys, cache.values, cache.tables, context_lens_B)
    for lengths in ([300, 70, 0], [0, 1, 0], [130, 64, 0]):
        context_lens_B.copy_(torch.tensor(lengths))
        graph.replay()
        expected = attention.paged_attention(q, cache.keys, cache.values, cache.tables, context_lens_B)
        assert relative_error(found, expected) < 6e-3


# Widths of the bundled model, and nothing's.
WIDTHS = (320, 40)
HALVES = (torch.bfloat16, torch.float16)


def draw(*shape, dtype, device, seed=0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device, dtype)


def strided(x: torch.Tensor) -> torch.Tensor:
    """The same numbers, as one half of wider rows."""
    return torch.cat((x, x), dim=-1).chunk(2, dim=-1)[1]


def check_quantized(found, expected) -> None:
    """e4m3 rounds by 2^-4 at most, 2.6 % rms over random numbers; each row uses the whole range."""
    values, scales = found
    assert values.dtype == torch.float8_e4m3fn
    assert scales.dtype == torch.float32
    assert scales.shape == (*values.shape[:-1], 1)
    dequantized = values.float() * scales
    assert relative_error(dequantized, expected) < 0.03
    torch.testing.assert_close(
        dequantized.abs().amax(-1).cpu().double(),
        expected.abs().amax(-1).cpu().double(),
        rtol=5e-3,
        atol=1e-6,
    )


STEPS = {
    "none": lambda x, _: x,
    "gelu": lambda x, _: F.gelu(x),
    "gelu_tanh": lambda x, _: F.gelu(x, approximate="tanh"),
    "silu": lambda x, gated: F.silu(x) * gated,
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("step", STEPS)
def test_steps_over_rows(step, width, device):
    x = strided(draw(2, 3, width, dtype=torch.bfloat16, device=device) * 3)
    x[1, 2] = 0
    gated = strided(draw(2, 3, width, dtype=torch.bfloat16, device=device, seed=1))
    expected = STEPS[step](x.double(), gated.double())
    assert relative_error(rows.apply(x, step, gated), expected) < ERRORS[x.dtype]
    check_quantized(rows.quantize(x, step, gated), expected)


def test_rows_are_quantized_as_plainly(device):
    x = draw(7, 320, dtype=torch.bfloat16, device=device)
    x[3] = 0
    values, scales = rows.quantize(x)
    with torch.enable_grad():
        expected = quantize_rows(x)
    torch.testing.assert_close(scales, expected.scales, rtol=1e-6, atol=0)
    # A quotient's last bit may fall on the other side of a tie.
    assert (values.float() != expected.values.float()).float().mean() < 0.01


def test_gelu_is_the_exact_form(device):
    x = torch.linspace(-12, 12, 4096, device=device)[None]
    found = rows.apply(x, "gelu")
    assert (found.double() - F.gelu(x.double())).abs().max() < 2e-6


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("width", WIDTHS)
def test_add_layer_norm(width, dtype, device):
    x, y = (draw(2, 3, width, dtype=dtype, device=device, seed=seed) for seed in (0, 1))
    weight, bias = (draw(width, dtype=dtype, device=device, seed=seed) for seed in (2, 3))
    expected = x.double() + F.layer_norm(y.double() + 5, (width,), weight.double(), bias.double(), 1e-6)
    arguments = (strided(x), strided((y.double() + 5).to(dtype)), weight, bias, 1e-6)
    found, nothing = norms.add_layer_norm(*arguments, quantizes=False)
    assert nothing is None
    assert relative_error(found, expected) < 8e-3
    found, (values, scales, row_norms) = norms.add_layer_norm(*arguments, quantizes=True)
    assert relative_error(found, expected) < 8e-3
    check_quantized((values, scales), found.double())
    assert relative_error(row_norms, (values.double() * scales).norm(dim=-1, keepdim=True)) < 1e-6


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("adds", [True, False])
def test_add_rms_norm(adds, width, dtype, device):
    x, y = (draw(2, 3, width, dtype=dtype, device=device, seed=seed) for seed in (0, 1))
    weight = draw(width, dtype=dtype, device=device, seed=2)
    delta = strided(y) if adds else None
    expected_sum = x + y if adds else x
    exact = expected_sum.double()
    expected = exact * (exact.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.double()
    sums, normed = norms.add_rms_norm(x, delta, weight, 1e-5, quantizes=False)
    assert torch.equal(sums, expected_sum)
    assert relative_error(normed, expected) < ERRORS[dtype]
    sums, quantized = norms.add_rms_norm(x, delta, weight, 1e-5, quantizes=True)
    assert torch.equal(sums, expected_sum)
    check_quantized(quantized, expected)


@pytest.mark.parametrize(("heads", "size"), [(5, 64), (9, 16), (3, 48)])
def test_rotate_in_place(heads, size, device):
    """Queries and keys only: the values beside them stay as they are."""
    qkv = draw(2, 7, heads + 2, size, dtype=torch.bfloat16, device=device)
    angles = draw(2, 1, 7, size // 2, dtype=torch.float32, device=device, seed=1).repeat(1, 1, 1, 2) * 9
    cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
    x = qkv.transpose(1, 2)[:, :heads].double()
    first, second = x.chunk(2, -1)
    expected = x * cos.double() + torch.cat((-second, first), -1) * sin.double()
    untouched = qkv[:, :, heads:].clone()
    rope.rotate_in_place(qkv.transpose(1, 2)[:, :heads], cos, sin)
    assert relative_error(qkv.transpose(1, 2)[:, :heads], expected) < ERRORS[torch.bfloat16]
    assert torch.equal(qkv[:, :, heads:], untouched)


@pytest.mark.parametrize("quant", [None, "fp8"])
@pytest.mark.parametrize("sizes", ["odd", "even"])
def test_the_model_is_the_same_with_kernels(sizes, quant, device, monkeypatch):
    """Whole towers, with the kernels where they would be on a GPU, against plain torch in fp32."""
    config = ModelConfig.from_dict(ODD_SIZES if sizes == "odd" else changed_sizes(_even))
    exact = random_model(config, device, torch.float32, seed=0)
    model = random_model(config, device, torch.bfloat16, seed=0)
    model.load_state_dict(exact.state_dict())
    for path, module in list(model.named_modules()):
        if quant is not None and is_quantized(path, module, quant):
            model.set_submodule(path, Fp8Linear(module))
    pixels = draw(2, 3, 56, 56, dtype=torch.float32, device=device)
    ids = torch.arange(30, device=device).repeat(2, 1)

    def outputs(model):
        features = model.vision(pixels.to(model.dtype))
        x_BLD = model.embed(ids, (ids >= 3) & (ids < 3 + 6), features)
        return features, model.decoder(x_BLD, ids + 5, causal_attention)

    with torch.inference_mode():
        expected = outputs(exact)
        if device == CPU:
            monkeypatch.setattr(fused, "_use_kernels", lambda x: x.dtype != torch.float32)
            monkeypatch.setattr(fp8, "have_kernels", lambda x: x.dtype != torch.float32)
        found = outputs(model)
    for ours, theirs in zip(found, expected, strict=True):
        assert relative_error(ours, theirs) < (0.02 if quant is None else 0.12)


def _even(config):
    """Sizes that fp8 takes; none a power of two."""
    config.update(hidden_size=96, intermediate_size=208)
    config["vision_config"].update(hidden_size=80, intermediate_size=112)
