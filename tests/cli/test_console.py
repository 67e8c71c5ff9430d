"""What is printed of rows and logged, line by line, when nothing is a terminal."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import pytest
import typer

from framescribe.cli import console
from framescribe.cli.options import above_zero
from framescribe.pipeline.progress import problem_of
from tests.dataset.test_row_file import ERROR, row


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("framescribe")
    before = (root.level, root.handlers[:], ours.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


@pytest.mark.parametrize(
    ("verbose", "shown"),
    [
        (False, ["ours told", "others broke"]),
        (True, ["ours in detail", "ours told", "others told", "others broke"]),
    ],
)
def test_v_adds_our_details_and_what_other_libraries_tell(verbose, shown, capsys):
    console.set_up_logging(verbose)
    ours, others = logging.getLogger("framescribe"), logging.getLogger("somebody.else")
    ours.debug("ours in detail")
    ours.info("ours told")
    others.info("others told")
    others.error("others broke")
    assert capsys.readouterr().err.splitlines() == shown


def test_a_message_of_the_log_is_one_line_that_a_terminal_does_not_obey(capsys):
    console.set_up_logging(False)
    logging.getLogger("framescribe").info("skipped %s", "a\nframescribe: all is well\x1b[2J")
    assert capsys.readouterr().err == "skipped a\\nframescribe: all is well\\x1b[2J\n"


@pytest.mark.parametrize(
    ("span", "name"),
    [({}, "clips/0.mp4"), ({"start_s": 1.5}, "clips/0.mp4#t=1.5"), ({"end_s": 2.0}, "clips/0.mp4#t=0,2")],
)
def test_a_caption_is_one_line_behind_its_video_and_span(span, name, capsys):
    console.print_caption(row(0, caption="Two\nlines\tand \x1b[31mred.", **span))
    assert capsys.readouterr().out == f"{name}\tTwo lines and \\x1b[31mred.\n"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, None),
        (ERROR, "error gone"),
        ({"error_message": "half is missing", "missing_s": 2.0}, "damaged half is missing"),
        ({"caption_status": "truncated", "flags": ("cut_off",)}, "truncated clips/0.mp4"),
        ({"flags": ("non_text", "opener")}, "non_text, opener clips/0.mp4"),
        ({"flags": ("opener",)}, None),
        (
            {
                "caption_status": "repetitive",
                "flags": ("looping",),
                "finish_reason": "loop",
                "output_tokens": 160,
            },
            "repetitive clips/0.mp4: ended after 160 tokens, as it loops",
        ),
    ],
)
def test_what_went_wrong_with_a_clip_is_one_line(columns, told):
    problem = problem_of(row(0, **columns))
    assert (None if problem is None else problem.plain) == told


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf])
def test_what_is_not_above_zero_and_finite_is_refused(number):
    with pytest.raises(typer.BadParameter):
        above_zero(number)
    assert above_zero(1e-9) == 1e-9
    assert above_zero(None) is None
