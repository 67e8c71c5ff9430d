"""Every format, read back by a loader that knows only what the trainer does."""

import re
import tarfile
from pathlib import Path

import pytest

from framescribe.export import tars
from framescribe.export.formats import FORMATS
from framescribe.export.run import export
from tests.export.conftest import row, video
from tests.export.loaders import LOADERS

REFERENCING = [name for name, each in FORMATS.items() if each.may_reference]
LINKING = [name for name, each in FORMATS.items() if each.clips is not None]


def test_every_format_has_a_loader_here():
    assert list(FORMATS) == list(LOADERS)


@pytest.mark.parametrize("name", FORMATS)
def test_pairs_stay_intact(name, rows, expected, tmp_path):
    target = tmp_path / "set"
    report = export(rows, FORMATS[name], target)
    assert report.left_out == []
    assert sorted(LOADERS[name](target)) == expected


@pytest.mark.parametrize("name", FORMATS)
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
    report = export(mixed, FORMATS[name], tmp_path / "set")
    assert sorted(LOADERS[name](tmp_path / "set")) == expected
    assert (report.rows, report.exported, len(report.left_out)) == (len(mixed), len(rows), len(bad))


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
@pytest.mark.parametrize("name", LINKING)
def test_links(name, link, rows, expected, tmp_path):
    export(rows, FORMATS[name], tmp_path / "set", link=link)
    assert sorted(LOADERS[name](tmp_path / "set")) == expected
    clips = list((tmp_path / "set").rglob("*.mp4"))
    assert len(clips) == len(rows)
    assert all(path.is_symlink() == (link == "symlink") for path in clips)
    assert all(path.stat().st_nlink == (2 if link == "hardlink" else 1) for path in clips)


@pytest.mark.parametrize("name", REFERENCING)
def test_references(name, rows, expected, tmp_path):
    report = export(rows, FORMATS[name], tmp_path / "set", link="reference")
    assert [each.reason for each in report.left_out] == ["its path holds a line break or ends in a space"]
    unlistable = next(tmp_path.glob("source/line*")).read_bytes()
    assert sorted(LOADERS[name](tmp_path / "set")) == [pair for pair in expected if pair[0] != unlistable]
    assert not list((tmp_path / "set").rglob("*.mp4"))


@pytest.mark.parametrize("link", ["copy", "reference"])
@pytest.mark.parametrize("name", REFERENCING)
def test_a_clip_that_was_asked_two_questions_is_two_pairs(name, link, rows, tmp_path):
    asked = [rows[0], rows[0] | {"clip_id": "f" * 16, "caption": "Another answer."}, rows[1]]
    report = export(asked, FORMATS[name], tmp_path / "set", link=link)
    assert report.exported == 3
    assert {caption for _, caption in LOADERS[name](tmp_path / "set")} >= {"A cat runs.", "Another answer."}


@pytest.mark.parametrize("name", FORMATS)
def test_stems(name, rows, tmp_path):
    """Unique without regard to case, no dots, and the same after other rows have gone: latents are cached by stem."""
    stems = []
    for number, some in enumerate((rows, rows[5:])):
        target = tmp_path / f"set{number}"
        export(some, FORMATS[name], target)
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
    export(rows, FORMATS[name], tmp_path / "set")
    assert len(list((tmp_path / "set").glob("*.tar"))) > 2
    assert sorted(LOADERS[name](tmp_path / "set")) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_files_that_the_trainer_would_not_read_are_left_out_and_said(name, rows, expected, tmp_path):
    reads = FORMATS[name].reads
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
    report = export([*rows, *more], FORMATS[name], tmp_path / "set")
    assert {Path(each.source_video).name: each.reason for each in report.left_out} == said
    assert sorted(LOADERS[name](tmp_path / "set")) == sorted(
        [*expected, *((others[file], file) for file in others if file not in said)]
    )


def test_sat_targets_whose_path_the_trainer_would_change_are_refused(rows, tmp_path):
    for name in ("my-videos", "set.mp4"):
        with pytest.raises(ValueError, match="choose another target"):
            export(rows, FORMATS["cogvideo-sat"], tmp_path / name)
