"""``benchmarks.speed`` on a CPU, with the smallest model."""

import json
import sys
import threading
import time

import pytest
import torch

from benchmarks.speed import __main__ as speed
from benchmarks.speed.baseline import caption_seconds, llama_of
from benchmarks.speed.gpu_busy import gpu_busy, sampled
from framescribe.bench.workload import SMALL, Workload
from framescribe.model.attention import causal_attention
from tests.reference import CPU

QUICK = ("--model", "tiny-random", "--clips", "2", "--new-tokens", "3", "--repeat", "1")


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["speed", *QUICK, *arguments])
    speed.main()
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_floors_ceilings_and_baseline(monkeypatch, capsys):
    result = run(monkeypatch, capsys, "--device", "cpu", "--frames", "1")
    seconds = result["seconds_per_clip"]
    assert result["floors"].keys() == {"encode", "prefill", "decode", "sum"}
    for phase, share in result["shares"].items():
        spent = seconds if phase == "sum" else result["phases"][phase]
        assert share == pytest.approx(result["floors"][phase] / spent)
    assert result["ratio_to_floor"] == pytest.approx(1 / result["shares"]["sum"])
    assert result["ceilings"]["matmul_flops_per_s"] > 0 < result["ceilings"]["copy_bytes_per_s"]
    assert result["ceilings"]["fp8_matmul_flops_per_s"] is None
    assert result["baseline"]["ratio"] == pytest.approx(result["baseline"]["seconds_per_clip"] / seconds)
    assert result["baseline"]["how"].startswith("this engine, 2 clips one after the other")
    assert result["from_files"] == {}


def test_transformers_runs_on_these_weights(model):
    """Its logits are ours, but for frequencies that it does not round to bf16."""
    llama = llama_of(model)
    assert llama.model.layers[0].mlp.up_proj.weight.data_ptr() == model.decoder.layers[0].up.weight.data_ptr()
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        hidden = model.decoder(model.embed(ids, ids < 0, None), ids, causal_attention)
        ours, theirs = model.lm_head(hidden), llama(ids).logits
    assert (ours - theirs).norm() < 0.02 * ours.norm()
    assert caption_seconds(model, llama, Workload(1, 1, SMALL.text_tokens, 2, 1), 2) > 0


def test_gpu_busy():
    with gpu_busy(CPU) as busy:
        pass
    assert busy.share is None
    answers = iter([0.5, None, 1.0])
    all_asked = threading.Event()

    def ask():
        answer = next(answers, "over")
        if answer == "over":
            all_asked.set()
            return None
        return answer

    with sampled(ask, 0.001) as shares:
        assert all_asked.wait(240)
    assert shares == [0.5, 1.0]


@pytest.mark.gpu
def test_a_gpu_tells_how_busy_it_is(cuda):
    x = torch.randn(4096, 4096, device=cuda)
    with gpu_busy(cuda) as busy:
        began = time.monotonic()
        while time.monotonic() - began < 2:
            x @ x
            torch.cuda.synchronize()
    assert busy.share > 0.5


@pytest.mark.gpu
def test_on_a_gpu(cuda, monkeypatch, capsys):
    result = run(monkeypatch, capsys, "--frames", "2")
    assert result["baseline"]["how"].startswith(("transformers", "this engine"))
    assert result["peak_memory_bytes"] > 0


@pytest.mark.slow
def test_from_files(monkeypatch, capsys):
    result = run(monkeypatch, capsys, "--device", "cpu", "--from", "mp4", "--frames", "7", "--no-baseline")
    found = result["from_files"]["auto"]
    assert found["seconds_per_clip"] > 0 < found["rate_to_frames"]
    assert found["gpu_busy"] is None
