"""Copies are found among clips, and clips that are only like one another are not taken for copies."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from framescribe import Clip, Dataset, score
from framescribe.errors import UsageError
from framescribe.pipeline.near_duplicates import near_duplicates
from framescribe.scores.fingerprint import PARTS, PLANES, SIDE, features
from framescribe.scores.grouping import grouped
from framescribe.scores.near_duplicates import differences
from framescribe.scores.near_duplicates import near_duplicates as compared
from framescribe.scores.nearest import candidates
from framescribe.synthetic.batches import make_clip
from framescribe.synthetic.render import render
from framescribe.video.encode import write_mp4
from tests.cli.run import invoke

from .synthetic import pictures_of

FPS = 8


def film(name, speed=1.0):
    """uint8 [T, H, W, 3]: 4 s of a clip of the synthetic world, faster or slower."""
    times = [1 + speed * number / FPS for number in range(round(4 * FPS / speed))]
    return render([make_clip(name)], times)[0].numpy().transpose(0, 2, 3, 1)


def fingerprint_of(frames):
    return features(pictures_of(frames, FPS))


@pytest.fixture(scope="module")
def films():
    return [film(f"near/{number}") for number in range(6)]


def test_copies_are_found_however_they_were_altered(films):
    copies = [
        film("near/0", speed=2.0),
        film("near/1", speed=0.5),
        films[2][:, 10:-12, 4:-18],  # a tenth less
        np.pad(films[3], ((0, 0), (30, 30), (0, 0), (0, 0))),
        films[4][:, ::2, ::2],
        (films[5] // 16 * 14 + 10).astype(np.uint8),  # darker, less contrast, coarser
    ]
    found = compared(np.stack([fingerprint_of(each) for each in [*films, *copies]]))
    assert found.tolist() == [0, 1, 2, 3, 4, 5] * 2


def test_another_time_of_the_same_scene_and_clips_of_one_colour_are_no_copies(films):
    other_end = [each[::-1] for each in films]
    black, grey = np.zeros_like(films[0]), np.full_like(films[0], 128)
    moving = [
        number for number, each in enumerate(films) if np.ptp(each[:, ::8, ::8].astype(int), 0).mean() > 4
    ]
    found = compared(
        np.stack(
            [fingerprint_of(each) for each in [*films, *(other_end[n] for n in moving), black, grey, black]]
        )
    )
    assert len(moving) >= 3
    assert found[:-3].tolist() == list(range(6 + len(moving)))
    assert found[-3:].tolist() == [-1, -1, -1]


def test_the_same_picture_with_other_changes_is_no_copy(films):
    one = np.stack([fingerprint_of(each) for each in films]).astype(np.float32)
    grey = one[:, :PARTS]
    moving = np.abs(grey - grey.mean(1, keepdims=True)).mean((1, 2, 3)) > 2
    backwards = np.concatenate([grey[:, ::-1], one[:, PARTS:]], axis=1)
    assert moving.sum() >= 3
    assert (differences(one[moving], one[moving]) < 0.1).all()
    assert (differences(one[moving], backwards[moving]) > 1).all()


def test_another_subject_before_the_same_moving_background_is_no_copy():
    """One camera's way through one scene makes mean pictures and changes agree, but for where the subjects are."""
    one, two = (fingerprint_of(film(f"d/31/{number}"))[None].astype(np.float32) for number in (399, 364))
    assert differences(one, two)[0] > 1


def test_the_same_scene_in_another_light_is_no_copy():
    """Nothing of a cow and a helicopter in one desert differs by much in grey; one of them is in the evening light."""
    one, two = (fingerprint_of(film(f"near/24/{number}"))[None].astype(np.float32) for number in (58, 174))
    assert differences(one, two)[0] > 1
    one = fingerprint_of(film("d/31/399"))[None].astype(np.float32)
    grey, colour = one[:, :PARTS], one[:, PARTS:]

    def with_colour(grey):
        return np.concatenate([grey, colour], axis=1)

    assert differences(one, with_colour(0.86 * grey + 16))[0] < 0.1  # full range as limited
    assert differences(one, with_colour(0.7 * grey + 0.3 * grey.mean()))[0] > 1
    assert differences(one, with_colour(grey - 30))[0] > 1


