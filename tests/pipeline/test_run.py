"""``framescribe.caption``: what the command does, from Python; interrupted, resumed, drawn, divided."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest

import framescribe
from framescribe import Captioner, CaptionSettings, Clip, GenerationSettings, Observer, RunSummary, UsageError
from framescribe.model.vision import VisionTower
from framescribe.pipeline.caption_run import CaptionRun
from framescribe.pipeline.run_clips import RunClips
from framescribe.video import workers
from tests.cli.run import invoke
from tests.pipeline.kill_resume import rows_of
from tests.reference import CLIPS

SHORT, ONE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"
SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=3), repair=False)
QUICK = {"model": "tiny-random", "settings": SETTINGS, "progress": False}
FLAGS = ("--device", "cpu", "--max-new-tokens", "3", "--no-repair")


@pytest.fixture
def videos(tmp_path):
    """A folder with four good clips and one that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in "abcd":
        shutil.copy(SHORT if name in "ac" else ONE, folder / f"{name}.mp4")
    (folder / "bad.mp4").write_text("not a video")
    return folder


class Seen(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows, self.summary, self.report = [], None, None

    def found(self, report):
        self.report = report

    def row(self, row):
        self.rows.append(row)

    def finished(self, summary):
        self.summary = summary


def names(rows) -> list[str]:
    return sorted(os.path.basename(row["source_video"]) for row in rows)


def timeless(rows) -> dict:
    return {
        (row["clip_id"], row["prompt_index"]): {key: row[key] for key in row if key != "created_at"}
        for row in rows
    }


def test_python_and_the_command_resume_each_others_runs(videos, tmp_path, capfd):
    out = tmp_path / "captions"
    summary = framescribe.caption(videos / "a.mp4", out, **QUICK)
    assert (dict(summary.statuses), summary.rows, summary.output) == ({"truncated": 1}, 1, str(out))
    assert repr(summary).startswith("<RunSummary 1 clip in ")
    assert not summary.has_failures
    assert capfd.readouterr().out == ""
    assert "1 done, 4 to caption" in invoke("caption", videos, "-o", out, *FLAGS).stderr
    again = framescribe.caption([videos], out, **QUICK)
    assert (again.rows, str(again)) == (0, "Nothing to do: each clip has its row already")
    assert names(rows_of(out)) == ["a.mp4", "b.mp4", "bad.mp4", "c.mp4", "d.mp4"]
    whole = tmp_path / "whole"
    failed = framescribe.caption(videos, whole, **QUICK)
    assert failed.has_failures
    assert timeless(rows_of(whole)) == timeless(rows_of(out))


def test_rows_go_to_a_file_and_to_the_observer(videos, tmp_path):
    seen = Seen()
    framescribe.caption(videos, tmp_path / "rows.jsonl", **QUICK | {"progress": seen})
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row.to_dict() for row in seen.rows] == lines
    assert seen.summary.statuses == {"truncated": 4, "error": 1}
    alone = Seen()
    framescribe.caption(videos / "a.mp4", **QUICK | {"progress": alone})
    assert [row.caption for row in alone.rows] == [
        row.caption for row in seen.rows if "a.mp4" in row.source_video
    ]


def test_without_an_output_captions_are_printed(videos, capfd):
    framescribe.caption(videos / "a.mp4", **QUICK | {"progress": True})
    printed = capfd.readouterr()
    assert "a.mp4" in printed.out
    assert "truncated" in printed.err


def test_clips_and_videos_in_memory_are_sources_too(videos, tmp_path):
    sources = [Clip(str(videos / "a.mp4"), 0.0, 0.2), SHORT.read_bytes(), videos / "b.mp4"]
    framescribe.caption(sources, tmp_path / "out", **QUICK)
    assert framescribe.caption(iter(sources), tmp_path / "out", **QUICK).rows == 0
    assert len(rows_of(tmp_path / "out")) == 3


def test_a_dry_run_reports_and_writes_nothing(videos, tmp_path):
    report = framescribe.caption([videos, videos], tmp_path / "out", dry_run=True, limit=3, **QUICK).preflight
    assert (report.clips, report.repeated, report.todo, report.beyond_limit) == (5, 5, 3, 2)
    assert not (tmp_path / "out").exists()


PROMPTS = ["What happens?", "Who is there?", "Where is it?"]


