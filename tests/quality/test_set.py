"""Captions that many clips share are told wherever a set is read: rows, report, export, and at the end of a run."""

import json

import pytest

from framescribe.export.layout import LAYOUTS
from framescribe.export.run import export
from framescribe.quality.duplicates import RepeatCounter, flag_duplicates
from tests.cli.run import invoke
from tests.dataset.test_row_file import ERROR, row
from tests.quality.captions import LONG_CAPTIONS
from tests.reference import CLIPS
from tests.report.pages import document, overview

SHORT = str(CLIPS / "short-half-second.mp4")
FIRST, OTHER = LONG_CAPTIONS[:2]
WORDS = FIRST.split()
# One word of some seventy: 66 of 78 trigrams stay, 0.85 of all of both.
NEARLY = " ".join(["An", *WORDS[1:]])
CHANGED = " ".join([*WORDS[:10], "x", *WORDS[11:30], "y", *WORDS[31:50], "z", *WORDS[51:]])


def rows() -> list[dict]:
    captions = {
        "a": FIRST, "b": OTHER, "c": FIRST, "d": NEARLY, "e": CHANGED, "f": FIRST.upper(), "g": LONG_CAPTIONS[2],
    }  # fmt: skip
    good = [
        row(clip_id=name, source_video=SHORT, start_s=number / 100, end_s=0.4, caption=caption)
        for number, (name, caption) in enumerate(captions.items())
    ]
    bad = row(clip_id="0", source_video=SHORT, caption=OTHER, caption_status="repetitive", flags=("looping",))
    failed = [row(clip_id=name, source_video=SHORT, **ERROR) for name in "yz"]
    return [each.to_dict() for each in (bad, *good, *failed)]


REPEATS = {"c": "a", "d": "a", "f": "a"}


def test_each_repeat_names_the_first_and_bad_captions_are_nobody_s_first():
    found = list(flag_duplicates(rows()))
    assert {each["clip_id"]: each["duplicate_of"] for each in found if "duplicate_of" in each} == REPEATS
    assert {each["clip_id"] for each in found if "duplicate" in each["flags"]} == set(REPEATS)
    assert [{**each, "flags": []} for each in rows()] == [
        {name: value for name, value in each.items() if name != "duplicate_of"} | {"flags": []}
        for each in found
    ]


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows()))
    return path


def test_rows_finds_and_counts_them(stored):
    listed = invoke("rows", stored, "--flag", "duplicate").stdout
    assert [line.split("\t")[0] for line in listed.splitlines()] == list(REPEATS)
    assert "flag\tduplicate\t3" in invoke("rows", stored, "--count").stdout
    as_json = [json.loads(line) for line in invoke("rows", stored, "--json").stdout.splitlines()]
    assert {each["clip_id"]: each["duplicate_of"] for each in as_json if "duplicate_of" in each} == REPEATS


def test_the_report_counts_them_and_shows_the_caption():
    found = overview(rows(), 10)
    assert found.flags["duplicate"] == 3
    assert [(each.caption, each.clips) for each in found.repeats] == [(FIRST, 4)]
    assert {each["clip_id"] for each in found.clips if "duplicate" in each["flags"]} == set(REPEATS)
    many = overview(rows(), 10, max_compared=6)  # of seven, those of the same text
    assert many.flags["duplicate"] == 2
    assert [(each.caption, each.clips) for each in many.repeats] == [(FIRST[:61], 3)]
    assert {each["clip_id"] for each in many.clips if "duplicate" in each["flags"]} == {"c", "f"}
    assert many.flagged == 3
    text = document(rows(), stills=lambda _: ["data:,"]).text
    assert "Captions that several clips have" in text
    assert FIRST[:59] in text


def test_an_export_leaves_them_out_and_says_of_which_clip_unless_they_are_accepted(tmp_path):
    to = LAYOUTS["videofolder"]
    report = export(rows(), to, tmp_path / "one", link="reference" if to.may_reference else "copy")
    reasons = {each.clip_id: each.detail for each in report.left_out if each.reason == "flagged duplicate"}
    assert reasons == {name: f"nearly the caption of clip {first}" for name, first in REPEATS.items()}
    assert report.exported == 4
    again = export(rows(), to, tmp_path / "all", accepted_flags={"duplicate"})
    assert again.exported == 7


def test_a_run_counts_them_as_they_come():
    counter = RepeatCounter()
    looping = row(clip_id="3", caption=FIRST, caption_status="repetitive", flags=("looping",))
    for each in (row(clip_id="1", caption=FIRST), row(clip_id="2", caption=NEARLY), looping, row(**ERROR)):
        counter.write(each)
    assert counter.count == 1
