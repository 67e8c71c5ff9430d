"""Score runs: each clip's scores once, resumed, of newer versions anew; a failure is rows, and the rest goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import math
import os
import random
import shutil
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from framescribe import (
    CaptionSettings,
    Clip,
    Dataset,
    DecodeLimits,
    GenerationSettings,
    Observer,
    UsageError,
    VideoFrames,
    caption,
    score,
)
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.pipeline.score_run import ScoreOptions, ScoreRun
from framescribe.pipeline.scores_done import ScoresDone
from framescribe.pipeline.scoring import scored_here
from framescribe.scores import registry
from tests.attacks.server import send, serving
from tests.awkward import AWKWARD, make
from tests.cli.run import invoke
from tests.pipeline.kill_resume import make_list
from tests.pipeline.score_kills import kill_and_resume_scores, score_rows
from tests.reference import CLIPS

QUICK = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
SHORT, ONE, PORTRAIT = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4", CLIPS / "portrait-25s.mp4"


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(SHORT, folder / "a.mp4")
    shutil.copy(ONE, folder / "b.mp4")
    (folder / "bad.mp4").write_text("not a video")
    return folder


def quick(sources, folder=None, **options):
    return score(sources, folder, **{"scores": ["video"], "progress": False} | options)


def by_name(folder: Path) -> dict[str, dict]:
    return {os.path.basename(row["source_video"]): row for row in score_rows(folder)}


def values_of(folder: Path) -> dict:
    """What each scorer says of each clip; not a number as text, which equals itself."""
    return {
        (row["clip_id"], row["scorer"]): (str(row["values"]), row["error_stage"], row["error_message"])
        for row in score_rows(folder)
    }


def test_each_clip_has_its_scores_once_and_a_failure_is_a_row(videos, tmp_path):
    out = tmp_path / "out"
    assert quick(videos / "a.mp4", out).statuses == {"scored": 1}
    assert quick(videos, out).statuses == {"scored": 1, "error": 1}
    again = quick(videos, out)
    assert (again.statuses, "nothing to do" in again.note) == ({}, True)
    rows = by_name(out)
    assert (len(rows), len(score_rows(out))) == (3, 3)
    values = dict(zip(rows["a.mp4"]["names"], rows["a.mp4"]["values"], strict=True))
    assert (values["width"], values["height"], values["fps"], values["duration_s"]) == (128, 96, 30, 0.5)
    assert (rows["bad.mp4"]["error_stage"], rows["bad.mp4"]["names"]) == ("decode", [])
    assert "bad.mp4" in rows["bad.mp4"]["error_message"]
    shutil.copy(ONE, videos / "bad.mp4")
    assert quick(videos, out).statuses == {}
    assert quick(videos, out, redo="failed").statuses == {"scored": 1}


def test_what_has_changed_is_scored_again_where_sources_are_hashed(videos, tmp_path):
    out, there = tmp_path / "out", videos / "a.mp4"
    assert quick(videos, out, hash_sources=True).statuses == {"scored": 2, "error": 1}
    hashes = {row["source_video"]: row["source_sha256"] for row in score_rows(out)}
    assert hashes[str(there)] == hashlib.sha256(there.read_bytes()).hexdigest()
    assert "nothing to do" in quick(videos, out, hash_sources=True).note
    shutil.copy(PORTRAIT, there)
    assert quick(videos, out).statuses == {}
    assert quick(videos, out, hash_sources=True).statuses == {"scored": 1}
    (row,) = Dataset.scored(out).rows(where="width = 96")
    assert row["source_video"] == str(there)
    assert quick(videos, out, hash_sources=True, limit=1).statuses == {}


def test_sources_are_hashed_several_at_a_time(tmp_path):
    """A server that answers only once two ask at the same time."""
    together = threading.Barrier(2, timeout=240)

    def answer(handler):
        together.wait()
        send(handler, 200, b"bytes")

    folder = RowFolder(str(tmp_path / "out"))
    folder.prepare()
    folder.scores.make()
    with serving() as server:
        server.pages = {f"/{number}.mp4": answer for number in range(6)}
        clips = [Clip(server.url + path) for path in server.pages]
        tasks = list(ScoresDone(folder, registry.scorers_named(["video"])).tasks_of_bytes(clips))
    assert [clip for clip, _ in tasks] == clips
    assert not together.broken


def test_rows_without_a_hash_tell_of_no_change(videos, tmp_path):
    quick(videos / "a.mp4", tmp_path / "out")
    shutil.copy(PORTRAIT, videos / "a.mp4")
    assert quick(videos / "a.mp4", tmp_path / "out", hash_sources=True).statuses == {}


def test_scores_of_an_older_version_are_measured_anew(videos, tmp_path, monkeypatch):
    quick(videos / "a.mp4", tmp_path / "out")
    (video,) = registry.scorers_named(["video"])
    monkeypatch.setattr(registry, "SCORERS", (dataclasses.replace(video, version=video.version + 1),))
    assert quick(videos / "a.mp4", tmp_path / "out").rows == 1
    assert quick(videos / "a.mp4", tmp_path / "out").rows == 0
    assert [row["version"] for row in score_rows(tmp_path / "out")] == [video.version, video.version + 1]
    (row,) = Dataset.scored(tmp_path / "out").rows()
    assert row["width"] == 128


def test_clips_of_a_dataset_are_scored_under_their_ids_and_become_its_columns(videos, tmp_path):
    out = tmp_path / "out"
    caption(videos, out, model="tiny-random", settings=QUICK, segments="window:0.3", progress=False)
    clips = {row["clip_id"] for row in Dataset(out).rows()}
    assert quick(out).rows == len(clips) > 3
    assert {row["clip_id"] for row in score_rows(out)} == clips
    assert quick(videos, out, segments="window:0.3").rows == 0  # the same clips by name
    assert Dataset(out).count("width > 0") == len(clips) - 1


def test_captioning_scores_clips_in_the_same_decoding_with_the_same_values(videos, tmp_path):
    names = ["video", "cuts", "exposure"]
    options = {"model": "tiny-random", "settings": QUICK, "progress": False}
    caption(videos, tmp_path / "both", scores=names, **options)
    caption(videos, tmp_path / "plain", **options)
    score(videos, tmp_path / "alone", scores=names, progress=False)

    assert values_of(tmp_path / "both") == values_of(tmp_path / "alone")
    assert len(score_rows(tmp_path / "both")) == 3 * len(names)
    assert not (tmp_path / "plain" / "scores").exists()

    def captions(folder: Path) -> set:
        return {(row["clip_id"], row["caption_raw"], row["error_message"]) for row in Dataset(folder).rows()}

    assert captions(tmp_path / "both") == captions(tmp_path / "plain")
    assert Dataset(tmp_path / "both").count("brightness > 0") == 2
    for wrong, said in [
        ({"scores": "beauty"}, "no scorer 'beauty'"),
        ({"scores": "all", "limits": DecodeLimits(decoder="gpu")}, "leave out `decoder=gpu`"),
    ]:
        with pytest.raises(UsageError, match=said):
            caption(videos, tmp_path / "both", **options | wrong)
    with pytest.raises(UsageError, match="`scores` needs a folder"):
        caption(videos, tmp_path / "rows.jsonl", scores="all", **options)


@pytest.mark.ray
def test_captioning_on_ray_scores_as_here(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 40, random.Random(0))
    names = ["video", "cuts"]
    options = {"model": "tiny-random", "settings": QUICK, "progress": False}
    caption(listed, tmp_path / "there", scores=names, executor="ray", **options)
    score(listed, tmp_path / "here", scores=names, progress=False)

    assert values_of(tmp_path / "there") == values_of(tmp_path / "here")


def test_the_run_takes_the_part_of_the_clips_that_it_is_asked_for(tmp_path):
    clips = [Clip(str(PORTRAIT), second, second + 1) for second in range(20)]
    parts = [tmp_path / str(number) for number in range(3)]
    for number, part in enumerate(parts, start=1):
        quick(clips, part, shard=(number, 3))
    ids = [row["clip_id"] for part in parts for row in score_rows(part)]
    assert sorted(ids) == sorted(clip.id for clip in clips)
    drawn = tmp_path / "drawn"
    assert quick(clips, drawn, sample=6, limit=4).rows == 4
    assert quick(clips[::-1], drawn, sample=6).rows == 2
    assert quick(clips, drawn, dry_run=True).note == "20 clips, 14 to score"
    quick(clips, tmp_path / "none", dry_run=True)
    assert not (tmp_path / "none").exists()


def test_ctrl_c_leaves_whole_rows_and_the_same_call_resumes(tmp_path):
    class Stops(Observer):
        def progress(self, done, detail):
            if done == 3:
                raise KeyboardInterrupt

    clips = [Clip(str(PORTRAIT), second, second + 1) for second in range(8)]
    with pytest.raises(KeyboardInterrupt):
        quick(clips, tmp_path / "out", progress=Stops())
    assert len(score_rows(tmp_path / "out")) == 3
    assert quick(clips, tmp_path / "out").rows == 5
    assert len({row["clip_id"] for row in score_rows(tmp_path / "out")}) == 8


def test_an_observer_is_told_of_each_clip_and_of_what_went_wrong(videos, tmp_path):
    class Told(Observer):
        def __init__(self):
            self.names, self.problems, self.summaries = set(), [], []

        def scored(self, rows):
            self.names |= {os.path.basename(row.source_video) for row in rows}

        def problem(self, message):
            self.problems.append(message)

        def finished(self, summary):
            self.summaries.append(summary)

    told = Told()
    summary = quick(videos, tmp_path / "out", progress=told)
    assert told.names == {"a.mp4", "b.mp4", "bad.mp4"}
    assert [os.path.basename(message.split(":")[0]) for message in told.problems] == ["bad.mp4"]
    assert told.summaries == [summary]
    assert summary.has_failures


def test_wrong_calls_are_refused_before_anything_is_made(videos, tmp_path):
    out = tmp_path / "out"
    for options, said in [
        ({"scores": ["beauty"]}, "no scorer 'beauty'"),
        ({"scores": []}, "names no scorer"),
        ({"shard": (3, 2)}, "`shard` takes i and n"),
        ({"limit": 0}, "`limit` must be at least 1"),
        ({"redo": "flagged"}, "`redo` takes failed"),
        ({"segments": "shots"}, "shots"),
        ({"limits": DecodeLimits(decoder="gpu")}, "leave out `decoder=gpu`"),
        ({"start_s": 3, "end_s": 2}, "`end_s` must be after"),
    ]:
        with pytest.raises(UsageError, match=said):
            quick(videos, out, **options)
    with pytest.raises(UsageError, match="into a folder, not into"):
        quick(videos, tmp_path / "scores.jsonl")
    with pytest.raises(UsageError, match="holds no dataset"):
        quick(videos)
    with pytest.raises(UsageError, match="no such file"):
        quick("missing.mp4", out)
    with pytest.raises(TypeError, match=r"score\(\) got an unexpected keyword argument 'colour'"):
        quick(videos, out, colour="red")
    assert not out.exists()
    with locked(RowFolder(str(out))), pytest.raises(UsageError, match="is writing to"):
        quick(videos, out)


def test_the_calls_options_are_those_of_a_run():
    fields = {field.name for field in dataclasses.fields(ScoreRun)}
    assert ScoreOptions.__annotations__.keys() == fields - {"sources", "folder"}
    shown = inspect.signature(score).parameters
    assert shown.keys() == fields | {"progress"}
    assert (shown["scores"].default, shown["executor"].default, shown["seed"].default) == ("all", "local", 0)


def test_whatever_a_clip_is_each_scorer_has_a_row_and_the_rest_goes_on(tmp_path):
    clips = {name: make(name, tmp_path / "clips") for name, each in AWKWARD.items() if "slow" not in name}
    clips = {name: clip for name, clip in clips.items() if clip.problem is None}
    noise = np.random.default_rng(0).integers(0, 256, (12, 40, 24, 3), np.uint8)
    blue = np.full((24, 90, 160, 3), (0, 0, 255), np.uint8)
    clips |= {
        "one frame": Clip(str(ONE)),
        "one colour": Clip("blue", data=VideoFrames(blue, fps=8, name="blue")),
        "one pixel": Clip("dot", data=VideoFrames(np.zeros((9, 1, 1, 3), np.uint8), fps=8, name="dot")),
        "one line": Clip("line", data=VideoFrames(np.zeros((9, 1, 400, 3), np.uint8), fps=8, name="line")),
        "noise": Clip("noise", data=VideoFrames(noise, fps=8, name="noise")),
        "portrait": Clip(str(PORTRAIT)),
    }
    clips = {name: dataclasses.replace(clip, given_id=name) for name, clip in clips.items()}
    score(clips.values(), tmp_path / "out", progress=False)
    rows = score_rows(tmp_path / "out")
    scorers = [scorer.name for scorer in registry.scorers_named()]
    assert Counter(row["clip_id"] for row in rows) == dict.fromkeys(clips, len(scorers))
    for row in rows:
        name = row["clip_id"]
        assert row["error_stage"] != "score", (name, row["scorer"], row["error_message"])
        outcome = AWKWARD[name].outcome if name in AWKWARD else "success"
        assert (row["error_stage"] or "success") == outcome, (name, row["error_message"])
        assert not any(map(math.isinf, row["values"])), (name, row)


def test_kills_lose_no_clip_and_score_none_twice(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 60, random.Random(0))
    killed = kill_and_resume_scores(listed, tmp_path / "out", kills=3, rows_per_shard=8)
    assert killed >= 1  # a busy machine may come too late for some
    whole = score(listed, tmp_path / "whole", scores=["video"], progress=False)
    found = Counter(row["clip_id"] for row in score_rows(tmp_path / "out"))
    assert set(found) == {row["clip_id"] for row in score_rows(tmp_path / "whole")}
    assert set(found.values()) == {1}
    assert whole.rows == 60


def test_the_command_scores_and_says_what_failed(videos, tmp_path):
    out = tmp_path / "out"
    result = invoke("score", videos, "-o", out, "--scores", "video")
    assert result.exit_code == 1
    assert "bad.mp4" in result.stderr
    assert "3 clips in" in result.stderr
    assert "Nothing to do" in invoke("score", out, "--scores", "video").stderr
    assert invoke("score", videos).exit_code == 2
    refused = invoke("score", videos, videos / "a.mp4")
    assert refused.exit_code == 2
    assert "--output captions/" in refused.stderr


@pytest.mark.ray
def test_scores_on_ray_are_those_of_this_process(tmp_path):
    listed, _ = make_list(tmp_path / "clips", 80, random.Random(0))
    here = score(listed, tmp_path / "here", progress=False)
    there = score(listed, tmp_path / "there", executor="ray", progress=False)
    assert here.statuses == there.statuses

    assert values_of(tmp_path / "here") == values_of(tmp_path / "there")
    assert score(listed, tmp_path / "there", executor="ray", progress=False).rows == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_who_stops_early_leaves_no_thread_behind(workers):
    before = set(threading.enumerate())
    clips = [Clip(str(PORTRAIT), start_s=float(number)) for number in range(8)]
    tasks = iter([(clip, registry.scorers_named(["exposure"])) for clip in clips])
    results = scored_here(tasks, DecodeLimits(workers=workers))
    next(results)
    results.close()
    assert not [each for each in set(threading.enumerate()) - before if each.name.startswith("score")]
