import json
import re

import pytest

from tests.cli.run import invoke
from tests.dataset.test_row_file import ERROR, row
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
