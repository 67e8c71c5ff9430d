"""A folder that an older version wrote is read, reported, exported and gone on with; its shards stay as they are."""

import hashlib
import shutil
from pathlib import Path

import pytest

from framescribe import Dataset
from tests.cli.run import invoke

OLD = Path(__file__).parents[1] / "data" / "old_folder"
OPTIONS = (
    "--model",
    "tiny-random",
    "--device",
    "cpu",
    "--dtype",
    "fp32",
    "--max-new-tokens",
    "4",
    "--prompt",
    "Why?",
)


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    shutil.copytree(OLD, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")  # its clips were named from there
    return tmp_path / "work"


def digests(work: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in work.glob("captions/rows/*")}


def statuses() -> dict[str, str]:
    return {Path(row["source_video"]).name: row["caption_status"] for row in Dataset("captions")}


def test_it_is_read(work):
    rows = {Path(row["source_video"]).stem: row for row in Dataset("captions")}
    assert sorted(rows) == ["a", "b", "broken"]
    assert [rows[name]["prompt"][:4] for name in ("a", "b", "broken")] == ["Plea", "Why?", "Plea"]
    assert {row["prompt_index"] for row in rows.values()} == {0}
    assert {row["schema_version"] for row in rows.values()} == {1}
    assert rows["a"]["sample_fps"] is None
    assert Dataset("captions").count("prompt_index = 0 AND caption_status = 'truncated'") == 2
    assert not (work / "captions" / "_lock").exists()


def test_it_is_gone_on_with(work):
    before = digests(work)
    shutil.copy(work / "clips" / "a.mp4", work / "clips" / "c.mp4")
    result = invoke("caption", "clips", "-o", "captions", *OPTIONS)
    assert result.exit_code == 1, result.stderr  # of the file that is no video
    assert "b.mp4" not in result.stderr
    assert statuses() == {
        "a.mp4": "truncated",
        "b.mp4": "truncated",
        "broken.mp4": "error",
        "c.mp4": "truncated",
    }
    assert {row["prompt"] for row in Dataset("captions")} == {"Why?"}
    assert before.items() < digests(work).items()
    again = invoke("caption", "clips", "-o", "captions", *OPTIONS)
    assert len(digests(work)) == 3, again.stderr


def test_other_settings_are_refused(work):
    result = invoke("caption", "clips", "-o", "captions", *OPTIONS, "--seed", "7")
    assert result.exit_code == 2
    assert "seed was 0, now 7" in " ".join(result.stderr.split())


def test_it_is_reported_and_exported(work):
    result = invoke("report", "captions")
    assert result.exit_code == 0, result.stderr
    assert "broken.mp4" in (work / "captions-report.html").read_text(encoding="utf-8")
    result = invoke("export", "good", "--to", "videofolder", "--where", "source_video NOT LIKE '%broken%'")
    assert result.exit_code == 0, result.stderr
    (table,) = (work / "good-videofolder").rglob("metadata.*")
    assert table.read_text(encoding="utf-8").count("A bar moves.") == 1  # the other clip repeats it