def test_several_prompts_give_the_captions_that_each_gives_alone(videos, tmp_path, monkeypatch):
    """Each clip is decoded once and goes through the vision tower once."""
    (videos / "bad.mp4").unlink()
    alone = {}
    for prompt in PROMPTS:
        framescribe.caption(videos, tmp_path / f"{prompt}.jsonl", prompts=[prompt], **QUICK)
        lines = (tmp_path / f"{prompt}.jsonl").read_text().splitlines()
        alone |= {(row["clip_id"], prompt): row["caption_raw"] for row in map(json.loads, lines)}
    decoded, encoded = Counter(), []
    decode, encode = workers.DecodeWorkers.decoded, VisionTower.patch_states

    def counting_decode(self, clip, sampling, scorers=()):
        decoded[clip.id] += sampling.strategy == "chat"  # not the look before the run
        return decode(self, clip, sampling, scorers)

    def counting_encode(self, pixels):
        encoded.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(workers.DecodeWorkers, "decoded", counting_decode)
    monkeypatch.setattr(VisionTower, "patch_states", counting_encode)
    summary = framescribe.caption(videos, tmp_path / "out", prompts=PROMPTS, **QUICK)
    assert str(summary).startswith("12 captions in ")
    rows = rows_of(tmp_path / "out")
    assert {(row["clip_id"], row["prompt"]): row["caption_raw"] for row in rows} == alone
    assert len(set(alone.values())) > 4  # else equal says little
    assert {(row["prompt"], row["prompt_index"]) for row in rows} == {
        (prompt, place) for place, prompt in enumerate(PROMPTS)
    }
    assert set(decoded.values()) == {1}
    frames = {row["clip_id"]: len(row["frame_indices"]) for row in rows}
    assert sum(encoded) == sum(frames.values())


def test_a_run_with_several_prompts_resumes_prompt_by_prompt(videos, tmp_path):
    class StopAt(Seen):
        def row(self, row):
            super().row(row)
            if len(self.rows) == 5:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    several = QUICK | {"prompts": PROMPTS}
    with pytest.raises(KeyboardInterrupt):
        framescribe.caption(videos, out, **several | {"progress": StopAt()})
    assert len(rows_of(out)) == 5
    seen = Seen()
    framescribe.caption(videos, out, **several | {"progress": seen})
    assert (seen.report.clips, seen.report.rows) == (5, 10)
    rows = rows_of(out)
    assert Counter((names([row])[0], row["prompt_index"]) for row in rows) == Counter(
        {(name, place): 1 for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "bad.mp4") for place in range(3)}
    )
    with pytest.raises(UsageError, match=r"prompt was \[.*\], now 'What happens\?'"):
        framescribe.caption(videos, out, prompts=PROMPTS[:1], **QUICK)


def test_redo_takes_the_prompts_that_failed(videos, tmp_path):
    out = tmp_path / "out"
    framescribe.caption(videos, out, prompts=PROMPTS, **QUICK)
    shutil.copy(ONE, videos / "bad.mp4")
    assert framescribe.caption(videos, out, prompts=PROMPTS, redo="failed", **QUICK).statuses == {
        "truncated": 3
    }
    assert framescribe.caption(videos, out, prompts=PROMPTS, redo="failed", **QUICK).rows == 0


def test_a_clip_with_a_prompt_of_its_own_is_asked_that_alone(videos, tmp_path):
    (videos / "list.jsonl").write_text('{"path": "a.mp4", "prompt": "Why?"}\n{"path": "b.mp4"}\n')
    framescribe.caption(videos / "list.jsonl", tmp_path / "out", prompts=PROMPTS[:2], **QUICK)
    assert sorted((names([row])[0], row["prompt"], row["prompt_index"]) for row in rows_of(tmp_path / "out")) == [
        ("a.mp4", "Why?", 0), ("b.mp4", PROMPTS[0], 0), ("b.mp4", PROMPTS[1], 1),
    ]  # fmt: skip


def test_a_limit_takes_the_next_clips_each_time(videos, tmp_path):
    out = tmp_path / "out"
    for expected in (["a.mp4", "b.mp4"], ["a.mp4", "b.mp4", "bad.mp4", "c.mp4"]):
        framescribe.caption(videos, out, limit=2, **QUICK)
        assert names(rows_of(out)) == expected


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.mp4").touch()
    return folder


def chosen(sources, **options) -> set[str]:
    """What a run would take."""
    clips = RunClips(CaptionRun(sources=tuple(sources), **options), lambda clip: [clip])
    return {os.path.basename(clip.source_video) for clip in clips}


def test_a_sample_depends_on_seed_and_clips_and_not_on_their_order(many):
    paths = sorted(many.iterdir())
    drawn = chosen(paths, sample=10)
    assert len(drawn) == 10
    assert drawn == chosen(reversed(paths), sample=10) == chosen([many, *paths], sample=10)
    other = CaptionSettings(generation=GenerationSettings(seed=1))
    assert drawn != chosen(paths, sample=10, settings=other)
    assert drawn < chosen(paths, sample=20)
    assert len(chosen(paths, sample=100)) == 60
    # Whoever is drawn stays drawn while others go.
    left = [path for path in paths if path.name in drawn or path.name > "30"]
    assert chosen(left, sample=10) == drawn


def test_shards_divide_the_clips_whoever_lists_them(many):
    paths = sorted(many.iterdir())
    parts = [chosen(paths if part % 2 else [many], shard=(part, 4)) for part in range(1, 5)]
    assert sum(map(len, parts)) == 60
    assert set.union(*parts) == {path.name for path in paths}
    assert min(map(len, parts)) >= 6
    sampled = [chosen(paths, shard=(part, 4), sample=20) for part in range(1, 5)]
    assert set.union(*sampled) == chosen(paths, sample=20)


