"""Every layout, read back by a loader that knows only what the trainer does."""

import csv
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from framescribe.export import tars
from framescribe.export.layout import find_layout
from framescribe.export.run import export
from framescribe.export.templates import filled
from framescribe.types import VideoFacts
from tests.export.conftest import LAYOUTS, row, video
from tests.export.loaders import LOADERS

REFERENCING = [name for name, each in LAYOUTS.items() if each.may_reference]
LINKING = [name for name, each in LAYOUTS.items() if each.clips is not None]


def test_every_layout_has_a_loader_here():
    assert list(LAYOUTS) == list(LOADERS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_pairs_stay_intact(name, rows, expected, tmp_path):
    target = tmp_path / "set"
    report = export(rows, LAYOUTS[name], target)
    assert report.left_out == []
    assert sorted(LOADERS[name](target)) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_bad_rows_between_good_ones_shift_nothing(name, rows, expected, tmp_path):
    bad = [
        row(100, tmp_path / "source/clip.mp4", ""),
        row(101, tmp_path / "source/clip.mp4", " \u2028\n "),
        row(102, tmp_path / "source/clip.mp4", None, caption_status="error"),
        row(103, tmp_path / "missing.mp4", "The clip of this is gone."),
        row(104, tmp_path / "source/clip.mp4", "Flagged.", flags=["looping"]),
        row(105, tmp_path / "source/clip.mp4", "No frame is in this span.", start_s=1.0, end_s=2.0),
        row(106, tmp_path / "source/clip.mp4", "no \ud800 text"),
        rows[3] | {"caption": "the same clip again"},
    ]
    mixed = [each for good, worse in zip(rows, bad, strict=False) for each in (good, worse)] + rows[
        len(bad) :
    ]
    report = export(mixed, LAYOUTS[name], tmp_path / "set")
    assert sorted(LOADERS[name](tmp_path / "set")) == expected
    assert (report.rows, report.exported, len(report.left_out)) == (len(mixed), len(rows), len(bad))


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
@pytest.mark.parametrize("name", LINKING)
def test_links(name, link, rows, expected, tmp_path):
    export(rows, LAYOUTS[name], tmp_path / "set", link=link)
    assert sorted(LOADERS[name](tmp_path / "set")) == expected
    clips = list((tmp_path / "set").rglob("*.mp4"))
    assert len(clips) == len(rows)
    assert all(path.is_symlink() == (link == "symlink") for path in clips)
    assert all(path.stat().st_nlink == (2 if link == "hardlink" else 1) for path in clips)


@pytest.mark.parametrize("name", REFERENCING)
def test_references(name, rows, expected, tmp_path):
    report = export(rows, LAYOUTS[name], tmp_path / "set", link="reference")
    reasons = {
        Path(each.source_video).relative_to(tmp_path / "source"): each.reason for each in report.left_out
    }
    left_out = {Path("line\nbreak.mp4"): "its path holds a line break or ends in a space"}
    if LAYOUTS[name].caches_by_stem:  # its cache of one would be read for the other
        left_out |= dict.fromkeys(
            map(Path, ("sub/same.mp4", "videos/videos.mp4")), "another clip has its name"
        )
    assert reasons == left_out
    gone = {(tmp_path / "source" / each).read_bytes() for each in left_out}
    assert sorted(LOADERS[name](tmp_path / "set")) == [pair for pair in expected if pair[0] not in gone]
    assert not list((tmp_path / "set").rglob("*.mp4"))


@pytest.mark.parametrize("link", ["copy", "reference"])
@pytest.mark.parametrize("name", REFERENCING)
def test_a_clip_that_was_asked_two_questions_is_two_pairs(name, link, rows, tmp_path):
    asked = [rows[0], rows[0] | {"clip_id": "f" * 16, "caption": "Another answer."}, rows[1]]
    report = export(asked, LAYOUTS[name], tmp_path / "set", link=link)
    if LAYOUTS[name].caches_by_stem and link == "reference":
        assert dict(report.reasons) == {"another clip has its name": 1}
        return
    assert report.exported == 3
    assert {caption for _, caption in LOADERS[name](tmp_path / "set")} >= {"A cat runs.", "Another answer."}


@pytest.mark.parametrize("name", LAYOUTS)
def test_stems(name, rows, tmp_path):
    """Unique without regard to case, no dots, and the same after other rows have gone: latents are cached by stem."""
    stems = []
    for number, some in enumerate((rows, rows[5:])):
        target = tmp_path / f"set{number}"
        export(some, LAYOUTS[name], target)
        names = [path.name for path in target.rglob("*.mp4")]
        for tar in target.glob("*.tar"):
            with tarfile.open(tar) as members:
                names += [each for each in members.getnames() if each.endswith(".mp4")]
        stems.append({each.removesuffix(".mp4").lower() for each in names})
        assert len(stems[-1]) == len(some)
    assert stems[1] < stems[0]
    assert all(re.fullmatch(r"[a-z0-9-]+", stem) for stem in stems[0])


@pytest.mark.parametrize("name", ["webdataset", "cogvideo-sat-wds"])
def test_shards_are_of_bounded_size(name, rows, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "SHARD_BYTES", 10_000)
    export(rows, LAYOUTS[name], tmp_path / "set")
    assert len(list((tmp_path / "set").glob("*.tar"))) > 2
    assert sorted(LOADERS[name](tmp_path / "set")) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_that_the_trainer_would_not_read_are_left_out_and_said(name, rows, expected, tmp_path):
    reads = LAYOUTS[name].reads
    others = {
        "lying.mp4": video(50, rotation=90),
        "lying.mkv": video(51, format="matroska", rotation=90),
        "moving.gif": video(52, format="gif", codec="gif"),
        "stream.ts": video(53, format="mpegts", codec="mpeg2video", frames=10),
        "no.mp4": b"no video",
    }
    said = {"no.mp4": "the clip's file cannot be read"}
    for file, content in others.items():
        (tmp_path / "source" / file).write_bytes(content)
        suffix = Path(file).suffix
        if suffix not in reads.suffixes:
            said[file] = f"the trainer reads no {suffix} files"
        elif "lying" in file and suffix not in reads.upright:
            said[file] = "the trainer would see it lying"
    more = [row(50 + at, tmp_path / "source" / file, file) for at, file in enumerate(others)]
    report = export([*rows, *more], LAYOUTS[name], tmp_path / "set")
    assert {Path(each.source_video).name: each.reason for each in report.left_out} == said
    assert sorted(LOADERS[name](tmp_path / "set")) == sorted(
        [*expected, *((others[file], file) for file in others if file not in said)]
    )


@pytest.mark.parametrize(
    ("frames", "rate", "left_out"),
    [(6, 8, "too short"), (7, 8, ""), (49, 8, ""), (99, 16, "the trainer would read past its end"), (100, 16, "")],
)  # fmt: skip
def test_lengths_that_sat_cannot_take(frames, rate, left_out):
    """By what its ``SFTDataset`` does with such clips."""
    facts = VideoFacts(64, 48, float(rate), frames / rate, "h264", frames)
    problem = find_layout("cogvideo-sat").reads.problem(".mp4", facts)
    assert ("" if problem is None else problem[0]) == left_out


def test_sat_cannot_sample_what_is_slower_than_its_rate():
    """Its step between frames would be 0, which ends the training; it takes a short clip whole."""
    reads = find_layout("cogvideo-sat").reads
    slow = VideoFacts(64, 48, 5.0, 20.0, "h264", 100)
    assert reads.problem(".mp4", slow)[0] == "the trainer cannot sample it"
    assert reads.problem(".mp4", replace(slow, duration_s=6.0, num_frames=30)) is None


def test_sat_is_told_to_sample_what_clips_are_chosen_for():
    window = find_layout("cogvideo-sat-wds").reads.window
    settings = find_layout("cogvideo-sat-wds").settings["data.yaml"]
    for name, value in (("fps", window.fps), ("num_frames", window.frames), ("skip_frms_num", window.margin)):
        assert f"    {name}: {value}\n" in settings


@pytest.mark.parametrize(("frames", "is_read"), [(98, False), (104, False), (105, True), (400, True)])
def test_lengths_that_sat_skips_in_tars(frames, is_read):
    facts = VideoFacts(64, 48, 16.0, frames / 16, "h264", frames)
    assert (find_layout("cogvideo-sat-wds").reads.problem(".mp4", facts) is None) == is_read


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("cogvideox-factory", 49),
        ("videox-fun", 4),
        ("ltx", 9),
        ("simpletuner", 9),
        ("cogvideo-sat", 7),
        ("cosmos-predict2", 94),
    ],
)
def test_the_shortest_clip_that_a_trainer_takes(name, frames, rows, tmp_path):
    for number, length in enumerate((frames - 1, frames)):
        (tmp_path / f"{length}.mp4").write_bytes(video(80 + number, frames=length))
    asked = [row(length, tmp_path / f"{length}.mp4", f"{length}") for length in (frames - 1, frames)]
    report = export(asked, name, tmp_path / "set")
    assert [(Path(each.source_video).name, each.reason) for each in report.left_out] == [
        (f"{frames - 1}.mp4", "too short")
    ]
    assert [caption for _, caption in LOADERS[name](tmp_path / "set")] == [str(frames)]


