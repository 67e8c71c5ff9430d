"""What goes in, what is left out and told, and that a target is whole or not there."""

import errno
import json
import os
import re
import tarfile
from dataclasses import replace

import fsspec
import pytest

from framescribe.errors import UsageError
from framescribe.export.run import export
from framescribe.export.target import REPORT
from framescribe.export.writers import Lists
from framescribe.quality.budget import Budget
from framescribe.quality.cleanup import CleanupRules, Replacement
from framescribe.types import Clip
from framescribe.video.decode import probe
from framescribe.video.normalize import Normalize
from tests.export.conftest import LAYOUTS, row, video
from tests.export.loaders import LOADERS

LTX = LAYOUTS["ltx"]
LISTS = {"prompts.txt": "{caption}", "videos.txt": "{path}"}


def captions(target) -> list[str]:
    return sorted(caption for _, caption in LOADERS["ltx"](target))


def test_only_captions_that_pass_and_a_reason_for_the_others(rows, tmp_path):
    source = rows[0]["source_video"]
    others = [
        row(20, source, "x", caption_status="truncated"),
        row(21, source, "x", flags=["looping", "over_budget"]),
        row(22, source, "y", start_s=7.0, end_s=8.0),
        row(23, tmp_path, "A folder."),
        row(24, "s3://bucket/a.txt", "x"),
        row(25, tmp_path / "gone.mp4", "x"),
        row(26, source, "\n"),
        rows[0],
    ]
    report = export([*rows, *others], LTX, tmp_path / "set")
    assert captions(tmp_path / "set") == sorted(" ".join(each["caption"].split()) for each in rows)
    told = json.loads((tmp_path / "set" / REPORT).read_text())
    assert (told["rows"], told["exported"]) == (len(rows) + len(others), len(rows))
    assert {(each["clip_id"], each["reason"]) for each in told["left_out"]} == {
        (f"{20:016x}", "status truncated"),
        (f"{21:016x}", "flagged looping"),
        (f"{22:016x}", "it cannot be cut out or made anew"),
        (f"{23:016x}", "not a video file"),
        (f"{24:016x}", "not a video file"),
        (f"{25:016x}", "the clip's file cannot be read"),
        (f"{26:016x}", "no text left after clean-up"),
        (f"{0:016x}", "the clip is there already"),
    }
    details = {each["clip_id"]: each["detail"] for each in told["left_out"]}
    assert "no frame from 7 s: the video has 0.3 s" in details[f"{22:016x}"]
    assert "gone.mp4" in details[f"{25:016x}"]
    assert report.reasons.total() == len(others)


def test_accepted_flags(rows, tmp_path):
    flagged = [rows[0] | {"flags": ["opener"]}, rows[1] | {"flags": ["opener", "looping"]}]
    report = export(flagged, LTX, tmp_path / "set", accepted_flags={"opener"})
    assert (report.exported, dict(report.reasons)) == (1, {"flagged looping": 1})


def test_clean_up_is_applied_to_the_export(rows, tmp_path):
    rules = CleanupRules(
        strip_openers=True,
        replacements=(Replacement("cat", "panther"),),
        suffix=" Film.",
        trigger_word="FSCR",
    )
    rows = [rows[0] | {"caption": "The video shows a cat."}]
    export(rows, LTX, tmp_path / "set", rules=rules)
    assert captions(tmp_path / "set") == ["FSCR, A panther. Film."]
    assert rows[0]["caption"] == "The video shows a cat."


def test_captions_that_clean_up_makes_alike_are_no_duplicates(rows, tmp_path):
    """Nor are those that it tells apart different: what rows say is compared."""
    texts = ["A cat runs over the hills at night.", "A cat runs down a long street and stops."]
    alike = [each | {"caption": text} for each, text in zip(rows, [*texts, texts[0]], strict=False)]
    report = export(alike, LTX, tmp_path / "set", rules=CleanupRules(budget=Budget(3)))
    assert captions(tmp_path / "set") == ["A cat runs"] * 2
    assert dict(report.reasons) == {"flagged duplicate": 1}


def test_long_captions_are_counted_and_not_cut(rows, tmp_path):
    long = " ".join(["word"] * 200)
    report = export([rows[0] | {"caption": long}, rows[1]], LTX, tmp_path / "set")
    assert report.long_captions == 1
    assert long in captions(tmp_path / "set")


