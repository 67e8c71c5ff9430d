"""Scores beside captions: the table, turned, against a plain loop over its rows."""

from __future__ import annotations

import math
import random

import pytest

from framescribe import Dataset, UsageError
from framescribe.dataset.schema import SCORES
from framescribe.dataset.store import RowFolder
from framescribe.score_row import ScoreRow
from tests.dataset.test_row_file import row


def score_row(clip_id: str, scorer: str, **scores: float) -> dict:
    row = ScoreRow(
        clip_id=clip_id, source_video=f"{clip_id}.mp4", start_s=0.0, end_s=None, scorer=scorer, version=1,
        names=tuple(scores), values=tuple(scores.values()), engine_version="0",
    )  # fmt: skip
    return row.to_dict()


@pytest.fixture
def folder(tmp_path):
    """30 captions, scores of some of them and of clips without captions, some scored twice; and what is so."""
    draw = random.Random(0)
    folder = RowFolder(str(tmp_path / "set"))
    folder.prepare()
    folder.scores.make()
    rows = [row(number).to_dict() for number in range(30)]
    folder.table.append(rows, "run", 0)
    expected: dict[str, dict[str, float]] = {}
    ids = [row["clip_id"] for row in rows[:20]] + ["only-scored"]
    for number in range(3):
        shard = []
        for clip_id in draw.sample(ids, 15):
            motion, blur = draw.random(), draw.choice([draw.random(), math.nan])
            shard += [
                score_row(clip_id, "motion", motion=motion, shake=2 * motion),
                score_row(clip_id, "blur", blur=blur),
            ]
            expected.setdefault(clip_id, {}).update(motion=motion, shake=2 * motion, blur=blur)
        folder.scores.append(shard, "run", number)
    return folder, rows, expected


def test_scores_are_columns_of_captions(folder):
    store, rows, expected = folder
    dataset = Dataset(store.name)
    assert dataset.columns[-3:] == ["motion", "shake", "blur"]
    found = list(dataset)
    assert [row["clip_id"] for row in found] == [row["clip_id"] for row in rows]
    for each in found:
        for name in ("motion", "shake", "blur"):
            value = expected.get(each["clip_id"], {}).get(name)
            assert each[name] == (None if value is None or math.isnan(value) else value)
    moving = {clip_id for clip_id, scores in expected.items() if scores["motion"] > 0.5} - {"only-scored"}
    assert {row["clip_id"] for row in dataset.rows("motion > 0.5", columns=["clip_id"])} == moving
    in_order = [row["blur"] for row in dataset.rows("blur IS NOT NULL", order_by="blur", columns=["blur"])]
    assert in_order
    assert in_order == sorted(in_order)


def test_clips_that_were_only_scored(folder):
    store, _, expected = folder
    dataset = Dataset.scored(store.name)
    clip = ["clip_id", "source_video", "start_s", "end_s", "error_stage", "error_message"]
    assert dataset.columns == [*clip, "motion", "shake", "blur"]
    assert {row["clip_id"]: row["motion"] for row in dataset} == {
        clip_id: scores["motion"] for clip_id, scores in expected.items()
    }
    assert all(row["source_video"] == f"{row['clip_id']}.mp4" for row in dataset)
    assert dataset.count("shake >= 1") == sum(scores["shake"] >= 1 for scores in expected.values())


def failed_row(clip_id: str, scorer: str, message: str) -> dict:
    return score_row(clip_id, scorer) | {"error_stage": "decode", "error_message": message}


def test_a_clip_says_why_a_scorer_failed_until_it_did_not(tmp_path):
    folder = RowFolder(str(tmp_path / "set"))
    folder.prepare()
    folder.scores.make()
    rows = [score_row("a", "motion", motion=1.0), failed_row("b", "motion", "gone")]
    rows += [score_row("c", "motion", motion=2.0), failed_row("c", "blur", "too large")]
    folder.scores.append(rows, "run", 0)
    dataset = Dataset.scored(folder.name)
    assert {row["clip_id"]: row["error_message"] for row in dataset} == {
        "a": None, "b": "gone", "c": "too large",
    }  # fmt: skip
    assert dataset.count("error_stage = 'decode' AND motion IS NULL") == 1
    folder.scores.append([score_row("b", "motion", motion=3.0)], "run", 1)
    assert [row["clip_id"] for row in dataset.rows("error_message IS NOT NULL")] == ["c"]
    table = dataset._repr_html_()
    for text in ("too large", "motion", "3 rows"):
        assert text in table


def test_folders_without_captions_or_scores(tmp_path):
    folder = RowFolder(str(tmp_path / "set"))
    folder.prepare()
    folder.scores.make()
    with pytest.raises(UsageError, match="has no scores"):
        Dataset.scored(folder.name)
    folder.scores.append([score_row("a", "motion", motion=1.0)], "run", 0)
    with pytest.raises(UsageError, match="has no captions yet"):
        Dataset(folder.name)
    assert Dataset.scored(folder.name).count("motion = 1") == 1
    assert not Dataset.either(folder.name).has_captions
    with pytest.raises(UsageError, match="rows are read from"):
        Dataset.either(tmp_path / "nowhere")
    assert SCORES.key == ("clip_id", "scorer")