def test_what_is_as_light_and_of_another_colour_is_no_copy(films):
    """Something red or green before the same background; tiny pictures are as light as red, green and blue together."""
    red, green = films[0].copy(), films[0].copy()
    red[:, 60:120, 60:120], green[:, 60:120, 60:120] = (150, 100, 80), (100, 150, 80)
    one, two = (fingerprint_of(each)[None].astype(np.float32) for each in (red, green))
    np.testing.assert_array_equal(one[:, :PARTS], two[:, :PARTS])
    assert differences(one, two)[0] > 1


def test_a_copy_has_about_the_same_saturation(films):
    def graded(saturation):
        grey = films[1].mean(-1, keepdims=True)
        return fingerprint_of((grey + saturation * (films[1] - grey)).clip(0, 255).round().astype(np.uint8))

    assert compared(np.stack([graded(each) for each in (1, 0.9, 1.15)])).tolist() == [0, 0, 0]
    assert compared(np.stack([graded(each) for each in (1, 0.5, 0)])).tolist() == [0, 1, 2]
    assert compared(np.stack([graded(0), graded(0)])).tolist() == [0, 0]


def test_groups_are_joined_where_at_least_half_of_the_pairs_between_them_agree():
    """Two groups of four, of which the pairs below differ by less than 1."""
    within = [(a + first, b + first) for first in (0, 4) for a, b in combinations(range(4), 2)]
    asked = []

    def joined(*between):
        def differ(pairs_P2):
            asked.extend(map(tuple, pairs_P2.tolist()))
            return np.array([0.9 if tuple(pair) in between else 2 for pair in pairs_P2.tolist()], np.float32)

        compared = np.array(sorted([*within, *between[:7]]))
        levels = np.array([0.9 if tuple(pair) in between else 0.5 for pair in compared.tolist()], np.float32)
        return grouped(compared, levels, 9, differ).tolist()

    pairs = [(a, b) for a in range(4) for b in range(4, 8)]
    apart = [0, 0, 0, 0, 4, 4, 4, 4, 8]
    assert joined() == joined(pairs[0]) == joined(*pairs[:7]) == apart
    assert joined(*pairs[:8]) == joined(*pairs) == [0] * 8 + [8]
    assert set(asked) <= set(pairs)


def test_copies_that_drift_are_not_one_group_whatever_their_number():
    """Each is a copy of the two before and after it."""
    pairs = np.array([(a, b) for a, b in combinations(range(40), 2) if b - a <= 2])
    found = grouped(
        pairs,
        np.linspace(0.1, 0.9, len(pairs), dtype=np.float32),
        40,
        lambda asked: np.where(np.ptp(asked, axis=1) <= 2, 0.5, 2).astype(np.float32),
    )
    sizes = np.bincount(found)
    assert 3 <= sizes.max() <= 8
    assert (found <= np.arange(40)).all()


def test_a_part_that_differs_by_a_few_levels_is_coding_and_by_more_another_clip():
    """The same difference in proportion, of a faint clip and of a clear one."""
    one = fingerprint_of(film("d/31/399"))[None].astype(np.float32)
    spot = np.zeros_like(one)
    spot[:, :PARTS, 5:10, 5:10] = (15 + 11 * (-1.0) ** np.arange(8))[:, None, None]
    faint = 128 + 0.12 * (one - 128)
    assert differences(faint, faint + 0.12 * spot)[0] <= 1
    assert differences(one, one + spot)[0] > 1


@pytest.mark.parametrize("bar", [32, 35, 38])
def test_a_letterbox_that_ends_within_a_pixel_is_no_part_of_the_fingerprint(bar):
    """Ten rows are one of the tiny picture."""
    rng = np.random.default_rng(4)
    smooth = rng.uniform(60, 200, (6, 7, 8)).repeat(100, 1).repeat(80, 2)[:, : 640 - 2 * bar]
    boxed = np.pad(smooth, ((0, 0), (bar, bar), (0, 0)))
    tiny = [
        np.stack([each[:, at : at + 10].mean(1) for at in range(0, each.shape[1], 10)], 1)
        .reshape(6, -1, 64, 10)
        .mean(-1)
        for each in (smooth, boxed)
    ]
    pictures = pictures_of(np.zeros((6, 8, 8, 3), np.uint8), FPS)
    one, two = (
        features(replace(pictures, tiny_NHW=each.astype(np.uint8))).astype(np.float32) for each in tiny
    )
    assert np.abs(one - two).mean() < 2.5


