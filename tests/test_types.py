"""The values that cross rooms: ids that last, the published defaults as numbers, and what is refused."""

import hashlib
import json
import math

import numpy as np
import pytest

from framescribe import CaptionSettings, Clip, FrameSampling, GenerationSettings, UsageError
from framescribe.types import Frames, VideoFacts


def id_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_ids_are_a_hash_of_source_span_and_own_prompt():
    """Folders of rows know their clips by it: it may never change."""
    assert Clip("a.mp4").id == id_of("a.mp4\0" + "0.0\0") == "6a01ccbf484fc1ef"
    assert Clip("a.mp4", 1, 2.5).id == id_of("a.mp4\0" + "1.0\0" + "2.5")
    assert Clip("a.mp4", 1, 3).id == id_of("a.mp4\0" + "1.0\0" + "3.0")
    assert Clip("a.mp4", prompt="Who?").id == id_of("a.mp4\0" + "0.0\0" + "\0Who?")
    assert Clip("a.mp4", prompt="Who?", given_id="mine").id == "mine"


def test_defaults_are_the_published_settings():
    """README and ``docs/rows.md``: greedy, 2,048 new tokens, 24 frames, a frame a second."""
    generation = GenerationSettings()
    assert (generation.max_new_tokens, generation.temperature, generation.top_p) == (2048, 0.0, 1.0)
    assert (generation.repetition_penalty, generation.seed, generation.stop_loops) == (1.0, 0, True)
    assert (FrameSampling().strategy, FrameSampling().num_frames) == ("chat", 24)
    settings = CaptionSettings()
    assert settings.prompt == "Please describe this video in detail."
    assert settings.resolved_template == "chat"
    assert not settings.repair
    assert CaptionSettings(sampling=FrameSampling("base")).resolved_template == "base"
    assert CaptionSettings(sampling=FrameSampling("uniform")).resolved_template == "chat"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": True},
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": 1, "top_p": 0},
        {"temperature": 1, "top_p": 1.01},
        {"temperature": 0, "top_p": 0.9},
        {"repetition_penalty": 0},
        {"repetition_penalty": 1e-300},
        {"repetition_penalty": math.nan},
        {"repetition_penalty": math.inf},
        {"seed": -1},
        {"seed": 2**63},
    ],
    ids=str,
)
def test_decoding_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match=rf"`{list(wrong)[-1]}`|`top_p`"):
        GenerationSettings(**wrong)


def test_what_lies_just_inside_is_taken():
    GenerationSettings(1, 0.01, 1e-6, 0.1, 2**63 - 1)
    assert json.loads(json.dumps(Clip("a", 0, 1e-9).end_s)) == 1e-9


@pytest.mark.parametrize(
    ("sampling", "seconds"),
    [
        (FrameSampling(), [0, 1, 2, 3, 4]),
        (FrameSampling(fps=2.0), [0, 0, 1, 1, 2]),
        (FrameSampling(fps=0.5), [0, 2, 4, 6, 8]),
        (FrameSampling("uniform"), [0, 2, 4, 7, 10]),
    ],
)
def test_the_second_that_a_prompt_writes_behind_each_frame(sampling, seconds):
    facts = VideoFacts(8, 8, 1.0, 10.0, "h264", 5)
    frames = Frames(
        np.empty((5, 3, 0, 0), np.uint8), (0, 1, 2, 3, 4), (0.0, 2.4, 4.0, 6.6, 10.0), 10.0, facts
    )
    assert frames.text_seconds(sampling) == seconds
