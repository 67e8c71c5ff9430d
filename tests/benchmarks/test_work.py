"""The count of the work in a clip, against the figures that the engine is judged by (one H100, 80 GB)."""

import pytest
import torch

from benchmarks.speed.ceilings import Ceilings
from benchmarks.speed.work import (
    Flops,
    floors,
    language_weight_bytes,
    prefill_flops,
    step_bytes,
    vision_flops,
)
from framescribe.bench.official import OFFICIAL_CONFIG
from framescribe.bench.workload import LONG, SHORT
from framescribe.model.checkpoint import empty_model, load_model
from framescribe.model.config import ModelConfig
from framescribe.model.precision import kv_bytes_per_token
from framescribe.model.quantize import quantizer
from tests.reference import CPU, OFFICIAL, TINY

H100 = Ceilings(792e12, 1540e12, 3.03e12, is_fp8=False)
KV_BYTES = 128 * 1024


def bf16_bytes() -> int:
    model = empty_model(OFFICIAL_CONFIG).bfloat16()
    return language_weight_bytes(model.decoder, model.lm_head)


def test_config_is_the_official_one():
    assert ModelConfig.from_dict(OFFICIAL["config"]) == OFFICIAL_CONFIG


def test_presets_are_the_published_clips():
    assert (LONG.frames, LONG.prompt_tokens(OFFICIAL_CONFIG), LONG.new_tokens) == (24, 1622, 200)
    assert (SHORT.frames, SHORT.prompt_tokens(OFFICIAL_CONFIG), SHORT.new_tokens) == (7, 482, 130)


def test_flops_of_a_clip():
    assert vision_flops(OFFICIAL_CONFIG, 24).total == pytest.approx(54e12, rel=0.02)
    # 25 is for 8 B parameters: with lm_head and the last layer at every token, where only the last one needs them.
    assert prefill_flops(OFFICIAL_CONFIG, 1622).total == pytest.approx(25e12, rel=0.1)


def test_flops_of_a_prefill_by_hand(model):
    config = model.config
    layers = [
        [linear.weight.numel() for linear in layer.modules() if isinstance(linear, torch.nn.Linear)]
        for layer in model.decoder.layers
    ]
    kv = 2 * config.num_multi_query_heads * config.head_dim * config.hidden_size
    linear = 10 * sum(map(sum, layers[:-1])) + 10 * kv + sum(layers[-1]) - kv + model.lm_head.weight.numel()
    attention = config.hidden_size * ((len(layers) - 1) * 10 * 10 + 2 * 10)
    assert prefill_flops(config, 10) == Flops(2 * linear, 2 * attention)


def test_flops_of_vision_by_hand(model):
    config = model.config
    tower = {name: p.numel() for name, p in model.vision.named_parameters() if name.endswith("weight")}
    tokens = config.vision_config.num_positions
    linear = sum(
        size * (256 if name.startswith("patches") else tokens if name.startswith("layers") else 64)
        for name, size in tower.items()
        if "norm" not in name
    )
    assert tokens == 257
    assert vision_flops(config, 3).linear == 2 * 3 * linear


def test_bytes_of_a_decode_step():
    assert kv_bytes_per_token(OFFICIAL_CONFIG, torch.bfloat16) == KV_BYTES
    step = step_bytes(OFFICIAL_CONFIG, LONG, bf16_bytes(), torch.bfloat16)
    # Of the 16 GB of weights a step leaves out the embedding, of which it reads one row a clip.
    assert step.weights == pytest.approx(15.0e9, rel=0.01)
    # 33 GB at 1,920 tokens reserved a clip; 1,722 on average are read.
    assert step.kv == 128 * 1722 * KV_BYTES


def test_floors_of_an_h100():
    long = floors(OFFICIAL_CONFIG, LONG, bf16_bytes(), torch.bfloat16, H100)
    assert long["encode"] == pytest.approx(0.068, rel=0.02)
    assert long["prefill"] == pytest.approx(0.031, rel=0.1)
    assert long["decode"] == pytest.approx(0.025, rel=0.1)
    assert long["sum"] == pytest.approx(0.124, rel=0.05)
    assert long["sum"] == pytest.approx(long["encode"] + long["prefill"] + long["decode"])
    short = floors(OFFICIAL_CONFIG, SHORT, bf16_bytes(), torch.bfloat16, H100)
    assert short["sum"] == pytest.approx(0.035, rel=0.1)


def test_quantized_weights_are_counted_as_they_are_held(model):
    plain = language_weight_bytes(model.decoder, model.lm_head)
    int8 = load_model(TINY, CPU, torch.float32, quantizer("int8"))
    head = model.lm_head.weight.nbytes
    held = language_weight_bytes(int8.decoder, int8.lm_head)
    assert held - head == pytest.approx((plain - head) / 4, rel=0.1)
