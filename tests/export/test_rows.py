"""Which rows of a dataset an export takes: those that a condition chooses, of one prompt."""

import json

import pytest

from framescribe.dataset.dataset import Dataset
from framescribe.errors import UsageError
from framescribe.export.run import export
from tests.export.conftest import LAYOUTS
from tests.export.loaders import LOADERS

LTX = LAYOUTS["ltx"]


def captions(target) -> list[str]:
    return sorted(caption for _, caption in LOADERS["ltx"](target))


def asked(rows, *indices):
    """Rows of clips that were asked several prompts in one pass."""
    return [
        each
        | {"prompt_index": index, "caption": f"{each['clip_id'][-1]} answers {index}, in words of its own."}
        for each in rows
        for index in indices
    ]


@pytest.mark.parametrize(
    ("indices", "options", "answered"),
    [
        ((None, 1), {}, None),  # rows of older versions have no prompt's place: it is the first
        ((0, 1, 2), {}, 0),
        ((2, 0), {"prompt_index": 2}, 2),
        ((1, 2), {}, 1),  # chosen by a condition, or left of a run
    ],
)
def test_an_export_holds_the_captions_of_one_prompt(indices, options, answered, rows, tmp_path):
    report = export(asked(rows[:3], *indices), LTX, tmp_path / "set", **options)
    assert [caption.split(",")[0] for caption in captions(tmp_path / "set")] == [
        f"{number} answers {answered}" for number in range(3)
    ]
    assert dict(report.reasons) == {"of another prompt": 3 * (len(indices) - 1)}


def test_a_dataset_chooses_by_sql_and_exports_itself(rows, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in asked(rows[:3], 0, 1)))
    dataset = Dataset(path)
    report = dataset.export(
        "cogvideo-finetune", tmp_path / "set", where="prompt_index = 1 AND caption LIKE '0%'"
    )
    assert (report.rows, report.exported) == (1, 1)
    assert [caption for _, caption in LOADERS["cogvideo-finetune"](tmp_path / "set")] == [
        "0 answers 1, in words of its own."
    ]
    for where in ("1 = 1", ["caption LIKE '%answers%'", "prompt_index = 0"]):
        assert dataset.export("csv", tmp_path / "all", where=where, overwrite=True).exported == 3
    with pytest.raises(UsageError, match="choose among your own"):
        export(rows, LTX, tmp_path / "new", where="1 = 1")


def test_a_prompt_that_failed_is_not_replaced_by_another(rows, tmp_path):
    first, second, *_ = asked(rows[:2], 0, 1)
    report = export([first | {"flags": ["looping"]}, second, rows[2]], LTX, tmp_path / "set")
    assert captions(tmp_path / "set") == [rows[2]["caption"]]
    assert dict(report.reasons) == {"flagged looping": 1, "of another prompt": 1}
