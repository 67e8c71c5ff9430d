"""A target is whole or not there, and of what lies in it only what an export wrote is ever removed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from framescribe.export.run import export
from framescribe.export.target import MANIFEST
from framescribe.export.writers import Lists
from tests.export.conftest import LAYOUTS
from tests.export.loaders import LOADERS

LTX = LAYOUTS["ltx"]
LISTS = {"prompts.txt": "{caption}", "videos.txt": "{path}"}


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("link", ["copy", "symlink", "hardlink"])
def test_what_trainers_wrote_outlives_the_next_export(link, rows, tmp_path):
    target = tmp_path / "set"
    export(rows, LTX, target, link=link)
    theirs = {
        "cache/latents/a.safetensors": "latents",
        "videos/clip.pt": "beside the clips",
        "videos/sub/empty.txt": "",
        "notes.txt": "my notes",
    }
    for name, text in theirs.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    (target / "empty").mkdir()
    (target / "linked").symlink_to(tmp_path / "source")
    export(rows[:2], LAYOUTS["diffsynth"], target, link=link, overwrite=True)
    assert len(LOADERS["diffsynth"](target)) == 2
    assert {name: (target / name).read_text() for name in theirs} == theirs
    assert (target / "empty").is_dir()
    assert (target / "linked").is_symlink()
    assert not (target / "dataset.jsonl").exists()
    assert len([name for name in os.listdir(target / "videos") if name.endswith(".mp4")]) == 2
    assert len(list((tmp_path / "source").rglob("*.mp4"))) == len(rows)
    assert sorted(os.listdir(tmp_path)) == ["set", "source"]


def test_nothing_is_left_of_an_export_without_foreign_files(rows, tmp_path):
    export(rows, LAYOUTS["videofolder"], tmp_path / "set")
    export(rows, LAYOUTS["ai-toolkit"], tmp_path / "set", overwrite=True)
    assert not (tmp_path / "set/train").exists()
    assert len(files(tmp_path / "set")) == 2 * len(rows) + 2


@pytest.mark.parametrize("name", ["set.partial", "set.replaced", "set.tmp"])
def test_neighbours_are_left_alone(name, rows, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_text("x")
    export(rows, LTX, tmp_path / "set")
    export(rows, LTX, tmp_path / "set", overwrite=True)
    assert (tmp_path / name / "precious").read_text() == "x"


def test_a_caption_that_was_edited_by_hand_is_not_lost(rows, tmp_path):
    target = tmp_path / "set"
    export(rows, LAYOUTS["ai-toolkit"], target)
    text = next(target.glob("*.txt"))
    edited = text.read_text().swapcase()  # of the same length
    text.write_text(edited)
    before = files(target)
    with pytest.raises(ValueError, match="was changed after it was exported"):
        export(rows, LAYOUTS["ai-toolkit"], target, overwrite=True)
    assert text.read_text() == edited
    assert files(target) == before


def test_a_foreign_file_in_the_way_is_not_lost(rows, tmp_path):
    target = tmp_path / "set"
    export(rows, LTX, target)
    (target / "metadata.jsonl").write_text("mine")
    with pytest.raises(ValueError, match="is no part of the export"):
        export(rows, LAYOUTS["diffsynth"], target, overwrite=True)
    assert (target / "metadata.jsonl").read_text() == "mine"
    assert len(LOADERS["ltx"](target)) == len(rows)
    assert sorted(os.listdir(tmp_path)) == ["set", "source"]


def test_a_manifest_of_somebody_else_removes_nothing_outside(rows, tmp_path):
    target = tmp_path / "set"
    export(rows, LTX, target)
    (tmp_path / "outside.txt").write_text("x")
    (target / "kept").mkdir()
    (target / "kept/linked").symlink_to(tmp_path / "source", target_is_directory=True)
    with (target / MANIFEST).open("a") as manifest:
        for name in ("../outside.txt", str(tmp_path / "outside.txt"), "kept/linked/clip.mp4"):
            manifest.write(json.dumps([name, 1, None]) + "\n")
    export(rows, LTX, target, overwrite=True)
    assert (tmp_path / "outside.txt").read_text() == "x"
    assert (tmp_path / "source/clip.mp4").exists()


@pytest.mark.parametrize("line", ["{}", "[", '["a"]', "null"])
def test_a_manifest_that_is_none_is_refused(line, rows, tmp_path):
    export(rows, LTX, tmp_path / "set")
    (tmp_path / "set" / MANIFEST).write_text(line + "\n")
    before = files(tmp_path / "set")
    with pytest.raises(ValueError, match="cannot be read"):
        export(rows, LTX, tmp_path / "set", overwrite=True)
    assert files(tmp_path / "set") == before


def test_a_linked_target_stays_a_link(rows, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for overwrite in (False, True):
        export(rows, LTX, tmp_path / "link", overwrite=overwrite)
        assert (tmp_path / "link").is_symlink()
        assert len(LOADERS["ltx"](tmp_path / "disk")) == len(rows)


def test_the_old_export_stays_until_the_new_one_is_whole(rows, tmp_path):
    export(rows, LTX, tmp_path / "set")
    before = files(tmp_path)

    class Failing(Lists):
        def write(self, pairs, folder):
            list(pairs)
            assert len(LOADERS["ltx"](tmp_path / "set")) == len(rows)
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        export(rows, replace(LTX, writer=Failing(LISTS)), tmp_path / "set", overwrite=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_an_export_that_cannot_be_renamed_leaves_the_old_one(failing, rows, tmp_path, monkeypatch):
    export(rows, LTX, tmp_path / "set")
    before = files(tmp_path)
    rename, calls = Path.rename, []

    def failing_once(self, target):
        calls.append(self)
        if len(calls) == failing:
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing_once)
    with pytest.raises(OSError, match="the disk is gone"):
        export(rows[:2], LTX, tmp_path / "set", overwrite=True)
    assert files(tmp_path) == before


def test_an_empty_folder_may_be_the_target_and_a_full_one_may_not(rows, tmp_path):
    (tmp_path / "set").mkdir()
    export(rows, LTX, tmp_path / "set")
    assert len(LOADERS["ltx"](tmp_path / "set")) == len(rows)
    (tmp_path / "file").write_text("x")
    for name in ("source", "file"):
        with pytest.raises(ValueError, match="is no export"):
            export(rows, LTX, tmp_path / name, overwrite=True)