def test_near_vectors_meet_among_many():
    """Each vector has one that is near; cells must not part them."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(3000, 24)).astype(np.float32)
    both = np.concatenate([one, one + 0.1 * rng.normal(size=one.shape).astype(np.float32)])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    pairs = candidates(lambda part, _: both[part][:, None], len(both))
    assert {tuple(pair) for pair in pairs.tolist()} >= {(n, n + 3000) for n in range(3000)}
    assert len(pairs) < 40_000


def test_of_many_vectors_that_are_all_near_each_meets_a_few():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=24) + 0.1 * rng.normal(size=(300, 24))
    alike = (alike / np.linalg.norm(alike, axis=1, keepdims=True)).astype(np.float32)
    pairs = candidates(lambda part, _: alike[part][:, None], len(alike))
    assert np.bincount(pairs.ravel(), minlength=300).min() >= 6
    assert len(pairs) <= 300 * 6


def test_a_folder_gets_scores_that_filter_copies(tmp_path, films):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name, frames in {
        "a": films[0],
        "b": films[1],
        "c": films[0][:, 4:-4, 4:-4],
        "d": films[0] * 0,
    }.items():
        write_mp4(videos / f"{name}.mp4", frames.transpose(0, 3, 1, 2), FPS)
    folder = tmp_path / "scored"
    with pytest.raises(UsageError, match="no fingerprints"):
        near_duplicates(folder)
    score(videos, folder, scores=["fingerprint", "video"], progress=False)
    found = near_duplicates(folder)
    ids = {name: Clip(str(videos / f"{name}.mp4")).id for name in "abcd"}
    assert [set(group) for group in found.groups] == [{ids["a"], ids["c"]}]
    assert (found.num_clips, found.num_flat) == (3, 1)
    rows = {row["clip_id"]: row for row in Dataset.scored(folder).rows()}
    assert [rows[ids[name]]["near_duplicates"] for name in "abcd"] == [1, 0, 1, None]
    assert sorted(rows[ids[name]]["duplicate_number"] for name in "abc") == [0, 0, 1]
    assert Dataset.scored(folder).count("duplicate_number = 0") == 2
    told = invoke("similar", str(folder), "--duplicates", "--json")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row["group"], row["clip_id"]) for row in rows] == [(0, each) for each in found.groups[0]]
    told = invoke("similar", str(folder), "--duplicates")
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert {(clip, name.rsplit("/", 1)[-1]) for _, clip, name in lines} == {
        (ids["a"], "a.mp4"),
        (ids["c"], "c.mp4"),
    }
    assert "1 group of copies among 3 clips; of one colour and not compared: 1" in told.stderr
    assert invoke("similar", str(folder), "--duplicates", "--limit", "3").exit_code == 2


def test_a_fingerprint_is_of_parts_of_time_and_picture():
    """A clip that is light in its second half, and to the right of a black border."""
    frames = np.zeros((16, 40, 60, 3), np.uint8)
    frames[8:, :, 20:] = 200
    frames[:8, :, 20:] = 100
    planes = features(pictures_of(frames, FPS))
    assert planes.shape == (PLANES, SIDE, SIDE)
    np.testing.assert_allclose(planes[:4], 100, atol=1)
    np.testing.assert_allclose(planes[4 : 2 * 4], 200, atol=1)
    np.testing.assert_allclose(planes[PARTS:], 0, atol=0.1)


def test_a_fingerprint_has_the_mean_colour_over_the_time():
    """Cb and Cr are what blue and red exceed luma by, divided by 1.772 and 1.402. The second picture is the nearest one
    for seven eighths of the time.
    """
    frames = np.zeros((8, 40, 60, 3), np.uint8)
    frames[:4], frames[4:] = (200, 100, 100), (100, 100, 180)
    frames[:, :, :20] = 0
    red, blue = (
        ((100 - 129.9) / 1.772, (200 - 129.9) / 1.402),
        ((180 - 109.12) / 1.772, (100 - 109.12) / 1.402),
    )
    pictures = replace(pictures_of(frames, FPS), looked_at_s=2.0)
    assert pictures.small_s.tolist() == [0, 0.5]
    colour = features(pictures)[PARTS:]
    for plane, first, second in zip(colour, red, blue, strict=True):
        np.testing.assert_allclose(plane, first / 8 + 7 * second / 8, atol=0.1)
