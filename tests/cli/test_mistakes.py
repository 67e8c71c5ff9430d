"""Mistakes that would quietly give something else than was meant: each is refused, or shown."""

import os

import pytest

from framescribe.cli.console import path_errors
from framescribe.dataset.row_file import RowFile
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.reference import CLIPS, ROOT

SHORT = CLIPS / "short-half-second.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "2")


def test_a_list_with_start_and_end_is_not_read_past_them(tmp_path):
    listed = tmp_path / "clips.csv"
    listed.write_text(f"video,start,end\n{SHORT},0,0.2\n")
    result = invoke("caption", listed, *QUICK)
    assert result.exit_code == 2
    assert "start_s and end_s" in result.stderr


def test_a_folder_of_rows_is_not_overwritten(tmp_path):
    result = invoke("caption", SHORT, "-o", tmp_path / "rows", "--overwrite", *QUICK)
    assert result.exit_code == 2
    assert "--new-run" in result.stderr
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--redo", "foo"), ("--start", "nan"), ("--start", "3", "--end", "2"), ("--batch-size", "0"),
        ("--decode-workers", "-1"), ("--decode-timeout", "nan"),
    ],
)  # fmt: skip
def test_wrong_options_leave_no_folder_behind(wrong, tmp_path):
    result = invoke("caption", SHORT, "-o", tmp_path / "rows", *wrong, *QUICK)
    assert result.exit_code == 2
    assert wrong[0].strip("-").split("-")[0] in result.stderr
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("wrong", [("--decode-workers", "-1"), ("--decode-timeout", "0")])
def test_wrong_numbers_are_refused_before_a_model_loads(wrong):
    result = invoke("caption", SHORT, "--model", "no-such-model", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr
    assert "no-such-model" not in result.stderr


def test_rows_are_not_left_out_because_of_text_files(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(SHORT.read_bytes())
    clip.with_suffix(".txt").write_text("A clip.\n")
    result = invoke("caption", clip, "--txt", "-o", tmp_path / "rows.jsonl", *QUICK)
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr


def test_printed_captions_say_which_span(tmp_path):
    result = invoke("caption", SHORT, "--start", "0.1", "--end", "0.3", *QUICK)
    assert result.stdout.startswith(f"{SHORT}#t=0.1,0.3\t")


LONG = "x" * 246  # with .partial behind it, too long a name
LONGER = "x" * 251


@pytest.fixture
def rows(tmp_path):
    with RowFile(tmp_path / "rows.jsonl") as file:
        file.write(row(0, source_video=str(SHORT)))
    return file


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("caption CLIP --prompt-file FOLDER", "FOLDER cannot be read: Is a directory"),
        ("caption CLIP -o FILE/rows.jsonl", "there is no folder FILE"),
        ("caption CLIP -o FILE/rows/", "FILE/rows cannot be written: Not a directory"),
        (f"caption CLIP -o {LONG}.jsonl", f"{LONG}.jsonl.partial cannot be written: File name too long"),
        ("caption CLIP -o dangling.jsonl --model no-such-model", "dangling.jsonl.partial exists"),
        ("caption CLIP -o ODD", "ODD cannot be written: _lock: Is a directory"),
        ("caption CLIP -o ODD --dry-run", "ODD/_run.json cannot be read: Is a directory"),
        ("train FOLDER -o FOLDER/run", "FOLDER: Is a directory"),
        ("train RECIPE -o FILE/run", "FILE/run: Not a directory"),
        ("report ROWS -o FOLDER", "FOLDER is a folder; name a file"),
        ("report ROWS -o FOLDER --overwrite", "FOLDER is a folder; name a file"),
        ("report ROWS -o FILE/page.html", "there is no folder FILE"),
        (f"report ROWS -o {LONGER}.html", f"{LONGER}.html: File name too long"),
        ("report MISSING.jsonl", "MISSING.jsonl cannot be read: No such file"),
        ("export ROWS --to diffsynth -t FILE/target", "FILE/target: Not a directory"),
        ("rows FOLDER.jsonl", "FOLDER.jsonl cannot be read: Is a directory"),
        ("rows FILE", "FILE: rows are read from"),
        ("split CLIP --write FILE", "FILE: File exists"),
        ("split CLIP --write FILE/clips", "FILE/clips: Not a directory"),
        ("synthesize 1 FILE", "FILE: File exists"),
        ("evaluate --synthetic 2 --keep FILE", "FILE: File exists"),
        ("bench --json FOLDER", "--json FOLDER is a folder"),
    ],
)
def test_what_the_system_refuses_is_named_before_any_work(command, said, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("FOLDER", "FOLDER.jsonl", "ODD/_lock", "ODD/_run.json"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "FILE").touch()
    (tmp_path / "dangling.jsonl.partial").symlink_to("nowhere/rows")
    names = {"CLIP": str(SHORT), "ROWS": "rows.jsonl", "RECIPE": str(ROOT / "recipes/bundled/upright.toml")}
    before = sorted(os.listdir())
    result = invoke(*(names.get(word, word) for word in command.split()))
    assert result.exit_code == 2, result
    assert said in " ".join(result.stderr.split())
    assert "Errno" not in result.stderr
    assert sorted(os.listdir()) == before


def test_a_full_disk_is_no_wrong_usage(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="No space left"), path_errors(), open("/dev/full", "wb", 0) as full:
        full.write(b"x")


def test_an_unknown_flag_accepts_nothing(tmp_path):
    result = invoke("export", tmp_path, "--to", "diffsynth", "--accept", "loop")
    assert result.exit_code == 2
    assert "unknown --accept 'loop'; choose from empty" in result.stderr


def test_a_video_that_is_not_there_is_told_before_a_model_is_loaded(tmp_path):
    result = invoke("ask", tmp_path / "none.mp4", "What is it?", "--model", "no-such-model")
    assert result.exit_code == 1
    assert "none.mp4" in result.stderr


def test_an_empty_question_is_told_before_a_model_is_loaded():
    result = invoke("ask", SHORT, "What is it?", " ", "--model", "no-such-model")
    assert result.exit_code == 2
    assert "a question is empty" in result.stderr
