"""The rate and the time left, by clocks that are made up: what is said against what then came."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.pipeline.pace import Pace


def run(times: list[float], asked: list[float], total: int | None = None) -> list[float | None]:
    """What is said to be left at each time of ``asked`` of a run whose clips are done at ``times``."""
    pace, done, said = Pace(total or len(times), 0.0), 0, []
    for when, is_question in sorted([(t, False) for t in times] + [(t, True) for t in asked]):
        if is_question:
            said.append(pace.left_s(when))
        else:
            done += 1
            pace.did(done, when)
    return said


@pytest.mark.parametrize("clips_per_s", [0.02, 0.5, 3.0, 40.0])
def test_a_steady_run_is_told_within_a_fifth(clips_per_s):
    rng = random.Random(0)
    times = [(number + rng.uniform(0, 0.9)) / clips_per_s for number in range(2000)]
    asked = [times[-1] * share for share in (0.1, 0.25, 0.5, 0.75, 0.9)]
    for now, said in zip(asked, run(times, asked), strict=True):
        assert said == pytest.approx(times[-1] - now, rel=0.2)


@pytest.mark.parametrize("slow_s", [30.0, 180.0, 900.0])
def test_a_slow_start_is_forgotten_two_minutes_later(slow_s):
    """A model that is compiled, workers that start: the first clips take minutes, the others half a second each."""
    times = [slow_s, *(slow_s + number / 2 for number in range(1, 3000))]
    asked = [slow_s + 120, slow_s + 600]
    for now, said in zip(asked, run(times, asked), strict=True):
        assert said == pytest.approx(times[-1] - now, rel=0.2)


def test_clips_that_end_together_are_no_speed_and_no_standstill():
    """A batch of 128 every 20 s."""
    times = [20.0 * (1 + number // 128) + 0.001 * (number % 128) for number in range(128 * 30)]
    asked = [45.0 + 7 * number for number in range(60)]
    for now, said in zip(asked, run(times, asked), strict=True):
        assert said == pytest.approx(times[-1] - now, rel=0.5)


def test_a_few_long_captions_at_the_end_are_not_said_to_be_done_soon():
    """46 of 48 clips in 75 s, then two that take until 574 s, 8 tokens a second."""
    pace = Pace(48, 0.0)
    for number in range(1, 47):
        pace.did(number, 75 * number / 46, tokens=20 + number % 40)
    said = {}
    for now in range(70, 574):
        pace.writes(8 * (now - 5), float(now))
        said[now] = pace.left_s(float(now))
    for now, left_s in list(said.items())[5:]:
        truth = 574 - now
        assert left_s >= min(truth, now - 5) / 3, (now, left_s)
    assert said[100] > 60
    assert said[300] > 200
    assert pace.clips_per_s(570.0) < 0.1


def test_a_pause_without_any_news_grows_the_time_left():
    times = [0.5 * number for number in range(1, 47)]
    last = times[-1]
    left = run(times, [last + 5, last + 60, last + 240], total=48)
    assert left[0] >= 4
    assert left[1] >= 60
    assert left[2] >= 240


def test_the_longest_caption_in_progress_is_as_long_as_others_were():
    pace = Pace(101, 0.0)
    for number in range(1, 101):
        pace.did(number, 0.1 * number, tokens=100 if number % 2 else 300)
    for second in range(1, 11):
        pace.writes(10 * second, 10.0 + second)
    # 100 tokens so far, ten a second: those that were longer had 300.
    assert pace.left_s(20.0) == pytest.approx(20.0, rel=0.1)


def test_before_the_first_clip_nothing_is_said_and_after_the_last_nothing_is_left():
    pace = Pace(2, 100.0)
    assert (pace.left_s(130.0), pace.clips_per_s(130.0)) == (None, 0.0)
    pace.did(2, 150.0)
    assert pace.left_s(151.0) == 0.0


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=60),
    st.lists(st.floats(0, 2000), max_size=20),
    st.integers(0, 20),
)
def test_what_is_said_is_a_time_whatever_happens(times, asked, more):
    for said in run(sorted(times), asked, total=len(times) + more):
        assert said is None or 0 <= said < float("inf")
