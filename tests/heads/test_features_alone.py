"""Features and heads' scores without captioning: the same numbers, once a clip; only the vision tower runs."""

import shutil

import numpy as np
import pytest

from framescribe import Dataset, UsageError, apply_heads, caption, score
from framescribe.dataset.store import RowFolder
from framescribe.heads.head import Head
from framescribe.model.decoder import Decoder
from tests.cli.run import invoke
from tests.pipeline.test_run import QUICK
from tests.reference import CLIPS

ALONE = {"features": True, "scores": (), "model": "tiny-random", "progress": False}


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(CLIPS / "short-half-second.mp4", folder / "a.mp4")
    shutil.copy(CLIPS / "one-frame.mp4", folder / "b.mp4")
    (folder / "bad.mp4").write_text("not a video")
    return folder


def features(folder) -> dict:
    rows = RowFolder(str(folder)).features.rows()
    return {row["source_video"]: (row["features_of"], row["features"], row["num_frames"]) for row in rows}


def test_features_alone_are_those_of_captioning_and_only_the_tower_runs(videos, tmp_path, monkeypatch):
    caption(videos, tmp_path / "captioned", features=True, **QUICK)

    def refused(*arguments, **options):
        raise AssertionError("the decoder is not needed")

    monkeypatch.setattr(Decoder, "forward", refused)
    summary = score(videos, tmp_path / "alone", **ALONE)
    assert summary.statuses == {"scored": 2, "error": 1}
    assert features(tmp_path / "alone") == features(tmp_path / "captioned")
    assert score(videos, tmp_path / "alone", **ALONE).statuses == {}
    shutil.copy(CLIPS / "one-frame.mp4", videos / "bad.mp4")
    assert score(videos, tmp_path / "alone", redo="failed", **ALONE).statuses == {"scored": 1}
    assert len(features(tmp_path / "alone")) == 3


def test_captioned_clips_get_what_they_lack(videos, tmp_path):
    out = tmp_path / "set"
    caption(videos / "a.mp4", out, features=True, **QUICK)
    caption(videos / "b.mp4", out, **QUICK)
    first = features(out)
    result = invoke("score", str(out), "--scores", "none", "--features", "--model", "tiny-random")
    assert (result.exit_code, len(features(out))) == (0, 2)
    assert features(out).items() >= first.items()
    assert RowFolder(str(out)).features.num_rows() == 2


def test_heads_score_what_the_model_sees_beside_other_scores(videos, tmp_path):
    out = tmp_path / "set"
    score(videos / "a.mp4", out, **ALONE)
    ((name, vector, _),) = features(out).values()
    weights = np.random.default_rng(0).normal(size=(2, len(vector) // 2)).astype(np.float32)
    head = Head("kinds", ("dark", "busy"), name, weights / 1000, np.array([0.1, -0.2], np.float32), {})
    seen = score(videos, tmp_path / "seen", scores=["video"], heads=head, model="tiny-random", progress=False)
    assert seen.statuses == {"scored": 2, "error": 1}
    assert not RowFolder(str(tmp_path / "seen")).features.shards()
    apply_heads(out, head)
    (expected,) = Dataset.scored(out).rows()
    (found,) = Dataset.scored(tmp_path / "seen").rows(where="source_video LIKE '%a.mp4'")
    assert found["width"] == 128
    assert (found["dark"], found["busy"]) == pytest.approx((expected["dark"], expected["busy"]), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scores": ()}, "names no scorer"),
        ({"scores": (), "features": True, "dry_run": True}, "leave out `executor` and `dry_run`"),
        ({"features": True, "executor": "ray"}, "leave out `executor` and `dry_run`"),
        ({"features": True, "model": "no/such-folder/here"}, "no/such-folder/here"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(options, said, videos, tmp_path):
    with pytest.raises(UsageError, match=said):
        score(videos, tmp_path / "set", progress=False, **options)
    assert not (tmp_path / "set").exists()
