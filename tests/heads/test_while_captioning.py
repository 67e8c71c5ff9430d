"""Features and heads while captioning: captions stay the same, features are those of the frames, once a clip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from framescribe import CaptionSettings, Dataset, GenerationSettings, UsageError, apply_heads, caption
from framescribe.dataset.store import RowFolder
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.heads.head import Head
from framescribe.model.pooling import pool
from framescribe.types import GenerationSettings as Settings
from tests.pipeline.test_run import QUICK, timeless
from tests.reference import CLIPS
from tests.test_equal_frames import PATTERNS, frames_of

SHORT, ONE = CLIPS / "short-half-second.mp4", CLIPS / "one-frame.mp4"


def features(folder) -> dict[str, dict]:
    return {row["source_video"]: row for row in RowFolder(str(folder)).features.rows()}


@pytest.fixture(scope="module")
def parts():
    """A model, and what prepares frames for it."""
    from framescribe.checkpoint import open_checkpoint
    from framescribe.model.precision import choose_precision
    from framescribe.model_spec import ModelSpec
    from framescribe.prepare import Preparer
    from framescribe.rows import RowMaker

    checkpoint = open_checkpoint("tiny-random")
    model = checkpoint.load(choose_precision(ModelSpec("tiny-random", device="cpu")))
    return model, checkpoint, Preparer(checkpoint, RowMaker("model", "revision", "fp32"))


def plainly(features_FVD: np.ndarray, states_FPC: np.ndarray, pixels_F3SS: np.ndarray) -> np.ndarray:
    """The same pooling in NumPy."""
    tokens = features_FVD[:, 1:-1].astype(np.float64)
    mean = tokens.mean(axis=1)
    side = round(states_FPC.shape[1] ** 0.5)
    grid = states_FPC.astype(np.float64).reshape(len(states_FPC), side, side, -1)
    detail = [sum(np.abs(np.diff(grid, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))]
    for step in (1, 2, 4, 8):
        side = pixels_F3SS.shape[2] // step
        small = pixels_F3SS.astype(np.float64).reshape(-1, 3, side, step, side, step).mean(axis=(3, 5))
        for order in (1, 2):
            steps = sum(np.abs(np.diff(small, order, axis)).mean(axis=(1, 2, 3)) for axis in (2, 3))
            detail.append(np.log(steps + 1e-3)[:, None])
    parts = (
        mean.mean(axis=0),
        tokens.max(axis=1).mean(axis=0),
        mean.std(axis=0),
        np.hstack(detail).mean(axis=0),
    )
    width = max(map(len, parts))
    return np.concatenate([np.pad(part, (0, width - len(part))) for part in parts])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("is_short_of_memory", [False, True])
def test_pooled_features_are_of_all_frames(pattern, is_short_of_memory, parts):
    """Frames that are encoded once count as often as they are shown; encoding in parts, or anew, changes nothing."""
    model, checkpoint, preparer = parts
    with torch.inference_mode():
        each_F3SS = preparer.pixels(torch.from_numpy(frames_of(pattern)))
        seen = model.vision(each_F3SS), model.vision.patch_states(each_F3SS), each_F3SS
        expected = plainly(*(each.numpy() for each in seen))
    pixels, picture_of_frame = preparer.pictures(frames_of(pattern))
    prompt = checkpoint.prompts.build("What?", "chat", list(range(len(pattern))))
    kv_tokens = len(prompt) + 16 if is_short_of_memory else None
    engine = Engine(model, checkpoint.stop_ids, 2, kv_tokens=kv_tokens)
    wanted = Request("a", prompt, pixels, Settings(max_new_tokens=4), picture_of_frame, pools=True)
    # A second request shares the pixels and asks for nothing.
    done = {each.id: each for each in engine.generate([replace(wanted, id="b", pools=False), wanted])}
    assert done["b"].pooled is None
    assert done["a"].pooled.dtype == torch.float16
    assert done["a"].pooled.float().numpy() == pytest.approx(expected, abs=2e-3, rel=2e-3)
    assert done["a"].token_ids == done["b"].token_ids


def test_a_still_clip_has_no_deviation():
    features_FVD = torch.randn(1, 6, 5).expand(4, 6, 5)
    assert (pool(features_FVD, torch.ones(4, 5))[10:15] == 0).all()


def test_numbers_too_large_for_half_precision_stay_finite():
    assert torch.isfinite(pool(torch.full((2, 6, 5), 1e6), torch.full((2, 5), 1e6))).all()


@pytest.mark.parametrize("width", [3, 5, 8])
def test_parts_are_equally_long_whatever_the_tower_is_wide(width):
    *others, found = pool(torch.randn(2, 6, 5), torch.full((2, width), 2.0)).split(max(5, width))
    assert len(others) == 3
    assert found.tolist() == [0.0] * (len(found) - width) + [2.0] * width


def test_captions_are_the_same_and_each_clip_has_one_row_of_features(tmp_path):
    prompts = ["What is there?", "What moves?"]
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    for folder, wanted in ((plain, False), (kept, True)):
        caption([SHORT, ONE], folder, prompts=prompts, features=wanted, **QUICK)
    assert not RowFolder(str(plain)).features.shards()
    assert timeless(Dataset(plain)) == timeless(Dataset(kept))
    assert Dataset(kept).count() == 4
    found = features(kept)
    assert set(found) == {str(SHORT), str(ONE)}
    assert RowFolder(str(kept)).features.num_rows() == 2
    (revision,) = {row["model_revision"] for row in Dataset(kept)}
    assert {row["features_of"] for row in found.values()} == {f"tiny-random@{revision} mean-max-std-detail"}
    frames = {row["source_video"]: len(row["frame_indices"]) for row in Dataset(kept)}
    assert {source: row["num_frames"] for source, row in found.items()} == frames


def test_repairs_give_no_second_row(tmp_path):
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3), repair=True)
    caption([SHORT], tmp_path / "set", features=True, **QUICK | {"settings": settings})
    assert RowFolder(str(tmp_path / "set")).features.num_rows() == 1


@pytest.fixture
def head(tmp_path):
    """A head of made-up weights for the features of ``tiny-random``."""
    caption([ONE], tmp_path / "first", features=True, **QUICK)
    (row,) = features(tmp_path / "first").values()
    size = len(row["features"]) // 2
    weights = np.random.default_rng(0).normal(size=(2, size)).astype(np.float32) / size
    made = Head("kinds", ("dark", "text"), row["features_of"], weights, np.array([0.1, -0.2], np.float32), {})
    made.save(tmp_path / "kinds.safetensors")
    return tmp_path / "kinds.safetensors"


def test_heads_score_while_captioning_as_they_do_over_stored_features(head, tmp_path):
    caption([SHORT, ONE], tmp_path / "now", heads=head, **QUICK)
    assert not RowFolder(str(tmp_path / "now")).features.shards()
    caption([SHORT, ONE], tmp_path / "later", features=True, **QUICK)
    assert apply_heads(tmp_path / "later", [head]) == 2
    columns = ("source_video", "dark", "text")
    now, later = (
        sorted(tuple(row.values()) for row in Dataset(tmp_path / name).rows("dark < 2", columns=columns))
        for name in ("now", "later")
    )
    assert len(now) == 2
    for some, others in zip(now, later, strict=True):
        assert some[0] == others[0]
        assert some[1:] == pytest.approx(others[1:])


def test_a_head_of_another_model_is_refused_before_anything_is_made(head, tmp_path):
    made = Head.load(head)
    other = replace(made, features_of="tiny-random@sha256:1234 mean-max-std")
    with pytest.raises(UsageError, match="the head kinds was taught with features of"):
        caption([ONE], tmp_path / "set", heads=other, **QUICK)
    assert not list((tmp_path / "set").glob("rows/*"))
    with pytest.raises(UsageError, match="`features` needs a folder"):
        caption([ONE], tmp_path / "rows.jsonl", features=True, **QUICK)