@pytest.mark.parametrize("name", ["cogvideox-factory", "simpletuner"])
def test_decord_decodes_no_av1(name):
    codecs = find_layout(name).reads.codecs
    assert {"h264", "hevc"} <= codecs
    assert "av1" not in codecs


def test_a_long_clip_is_not_cut_to_the_shortest(tmp_path):
    for number, frames in enumerate((9, 30, 100)):
        (tmp_path / f"{frames}.mp4").write_bytes(video(80 + number, frames=frames))
    asked = [row(frames, tmp_path / f"{frames}.mp4", str(frames)) for frames in (9, 30, 100)]
    export(asked, "simpletuner", tmp_path / "set")
    backends = json.loads((tmp_path / "set/multidatabackend.json").read_text())
    ranges = [each["video"] for each in backends if each["dataset_type"] == "video"]
    assert ranges == [
        {"num_frames": 9, "min_frames": 9, "max_frames": 24},
        {"num_frames": 25, "min_frames": 25, "max_frames": 48},
        {"num_frames": 81, "min_frames": 81},
    ]


def test_frames_of_a_variable_rate_are_counted(tmp_path):
    """Of 2 s at 30 per second, of which every third frame is there, and the first half second whole."""
    source = tmp_path / "vfr.mp4"
    source.write_bytes(video(85, frames=60, kept=lambda at: at < 15 or at % 3 == 0))
    export([row(1, source, "A cat.", fps=30.0, duration_s=6.0)], "open-sora", tmp_path / "set")
    (line,) = pyarrow.parquet.read_table(tmp_path / "set/dataset.parquet").to_pylist()
    assert line["num_frames"] == 30  # ffprobe -count_frames


