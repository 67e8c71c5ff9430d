"""Likeness: what was planted comes first; which features compare; pictures go through the model."""

import json

import numpy as np
import pytest

from framescribe import Captioner, UsageError, caption, similar
from tests.cli.run import invoke
from tests.heads.sets import TINY, feature_row, write_features
from tests.pipeline.test_run import QUICK
from tests.reference import CLIPS


def families(number: int) -> tuple[list[dict], np.ndarray]:
    """Clips of ten families, hidden below a direction in which all differ by much more."""
    draw = np.random.default_rng(0)
    family = np.arange(number) % 10
    centres, loud = draw.normal(size=(10, 30)), draw.normal(size=30)
    x = centres[family] + 0.3 * draw.normal(size=(number, 30)) + 4 * draw.normal(size=(number, 1)) * loud
    return [
        feature_row(f"c{n}", np.concatenate((x[n], x[n] * 0.5, x[n] * 0, x[n] * 0))) for n in range(number)
    ], family


def test_a_clips_family_comes_first(tmp_path):
    rows, family = families(200)
    others = [feature_row("old", np.ones(120), model=TINY.replace("0123", "99")),
              feature_row("print", np.ones(8), model="fingerprint-4")]  # fmt: skip
    folder = write_features(tmp_path / "set", rows + others)
    with pytest.raises(UsageError, match="several models"):
        similar(folder, like="c3")
    found = similar(folder, like="c3", limit=19, features_of=TINY)
    assert {family[int(row["clip_id"][1:])] for row in found} == {3}
    assert "c3" not in {row["clip_id"] for row in found}
    similarities = [row["similarity"] for row in found]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] <= 1
    by_source = similar(folder, like=["videos/c3.mp4"], limit=19, features_of=TINY)
    assert by_source == found


def test_examples_that_are_not_there(tmp_path):
    folder = write_features(tmp_path / "set", families(20)[0])
    with pytest.raises(UsageError, match="has no features of nobody"):
        similar(folder, like="nobody")
    spans = [feature_row(f"s{n}", np.ones(120)) | {"source_video": "film.mp4"} for n in range(3)]
    film = write_features(tmp_path / "film", spans)
    with pytest.raises(UsageError, match=r"film\.mp4 names 3 clips: use the clip_id of one"):
        similar(film, like="film.mp4")
    assert len(similar(film, like="s1")) == 2
    with pytest.raises(UsageError, match="by either `like` or `pictures`"):
        similar(folder)
    with pytest.raises(UsageError, match=r"holds no features.*caption --features"):
        similar(str(tmp_path / "nothing"), like="c1")


def test_a_picture_of_a_clip_finds_it(tmp_path):
    clips = [CLIPS / "one-frame.mp4", CLIPS / "short-half-second.mp4", CLIPS / "kitten.mp4"]
    caption(clips, tmp_path / "set", features=True, **QUICK)
    captioner = Captioner.from_pretrained("tiny-random", device="cpu")
    found = similar(tmp_path / "set", pictures=clips[0], captioner=captioner)
    assert found[0]["source_video"] == str(clips[0])
    shown = invoke("similar", str(tmp_path / "set"), "--like", str(clips[0]), "--json")
    assert [json.loads(line)["source_video"] for line in shown.stdout.splitlines()] == [
        row["source_video"] for row in similar(tmp_path / "set", like=str(clips[0]))
    ]
