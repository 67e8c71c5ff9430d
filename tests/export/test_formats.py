"""Every format, read back by a loader that knows only what the trainer does."""

import re
import tarfile

import pytest

from framescribe.export import tars
from framescribe.export.formats import FORMATS
from framescribe.export.run import export
from tests.export.conftest import row
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
        row(105, tmp_path / "source/clip.mp4", "A span.", start_s=1.0, end_s=2.0),
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


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.suffixes])
def test_files_that_the_trainer_would_not_find_are_left_out(name, rows, expected, tmp_path):
    other = tmp_path / "source/other.mkv"
    other.write_bytes(b"matroska")
    report = export([*rows, row(50, other, "A dog.")], FORMATS[name], tmp_path / "set")
    assert [each.reason for each in report.left_out] == ["not a .mp4 file"]
    assert sorted(LOADERS[name](tmp_path / "set")) == expected


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.needs])
def test_clips_without_the_facts_that_the_trainer_needs_are_left_out(name, rows, tmp_path):
    report = export([rows[0] | {"fps": None}, *rows[1:]], FORMATS[name], tmp_path / "set")
    assert [each.reason for each in report.left_out] == ["facts of the clip unknown"]
    assert len(LOADERS[name](tmp_path / "set")) == len(rows) - 1


def test_sat_targets_whose_path_the_trainer_would_change_are_refused(rows, tmp_path):
    for name in ("my-videos", "set.mp4"):
        with pytest.raises(ValueError, match="choose another target"):
            export(rows, FORMATS["cogvideo-sat"], tmp_path / name)
