"""Mistakes that would quietly give something else than was meant: each is refused, or shown."""

import pytest

from framescribe import CaptionSettings, GenerationSettings
from tests.cli.run import invoke
from tests.reference import CLIPS

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


def test_one_path_is_no_list_of_clips(captioner):
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=2))
    with pytest.raises(ValueError, match="list of clips"):
        next(captioner.caption(str(SHORT), settings))


def test_an_unknown_flag_accepts_nothing(tmp_path):
    result = invoke("export", tmp_path, "--to", "diffsynth", "--accept", "loop")
    assert result.exit_code == 2
    assert "unknown --accept 'loop'; choose from empty" in result.stderr


def test_a_video_that_is_not_there_is_told_before_a_model_is_loaded(tmp_path):
    result = invoke("ask", tmp_path / "none.mp4", "What is it?", "--model", "no-such-model")
    assert result.exit_code == 1
    assert "none.mp4" in result.stderr
