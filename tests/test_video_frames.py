"""Pictures in memory as a source: the same frames, and so the same caption, as the file they come from."""

import av
import numpy as np
import pytest
import torch

from framescribe import CaptionSettings, Clip, FrameSampling, GenerationSettings, UsageError, VideoFrames
from framescribe.video.decode import decode_frames
from tests.reference import CLIPS

VFR = CLIPS / "vfr-6s.mp4"


def read(path) -> tuple[np.ndarray, list[float]]:
    """uint8 [T, H, W, 3] and seconds of all frames, by PyAV alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return pixels, [float(frame.time - frames[0].time) for frame in frames]


@pytest.fixture(scope="module")
def vfr():
    return read(VFR)


@pytest.mark.parametrize("strategy", ["chat", "uniform"])
@pytest.mark.parametrize("span", [(0.0, None), (1.5, 4.25)])
def test_a_files_pictures_are_sampled_as_the_file(strategy, span, vfr):
    pixels, times_s = vfr
    sampling = FrameSampling(strategy, 5)
    expected = decode_frames(Clip(str(VFR), *span), sampling)
    found = decode_frames(Clip("x", *span, data=VideoFrames(pixels, timestamps_s=times_s)), sampling)
    assert found.indices == expected.indices
    assert found.timestamps_s == pytest.approx(expected.timestamps_s, abs=1e-6)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_they_give_the_files_caption(vfr, captioner):
    pixels, times_s = vfr
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=6))
    (expected,) = captioner.caption(VFR, settings)
    (row,) = captioner.caption(VideoFrames(pixels, timestamps_s=times_s, name="mine"), settings)
    assert row.caption == expected.caption
    assert row.frame_indices == expected.frame_indices
    assert (row.source_video, row.codec, row.width, row.height) == (
        "mine", "frames", expected.width, expected.height,
    )  # fmt: skip


class Picture:
    """What is used of PIL's Image, which is not a dependency of the tests."""

    mode = "RGBA"

    def __init__(self, array):
        self.array = array

    def convert(self, mode):
        assert mode == "RGB"
        return self.array


def test_all_forms_are_one_video():
    last = np.arange(4 * 6 * 8 * 3, dtype=np.uint8).reshape(4, 6, 8, 3)
    first = last.transpose(0, 3, 1, 2)
    forms = [
        last, first, torch.from_numpy(last), torch.from_numpy(first.copy()), list(last), tuple(first),
        [torch.from_numpy(picture) for picture in last], [Picture(picture) for picture in last],
    ]  # fmt: skip
    videos = [VideoFrames(form, fps=2) for form in forms]
    for video in videos:
        np.testing.assert_array_equal(video.pixels, first)
    assert len({video.name for video in videos}) == 1
    assert VideoFrames(last, fps=3).name != videos[0].name
    assert (videos[0].duration_s, len(videos[0])) == (2.0, 4)


def test_real_pil_images_too():
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    array = np.arange(2 * 6 * 8 * 3, dtype=np.uint8).reshape(2, 6, 8, 3)
    video = VideoFrames([image.fromarray(picture) for picture in array], fps=1)
    np.testing.assert_array_equal(video.pixels, array.transpose(0, 3, 1, 2))
    grey = VideoFrames([image.fromarray(array[0, :, :, 0])], fps=1)
    assert grey.pixels.shape == (1, 3, 6, 8)


FINE = np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("pictures", "times", "said"),
    [
        (FINE, {}, "either `fps` or `timestamps_s`"),
        (FINE, {"fps": 1, "timestamps_s": [0, 1]}, "either"),
        (FINE, {"fps": 0}, "`fps` must be above 0"),
        (FINE, {"fps": float("nan")}, "`fps` must be above 0"),
        (FINE, {"timestamps_s": [0]}, "must be 2 numbers"),
        (FINE, {"timestamps_s": [1, 1]}, "ascending"),
        (FINE, {"timestamps_s": [0, float("inf")]}, "finite"),
        (FINE.astype(np.float32), {"fps": 1}, "must be uint8, 0 to 255, not float32"),
        (torch.zeros(2, 3, 8, 8), {"fps": 1}, "must be uint8"),
        (FINE[..., 0], {"fps": 1}, r"RGB, not \[2, 8, 8\]"),
        (np.zeros((2, 8, 8, 4), np.uint8), {"fps": 1}, r"not \[2, 8, 8, 4\]"),
        (np.zeros((2, 3, 8, 3), np.uint8), {"fps": 1}, "two ways"),
        (FINE[:0], {"fps": 1}, "no pictures"),
        ([], {"fps": 1}, "no pictures"),
        ([FINE[0], FINE[0, 2:]], {"fps": 1}, "one size"),
        (5, {"fps": 1}, "an array or a sequence, not int"),
    ],
)
def test_what_is_no_video_is_refused(pictures, times, said):
    with pytest.raises(UsageError, match=said):
        VideoFrames(pictures, **times)


def test_a_bare_array_is_told_what_to_write(captioner):
    with pytest.raises(UsageError, match=r"VideoFrames\(pictures, fps=24\)"):
        captioner.caption(FINE)
    with pytest.raises(UsageError, match=r"VideoFrames\(pictures, fps=24\)"):
        captioner.caption([FINE])


def test_a_span_without_pictures_is_an_error_row(captioner):
    (row,) = captioner.caption(Clip("x", 5, 6, data=VideoFrames(FINE, fps=1)))
    assert (row.caption_status, row.error_stage) == ("error", "sample")
