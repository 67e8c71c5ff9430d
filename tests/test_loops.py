"""A looping caption as a row: ended early, repetitive, with the reason; the rest of the run does not notice."""

from pathlib import Path

import pytest

import framescribe
from framescribe import CaptionSettings, GenerationSettings
from framescribe.captioner import Captioner

EXAMPLES = Path(framescribe.__file__).parent.parent / "examples"
CLIPS = [EXAMPLES / f"{name}.mp4" for name in ("tropical-fish", "kangaroo", "flamingo")]


@pytest.fixture(scope="module")
def tiny() -> Captioner:
    return Captioner.from_pretrained("tiny", device="cpu", batch_size=3)


def captions(tiny: Captioner, **generation) -> dict[str, framescribe.CaptionRow]:
    # A penalty below 1 rewards repetition: the trained model falls into loops on some clips, and not on others.
    settings = CaptionSettings(generation=GenerationSettings(200, repetition_penalty=0.5, **generation))
    rows = {Path(row.source_video).stem: row for row in tiny.caption(CLIPS, settings)}
    assert len(rows) == len(CLIPS)
    return rows


def test_a_loop_is_a_repetitive_row_with_its_reason_and_the_same_text_up_to_there(tiny):
    whole, stopped = captions(tiny, stop_loops=False), captions(tiny)
    ended = {name for name, row in stopped.items() if row.finish_reason == "loop"}
    assert "tropical-fish" in ended
    assert ended < set(stopped)
    for name, row in stopped.items():
        before = whole[name]
        assert (row.stop_loops, before.stop_loops) == (True, False)
        if name not in ended:
            assert (row.caption_raw, row.finish_reason) == (before.caption_raw, before.finish_reason)
            continue
        assert before.finish_reason in ("stop", "length")
        assert row.output_tokens <= 160 < before.output_tokens
        assert before.caption_raw.startswith(row.caption_raw)
        assert row.caption_status == "repetitive"
        assert "looping" in row.flags
        assert row.error_message is None
