import io

import av
import numpy as np
import pytest

from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.encode import encode_strip, write_mp4


@pytest.fixture
def frames_u8() -> np.ndarray:
    levels = np.arange(10, 200, 19, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (10, 3, 32, 48)).copy()


@pytest.mark.parametrize("fps", [8, 29.97, 0.5])
def test_what_is_written_is_read(tmp_path, frames_u8, fps):
    write_mp4(tmp_path / "video.mp4", frames_u8, fps)
    frames = decode_frames(Clip(str(tmp_path / "video.mp4")), FrameSampling("uniform"))
    assert frames.facts.fps == pytest.approx(fps, rel=1e-4)
    assert frames.facts.missing_s == 0
    assert frames.timestamps_s == pytest.approx(np.arange(10) / fps, rel=1e-3)
    assert np.abs(frames.pixels.astype(int) - frames_u8).max() <= 4


def test_nothing_but_the_file_is_left(tmp_path, frames_u8):
    write_mp4(tmp_path / "video.mp4", frames_u8, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize("shape", [(0, 3, 32, 32), (2, 32, 32, 3), (2, 3, 31, 32)])
def test_other_layouts_are_refused_before_anything_is_written(tmp_path, shape):
    with pytest.raises(ValueError, match=r"uint8 \[T, 3, H, W\]|even width"):
        write_mp4(tmp_path / "video.mp4", np.zeros(shape, np.uint8), 8)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_os_error(tmp_path, frames_u8):
    with pytest.raises(OSError, match="No such file"):
        write_mp4(tmp_path / "nowhere" / "video.mp4", frames_u8, 8)


def test_strips_show_each_picture_whole_in_its_field_and_are_small():
    """Pictures that are twice as wide as high, in fields that are as high as wide."""
    colours = np.array([(200, 40, 40), (40, 160, 40), (40, 40, 200)], np.uint8)
    pictures = np.broadcast_to(colours[:, :, None, None], (3, 3, 320, 640))
    jpeg = encode_strip(pictures, 160, 160)
    with av.open(io.BytesIO(jpeg)) as file:
        shown = next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert shown.shape == (160, 480, 3)
    for place, colour in enumerate(colours.astype(int)):
        field = shown[:, 160 * place : 160 * (place + 1)]
        assert np.abs(field[44:116, 4:-4].mean((0, 1)) - colour).max() < 6
        assert np.abs(field[[0, 36, -36, -1]].mean((0, 1)) - 24).max() < 6
    assert len(jpeg) < 5000
