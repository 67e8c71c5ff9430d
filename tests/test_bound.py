"""What a run is bound by is what it waited for."""

import threading

import pytest

from framescribe.bound import TimeSpent, said
from framescribe.captioner import Captioner
from framescribe.pipeline.observer import RunSummary
from framescribe.session import Decoding
from framescribe.task import ClipTask
from framescribe.types import CaptionSettings, Clip, GenerationSettings
from tests.reference import CLIPS

TASKS = [
    ClipTask.of(Clip(str(CLIPS / "short-half-second.mp4"), given_id=str(number)), ["What?"])
    for number in range(6)
]
SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=4))


def shares(captioner: Captioner, decode_s: float, write_s: float, threads: int = 2) -> dict[str, float]:
    """Of a run whose decoding and writing take so long, by an event that nobody sets."""
    never, spent = threading.Event(), TimeSpent()

    def prepare(task):
        never.wait(decode_s)
        return captioner.preparer.prepare(task, SETTINGS)

    rows = captioner.session(SETTINGS).caption(iter(TASKS), Decoding(prepare, threads), 2, spent)
    for _ in rows:
        never.wait(write_s)
    return dict(spent.shares)


def bound_by(name: str, captioner: Captioner, **taken: float) -> dict[str, float]:
    """The shares of such a run: of several, as a busy machine may hold the model up in one."""
    for _ in range(3):
        found = shares(captioner, **taken)
        if max(found, key=found.__getitem__) == name:
            return found
    raise AssertionError(found)


def test_slow_decoding_bounds_a_run(captioner):
    found = bound_by("decoding", captioner, decode_s=0.3, write_s=0.0, threads=1)
    assert "give it more CPUs" in said(found, 60.0)


def test_slow_writing_bounds_a_run(captioner):
    found = bound_by("output", captioner, decode_s=0.0, write_s=0.3)
    assert said(found, 60.0).startswith("bound by output: rows were being written ")


def test_time_is_all_divided_and_what_is_small_is_not_said():
    times = iter([0.0, 10.0, 13.0, 20.0, 20.5])
    spent = TimeSpent(lambda: next(times))
    assert spent.shares == {}
    spent.start()
    spent.on("decoding")
    spent.on("model")
    spent.on("output")
    assert spent.shares == pytest.approx({"decoding": 3 / 10.5, "model": 7 / 10.5, "output": 0.5 / 10.5})
    assert "29%" in said(spent.shares, 60.0)
    assert said({"decoding": 0.05, "model": 0.9, "output": 0.05}, 60.0) == said({}, 60.0) == ""
    assert said(spent.shares, 59.9) == ""  # of which the start is much


def test_time_may_be_divided():
    times = iter([0.0, 4.0, 14.0])
    spent = TimeSpent(lambda: next(times))
    spent.start()
    spent.divide({"model": 0.75, "decoding": 0.25})
    assert spent.shares == pytest.approx({"decoding": 0.25, "model": 0.75, "output": 0.0})


def test_the_summary_says_it():
    summary = RunSummary(
        {"success": 4}, 2.0, note=said({"decoding": 0.5, "model": 0.5}, 60.0), shares={"decoding": 0.5}
    )
    assert str(summary).endswith(
        "bound by decoding: the model had room for clips that were not decoded yet 50% of the time; "
        "give it more CPUs"
    )
