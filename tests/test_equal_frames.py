"""Equal frames are encoded once, and nothing else changes: not their features, not the tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framescribe.checkpoint import open_checkpoint
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.model.attention import causal_attention
from framescribe.model.model import CaptionModel
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker
from framescribe.types import CaptionSettings, GenerationSettings
from framescribe.video.pictures import find_pictures
from framescribe.video.transform import transform
from framescribe.video_frames import VideoFrames
from tests.engine.serve import NEVER, serve

# Frames by the picture that they show: all equal, none, slides of which one comes back, one frame.
PATTERNS = ["aaaa", "abc", "aabbbab", "a"]


def frames_of(pattern: str) -> np.ndarray:
    """Noise as uint8 [F, 3, 30, 40], the same for the same letter."""
    noise = np.random.default_rng(0).integers(0, 256, (26, 3, 30, 40), dtype=np.uint8)
    return noise[[ord(letter) - ord("a") for letter in pattern]]


@pytest.fixture(scope="module")
def preparer() -> Preparer:
    return Preparer(open_checkpoint("tiny-random"), RowMaker("model", "revision", "fp32"))


@contextmanager
def counting(model: CaptionModel) -> Iterator[list[int]]:
    """How many pictures go through the vision tower, at each time."""
    counts: list[int] = []
    hook = model.vision.adapter.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    try:
        yield counts
    finally:
        hook.remove()


@given(st.text("abc", min_size=1, max_size=30))
def test_neighbours_that_are_equal_are_one_picture(pattern):
    picture_of_frame, first_frames = find_pictures(torch.from_numpy(frames_of(pattern)))
    runs = [len(list(run)) for _, run in groupby(pattern)]
    assert list(picture_of_frame) == [number for number, length in enumerate(runs) for _ in range(length)]
    assert first_frames == [sum(runs[:number]) for number in range(len(runs))]


@given(st.integers(0, 2), st.integers(0, 29), st.integers(0, 39), st.sampled_from([1, 128]))
def test_one_value_of_one_pixel_makes_another_picture(channel, y, x, change):
    frames = frames_of("aa")
    frames[1, channel, y, x] ^= change
    assert find_pictures(torch.from_numpy(frames))[0] == (0, 1)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_features_and_tokens_are_those_of_encoding_all(pattern, model, prompts, preparer):
    """Beside others in the batch; the first token also against a plain pass over the whole prompt."""
    settings = GenerationSettings(max_new_tokens=6)
    prompt = prompts.build("What is shown?", "chat", range(len(pattern)))
    pixels_P3SS, picture_of_frame = preparer.pictures(frames_of(pattern))
    every_F3SS = transform(frames_of(pattern))
    plain = Request("plain", prompt, every_F3SS, settings)
    once = Request("once", prompt, pixels_P3SS, settings, picture_of_frame)
    other = Request("other", prompt, every_F3SS.flip(0), settings)

    assert torch.equal(pixels_P3SS[list(picture_of_frame)], every_F3SS)
    expected = serve(Engine(model, NEVER, max_batch=1), [plain, other])
    with counting(model) as counts:
        found = serve(Engine(model, NEVER, max_batch=3), [other, once])
    assert sum(counts) == len(pattern) + len(list(groupby(pattern)))
    assert found["once"].token_ids == expected["plain"].token_ids
    assert found["other"] == expected["other"]

    with torch.inference_mode():
        features_FVD = model.vision(every_F3SS)
        torch.testing.assert_close(
            model.vision(pixels_P3SS)[list(picture_of_frame)], features_FVD, atol=1e-4, rtol=0
        )
        x_BLD = model.embed(torch.tensor([prompt.input_ids]), torch.tensor([prompt.is_vision]), features_FVD)
        hidden_BLD = model.decoder(x_BLD, torch.tensor([prompt.position_ids]), causal_attention)
        assert found["once"].token_ids[0] == int(model.lm_head(hidden_BLD[0, -1]).argmax())


def test_a_still_clip_is_one_picture_from_the_front_door_on(captioner):
    """Several prompts share it, and a clip of different frames goes through whole beside it."""
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=4))
    clips = [VideoFrames(frames_of(pattern), fps=1) for pattern in ("aaaa", "abc")]
    with counting(captioner.engine.model) as counts:
        rows = list(captioner.caption(clips, settings, prompts=["What is there?", "Where?"]))
    assert [row.caption_status for row in rows] == ["truncated"] * 4
    assert sum(counts) == 1 + 3
