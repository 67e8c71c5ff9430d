"""Strips: one size for all clips where they are padded, otherwise no more than their pictures need."""

import io

import av
import pytest

from framescribe.types import Clip
from framescribe.video.preview import STRIP_PICTURES, STRIP_SIZE_PX, strip
from tests.reference import CLIPS


def size_of(name, num_pictures, size_px, is_padded):
    jpeg = strip(Clip(str(CLIPS / name)), num_pictures, size_px, is_padded=is_padded)
    with av.open(io.BytesIO(jpeg)) as file:
        frame = next(file.decode(video=0))
        return frame.width, frame.height


@pytest.mark.parametrize("name", ["one-frame.mp4", "portrait-25s.mp4", "horse.mp4"])
def test_padded_strips_are_of_one_size(name):
    across, down = STRIP_SIZE_PX
    assert size_of(name, STRIP_PICTURES, STRIP_SIZE_PX, is_padded=True) == (STRIP_PICTURES * across, down)


def test_others_hold_the_pictures_that_there_are_and_little_room():
    wide, high = size_of("one-frame.mp4", 4, (280, 280), is_padded=False)
    four_wide, four_high = size_of("short-half-second.mp4", 4, (280, 280), is_padded=False)
    assert 1 < wide / high < 2
    assert four_wide > 4 * four_high
    portrait_wide, portrait_high = size_of("portrait-25s.mp4", 4, (280, 280), is_padded=False)
    assert portrait_wide < 4 * portrait_high
    assert max(wide, four_wide / 4, portrait_high) <= 284
