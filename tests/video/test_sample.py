from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framescribe.types import FrameSampling
from framescribe.video.sample import select_frames

TIMESTAMPS = st.lists(st.integers(0, 40_000), min_size=1, max_size=60).map(
    lambda ms: np.array(sorted(ms)) / 1000
)


def published_chat(timestamps_s: np.ndarray, num_frames: int) -> list[int]:
    """The published script, on decord's float32 timestamps."""
    timestamps = [np.float32(t) for t in timestamps_s]
    indices = []
    for second in range(round(max(timestamps)) + 1):
        closest = min(timestamps, key=lambda t: abs(t - second))
        indices.append(timestamps.index(closest))
        if len(indices) >= num_frames:
            break
    return indices


@given(TIMESTAMPS, st.integers(1, 30))
def test_chat_is_the_published_loop(timestamps_s, num_frames):
    selection = select_frames(timestamps_s, 8.0, 41.0, FrameSampling("chat", num_frames))
    assert list(selection.indices) == published_chat(timestamps_s, num_frames)


def test_chat_takes_the_earlier_of_two_equally_near_frames():
    selection = select_frames(np.array([0.0, 0.75, 1.25]), 2.0, 1.5, FrameSampling("chat"))
    assert selection.indices == (0, 1)


@pytest.mark.parametrize(
    ("timestamps_s", "indices"),
    [([0, 0.7, 1.3], (0, 2)), ([0, 1.7, 2.3], (0, 1, 1)), ([0, 0.6, 1.4], (0, 1))],
)
def test_ties_are_those_of_float32(timestamps_s, indices):
    """The published script compares decord's timestamps, which are float32: in float64 others are nearer."""
    times_s = np.array(timestamps_s)
    selection = select_frames(times_s, 1.0, times_s[-1] + 0.1, FrameSampling("chat"))
    assert selection.indices == indices
    assert list(indices) == published_chat(times_s, 24)


@pytest.mark.parametrize(
    ("last_s", "covered_s", "num_seconds"), [(0.4, 0.5, 1), (2.5, 2.6, 3), (2.6, 2.7, 4), (70.0, 24.0, 24)]
)
def test_chat_covers_what_it_asks_for(last_s, covered_s, num_seconds):
    selection = select_frames(np.arange(0, last_s + 0.05, 0.1), 10.0, last_s + 0.1, FrameSampling("chat"))
    assert selection.covered_s == pytest.approx(covered_s)
    assert len(selection.indices) == num_seconds


def test_chat_is_quick_on_a_long_clip():
    a_day_s = np.arange(24 * 3600 * 10) / 10  # the published loop would take 7 x 10^10 steps
    assert select_frames(a_day_s, 10.0, 86400.0, FrameSampling("chat")).indices == tuple(range(0, 240, 10))


def test_base_ignores_what_follows_the_first_minute():
    selection = select_frames(np.arange(1000) / 10, 10.0, 100.0, FrameSampling("base", 4))
    assert selection.indices == (0, 199, 399, 599)
    assert selection.covered_s == 60.0


def test_base_of_less_than_a_frame_a_minute_takes_the_first():
    selection = select_frames(np.array([0.0, 100.0]), 0.01, 200.0, FrameSampling("base", 3))
    assert selection.indices == (0, 0, 0)


@given(TIMESTAMPS, st.integers(1, 30))
def test_uniform_takes_ascending_frames_from_first_to_last(timestamps_s, num_frames):
    selection = select_frames(timestamps_s, 8.0, 41.0, FrameSampling("uniform", num_frames))
    indices = selection.indices
    assert len(indices) == min(num_frames, len(timestamps_s))
    assert all(a < b for a, b in pairwise(indices))
    assert indices[0] == 0
    assert len(indices) == 1 or timestamps_s[indices[-1]] == timestamps_s[-1]
    assert selection.covered_s == 41.0


def test_uniform_is_even_in_time_not_in_frames():
    timestamps_s = np.concatenate([np.arange(0, 1, 0.01), np.arange(1, 11)])  # dense at first
    selection = select_frames(timestamps_s, 10.0, 11.0, FrameSampling("uniform", 11))
    assert timestamps_s[list(selection.indices)].tolist() == list(range(11))


def test_uniform_begins_with_the_first_frame_not_with_the_clip():
    """A span may begin between two frames."""
    timestamps_s = np.array([5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    assert select_frames(timestamps_s, 1.0, 11.0, FrameSampling("uniform", 3)).indices == (0, 2, 5)


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="without frames"):
        select_frames(np.array([]), 8.0, 0.0, FrameSampling())
