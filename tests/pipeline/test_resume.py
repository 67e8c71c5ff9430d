"""Runs into a folder: killed and started again, under other settings, twice at once, out of room."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess

import pyarrow.parquet as pq
import pytest

from framescribe.dataset.dataset import Dataset
from tests.cli.run import FEW_LINES, invoke, start
from tests.pipeline.kill_resume import kill_and_resume, rows_of
from tests.reference import CLIPS

SHORT, ONE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"
QUICK = ("--device", "cpu", "--max-new-tokens", "3")


def test_kills_lose_no_clip_and_change_no_caption(tmp_path):
    outcome = kill_and_resume(tmp_path, clips=60, kills=4, seed=0, rows_per_shard=5)
    assert outcome.kills >= 1  # a busy machine may come too late for some
    assert (outcome.clips, outcome.rows, outcome.distinct) == (60, 60, 60)
    assert (outcome.lost, outcome.captioned_twice, outcome.unequal) == (0, 0, 0)
    assert outcome.statuses["error"] >= 6
    assert len({row["caption"] for row in rows_of(tmp_path / "killed")}) > 20  # else equal says little


@pytest.fixture
def videos(tmp_path):
    """A folder with two good clips and one that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(SHORT, folder / "a.mp4")
    shutil.copy(ONE, folder / "b.mp4")
    (folder / "bad.mp4").write_text("not a video")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out #1 ü::x%20"


def by_name(rows) -> dict[str, dict]:
    return {os.path.basename(row["source_video"]): row for row in rows}


def test_the_same_command_goes_on(videos, out):
    assert invoke("caption", videos / "a.mp4", "-o", out, *QUICK).exit_code == 0
    result = invoke("caption", videos, "-o", out, *QUICK)
    assert result.exit_code == 1
    assert "3 clips; 1 done, 2 to caption" in result.stderr
    assert len(rows_of(out)) == 3
    again = invoke("caption", videos, "-o", out, *QUICK)
    assert again.exit_code == 0
    assert "3 done, 0 to caption" in again.stderr
    assert "random weights" not in again.stderr  # no model was loaded
    assert len(rows_of(out)) == 3
    assert sorted(os.listdir(out)) == ["_lock", "_run.json", "rows"]


def test_other_settings_are_refused_by_name_unless_a_new_run_is_asked_for(videos, out):
    invoke("caption", videos, "-o", out, *QUICK)
    other = ("caption", videos, "-o", out, "--device", "cpu", "--max-new-tokens", "4", "--prompt", "Why?")
    refused = invoke(*other)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "max_new_tokens was 3, now 4" in said
    assert "prompt was 'Please describe this video in detail.', now 'Why?'" in said
    assert "--new-run" in said
    assert len(rows_of(out)) == 3
    assert invoke(*other, "--new-run").exit_code == 1
    assert len(rows_of(out)) == 6
    assert [(row["prompt"], row["max_new_tokens"]) for row in Dataset(out)] == [("Why?", 4)] * 3
    assert "3 done, 0 to caption" in invoke(*other).stderr
    assert len(json.loads((out / "_run.json").read_text())["runs"]) == 2
    assert invoke("caption", videos, "-o", out, *QUICK).exit_code == 2


@pytest.mark.parametrize(("answer", "code", "rows"), [(b"y\n", 0, 2), (b"n\n", 2, 1)])
def test_on_a_terminal_other_settings_are_asked_about(answer, code, rows, videos, out):
    invoke("caption", videos / "a.mp4", "-o", out, *QUICK)
    ours, theirs = pty.openpty()
    process = start("caption", videos / "a.mp4", "-o", out, *QUICK, "--seed", "1", stdin=theirs)
    os.write(ours, answer)
    said = process.communicate(timeout=240)[1]
    assert "seed was 0, now 1. Caption again, beside what is there?" in said
    assert process.returncode == code
    assert len(rows_of(out)) == rows
    os.close(ours)
    os.close(theirs)


def test_a_folder_from_before_loops_were_stopped_goes_on_without_stopping_them(videos, out):
    assert invoke("caption", videos, "-o", out, *QUICK, "--no-stop-loops").exit_code == 1
    runs = json.loads((out / "_run.json").read_text())
    del runs["runs"][0]["identity"]["stop_loops"]
    (out / "_run.json").write_text(json.dumps(runs))
    assert "3 done, 0 to caption" in invoke("caption", videos, "-o", out, *QUICK, "--no-stop-loops").stderr
    refused = invoke("caption", videos, "-o", out, *QUICK)
    assert refused.exit_code == 2
    assert "stop_loops was False, now True" in refused.stderr


