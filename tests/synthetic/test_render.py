"""What the facts say is what the pixels show."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch

from framescribe.synthetic.batches import (
    SEEN_TIMES_S,
    SyntheticClip,
    make_batch,
    make_clip,
    make_clips,
)
from framescribe.synthetic.facts import BACKGROUNDS, CAMERAS, MOTIONS, WEATHERS, Companion, Facts
from framescribe.synthetic.render import render
from framescribe.synthetic.sprites import CELL_PX, sprites
from framescribe.synthetic.staging import stage
from framescribe.synthetic.subjects import SUBJECTS


def clip_of(
    seed: int, *motions: str, camera: str = "static", companions: tuple[Companion, ...] = ()
) -> SyntheticClip:
    facts = Facts("zebra", motions, companions, "meadow", "clear", camera)
    return SyntheticClip(facts, stage(facts, random.Random(seed)), "")


def frames(clip: SyntheticClip) -> torch.Tensor:
    return render([clip], SEEN_TIMES_S)[0].float()


def without(clip: SyntheticClip, kept: int = 0) -> SyntheticClip:
    """The same clip with its first ``kept`` subjects only."""
    return replace(clip, staging=clip.staging._replace(actors=clip.staging.actors[:kept]))


def mask_of(clip: SyntheticClip, index: int = 0) -> torch.Tensor:
    """Where the subject ``index`` is: bool [8, 224, 224]."""
    return (frames(without(clip, index + 1)) - frames(without(clip, index))).abs().sum(1) > 12


def centres(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle of the mask's bounding box in each frame: x [8], y [8]."""
    places = [frame.nonzero().float() for frame in mask]
    y, x = torch.stack([(place.amin(0) + place.amax(0)) / 2 for place in places]).unbind(1)
    return x, y


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [("moves left", 0, -1), ("moves right", 0, 1), ("moves up", 1, -1), ("moves down", 1, 1)],
)
def test_moves(motion: str, axis: int, sign: int, seed: int) -> None:
    along, across = centres(mask_of(clip_of(seed, motion)))[:: 1 if axis == 0 else -1]
    steps = sign * along.diff()
    assert steps.min() > 8
    assert 70 < steps.sum() < 105
    assert across.std() < 1


def test_half_a_clip_each() -> None:
    x, y = centres(mask_of(clip_of(1, "moves left", "moves down")))
    assert x[0] - x[3] > 45
    assert (y[3] - y[0]).abs() < 2
    assert y[7] - y[4] > 45
    assert (x[7] - x[4]).abs() < 2


def test_still_is_really_still() -> None:
    shown = frames(clip_of(0, "stays still"))
    assert torch.equal(shown, shown[:1].expand_as(shown))


@pytest.mark.parametrize(("motion", "low", "high"), [("grows", 3.5, 8.0), ("shrinks", 1 / 8.0, 1 / 3.5)])
def test_grows_and_shrinks(motion: str, low: float, high: float) -> None:
    area = mask_of(clip_of(0, motion)).sum((1, 2)).float()
    assert low < area[7] / area[0] < high


def test_spins_in_place_without_coming_back_within_a_few_frames() -> None:
    for seed in range(4):
        clip = clip_of(seed, "spins")
        (turn,) = [segment.turn_rad for segment in clip.staging.segments]
        assert 50 <= abs(math.degrees(turn)) / 7 <= 80
        shown = frames(clip)
        assert (shown[1:] - shown[:-1]).abs().amax((1, 2, 3)).min() > 60
        x, y = centres(mask_of(clip))
        assert x.std() < 6
        assert y.std() < 6


def test_bounces_upward_and_comes_back() -> None:
    x, y = centres(mask_of(clip_of(0, "bounces")))
    height = y.max() - y
    assert x.std() < 1
    assert height[0] < 2
    assert height[7] < 2
    assert height[1] > 40
    assert height[2] < 30 < height[3]


