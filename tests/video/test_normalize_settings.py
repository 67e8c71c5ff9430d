"""What clips can be made into: settings that cannot be, and how many frames come of them."""

import math
from fractions import Fraction

import pytest

from framescribe.errors import UsageError
from framescribe.video.normalize import Normalize


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fps": 0}, "above 0"),
        ({"fps": math.nan}, "above 0"),
        ({"frames": 80, "frame_step": 4}, "take 81"),
        ({"frames": 96, "frame_step": 8}, "take 97"),
        ({"frames": 0}, "1 or more"),
        ({"size": (830, 480), "side_step": 16}, "take 832x480"),
        ({"size": (0, 480)}, "multiples of 2"),
        ({"size": (16, 16000)}, "at most 8192"),
        ({"fit": "stretch"}, "crop or pad"),
        ({"crf": 60}, "0 to 51"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(UsageError, match=said):
        Normalize(**settings)


@pytest.mark.parametrize(
    ("duration_s", "fps", "settings", "frames"),
    [
        (5.0, 16, {"frames": 81, "frame_step": 4}, 77),
        (6.0, 16, {"frames": 81, "frame_step": 4}, 81),
        (3.003, 16, {"frame_step": 4}, 45),
        (2.0, 24, {"frame_step": 8}, 41),
        (0.01, 16, {"frame_step": 4}, 1),
        (2.0, 24, {}, 48),
    ],
)
def test_numbers_of_frames(duration_s, fps, settings, frames):
    assert Normalize(**settings).num_frames(duration_s, Fraction(fps)) == frames