@pytest.mark.parametrize(
    ("source", "clip_id"),
    [
        ("../../../outside.mp4", "../../../outside"),
        ("/etc/../x/..mp4", "/absolute/id"),
        ("..", "a" * 16),
        ("C:\\windows\\..\\x.mp4", ".."),
        ("clip.mp4", "x/../../y"),
        ("\0.mp4", "\0"),
        ("\udcff.mp4", "\udcff"),
    ],
)
def test_paths_never_leave_the_target(source, clip_id, rows, tmp_path, monkeypatch):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "outside.mp4").write_bytes(video(90))
    monkeypatch.chdir(tmp_path / "a" / "b" / "c")
    for name in ("clip.mp4", "..mp4"):
        (tmp_path / "a" / "b" / "c" / name).write_bytes(video(91))
    before = set(tmp_path.rglob("*"))
    target = tmp_path / "a" / "set"
    for name in ("ltx", "webdataset", "ai-toolkit", "cogvideo-sat"):
        export([*rows, row(40, source, "A cat.", clip_id=clip_id)], LAYOUTS[name], target, overwrite=True)
        assert all(path.is_relative_to(target) for path in set(tmp_path.rglob("*")) - before)


def test_refusals_leave_everything_as_it_was(rows, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    export(rows, LTX, tmp_path / "set")
    before = sorted(tmp_path.rglob("*"))
    for target, name, options, said in [
        ("mine", "ltx", {}, "is no export"),
        ("mine", "ltx", {"overwrite": True}, "is no export"),
        ("set", "ltx", {}, "overwrite=True"),
        ("new", "simpletuner", {"link": "reference"}, "link. copy"),
        ("new", "webdataset", {"link": "symlink"}, "tar files"),
    ]:
        with pytest.raises(ValueError, match=said):
            export(rows, LAYOUTS[name], tmp_path / target, **options)
    for nothing, said in (
        ([], "there are no rows, or none for which"),
        ([rows[0] | {"caption_status": "error"}], "of 1 rows none passes"),
    ):
        with pytest.raises(ValueError, match=f"nothing to export: {said}"):
            export(nothing, LTX, tmp_path / "set", overwrite=True)
    with pytest.raises(ValueError, match="not rows of `framescribe caption`"):
        export([{"caption": "x"}], LTX, tmp_path / "new")
    assert sorted(tmp_path.rglob("*")) == before


def test_overwrite_replaces_all_of_an_earlier_export(rows, tmp_path):
    export(rows, LTX, tmp_path / "set")
    export(rows[:2], LAYOUTS["diffsynth"], tmp_path / "set", overwrite=True)
    assert len(LOADERS["diffsynth"](tmp_path / "set")) == 2
    assert not (tmp_path / "set" / "dataset.jsonl").exists()
    assert len(list((tmp_path / "set" / "videos").iterdir())) == 2
    assert sorted(os.listdir(tmp_path)) == ["set", "source"]


def test_an_export_of_an_export_into_itself_loses_no_clip(rows, tmp_path):
    export(rows, LTX, tmp_path / "set")
    inside = [
        row(60 + number, path, f"Cat {number} sits.")
        for number, path in enumerate((tmp_path / "set/videos").iterdir())
    ]
    with pytest.raises(ValueError, match="lies in the target"):
        export(inside, LTX, tmp_path / "set", link="symlink", overwrite=True)
    export(inside, LTX, tmp_path / "set", overwrite=True)
    assert len(captions(tmp_path / "set")) == len(rows)


def test_the_same_rows_in_any_order_make_the_same_files(rows, tmp_path):
    bad = [row(30, tmp_path / "gone.mp4", "x"), row(31, tmp_path / "gone.mp4", "x", flags=["looping"])]
    made = []
    for layout in LAYOUTS.values():
        for each in ([*rows[:4], *bad], [*bad[::-1], *rows[3::-1]]):
            export(each, layout, tmp_path / "set", overwrite=True)
            files = {path.relative_to(tmp_path): path for path in (tmp_path / "set").rglob("*")}
            made.append({name: path.read_bytes() for name, path in files.items() if path.is_file()})
        assert made[-1] == made[-2]


def test_pairs_are_in_the_order_of_their_sources_and_spans(tmp_path):
    (tmp_path / "b.mp4").write_bytes(video(1, frames=30))
    (tmp_path / "a.mp4").write_bytes(video(2, frames=30))
    asked = [
        row(1, tmp_path / "b.mp4", "4"),
        row(2, tmp_path / "b.mp4", "3", start_s=0.0, end_s=1.0),
        row(3, tmp_path / "a.mp4", "2", start_s=2.0, end_s=3.0),
        row(4, tmp_path / "a.mp4", "1", start_s=0.5, end_s=1.0),
    ]
    export(asked, LTX, tmp_path / "set")
    assert [caption for _, caption in LOADERS["ltx"](tmp_path / "set")] == ["1", "2", "3", "4"]


def test_spans_are_cut_out(tmp_path):
    (tmp_path / "long.mp4").write_bytes(video(1, frames=30))
    spans = [(0.0, 1.0), (0.5, 2.0), (2.0, None)]
    asked = [
        row(at, tmp_path / "long.mp4", f"Span {at}.", start_s=start_s, end_s=end_s)
        for at, (start_s, end_s) in enumerate(spans)
    ]
    for name in ("ltx", "webdataset", "open-sora"):
        export(asked, LAYOUTS[name], tmp_path / "set", overwrite=True)
        seen = {}
        for content, caption in LOADERS[name](tmp_path / "set"):
            (tmp_path / "seen.mp4").write_bytes(content)
            seen[caption] = probe(Clip(str(tmp_path / "seen.mp4"))).facts.num_frames
        assert seen == {"Span 0.": 10, "Span 1.": 15, "Span 2.": 10}


def test_clips_of_fewer_frames_than_asked_for_are_left_out(rows, tmp_path):
    (tmp_path / "long.mp4").write_bytes(video(1, frames=30))
    report = export([*rows, row(99, tmp_path / "long.mp4", "Long.")], LTX, tmp_path / "set", min_frames=4)
    assert captions(tmp_path / "set") == ["Long."]
    assert dict(report.reasons) == {"too short": len(rows)}
    assert len(list((tmp_path / "set/videos").iterdir())) == 1


def test_two_videos_under_one_id_are_said(rows, tmp_path):
    again = rows[1] | {"clip_id": rows[0]["clip_id"], "source_video": rows[0]["source_video"]}
    report = export([rows[0], again], LTX, tmp_path / "set")
    assert (report.exported, dict(report.reasons)) == (1, {"the clip is there already": 1})


def test_settings_that_cannot_be_are_told_before_anything_is_read(tmp_path):
    for options, said in [
        ({"layout": "avi"}, "unknown layout 'avi'; choose one of cogvideo-finetune"),
        ({"link": "move"}, "unknown `link` 'move'; choose one of copy, symlink, hardlink, reference"),
        ({"accepted_flags": ["loop"]}, "unknown `accepted_flags` 'loop'; choose from empty"),
        ({"decode_timeout_s": 0}, "`decode_timeout_s` must be above 0, not 0"),
        ({"normalize": Normalize(frames=50)}, "`frames` must be a multiple of 8 and one, not 50; take 49"),
    ]:
        with pytest.raises(UsageError, match=re.escape(said)):
            export(tmp_path / "none.jsonl", **{"layout": "ltx", "target": tmp_path / "set"} | options)


def test_a_full_disk_leaves_nothing_half_written(rows, tmp_path):
    class FullDisk(Lists):
        def write(self, pairs, folder):
            next(pairs)
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        export(rows, replace(LTX, writer=FullDisk(LISTS)), tmp_path / "set")
    assert os.listdir(tmp_path) == ["source"]


def test_a_pair_that_reads_back_differently_ends_the_export(rows, tmp_path):
    class Shifted(Lists):
        def write(self, pairs, folder):
            super().write(pairs, folder)
            lines = (folder / "prompts.txt").read_text().splitlines()
            (folder / "prompts.txt").write_text("\n".join(lines[1:] + lines[:1]))

    with pytest.raises(ValueError, match="reads back differently"):
        export(rows, replace(LTX, writer=Shifted(LISTS)), tmp_path / "set")

    class Losing(Lists):
        def write(self, pairs, folder):
            super().write(pairs, folder)
            next((folder / "videos").iterdir()).unlink()

    with pytest.raises(ValueError, match="missing after writing"):
        export(rows, replace(LTX, writer=Losing(LISTS)), tmp_path / "set")
    assert os.listdir(tmp_path) == ["source"]


def test_a_pair_that_is_lost_on_the_way_ends_the_export(rows, tmp_path):
    class Shortened(Lists):
        def write(self, pairs, folder):
            super().write(pairs, folder)
            for name in ("prompts.txt", "videos.txt"):
                lines = (folder / name).read_text().splitlines()
                (folder / name).write_text("\n".join(lines[:-1]))

    with pytest.raises(ValueError, match="does not read back"):
        export(rows, replace(LTX, writer=Shortened(LISTS)), tmp_path / "set")
    assert os.listdir(tmp_path) == ["source"]


def test_clips_behind_urls_and_in_tars_are_fetched(rows, tmp_path):
    with fsspec.open("memory://exported/far.mp4", "wb") as file:
        file.write(video(92))
    (tmp_path / "near.mp4").write_bytes(video(93))
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(tmp_path / "near.mp4", "near.mp4")
    sources = {"memory://exported/far.mp4": video(92), f"{tmp_path}/shard.tar::near.mp4": video(93)}
    for number, (source, content) in enumerate(sources.items()):
        clips = [row(70, source, "A cat.")]
        export(clips, LTX, tmp_path / f"set{number}")
        assert LOADERS["ltx"](tmp_path / f"set{number}") == [(content, "A cat.")]
        with pytest.raises(ValueError, match="no local file to symlink"):
            export(clips, LTX, tmp_path / "linked", link="symlink")
