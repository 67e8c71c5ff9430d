"""Rows meet references, and `framescribe evaluate` says what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from framescribe.eval.attributes import ATTRIBUTES
from framescribe.eval.matching import match
from framescribe.synthetic.batches import make_clips
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write as write_folder


def run(*arguments: object) -> Result:
    return invoke("evaluate", *arguments)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class TestMatch:
    def test_by_file_name(self) -> None:
        rows = [{"source_video": "/x/b.mp4", "caption": "B"}, {"source_video": "/x/a.mkv", "caption": "A"}]
        pairs = match(rows, [{"file": "a.mp4", "caption": "one"}, {"file": "a.mp4", "caption": "two"}])
        assert [(pair.clip, pair.caption, pair.references) for pair in pairs] == [("a", "A", ("one", "two"))]

    def test_by_clip_id_where_all_have_one(self) -> None:
        rows = [
            {"clip_id": "1", "source_video": "a.mp4", "caption": "first"},
            {"clip_id": "2", "source_video": "a.mp4", "caption": "second"},
        ]
        (pair,) = match(rows, [{"clip_id": "2", "source_video": "a.mp4", "caption": "known"}])
        assert pair.caption == "second"

    def test_the_last_row_counts_and_no_row_is_no_caption(self) -> None:
        rows = [{"file": "a.mp4", "caption": "old"}, {"file": "a.mp4", "caption": "new"}]
        pairs = match(rows, [{"file": "a.mp4", "caption": "x"}, {"file": "b.mp4", "caption": "y"}])
        assert [pair.caption for pair in pairs] == ["new", None]

    def test_names_that_mean_two_files_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"x/a\.mp4 and y/a\.mp4 have the same name"):
            match([{"file": "x/a.mp4"}, {"file": "y/a.mp4"}], [])
        with pytest.raises(ValueError, match="row 1 says no clip"):
            match([{"caption": "a"}], [])


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[Path, Path]:
        pytest.importorskip("pycocoevalcap", reason="needs the eval extra")
        clips = make_clips(0, 0, 8)
        known = [
            {"file": f"{index}.mp4", "caption": clip.caption, "facts": clip.facts.to_dict()}
            for index, clip in enumerate(clips)
        ]
        rows = [
            {"source_video": f"/v/{index}.mp4", "caption": clip.caption} for index, clip in enumerate(clips)
        ]
        rows[0]["caption"] = ""
        return write(tmp_path / "rows.jsonl", rows), write(tmp_path / "known.jsonl", known)

    def test_json(self, files: tuple[Path, Path]) -> None:
        result = run(*files, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert tuple(report["seen"]) == tuple(report["held_out"]) == ATTRIBUTES
        assert report["seen"]["camera"] == 7 / 8
        assert report["captions"]["clips"] == 8
        assert "made_by" not in report
        assert report["captions"]["captions"] == 7
        assert 0 < report["captions"]["rouge_l"] <= 7 / 8

    def test_a_folder_of_rows(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        known = files[1]
        rows = [
            row(index, source_video=f"/v/{index}.mp4", caption=json.loads(line)["caption"])
            for index, line in enumerate(known.read_text().splitlines())
        ]
        write_folder(str(tmp_path / "rows"), *rows)
        result = run(tmp_path / "rows", known, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert report["seen"]["camera"] == report["captions"]["rouge_l"] == 1
        assert report["captions"]["captions"] == 8

    def test_table(self, files: tuple[Path, Path]) -> None:
        result = run(*files)
        assert result.exit_code == 0, result.output
        for word in ("subject", "held out", "87.5", "cider", "vocabulary"):
            assert word in result.output

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "give ROWS and REFERENCES"),
            (("rows.jsonl",), "give ROWS and REFERENCES"),
            (("rows.jsonl", "known.jsonl"), "rows.jsonl cannot be read: No such file or directory"),
            (("rows.jsonl", "known.jsonl", "--synthetic", "4"), "not both"),
        ],
    )
    def test_wrong_use(
        self, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = run(*arguments)
        assert result.exit_code == 2
        assert message in result.output

    def test_synthetic_clips_through_the_bundled_model(self, tmp_path: Path) -> None:
        result = run("--synthetic", 2, "--seed", 3, "--keep", tmp_path, "--max-new-tokens", 8, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert report["counts"]["seen"]["subject"] == report["counts"]["held_out"]["subject"] == 1
        rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert {len(row["frame_indices"]) for row in rows} == {8}
        made_by = report["made_by"]
        assert (made_by["clips"], made_by["clips_seed"]) == (2, 3)
        assert (made_by["model"], made_by["model_revision"]) == ("tiny", rows[0]["model_revision"])
        assert made_by["versions"]["torch"]
