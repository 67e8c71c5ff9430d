"""Numbers that the pages promise, as numbers here too: whoever moves one in the code meets its promise."""

from __future__ import annotations

import pytest

from framescribe.cli import command
from framescribe.engine import loops
from framescribe.model.saving import MAX_SHARD_BYTES
from framescribe.quality import budget, duplicates
from framescribe.reading import MAX_LINE_BYTES
from framescribe.task import DEFAULT_MEMORY_GB, DEFAULT_TIMEOUT_S
from framescribe.types import FrameSampling, GenerationSettings
from framescribe.video.sample import BASE_WINDOW_S
from tests.reference import ROOT

PROMISES = [
    ("commands.md", "| 1 | a clip or the output failed |", command.EXIT_FAILED, 1),
    ("commands.md", "| 2 | wrong usage; nothing was done |", command.EXIT_USAGE, 2),
    ("commands.md", "| 3 | the device failed; what was done is kept |", command.EXIT_DEVICE, 3),
    ("commands.md", "| 70 | a bug in framescribe, shown with its traceback |", command.EXIT_BUG, 70),
    ("commands.md", "| 130 | stopped by Ctrl-C; what was written is kept |", command.EXIT_INTERRUPTED, 130),
    ("commands.md", "| 141 | the reader of the output closed it |", command.EXIT_BROKEN_PIPE, 141),
    ("commands.md", "takes longer is an `error` row. Default: `120.0`.", DEFAULT_TIMEOUT_S, 120),
    ("commands.md", "needs more is an `error` row. Default: `4.0`.", DEFAULT_MEMORY_GB, 4),
    ("commands.md", "Default: `2048`.", GenerationSettings().max_new_tokens, 2048),
    ("commands.md", "Maximum number of frames. Default: `24`.", FrameSampling().num_frames, 24),
    ("commands.md", "each checkpoint file, in MB. Default: `5000`.", MAX_SHARD_BYTES, 5_000_000_000),
    ("long-videos.md", "the first 24 seconds of a clip, one frame a second", FrameSampling().fps, 1),
    ("commands.md", "24 frames over the first 60 s", BASE_WINDOW_S, 60),
    ("quality.md", "more than 100 words, which T5's 226 tokens hold", budget.Budget().max_words, 100),
    ("quality.md", "more than 100 words, which T5's 226 tokens hold", budget.T5_TOKENS, 226),
    ("quality.md", "shares 85 % of its word triples", duplicates.THRESHOLD, 0.85),
    ("sources.md", "A line has 16 MiB at most", MAX_LINE_BYTES, 16 * 2**20),
    ("rows.md", "is longer than 16 MiB", MAX_LINE_BYTES, 16 * 2**20),
    (
        "engine.md",
        "the last 96 tokens or more are one stretch of tokens four times",
        loops._LEAST_REPEATED,
        96,
    ),
    ("engine.md", "the last 96 tokens or more are one stretch of tokens four times", loops._REPEATS, 4),
    ("engine.md", "or when the last 128 tokens are only 12 different ones", loops._STRETCH, 128),
    ("engine.md", "or when the last 128 tokens are only 12 different ones", loops._FEW, 12),
]


@pytest.mark.parametrize(("page", "words", "found", "promised"), PROMISES)
def test_the_code_keeps_the_number_that_a_page_promises(page, words, found, promised):
    assert found == promised
    assert words in " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
