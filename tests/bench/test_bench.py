"""``framescribe bench`` on a CPU, with the smallest model."""

import json
import subprocess

import pytest
import torch

from framescribe.bench import provenance
from framescribe.bench.clips import ClipRunner
from framescribe.bench.measure import measure
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.bench.workload import Workload
from framescribe.engine.engine import Engine
from framescribe.model.precision import Precision
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
    assert f"{last['clips_per_s']:.3g} clips/s" in told.stdout
    return last


def test_figures(result):
    assert result["precision"] == "fp32"
    assert result["model"] == "tiny-random"
    assert (result["clips"], result["frames"], result["new_tokens"], result["batch"]) == (2, 1, 3, 8)
    assert result["prompt_tokens"] == 66 + 20
    seconds = result["seconds_per_clip"]
    assert seconds == result["all_seconds_per_clip"][0] > 0
    assert result["clips_per_s"] == pytest.approx(1 / seconds)
    assert result["new_tokens_per_s"] == pytest.approx(3 / seconds)
    assert result["phases"].keys() == {"encode", "prefill", "decode", "other"}
    assert sum(result["phases"].values()) == pytest.approx(seconds)
    assert all(result["phase_runs"].values())
    assert 1 <= result["mean_decode_batch"] <= 2
    assert result["latency"].keys() == {"first_token_s", "ms_per_token"}
    assert result["peak_memory_bytes"] is None
    # A build may be named on one side only.
    assert result["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert "cores" in result["hardware"]


def test_the_short_clip():
    told = invoke("bench", "--short", *QUICK)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout.splitlines()[-1])["batch"] == 256


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--clips", 0), "Invalid value for '--clips'"),
        (("--new-tokens", 1), "Invalid value for '--new-tokens'"),
        (("--frames", 0), "Invalid value for '--frames'"),
        (("--repeat", 0), "Invalid value for '--repeat'"),
        (("--batch-size", 0), "Invalid value for '--batch-size'"),
        (("--json", "missing/out.json"), "there is no folder missing"),
    ],
)
def test_refused(arguments, words):
    told = bench(*arguments)
    assert told.exit_code == 2
    assert words in told.stderr


def test_runs_are_measured_by_phase():
    precision, workload = Precision(CPU, "fp32"), Workload(3, 1, 20, 4, batch=2)
    subject, seen = open_subject("tiny-random"), []
    preparer = subject_preparer(subject, precision)
    measured = measure(
        build_subject(subject, precision), preparer, precision, workload, 2, between=lambda: seen.append(1)
    )
    assert len(measured.runs) == len(seen) == 2
    run = measured.median_run
    assert 0 < sum(totals.seconds for totals in run.phases.values()) < run.seconds
    # Each clip is encoded and prefilled once; three of its four tokens come from decoding.
    assert {kind: totals.sequences for kind, totals in run.phases.items()} == {
        "encode": 3, "prefill": 3, "decode": 9,
    }  # fmt: skip


def test_one_clip_alone():
    precision, workload = Precision(CPU, "fp32"), Workload(2, 1, 20, 3, batch=2)
    subject = open_subject("tiny-random")
    engine = Engine(build_subject(subject, precision), frozenset(), 2, kv_tokens=1024)
    runner = ClipRunner(engine, subject_preparer(subject, precision), workload)
    latency = runner.latency(3)
    assert latency.first_token_s > 0 < latency.ms_per_token
    assert not len(engine)


def test_commit_only_of_its_own_checkout(monkeypatch):
    found = provenance.commit()
    assert found is None or len(found) == 40

    def no_git(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert provenance.commit() is None


@pytest.mark.gpu
def test_on_a_gpu(cuda):
    told = invoke(
        "bench", "--model", "tiny", "--clips", 12, "--batch-size", 6, "--frames", 2, "--new-tokens", 8, "--repeat", 1,
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    last = json.loads(told.stdout.splitlines()[-1])
    assert last["peak_memory_bytes"] > 0
    assert all(last["phase_runs"].values())
    assert all(last["phases"].values())
