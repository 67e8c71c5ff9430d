"""Names with escape sequences and line breaks: whatever prints them, no terminal obeys, and no line is forged."""

import json
import shutil

import pytest

from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.reference import CLIPS

SHORT = CLIPS / "short-half-second.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "2")
NAMES = {
    "line": "a\nsuccess.mp4",
    "carriage": "a\rerror.mp4",
    "escape": "\x1b]0;title\x07\x1b[2J.mp4",
    "tab": "a\tb\tc.mp4",
    "c1": "a\x9b2Jb.mp4",
    "separator": "a\u2028b\x85c.mp4",
    "bidi": "a\u202e4pm.mp4",
}
BAD = [
    chr(code)
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E)
    if chr(code) not in "\n\t"
]


def assert_clean(text: str, lines: int | None = None) -> None:
    assert not [character for character in BAD if character in text]
    if lines is not None:
        assert len(text.splitlines()) == lines


@pytest.fixture(params=NAMES)
def video(request, tmp_path):
    path = tmp_path / NAMES[request.param]
    shutil.copy(SHORT, path)
    return path


def test_of_captions_and_problems(video, tmp_path):
    listed = tmp_path / "l.jsonl"
    entries = [{"path": video.name}, {"path": f"missing{video.name}"}, {"path": {"bytes": video.name}}]
    listed.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    result = invoke("caption", listed, *QUICK)
    assert_clean(result.stdout, 3)  # failed clips have an empty caption
    assert_clean(result.stderr)
    assert len([line for line in result.stderr.splitlines() if line.startswith("error ")]) == 2


def test_of_wrong_usage_and_log_lines(video):
    gone = video.with_name(f"{video.name}.gone")
    result = invoke("caption", gone)
    assert result.exit_code == 2
    assert_clean(result.stderr, 1)
    assert_clean(invoke("caption", video.parent, "--dry-run").output)


def test_of_inspect_and_split(video):
    assert_clean(invoke("inspect", video).output)
    assert_clean(invoke("split", video, "--segment", "window:1").output, 1)


def test_of_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        row(number, source_video=name, caption=f"{name}\x1b[2J") for number, name in enumerate(NAMES.values())
    ]
    path.write_text("".join(json.dumps(each.to_dict()) + "\n" for each in rows))
    result = invoke("rows", path)
    assert_clean(result.stdout, len(NAMES))
    assert {line.count("\t") for line in result.stdout.splitlines()} == {3}
