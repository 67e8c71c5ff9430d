"""Clips chosen by their scores: captioned, and exported."""

import math
import shutil

import pytest

import framescribe
from framescribe import CaptionSettings, Clip, Dataset, GenerationSettings, UsageError
from framescribe.dataset.store import RowFolder
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.dataset.test_scored import score_row
from tests.pipeline.test_run import Seen, names
from tests.reference import CLIPS

SETTINGS = CaptionSettings(generation=GenerationSettings(max_new_tokens=3), repair=False)
MOTION = {"a": 3.0, "b": 1.0, "c": math.nan, "d": 2.0}


@pytest.fixture
def scored(tmp_path):
    """Videos a to e, a folder with scores of four, and each one's clip."""
    videos, output = tmp_path / "videos", tmp_path / "captions"
    videos.mkdir()
    clips = {}
    for name in "abcde":
        shutil.copy(CLIPS / "one-frame.mp4", videos / f"{name}.mp4")
        clips[name] = Clip(str(videos / f"{name}.mp4"))
    store = RowFolder(str(output))
    store.prepare()
    store.scores.make()
    store.scores.append(
        [score_row(clips[name].id, "motion", motion=motion) for name, motion in MOTION.items()], "run", 0
    )
    return videos, output, clips


def caption(sources, output, observer=False, **options):
    return framescribe.caption(
        sources, output, model="tiny-random", settings=SETTINGS, progress=observer, **options
    )


def test_only_clips_whose_scores_fulfil_the_condition_are_captioned(scored):
    videos, output, _ = scored
    seen = Seen()
    caption(videos, output, seen, where="motion >= 2")
    assert names(Dataset(output)) == ["a.mp4", "d.mp4"]
    report = seen.report
    assert (report.clips, report.todo, report.failed_condition, report.unscored) == (2, 2, 2, 1)
    again = caption(videos, output, where=["motion >= 2", "motion < 9"])
    assert str(again) == "Nothing to do: each clip that `where` takes has its row already"
    assert caption(videos, output, where="motion < 2").rows == 1
    assert caption(videos, output).rows == 2  # all others


def test_a_sample_is_drawn_of_the_clips_that_are_wanted(scored):
    videos, output, _ = scored
    for _ in range(2):
        caption(videos, output, sample=1, where="motion >= 3")
    assert names(Dataset(output)) == ["a.mp4"]


def test_the_dry_run_says_what_is_left_out(scored):
    videos, output, _ = scored
    said = invoke(
        "caption", str(videos), "-o", str(output), "--where", "motion >= 2", "--dry-run", "--model", "tiny"
    )
    assert (
        "2 clips; 0 done, 2 to caption; --where leaves out 2; 1 have no scores" in said.stderr + said.stdout
    )


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("moton >= 2", "there is no column moton"),
        ("motion >=", "`where`"),
        ("read_text('x') = ''", "`where`"),
    ],
)
def test_a_condition_that_cannot_be_answered_is_refused_at_once(scored, where, said):
    videos, output, _ = scored
    with pytest.raises(UsageError) as raised:
        caption(videos, output, where=where)
    assert said in str(raised.value)


def test_scores_come_first(tmp_path):
    with pytest.raises(UsageError, match="has no scores; `framescribe score` makes them"):
        caption(CLIPS / "one-frame.mp4", tmp_path / "new", where="motion >= 2")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="`where` needs a folder"):
        caption(CLIPS / "one-frame.mp4", tmp_path / "rows.jsonl", where="motion >= 2")


def test_exports_take_scores(scored, tmp_path):
    _, output, clips = scored
    rows = [
        row(number).to_dict()
        | {
            "clip_id": clip.id, "source_video": clip.source_video, "start_s": 0.0, "end_s": None,
            "caption": f"The {number}th clip shows one thing.", "caption_status": "success", "flags": (),
        }
        for number, clip in enumerate(clips.values())
    ]  # fmt: skip
    RowFolder(str(output)).table.append(rows, "run", 0)
    report = Dataset(output).export("csv", tmp_path / "set", where="motion >= 2")
    assert (report.rows, report.exported) == (2, 2)
    texts = (tmp_path / "set" / "clips.csv").read_text()
    assert "The 0th clip" in texts
    assert "The 3th clip" in texts
