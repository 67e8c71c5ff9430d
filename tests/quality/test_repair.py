"""Repairs: the bundled model made to loop is brought back, one row per clip, while others decode."""

from pathlib import Path

import pytest

import framescribe
from framescribe import CaptionSettings, Clip, GenerationSettings
from framescribe.captioner import Captioner
from framescribe.quality.flags import DEFECTS
from framescribe.quality.repair import plan_attempts
from framescribe.synthetic.captions import parse

EXAMPLES = Path(framescribe.__file__).parent.parent / "examples"
# A penalty below 1 rewards repetition: the trained model falls into loops on some clips, and not on others.
LOOPING = GenerationSettings(max_new_tokens=96, repetition_penalty=0.5)


@pytest.fixture(scope="module")
def tiny() -> Captioner:
    return Captioner.from_pretrained("tiny", device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def clips() -> list[Path]:
    return [EXAMPLES / f"{name}.mp4" for name in ("hamburger", "kangaroo", "flamingo")]


def by_name(captioner, clips, settings):
    rows = list(captioner.caption(clips, settings))
    assert len(rows) == len(clips)
    return {Path(row.source_video).stem: row for row in rows}


def test_loops_of_the_bundled_model_are_repaired_and_other_captions_stay(tiny, clips):
    plain = by_name(tiny, clips, CaptionSettings(generation=LOOPING))
    repaired = by_name(tiny, clips, CaptionSettings(generation=LOOPING, repair=True))
    looping = {name for name, row in plain.items() if "looping" in row.flags}
    assert "hamburger" in looping
    assert looping < set(plain)
    for name, row in repaired.items():
        first = plain[name]
        assert row.caption_raw == first.caption_raw
        if DEFECTS.isdisjoint(first.flags):
            assert (row.caption, row.flags, row.repairs) == (first.caption, first.flags, ())
        else:
            assert row.caption != first.caption
            assert row.flags == ()
            assert row.caption_status == "success"
            assert row.repairs == ("repetition_penalty=1.1",)
            assert parse(row.caption).subject == name.replace("-", " ")
            assert row.repetition_penalty == LOOPING.repetition_penalty
    # What a repair says it did makes the same caption when a run does it from the start.
    again = by_name(tiny, clips, CaptionSettings(generation=GenerationSettings(96, repetition_penalty=1.1)))
    assert {name: again[name].caption for name in looping} == {
        name: repaired[name].caption for name in looping
    }


def test_where_nothing_helps_the_first_caption_stays_with_its_flags(tiny, clips):
    settings = GenerationSettings(max_new_tokens=8)
    plain = by_name(tiny, clips, CaptionSettings(generation=settings))
    repaired = by_name(tiny, clips, CaptionSettings(generation=settings, repair=True))
    for name, row in repaired.items():
        assert (row.caption, row.flags, row.caption_status) == (
            plain[name].caption,
            ("cut_off",),
            "truncated",
        )
        assert len(row.repairs) == 1
        assert "prompt+=" in row.repairs[0]


def test_every_attempt_differs_from_the_run_and_from_the_others():
    for settings in (
        GenerationSettings(),
        GenerationSettings(repetition_penalty=1.1),
        GenerationSettings(repetition_penalty=1.5),
        GenerationSettings(100, temperature=0.7, top_p=0.9, repetition_penalty=1.1),
    ):
        attempts = plan_attempts(settings, ("looping",))
        tried = [(settings, ""), *((attempt.generation, attempt.more_prompt) for attempt in attempts)]
        assert len(set(tried)) == len(tried)
        assert len({attempt.name for attempt in attempts}) == len(attempts)
        assert all(attempt.name for attempt in attempts)


def test_the_plan_goes_from_penalties_over_sampling_to_a_shorter_caption():
    names = [attempt.name for attempt in plan_attempts(GenerationSettings(), ("looping", "opener"))]
    assert names == [
        "repetition_penalty=1.1",
        "repetition_penalty=1.2",
        "repetition_penalty=1.1 temperature=0.7 top_p=0.9",
        "repetition_penalty=1.1 max_new_tokens=256 prompt+=Answer briefly, in at most three sentences.",
    ]
    assert [attempt.name for attempt in plan_attempts(GenerationSettings(), ("cut_off", "opener"))] == names[
        -1:
    ]


def test_a_repair_asks_what_the_clip_asks(tiny, clips):
    """Not what the run does: the prompt of what is kept has the length of the clip's own question."""
    own = "Tell me in a few words of your own what can be seen here, please."
    asked = [Clip(str(clip), prompt=own) for clip in clips]
    repaired = by_name(tiny, asked, CaptionSettings(generation=LOOPING, repair=True))
    plain = by_name(tiny, asked, CaptionSettings(generation=LOOPING))
    assert any(row.repairs == ("repetition_penalty=1.1",) for row in repaired.values())
    for name, row in repaired.items():
        assert (row.prompt, row.prompt_tokens) == (own, plain[name].prompt_tokens)