def test_redo_of_what_failed(videos, out):
    invoke("caption", videos, "-o", out, *QUICK)
    shutil.copy(SHORT, videos / "bad.mp4")
    result = invoke("caption", videos, "-o", out, "--redo", "failed", *QUICK)
    assert result.exit_code == 0
    assert "1 to caption" in result.stderr
    assert {name: row["caption_status"] for name, row in by_name(Dataset(out)).items()} == dict.fromkeys(
        ["a.mp4", "b.mp4", "bad.mp4"], "truncated"
    )
    assert len(rows_of(out)) == 4
    assert "0 to caption" in invoke("caption", videos, "-o", out, "--redo", "failed", *QUICK).stderr
    for unknown in ("all", "accepted"):
        refused = invoke("caption", videos, "-o", out, "--redo", unknown, *QUICK)
        assert refused.exit_code == 2
        assert f"'{unknown}' is not one of" in refused.stderr


def captions(out) -> dict[str, str]:
    return {name: row["caption"] for name, row in by_name(Dataset(out)).items()}


def test_going_back_to_earlier_settings_brings_their_captions_back(videos, out):
    (videos / "bad.mp4").unlink()
    earlier = ("caption", videos, "-o", out, *QUICK)
    invoke(*earlier)
    first = captions(out)
    assert invoke("caption", videos / "a.mp4", "-o", out, *QUICK, "--prompt", "?", "--new-run").exit_code == 0
    assert captions(out)["a.mp4"] != first["a.mp4"]
    assert "prompt was '?', now" in " ".join(invoke(*earlier).stderr.split())
    back = invoke(*earlier, "--new-run")
    assert back.exit_code == 0
    assert "1 done, 1 to caption" in back.stderr
    assert captions(out) == first
    assert "2 done, 0 to caption" in invoke(*earlier).stderr


def test_what_was_redone_with_other_settings_stays_and_the_run_goes_on(videos, out):
    earlier = ("caption", videos, "-o", out, *QUICK)
    invoke(*earlier)
    shutil.copy(SHORT, videos / "bad.mp4")
    redone = invoke(*earlier, "--prompt", "?", "--redo", "failed", "--new-run")
    assert "1 to caption" in redone.stderr
    mended = captions(out)
    shutil.copy(ONE, videos / "new.mp4")
    later = invoke(*earlier)
    assert later.exit_code == 0, later.stderr
    assert "3 done, 1 to caption" in later.stderr
    assert captions(out) == mended | {"new.mp4": mended["b.mp4"]}


def test_redo_does_not_count_clips_without_a_row_as_done(videos, out):
    invoke("caption", videos / "a.mp4", videos / "bad.mp4", "-o", out, *QUICK)
    for dry in ((), ("--dry-run",)):
        result = invoke("caption", videos, "-o", out, "--redo", "failed", *dry, *QUICK)
        said = "3 clips; 1 done, 1 to caption, 1 without a row, for a run without --redo"
        assert said in result.stderr + result.stdout
    assert "b.mp4" not in by_name(Dataset(out))
    assert "2 done, 1 to caption\n" in invoke("caption", videos, "-o", out, *QUICK).stderr


def test_hashes_tell_what_changed(videos, out):
    command = ("caption", videos, "-o", out, "--hash", *QUICK)
    invoke(*command)
    before = by_name(Dataset(out))
    sha256 = subprocess.run(["sha256sum", videos / "a.mp4"], capture_output=True, text=True, check=True)
    assert before["a.mp4"]["source_sha256"] == sha256.stdout.split()[0]
    shutil.copy(SHORT, videos / "b.mp4")
    assert invoke(*command).exit_code == 0
    assert len(rows_of(out)) == 4
    after = by_name(Dataset(out))
    assert after["b.mp4"]["source_sha256"] == before["a.mp4"]["source_sha256"]
    assert after["b.mp4"]["caption"] == before["a.mp4"]["caption"] != before["b.mp4"]["caption"]


def test_a_row_from_before_hashes_stays(videos, out):
    invoke("caption", videos, "-o", out, *QUICK)
    invoke("caption", videos, "-o", out, "--hash", *QUICK)
    again = [os.path.basename(row["source_video"]) for row in rows_of(out)[3:]]
    assert again == ["bad.mp4"]  # which could not be opened before


def test_a_dry_run_tells_and_writes_nothing(videos, out):
    result = invoke("caption", videos, videos / "a.mp4", "-o", out, "--dry-run", *QUICK)
    assert result.exit_code == 0
    assert "3 clips, 1 named again; 0 done, 3 to caption" in result.stdout
    assert "2 readable (2 h264), 1 not (33.3%)" in result.stdout
    assert f"unreadable: {videos / 'bad.mp4'}" in " ".join(result.stdout.split())
    assert "stand for 100%" in result.stdout
    assert "time: unknown" in result.stdout
    assert not out.exists()
    invoke("caption", videos / "a.mp4", "-o", out, *QUICK)
    later = invoke("caption", videos, "-o", out, "--dry-run", *QUICK).stdout
    assert "1 done, 2 to caption" in later
    assert "clips/s measured here earlier" in later
    other = ("caption", videos, "-o", out, "--dry-run", *QUICK, "--seed", "1")
    refused = invoke(*other)
    assert refused.exit_code == 2
    assert "seed was 0, now 1" in " ".join(refused.stderr.split())
    assert "model_revision" not in refused.stderr
    told = invoke(*other, "--new-run")
    assert told.exit_code == 0
    assert refused.stdout == told.stdout
    assert "0 done, 3 to caption" in told.stdout
    assert "time: unknown" in told.stdout


