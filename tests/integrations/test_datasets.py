"""Dataset folders in Hugging Face's datasets, and their cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from framescribe.dataset.dataset import Dataset
from framescribe.errors import UsageError
from framescribe.integrations.datasets import as_datasets, card
from tests.cli.run import invoke
from tests.reference import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("captions") / "rows"
    clips = [str(ROOT / "examples" / name) for name in ("kite.mp4", "rose.mp4")]
    assert invoke("caption", "--model", "tiny", *clips, "-o", str(path), "--prompt", "A | B?").exit_code == 0
    return path


def test_rows_are_those_of_the_folder(folder: Path) -> None:
    pytest.importorskip("datasets")
    assert list(as_datasets(folder)) == list(Dataset(folder))
    found = as_datasets(folder, ["clip_id", "caption"])
    assert found.column_names == ["clip_id", "caption"]
    with pytest.raises(UsageError, match="no column"):
        as_datasets(folder, ["nothing"])


def test_the_card_says_what_was_asked_of_whom(folder: Path) -> None:
    import yaml

    text = card(folder, 'Two clips: "a kite"', "cc-by-4.0")
    head = yaml.safe_load(text.split("---")[1])
    assert (head["license"], head["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert head["pretty_name"] == 'Two clips: "a kite"'
    assert list(folder.glob(head["configs"][0]["data_files"]))
    assert "2 captions of 2 clips" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| tiny ")]
    assert "A \\| B?" in row
    assert row.endswith("| 2 |")