def test_circles_and_sways() -> None:
    x, y = centres(mask_of(clip_of(0, "circles")))
    assert x.max() - x.min() > 40
    assert y.max() - y.min() > 40
    senses = set()
    for seed in range(8):
        x, y = centres(mask_of(clip_of(seed, "circles")))
        around = (x[0] - x.mean()) * (y[1] - y.mean()) - (y[0] - y.mean()) * (x[1] - x.mean())
        senses.add(bool(around > 0))
    assert senses == {True, False}
    x, y = centres(mask_of(clip_of(0, "sways")))
    assert x.max() - x.min() > 40
    assert y.std() < 1


@pytest.mark.parametrize(
    ("camera", "dx", "dy"),
    [("pans left", 1, 0), ("pans right", -1, 0), ("tilts up", 0, 1), ("tilts down", 0, -1)],
)
def test_the_camera_moves_scenery_and_subject_alike(camera: str, dx: int, dy: int) -> None:
    clip = clip_of(3, "stays still", camera=camera)
    x, y = centres(mask_of(clip))
    moved_x, moved_y = round(float(x[7] - x[0])), round(float(y[7] - y[0]))
    assert 58 <= dx * moved_x + dy * moved_y <= 74
    assert abs(dy * moved_x) + abs(dx * moved_y) <= 1
    scenery = frames(without(clip))
    back = torch.roll(scenery[7], (-moved_y, -moved_x), (1, 2))[:, 80:144, 80:144]
    inside = scenery[0][:, 80:144, 80:144]
    assert (back - inside).abs().mean() < 6 < (scenery[7][:, 80:144, 80:144] - inside).abs().mean()


@pytest.mark.parametrize(("camera", "low", "high"), [("zooms in", 2.2, 3.2), ("zooms out", 1 / 3.2, 1 / 2.2)])
def test_zoom_scales_a_still_subject_by_less_than_growth(camera: str, low: float, high: float) -> None:
    area = mask_of(clip_of(0, "stays still", camera=camera)).sum((1, 2)).float()
    assert low < area[7] / area[0] < high


def test_subjects_stay_in_view() -> None:
    for clip in make_clips(5, 0, 25):
        for index in range(len(clip.staging.actors)):
            actor = clip.staging.actors[index]
            bare = replace(clip.facts, weather="clear", background="snow field")
            mask = mask_of(SyntheticClip(bare, clip.staging, ""), index)
            assert mask.any(-1).any(-1).all()
            edge = mask[:, 0].sum() + mask[:, -1].sum() + mask[:, :, 0].sum() + mask[:, :, -1].sum()
            assert edge == 0, (clip.facts, index)
            assert actor.size_px > 24


@pytest.mark.parametrize(
    "motions", [("moves left",), ("moves up",), ("circles", "grows"), ("spins", "bounces")]
)
def test_companions_stay_on_their_side(motions: tuple[str, ...]) -> None:
    for side in ("left", "right", "above", "below"):
        clip = clip_of(2, *motions, companions=(Companion("cactus", side),))
        main_x, main_y = centres(mask_of(clip))
        x, y = centres(mask_of(clip, 1))
        gap = {"left": main_x - x, "right": x - main_x, "above": main_y - y, "below": y - main_y}[side]
        assert gap.min() > 20


def test_scenes_differ() -> None:
    facts = [Facts("zebra", ("stays still",), (), name, "clear", "static") for name in BACKGROUNDS]
    clips = [SyntheticClip(each, stage(each, random.Random(0)), "") for each in facts]
    pictures = render(clips, [0.0])[:, 0].float()
    for index in range(len(clips)):
        apart = (pictures - pictures[index]).abs().mean((1, 2, 3))
        assert (apart > 12).sum() == len(clips) - 1


def test_the_atlas_holds_every_subject() -> None:
    cells = sprites()
    assert cells.shape == (len(SUBJECTS), 4, CELL_PX, CELL_PX)
    assert cells[:, 3].mean((1, 2)).min() > 0.1
    assert (cells[:, :3] <= cells[:, 3:] + 1e-6).all()