def test_quiet_prints_errors_and_the_summary_only(videos, tmp_path):
    result = invoke("caption", videos, "-o", tmp_path / "out", "--quiet", *FLAGS)
    lines = [line for line in result.stderr.splitlines() if "needs" not in line]  # of the log
    assert [line.split()[0] for line in lines] == ["error", "5"]
    assert result.stdout == ""


def test_fps_takes_more_frames_a_second_and_rows_say_so(tmp_path):
    long = CLIPS / "long-70s.mp4"
    rows = {}
    for fps in (0.5, 1, 4):
        out = tmp_path / f"{fps}.jsonl"
        result = invoke("caption", long, "-o", out, "--fps", fps, "--frames", 8, *FLAGS)
        assert result.exit_code == 0, result.stderr
        rows[fps] = json.loads(out.read_text())
    for fps, row in rows.items():
        assert row["frame_timestamps_s"] == pytest.approx([number / fps for number in range(8)], abs=0.04)
        assert (row["covered_s"], row["sample_fps"], row["num_frames"]) == (8 / fps, fps, 8)


def interrupting(call, times: int = 1):
    """``call``, which first sends this process SIGINT."""

    def interrupted(*arguments, **options):
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        return call(*arguments, **options)

    return interrupted


@pytest.mark.parametrize("output", ["out", "rows.jsonl"])
def test_ctrl_c_while_a_row_is_delivered_waits_until_it_is_whole(output, videos, tmp_path, monkeypatch):
    """At the worst moment: inside of the writer, before it has written."""
    from framescribe.dataset import row_file, writer

    kind = writer.RowWriter if output == "out" else row_file.RowFile
    monkeypatch.setattr(kind, "write", interrupting(kind.write))
    seen = Seen()
    with pytest.raises(KeyboardInterrupt):
        framescribe.caption(videos, tmp_path / output, **QUICK | {"progress": seen})
    rows = rows_of(tmp_path / "out") if output == "out" else [json.loads((tmp_path / output).read_text())]
    assert len(seen.rows) == 1
    assert [row["clip_id"] for row in rows] == [seen.rows[0].clip_id]
    assert seen.summary.rows == 1
    assert ("run it again to resume" in seen.summary.note) is (output == "out")


def test_a_second_ctrl_c_does_not_wait(videos, tmp_path, monkeypatch):
    from framescribe.dataset import writer

    monkeypatch.setattr(writer.RowWriter, "write", interrupting(writer.RowWriter.write, times=2))
    seen = Seen()
    with pytest.raises(KeyboardInterrupt):
        framescribe.caption(videos, tmp_path / "out", **QUICK | {"progress": seen})
    assert seen.rows == []
    assert rows_of(tmp_path / "out") == []


def test_ctrl_c_while_a_console_prints_is_told_all_the_same(videos, tmp_path, monkeypatch):
    """rich counts how deep it is; interrupted there, it would hold back all that is printed later."""
    from framescribe.cli.console import _Console

    monkeypatch.setattr(_Console, "_exit_buffer", interrupting(_Console._exit_buffer))
    result = invoke("caption", videos, "-o", tmp_path / "out", *FLAGS)
    assert result.exit_code == 130
    assert "framescribe: stopped by Ctrl-C" in result.stderr
    assert result.stderr.count("to caption") == 1


def test_a_spec_makes_the_same_captioner(captioner):
    spec = framescribe.ModelSpec("tiny-random", device="cpu", dtype="float32")
    assert repr(Captioner.from_pretrained(spec)) == repr(captioner)


def test_a_clip_that_is_named_again_comes_once(many):
    paths = sorted(many.iterdir())
    clips = RunClips(CaptionRun(sources=(many, *paths[:7], str(paths[0]))), lambda clip: [clip])
    for _ in range(2):  # found anew on each pass
        assert [clip.source_video for clip in clips] == [str(path) for path in paths]
        assert clips.repeated == 8


IN_A_NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console
from framescribe.pipeline.progress import Tracker

InteractiveShell.instance()
with Tracker(2, Console(force_jupyter=True)) as tracker:
    tracker.show(1)
    tracker.show(2)
"""


def test_in_a_notebook_progress_is_one_line_that_is_updated():
    done = subprocess.run([sys.executable, "-c", IN_A_NOTEBOOK], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "0/2 clips"
    assert lines[-1].startswith("2/2 clips")


def test_a_summary_says_what_came_of_it():
    summary = RunSummary({"error": 1, "success": 3}, 2.0, "out", note="run it again to resume")
    assert str(summary) == "4 clips in 2.0 s, 2.00 clips/s: 3 success, 1 error; run it again to resume"
    assert repr(summary) == f"<RunSummary {summary} -> out>"
    assert summary.has_failures
    assert RunSummary(unwritten=1).has_failures
    assert str(RunSummary({"success": 1}, 0.0, unit="caption")) == "1 caption in 0.0 s: 1 success"
    assert str(RunSummary()) == "No clip was captioned"