def test_what_a_strategy_will_not_see_is_told(out):
    result = invoke("caption", CLIPS / "long-70s.mp4", "-o", out, "--dry-run", *QUICK)
    assert "--strategy chat stand for 34%" in result.stdout  # 24 of 70 s


def test_each_entry_of_a_bad_list_is_one_row(videos, out):
    lines = [
        {"path": "a.mp4", "id": "mine", "prompt": "Who?"}, {"path": "a.mp4", "prompt": "Where?"}, {"path": "bad.mp4"},
        {"path": "missing.mp4"}, {"path": "a.mp4", "prompt": "Where?"}, {"nothing": 1}, {"path": "b.mp4", "end_s": -1},
    ]  # fmt: skip
    listed = videos / "list.jsonl"
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n")
    assert invoke("caption", listed, "-o", out, *QUICK).exit_code == 1
    rows = rows_of(out)
    assert len(rows) == 7  # one entry came twice
    assert {row["prompt"] for row in rows if row["caption"]} == {"Who?", "Where?"}
    assert by_name(row for row in rows if row["clip_id"] == "mine")["a.mp4"]["prompt"] == "Who?"
    errors = by_name(row for row in rows if row["caption_status"] == "error")
    assert sorted(errors) == ["bad.mp4", "list.jsonl:6", "list.jsonl:7", "list.jsonl:8", "missing.mp4"]
    assert "list.jsonl, line 8: is not JSON" in errors["list.jsonl:8"]["error_message"]
    assert errors["list.jsonl:8"]["error_stage"] == "open"


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        shutil.copy(ONE, folder / f"{number:03}.mp4")
    return folder


def until_captioned(process, rows: int) -> None:
    for line in process.stderr:
        rows -= line.startswith("truncated ")
        if not rows:
            return
    raise AssertionError("it ended before")


def test_a_second_run_into_the_same_folder_is_refused(many, out):
    first = start("caption", many, "-o", out, *QUICK, **FEW_LINES)
    until_captioned(first, 1)
    second = invoke("caption", many, "-o", out, *QUICK)
    first.kill()
    first.communicate()
    assert second.exit_code == 2
    said = " ".join(second.stderr.split())
    assert f"process {first.pid} on {os.uname().nodename} is writing to {out}" in said
    # The dead one's lock is no obstacle.
    assert invoke("caption", many / "000.mp4", "-o", out, *QUICK).exit_code == 0


def test_ctrl_c_keeps_the_rows_so_far(many, out):
    process = start("caption", many, "-o", out, *QUICK, **FEW_LINES)
    until_captioned(process, 5)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 130
    assert "stopped by Ctrl-C" in said
    assert "run it again to resume" in said
    assert 5 <= len(rows_of(out)) < 400


def test_a_full_disk_ends_the_run_and_leaves_no_half_of_a_shard(many, out):
    process = start(
        "caption", many, "-o", out, "--shard-rows", 3, *QUICK,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY)),
    )  # fmt: skip
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 1
    assert "File too large; what was written before is whole" in said
    assert str(out) in said
    assert "Traceback" not in said
    assert os.listdir(out / "rows") == []
    assert list(Dataset(out)) == []


def test_a_folder_that_vanishes_ends_the_run_with_a_message(many, out):
    process = start("caption", many, "-o", out, "--shard-rows", 1, *QUICK, **FEW_LINES)
    until_captioned(process, 3)
    out.rename(out.with_name("elsewhere"))
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 1
    assert "No such file" in said
    assert "Traceback" not in said
    assert not out.exists()
    assert len(rows_of(out.with_name("elsewhere"))) >= 3


def test_a_folder_that_no_run_wrote_is_refused(videos):
    result = invoke("caption", videos, "-o", videos, *QUICK)
    assert result.exit_code == 2
    assert "a.mp4, but no rows" in " ".join(result.stderr.split())
    below = invoke("caption", videos, "-o", videos / "a.mp4" / "out", *QUICK)
    assert below.exit_code == 2
    assert "cannot be written" in below.stderr


def test_flags_for_folders_need_one(videos):
    for flag in (["--new-run"], ["--hash"], ["--redo", "failed"]):
        result = invoke("caption", videos, "-o", videos / "rows.jsonl", *flag, *QUICK)
        assert result.exit_code == 2
        assert f"{flag[0]} needs a folder" in result.stderr


def test_pandas_like_readers_need_nothing_of_ours(videos, out):
    invoke("caption", videos, "-o", out, *QUICK)
    table = pq.read_table(out / "rows")
    assert sorted(map(os.path.basename, table["source_video"].to_pylist())) == ["a.mp4", "b.mp4", "bad.mp4"]
