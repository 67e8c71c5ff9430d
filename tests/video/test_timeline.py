import numpy as np
import pytest

from framescribe.errors import ClipError
from framescribe.types import Clip
from framescribe.video.timeline import PacketIndex, cut

TICKS_PER_S = 100


def index_of(seconds: list[float], *, promised_s: float | None = None, frame_s: float = 1.0) -> PacketIndex:
    pts = np.array([round(s * TICKS_PER_S) for s in seconds], np.int64)
    return PacketIndex(
        pts=pts,
        durations=np.full(len(pts), round(frame_s * TICKS_PER_S)),
        keyframe_pts=pts[:1],
        time_base_s=1 / TICKS_PER_S,
        average_fps=1 / frame_s,
        promised_end_pts=None if promised_s is None else round(promised_s * TICKS_PER_S),
        is_reliable=True,
    )


def ticks(*seconds: float) -> np.ndarray:
    return np.array(seconds, np.int64) * TICKS_PER_S


def test_time_starts_at_the_first_frame():
    index = index_of([7, 8, 9])
    timeline = index.timeline(index.pts)
    assert timeline.timestamps_s.tolist() == [0, 1, 2]
    assert timeline.end_s == 3
    assert timeline.holes_s == ()


def test_rounding_of_the_last_frame_is_no_damage():
    index = index_of([0, 1, 2], promised_s=4.4)
    assert index.timeline(index.pts).holes_s == ()


def test_an_early_end_is_a_hole():
    index = index_of([0, 1, 2], promised_s=10)
    assert index.timeline(index.pts).holes_s == ((3, 10),)


def test_frames_that_do_not_decode_are_holes():
    index = index_of([0, 1, 2, 3, 4, 5, 6, 7])
    assert index.timeline(ticks(0, 3, 5)).holes_s == ((1, 3), (4, 5), (6, 8))


def test_frames_lost_before_an_early_end_count_once():
    index = index_of([0, 1, 2, 3], promised_s=10)
    assert index.timeline(ticks(0, 2)).holes_s == ((1, 2), (3, 10))


def test_a_pause_between_frames_is_no_hole():
    index = index_of([0, 1, 60])
    assert index.timeline(index.pts).holes_s == ()


def test_a_decoder_with_other_timestamps_shows_no_holes():
    assert index_of([0, 1, 2]).timeline(ticks(0, 5)).holes_s == ()


@pytest.mark.parametrize(
    ("start_s", "end_s", "first", "timestamps_s", "duration_s", "missing_s"),
    [
        (0, None, 0, [0, 1, 4], 5, 2),
        (0, 1, 0, [0], 1, 0),
        (0.5, 4.5, 1, [0.5, 3.5], 4, 2),
        (1, 3, 1, [0], 2, 1),
        (4, 99, 2, [0], 1, 0),
    ],
)
def test_a_span_holds_the_frames_from_start_to_before_end(
    start_s, end_s, first, timestamps_s, duration_s, missing_s
):
    timeline = index_of([0, 1, 2, 3, 4]).timeline(ticks(0, 1, 4))
    span = cut(timeline, Clip("video.mp4", start_s, end_s))
    assert span.numbers.tolist() == list(range(first, first + len(timestamps_s)))
    assert span.timestamps_s.tolist() == timestamps_s
    assert (span.duration_s, span.missing_s) == (duration_s, missing_s)


def test_a_span_beyond_the_end_is_an_error_with_the_numbers():
    index = index_of([0, 1, 2])
    with pytest.raises(ClipError, match=r"video.mp4: .* from 5 s to 9 s; .* 3 frames over 3 s") as caught:
        cut(index.timeline(index.pts), Clip("video.mp4", 5, 9))
    assert caught.value.stage == "sample"


@pytest.mark.parametrize(
    ("start_s", "end_s", "numbers", "timestamps_s", "duration_s"),
    [
        (2, 5, [1, 1, 1], [0, 1, 2], 3),  # no frame of its own
        (2.25, 2.5, [1], [0], 0.25),
        (4, 10, [1] * 5 + [2], [0, 1, 2, 3, 4, 5], 6),
        (8.25, 10, [1, 2], [0, 0.75], 1.75),
        (8.5, 10, [2], [0.5], 1.5),  # as near as `chat` looks for a frame
        (9.5, 9.75, [2], [0], 0.25),
        (9, None, [2], [0], 1),
        (1, 3, [1], [0], 2),
        (0, 3, [0, 1], [0, 1], 3),
    ],
)
def test_a_picture_is_shown_until_the_next(start_s, end_s, numbers, timestamps_s, duration_s):
    index = index_of([0, 1, 9])
    span = cut(index.timeline(index.pts), Clip("video.mp4", start_s, end_s))
    assert span.numbers.tolist() == numbers
    assert span.timestamps_s.tolist() == timestamps_s
    assert (span.duration_s, span.missing_s) == (duration_s, 0)
    assert span.num_frames == len(set(numbers))


def test_no_picture_is_held_where_others_are_lost():
    timeline = index_of([0, 1, 2, 3, 9]).timeline(ticks(0, 3, 9))  # 1 and 2 cannot be read
    with pytest.raises(ClipError, match=r"from 2 s to 2\.5 s"):
        cut(timeline, Clip("video.mp4", 2, 2.5))
    assert cut(timeline, Clip("video.mp4", 1.5, 4)).numbers.tolist() == [1]
    assert cut(timeline, Clip("video.mp4", 5, 7)).numbers.tolist() == [1, 1]
    late = index_of([0, 8], promised_s=20).timeline(ticks(0, 8))
    with pytest.raises(ClipError, match="from 12 s"):
        cut(late, Clip("video.mp4", 12, None))


def test_a_hole_ends_what_is_held():
    timeline = index_of([0, 4, 8]).timeline(ticks(0, 8))
    assert cut(timeline, Clip("video.mp4", 1, 9)).timestamps_s.tolist() == [0, 1, 2, 7]


def test_whatever_was_announced_nothing_is_missing_of_what_decoded_without_failure():
    index = index_of([0, 1, 2, 3, 4, 5])
    timeline = index.timeline(ticks(0, 2, 4), is_whole=True)
    assert timeline.holes_s == ()
    assert timeline.end_s == 6
    promised = index_of([0, 1], promised_s=10)
    assert promised.timeline(ticks(0, 1), is_whole=True).holes_s == ((2, 10),)


def test_second_fields_are_no_holes_beside_real_ones():
    fields = index_of([number / 2 for number in range(12)], frame_s=1.0)  # two a frame
    assert fields.timeline(ticks(0, 1, 4, 5)).holes_s == ((2, 4),)


@pytest.mark.parametrize(("tolerated_s", "holes"), [(1.5, ()), (1.75, ((3, 4.75),))])
def test_a_header_may_be_off_by_a_frame_and_a_half(tolerated_s, holes):
    index = index_of([0, 1, 2], promised_s=3 + tolerated_s)
    assert index.timeline(index.pts).holes_s == holes