def test_a_clip_looks_the_same_alone_and_in_any_batch() -> None:
    clips = make_clips(9, 0, 6)
    together = render(clips, [0.0, 3.5, 7.0])
    assert together.dtype == torch.uint8
    assert together.shape == (6, 3, 3, 224, 224)
    for index, clip in enumerate(clips):
        alone = render([clip], [0.0, 3.5, 7.0])[0]
        assert (alone.int() - together[index].int()).abs().max() <= 1


@pytest.mark.slow
def test_compiled_once_for_all_batches_of_a_size() -> None:
    both = (Companion("owl", "left"), Companion("key", "above"))

    def apart(seed: int, weathers: Iterable[str]) -> torch.Tensor:
        """How far compiled frames are from others: of clips with no, one and two companions."""
        clips = []
        for count, weather in enumerate(weathers):
            clip = clip_of(seed, "circles", "spins", camera="zooms in", companions=both[:count])
            clips.append(replace(clip, facts=replace(clip.facts, weather=weather)))
        drawn, compiled = (
            render(clips, SEEN_TIMES_S, grain=torch.Generator().manual_seed(seed), compiled=compiled).int()
            for compiled in (False, True)
        )
        return (drawn - compiled).abs()

    assert (apart(0, WEATHERS[:3]) > 1).float().mean() < 1e-4
    with torch.compiler.set_stance("fail_on_recompile"):
        assert (apart(1, WEATHERS[3:]) > 1).float().mean() < 1e-4


def test_batches_follow_from_seed_and_step() -> None:
    batch = make_batch(4, 2, 3)
    assert batch.pixels.shape == (3, 8, 3, 224, 224)
    assert len(batch.captions) == len(batch.facts) == 3
    again = make_batch(4, 2, 3)
    assert torch.equal(again.pixels, batch.pixels)
    assert again.captions == batch.captions
    assert make_batch(4, 3, 3).captions != batch.captions
    assert make_batch(5, 2, 3).captions != batch.captions


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_every_motion_can_be_staged_under_every_camera(motion: str, camera: str) -> None:
    for count in range(3):
        sides = ("left", "below")[:count]
        companions = tuple(Companion(name, side) for name, side in zip(("owl", "key"), sides, strict=False))
        clip = clip_of(
            0, motion, "grows" if motion != "grows" else "spins", camera=camera, companions=companions
        )
        assert all(actor.size_px > 20 for actor in clip.staging.actors)


@pytest.mark.gpu
def test_the_gpu_draws_what_the_cpu_draws() -> None:
    clips = [make_clip(str(index)) for index in range(8)]
    apart = render(clips, SEEN_TIMES_S).int() - render(clips, SEEN_TIMES_S, device="cuda").cpu().int()
    assert apart.abs().float().mean() < 0.1


@pytest.mark.parametrize("motion", ["stays still", "moves up"])
def test_a_tilted_subject_looks_as_one_that_has_turned_so_far(motion: str) -> None:
    clip = clip_of(3, motion)
    (actor,), (segment,) = clip.staging.actors, clip.staging.segments
    tilted_clip = replace(clip, staging=clip.staging._replace(actors=(actor._replace(tilt_rad=2.0),)))
    turning = clip.staging._replace(segments=(segment._replace(turn_rad=2.0),))
    at_the_end = [7.0]
    shown, expected = (render([each], at_the_end) for each in (tilted_clip, replace(clip, staging=turning)))
    assert torch.equal(shown, expected)
    assert not torch.equal(shown, render([clip], at_the_end))


def test_the_share_of_subjects_that_training_asks_for_is_askew() -> None:
    clips = make_clips(4, 0, 400, askew=0.25)
    tilts = [actor.tilt_rad for clip in clips for actor in clip.staging.actors]
    askew = [tilt for tilt in tilts if tilt]
    assert 0.2 < len(askew) / len(tilts) < 0.3
    assert max(askew) > 6.0
    # Files show them upright; all else that a clip is drawn with is the same.
    upright = make_clip("4/0/7")
    assert not any(actor.tilt_rad for actor in upright.staging.actors)
    assert (upright.facts, upright.caption) == (clips[7].facts, clips[7].caption)
