"""``framescribe bench`` on a CPU, with the smallest model."""

import json
import subprocess
import threading
import time

import pytest
import torch

from framescribe.bench import provenance
from framescribe.bench.baseline import caption_seconds, llama_of
from framescribe.bench.from_frames import FromFrames, timed_run
from framescribe.bench.gpu_busy import gpu_busy, sampled
from framescribe.bench.workload import SMALL
from framescribe.checkpoint import open_checkpoint
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer
from framescribe.model.attention import causal_attention
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker
from tests.cli.run import invoke
from tests.reference import CPU

QUICK = (
    "--model", "tiny-random", "--device", "cpu", "--clips", 2, "--frames", 1, "--new-tokens", 3, "--repeat", 1,
)  # fmt: skip


def bench(*arguments):
    return invoke("bench", *QUICK, *arguments)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "result.json"
    told = bench("--json", path)
    assert told.exit_code == 0, told.output
    last = json.loads(told.stdout.splitlines()[-1])
    assert last == json.loads(path.read_text(encoding="utf-8"))
    assert "share of the floor" in told.stdout
    return last


def test_figures(result):
    assert result["precision"] == "fp32"
    assert result["model"] == "tiny-random"
    assert (result["clips"], result["frames"], result["new_tokens"], result["batch"]) == (2, 1, 3, 8)
    assert result["prompt_tokens"] == 66 + 20
    assert result["seconds_per_clip"] == result["all_seconds_per_clip"][0] > 0
    assert result["floors"].keys() == {"vision", "prefill", "decode", "sum"}
    assert result["phases"].keys() == {"vision", "prefill", "decode", "other"}
    assert sum(result["phases"].values()) == pytest.approx(result["seconds_per_clip"])
    for phase, share in result["shares"].items():
        spent = result["seconds_per_clip"] if phase == "sum" else result["phases"][phase]
        assert share == pytest.approx(result["floors"][phase] / spent)
    assert result["ceilings"]["matmul_flops_per_s"] > 0 < result["ceilings"]["copy_bytes_per_s"]
    assert result["ceilings"]["fp8_matmul_flops_per_s"] is None
    assert result["baseline"]["ratio"] == pytest.approx(
        result["baseline"]["seconds_per_clip"] / result["seconds_per_clip"]
    )
    assert result["baseline"]["how"].startswith("this engine, 2 clips one after the other")
    assert result["latency"].keys() == {"first_token_s", "ms_per_token"}
    assert all(seconds > 0 for seconds in result["startup"].values())
    assert result["peak_memory_bytes"] is None
    assert result["from_files"] is None
    assert (
        result["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    )  # a build may be named
    assert "cores" in result["hardware"]


def test_no_baseline():
    told = bench("--no-baseline", "--short", "--prompt-tokens", 67)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout.splitlines()[-1])["baseline"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--clips", 0), "--clips must be at least 1, not 0"),
        (("--frames", 2, "--prompt-tokens", 100), "at least 133 tokens, not 100"),
        (("--new-tokens", 1), "--new-tokens must be at least 2, not 1"),
        (("--frames", 0), "--frames must be at least 1, not 0"),
        (("--repeat", 0), "--repeat must be at least 1, not 0"),
        (("--baseline-tokens", 1), "--baseline-tokens must be at least 2, not 1"),
        (("--frame-size", "720p"), "--frame-size takes WIDTHxHEIGHT"),
        (("--frame-size", "0x9"), "--frame-size must be at least 1, not 0"),
        (("--from", "disk"), "Invalid value for '--from'"),
        (("--from", "mp4"), "leave out --frames"),
        (("--json", "missing/out.json"), "there is no folder missing"),
        (("--batch-size", 0), "--batch-size must be at least 1, not 0"),
    ],
)
def test_refused(arguments, words):
    told = bench(*arguments)
    assert told.exit_code == 2
    assert words in told.stderr


def test_help():
    told = invoke("bench", "--help")
    assert told.exit_code == 0
    assert "Usage:" in told.stdout


@pytest.fixture
def preparer():
    return Preparer(open_checkpoint("tiny-random"), RowMaker("benchmark", "", "fp32"))


def test_every_phase_is_timed(model, preparer):
    workload = SMALL.workload(model.config, clips=3, frames=1, new_tokens=4, batch=2)
    timer = PhaseTimer(model.device)
    engine = Engine(model, frozenset(), workload.batch, observer=timer)
    clips = FromFrames(engine, preparer, workload)
    clips.warm_up()
    run = timed_run(timer, clips)
    assert 0 < sum(totals.seconds for totals in run.phases.values()) < run.seconds
    assert {kind: totals.sequences for kind, totals in run.phases.items()} == {
        "encode": 3,
        "prefill": 3,
        "decode": 9,  # three tokens of each clip come from decoding
    }
    assert run.phases["encode"].tokens == 3 * 66
    assert run.phases["prefill"].tokens == 3 * workload.prompt_tokens
    assert run.phases["decode"].tokens == 9
    assert not any(totals.runs for totals in timer.take().values())


def test_transformers_runs_on_these_weights(model):
    """Its logits are ours, but for frequencies that it does not round to bf16."""
    llama = llama_of(model)
    assert llama.model.layers[0].mlp.up_proj.weight.data_ptr() == model.decoder.layers[0].up.weight.data_ptr()
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        hidden = model.decoder(model.embed(ids, ids < 0, None), ids, causal_attention)
        ours, theirs = model.lm_head(hidden), llama(ids).logits
    assert (ours - theirs).norm() < 0.02 * ours.norm()
    assert caption_seconds(model, llama, SMALL.workload(model.config, frames=1), 2) > 0


def test_commit_only_of_its_own_checkout(monkeypatch):
    found = provenance.commit()
    assert found is None or len(found) == 40

    def no_git(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert provenance.commit() is None


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
        assert all_asked.wait(10)
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
def test_on_a_gpu(cuda):
    told = invoke(
        "bench",
        "--model",
        "tiny",
        "--clips",
        12,
        "--batch-size",
        6,
        "--frames",
        2,
        "--new-tokens",
        8,
        "--repeat",
        1,
    )
    assert told.exit_code == 0, told.output
    last = json.loads(told.stdout.splitlines()[-1])
    assert last["baseline"]["how"].startswith(("transformers", "this engine"))
    assert last["peak_memory_bytes"] > 0
    assert all(last["phase_runs"].values())


@pytest.mark.slow
def test_from_files():
    told = invoke(
        "bench", "--model", "tiny-random", "--from", "mp4", "--clips", 2, "--new-tokens", 2, "--repeat", 1
    )
    assert told.exit_code == 0, told.output
    last = json.loads(told.stdout.splitlines()[-1])
    assert (last["frames"], last["width"], last["height"]) == (7, 1280, 720)
    assert last["from_files"]["seconds_per_clip"] > 0 < last["from_files"]["rate_to_frames"]
    assert last["from_files"]["gpu_busy"] is None
