import json
import re

import pytest

from framescribe.dataset.store import RowFolder
from tests.cli.run import invoke
from tests.dataset.test_row_file import ERROR, row
from tests.dataset.test_scored import failed_row, score_row
from tests.dataset.test_store import write


@pytest.fixture
def folder(tmp_path):
    rows = [
        row(0),
        row(1, **ERROR),
        row(2, caption_status="truncated", flags=("looping", "long"), caption="A\n\tb"),
    ]
    write(str(tmp_path / "out"), *rows)
    return tmp_path / "out"


def ids(*arguments: object) -> list[str]:
    result = invoke("rows", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["clip_id"][-1] for line in result.stdout.splitlines()]


def test_filters(folder):
    assert ids(folder) == ["0", "1", "2"]
    assert ids(folder, "--status", "error") == ["1"]
    assert ids(folder, "--flag", "looping") == ["2"]
    assert ids(folder, "--where", "source_video LIKE '%clips/2%'") == ["2"]
    assert ids(folder, "--where", "contains(source_video, 'clips')", "--where", "caption = 'Caption 0.'") == [
        "0"
    ]
    assert ids(folder, "--where", "caption IS NULL") == ["1"]
    assert ids(folder, "--where", "num_frames > 2 AND len(flags) = 2 -- both") == ["2"]


@pytest.fixture
def scored(tmp_path):
    folder = RowFolder(str(tmp_path / "scored"))
    folder.prepare()
    folder.scores.make()
    rows = [score_row("a", "motion", motion=1.25), score_row("b", "motion", motion=8.0)]
    folder.scores.append([*rows, failed_row("c", "motion", "cannot\nbe read")], "run", 0)
    return tmp_path / "scored"


def test_scored_clips_without_captions(scored):
    assert invoke("rows", scored).stdout.splitlines() == [
        "a\tscored\ta.mp4\t", "b\tscored\tb.mp4\t", "c\terror\tc.mp4\tcannot be read",
    ]  # fmt: skip
    assert ids(scored, "--where", "motion > 2") == ["b"]
    assert invoke("rows", scored, "--count").stdout == "rows\t3\nstatus\tscored\t2\nstatus\terror\t1\n"
    assert invoke("rows", scored, "--count", "--where", "motion > 2").stdout == "rows\t1\nstatus\tscored\t1\n"
    refused = invoke("rows", scored, "--status", "error")
    assert (refused.exit_code, "has no captions yet: leave out --status" in refused.stderr) == (2, True)


def test_columns_of_choice(scored, folder):
    sorted_by = ("--order-by", "motion DESC")
    lines = invoke("rows", scored, "--columns", "source_video, motion", *sorted_by).stdout.splitlines()
    assert lines == ["b.mp4\t8", "a.mp4\t1.25", "c.mp4\t"]
    shown = invoke("rows", folder, "--columns", "caption,flags", "--json", "--limit", "1")
    assert json.loads(shown.stdout) == {"caption": "Caption 0.", "flags": []}
    for arguments, reason in (
        (("--columns", "beauty"), "there is no column beauty"),
        (("--columns", "caption", "--count"), "leave out --columns"),
        (("--columns", "caption", "--flag", "duplicate"), "leave out --columns"),
    ):
        refused = invoke("rows", folder, *arguments)
        assert (refused.exit_code, reason in refused.stderr) == (2, True)


def test_sorting_and_paging(folder):
    assert ids(folder, "--order-by", "source_video DESC") == ["2", "1", "0"]
    assert ids(folder, "--order-by", "len(flags) DESC, clip_id", "--limit", "2") == ["2", "0"]
    assert ids(folder, "--limit", "1", "--offset", "1") == ["1"]
    assert ids(folder, "--where", "caption IS NOT NULL", "--offset", "1") == ["2"]


def test_lines(folder):
    lines = [line.split("\t") for line in invoke("rows", folder).stdout.splitlines()]
    assert lines[1] == [f"{1:016x}", "error", "clips/1.mp4", "gone"]
    assert lines[2][3] == "A b"


def test_counts(folder):
    assert json.loads(invoke("rows", folder, "--count", "--json").stdout) == {
        "rows": 3, "status": {"success": 1, "error": 1, "truncated": 1}, "flags": {"looping": 1, "long": 1},
    }  # fmt: skip
    assert invoke("rows", folder, "--count", "--status", "error").stdout == "rows\t1\nstatus\terror\t1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "caption"], "--where caption: Could not convert string '"),
        (["--where", "seed < 1 AND colour = 'red'"], "at character 14: there is no column colour"),
        (["--where", "colour = 'red'"], "there are clip_id, source_video"),
        (
            ["--where", "caption = kite"],
            "at character 11: there is no column kite (text is written between single",
        ),
        (["--where", "seed = 1", "--where", "seed >"], "--where seed >: at character"),
        (["--order-by", "length(caption"], "--order-by length(caption: at character"),
        (["--status", "sucess"], "Invalid value for '--status'"),
        (["--flag", "loop"], "'loop' is not one of 'empty', 'cut_off'"),
    ],
)
def test_wrong_filters_are_named(arguments, said, folder):
    result = invoke("rows", folder, *arguments)
    assert result.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", result.stderr)


def test_what_is_no_output(tmp_path):
    result = invoke("rows", tmp_path)
    assert result.exit_code == 2
    assert "rows are read from" in result.stderr