@pytest.mark.parametrize("name", ["webdataset", "cogvideo-sat-wds"])
def test_nothing_but_data_lies_where_the_trainer_lists_the_folder(name, rows, tmp_path):
    export(rows, LAYOUTS[name], tmp_path / "set")
    seen = {path.name for path in (tmp_path / "set").iterdir() if not path.name.startswith(".")}
    assert seen <= {"00000.tar", "00000.meta.jsonl", "data.yaml"}


def test_sat_targets_whose_path_the_trainer_would_change_are_refused(rows, tmp_path):
    for name in ("my-videos", "set.mp4"):
        with pytest.raises(ValueError, match="choose another target"):
            export(rows, LAYOUTS["cogvideo-sat"], tmp_path / name)


@pytest.mark.parametrize("name", ["llama-factory", "ms-swift", "llava"])
def test_the_question_is_the_rows_own(name, rows, tmp_path):
    asked = [rows[0] | {"prompt": "Which animal\nruns?"}, rows[1] | {"prompt": None}, rows[2]]
    export(asked, LAYOUTS[name], tmp_path / "set")
    texts = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "set").glob("*.json*"))
    assert texts.count("Which animal\\nruns?") == 1
    assert texts.count("Please describe this video in detail.") == 2


@pytest.mark.parametrize("name", [name for name, each in LAYOUTS.items() if each.forbidden_in_texts])
def test_texts_that_the_trainer_would_take_for_pictures_are_left_out(name, rows, expected, tmp_path):
    tag = LAYOUTS[name].forbidden_in_texts[0]
    tagged = [
        row(70, rows[0]["source_video"], f"A sign says {tag}."),
        row(71, rows[0]["source_video"], "A sign.", prompt=f"{tag} What is it?"),
    ]
    report = export([*rows, *tagged], LAYOUTS[name], tmp_path / "set")
    assert dict(report.reasons) == {f"{tag} in the caption or the prompt": 2}
    assert sorted(LOADERS[name](tmp_path / "set")) == expected


def test_lengths_that_the_trainer_drops_are_left_out_and_said(rows, tmp_path):
    for name, said in (
        ("fastvideo", "too short"),
        ("cosmos-sft", "too short"),
        ("cosmos-predict2", "too short"),
    ):
        with pytest.raises(ValueError, match=f"{len(rows)} {said}"):
            export(rows, name, tmp_path / "set")
    (tmp_path / "source/long.mp4").write_bytes(video(99, frames=245))
    (tmp_path / "source/right.mp4").write_bytes(video(98, frames=100))
    long = [row(98, tmp_path / "source/right.mp4", "Right."), row(99, tmp_path / "source/long.mp4", "Long.")]
    report = export(long, "fastvideo", tmp_path / "set")
    assert dict(report.reasons) == {"too long": 1}


def test_a_table_for_spreadsheets_quotes_everything(rows, tmp_path):
    """Also what pandas takes for a missing value, with the line that is printed."""
    captions = ["NA", "null", '=HYPERLINK("http://x")', "1.5", "None"]
    some = [each | {"caption": caption} for each, caption in zip(rows, captions, strict=False)]
    export(some, LAYOUTS["csv"], tmp_path / "set")
    lines = (tmp_path / "set/clips.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith('"') and line.endswith('"') for line in lines)
    with (tmp_path / "set/clips.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert sorted(each["caption"] for each in read) == sorted(captions)
    assert {each["num_frames"] for each in read} == {"3"}


def test_braces_in_strangers_texts_are_not_filled_in():
    values = {"file": "{file.__class__}.mp4", "prompt": "{file}"}
    filled_in = filled({"path": ["videos/{file}"], "text": "{prompt}"}, values)
    assert filled_in == {"path": ["videos/{file.__class__}.mp4"], "text": "{file}"}
