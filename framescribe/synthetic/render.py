"""Draws clips of the synthetic world, many at a time, on the CPU or a GPU.

Shapes: B clips, T frames, A actors, S segments of the main subject's motion, P = 224 pixels of a frame's
side, W of the world's, C of a sprite's. Every frame of a clip samples the same pictures, so the T frames are
stacked into one tall image [B, 3, T·P, P]: one call of ``grid_sample`` for the scenery, whatever T is.

Where things are is worked out on the CPU, moved to the device at once, and drawn there by functions of
tensors alone, whose shapes do not change from batch to batch, so that ``torch.compile`` fuses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch.nn import functional

from framescribe.synthetic.canvas import WORLD_PX
from framescribe.synthetic.facts import BACKGROUNDS, WEATHERS, Facts
from framescribe.synthetic.scenes import scenes
from framescribe.synthetic.sprites import sprites
from framescribe.synthetic.staging import CLIP_S, FRAME_PX, HOP_S, ROUND_S, Actor, Segment, Staging
from framescribe.synthetic.weather import PATTERN_PX, weather_looks

HALF_PX = FRAME_PX / 2
_REST = Segment(0.0, CLIP_S)
# Stands in for the actors that a clip has fewer than another of its batch: far out of everyone's sight.
_NOBODY = Actor(0, 1e5, 1e5, FRAME_PX, 1.0, 1.0, 1.0)

# For torch.compile: one kernel for all that is pixel by pixel. By default it writes much of what is used more than
# once to memory, dozens of tensors as large as the frames here. And indices need no check: grid_sample clips them.
_ONE_KERNEL: dict[str, str | int | bool | Callable[..., object]] = {
    "realize_reads_threshold": 1 << 20,
    "realize_acc_reads_threshold": 1 << 20,
    "realize_opcount_threshold": 1 << 20,
    "assert_indirect_indexing": False,
}


class Renderable(Protocol):
    """What a clip shows, and how."""

    @property
    def facts(self) -> Facts: ...
    @property
    def staging(self) -> Staging: ...


class _Path(NamedTuple):
    """Where something is over time: x, y in world pixels, scale, angle in radians; each float32 [B, T]."""

    x: torch.Tensor
    y: torch.Tensor
    scale: torch.Tensor
    angle: torch.Tensor


class _Scene(NamedTuple):
    """Clips in tensors.

    Attributes:
        background_B, variant_B, weather_B, subject_AB: int64, indices.
        place_LBT23: where the scenery is, and each actor (L = 1 + A), see ``_place``.
        gain_B3, offset_B3: the scenery's colours become colour x gain + offset.
        tint_AB4: gain of the actors' colours, and of alpha, which is 1.
        fallen_BT: int64, pixels by which the weather's particles have moved down.
        particle_colour_B3: theirs.
        blur_B: share of a 3 x 3 mean.
        noise_B: standard deviation of the noise.
    """

    background_B: torch.Tensor
    variant_B: torch.Tensor
    weather_B: torch.Tensor
    subject_AB: torch.Tensor
    place_LBT23: torch.Tensor
    gain_B3: torch.Tensor
    offset_B3: torch.Tensor
    tint_AB4: torch.Tensor
    fallen_BT: torch.Tensor
    particle_colour_B3: torch.Tensor
    blur_B: torch.Tensor
    noise_B: torch.Tensor


@torch.no_grad()
def render(
    clips: Sequence[Renderable],
    times_s: Sequence[float],
    *,
    device: str = "cpu",
    grain: torch.Generator | None = None,
    compiled: bool = False,
) -> torch.Tensor:
    """Frames of clips at the same instants.

    Args:
        clips: B of them.
        times_s: T instants in seconds; the world stands still outside 0..7 s.
        device: where to draw; the frames stay there.
        grain: draws each clip's noise (a generator on ``device``), and asks for a slight blur, as files and
            cameras have it; None draws clean frames.
        compiled: draw by torch.compile, which pays for many batches of equal B and T. A few pixels differ by 1.

    Returns:
        uint8 [B, T, 3, P, P], RGB.
    """
    scene = _Scene(*(part.to(device, non_blocking=True) for part in _scene(clips, times_s)))
    draw, finish = (_compiled(_drawn), _compiled(_finished)) if compiled else (_drawn, _finished)
    frames = draw(scene, scenes(device), sprites(device), weather_looks(device).particles)
    noise = None if grain is None else torch.randn(frames.shape, generator=grain, device=device)
    return finish(frames, scene.blur_B, scene.noise_B, noise)


@cache
def _compiled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return torch.compile(function, dynamic=False, options=_ONE_KERNEL)


def _drawn(
    scene: _Scene, scenes_GV3WW: torch.Tensor, sprites_S4CC: torch.Tensor, particles_WHP: torch.Tensor
) -> torch.Tensor:
    """Clean frames, float32 [B, T, 3, P, P]."""
    count, times = scene.fallen_BT.shape
    world_B3WW = scenes_GV3WW[scene.background_B, scene.variant_B] * scene.gain_B3[..., None, None]
    picture = _sampled(world_B3WW + scene.offset_B3[..., None, None], scene.place_LBT23[0], "border")
    # Companions first: the main subject is in front, should they ever touch.
    for index in reversed(range(len(scene.subject_AB))):
        sprite_B4CC = sprites_S4CC[scene.subject_AB[index]] * scene.tint_AB4[index][..., None, None]
        actor = _sampled(sprite_B4CC, scene.place_LBT23[1 + index], "zeros")
        picture = picture * (1 - actor[:, 3:]) + actor[:, :3]
    frames = picture.reshape(count, 3, times, FRAME_PX, FRAME_PX).transpose(1, 2)
    return _with_particles(frames, scene, particles_WHP)


def _sampled(picture: torch.Tensor, place_BT23: torch.Tensor, outside: str) -> torch.Tensor:
    """What each pixel of the tall image shows of a square picture."""
    # Written out, as affine_grid multiplies matrices, coarsely so where TensorFloat-32 is allowed.
    pixel_P1 = ((torch.arange(FRAME_PX, device=picture.device) + 0.5) / HALF_PX - 1)[:, None]
    across, down, shift = place_BT23[:, :, None, None].unbind(-1)
    grid_BTPP2 = across * pixel_P1 + (down * pixel_P1[:, None] + shift)
    return functional.grid_sample(
        picture, grid_BTPP2.flatten(1, 2), padding_mode=outside, align_corners=False
    )


def _with_particles(frames: torch.Tensor, scene: _Scene, particles_WHP: torch.Tensor) -> torch.Tensor:
    """Rain, snow or fog in front of everything; it moves with time and not with the camera."""
    rows_P = torch.arange(FRAME_PX, device=frames.device)
    rows_BTP = (rows_P - scene.fallen_BT[..., None]) % PATTERN_PX
    cover = particles_WHP[scene.weather_B[:, None, None], rows_BTP][:, :, None]  # [B, T, 1, P, P]
    return torch.lerp(frames, scene.particle_colour_B3[:, None, :, None, None], cover)


def _finished(
    frames: torch.Tensor, blur_B: torch.Tensor, noise_B: torch.Tensor, noise: torch.Tensor | None
) -> torch.Tensor:
    """The frames, blurred and noisy if there is noise, in uint8."""
    if noise is not None:
        soft = functional.avg_pool2d(frames.flatten(0, 1), 3, 1, 1, count_include_pad=False).view_as(frames)
        blur, noise_step = (part_B[:, None, None, None, None] for part_B in (blur_B, noise_B))
        frames = torch.lerp(frames, soft, blur.expand_as(frames)) + noise * noise_step
    return (frames.clamp(0, 1) * 255).round_().to(torch.uint8)


def _scene(clips: Sequence[Renderable], times_s: Sequence[float]) -> _Scene:
    """The clips in tensors on the CPU: all that is not per pixel."""
    stagings = [clip.staging for clip in clips]
    looks = weather_looks()
    weather_B = torch.tensor([WEATHERS.index(clip.facts.weather) for clip in clips])
    brightness_B = torch.tensor([staging.brightness for staging in stagings])
    phase_B = torch.tensor([staging.weather_phase for staging in stagings])
    most = max(len(staging.actors) for staging in stagings)
    actors_AB8 = (
        torch.tensor([(*staging.actors, *[_NOBODY] * (most - len(staging.actors))) for staging in stagings])
        .view(len(clips), most, len(_NOBODY))
        .transpose(0, 1)
    )
    times_T = torch.tensor(times_s, dtype=torch.float32)
    camera = _camera_path(stagings, times_T)
    zero_BT = torch.zeros_like(camera.scale)
    rest = _Path(zero_BT, zero_BT, zero_BT + 1, zero_BT)
    places = [_place(camera, rest, WORLD_PX)]
    for index, actor_B8 in enumerate(actors_AB8):
        path = rest if index else _main_path(stagings, times_T)
        x, y, size_px, *_, tilt_rad = actor_B8[..., None].unbind(1)[1:]
        path = path._replace(x=path.x + x, y=path.y + y, angle=path.angle + tilt_rad)
        places.append(_place(camera, path, size_px))
    return _Scene(
        background_B=torch.tensor([BACKGROUNDS.index(clip.facts.background) for clip in clips]),
        variant_B=torch.tensor([staging.background_variant for staging in stagings]),
        weather_B=weather_B,
        subject_AB=actors_AB8[..., 0].long(),
        place_LBT23=torch.stack(places),
        gain_B3=looks.gain[weather_B] * (brightness_B / 255)[:, None],
        offset_B3=looks.offset[weather_B],
        tint_AB4=functional.pad(actors_AB8[..., 4:7] * looks.actor_gain[weather_B], (0, 1), value=1.0),
        fallen_BT=(phase_B[:, None] * PATTERN_PX + looks.fall_px_s[weather_B][:, None] * times_T).long(),
        particle_colour_B3=looks.particle_colour[weather_B],
        blur_B=torch.tensor([staging.blur for staging in stagings]),
        noise_B=torch.tensor([staging.grain for staging in stagings]) / 255,
    )


def _camera_path(stagings: Sequence[Staging], times_T: torch.Tensor) -> _Path:
    start = torch.tensor([staging.camera for staging in stagings])
    x, y, zoom, dx, dy, dzoom = start[:, :, None].unbind(1)
    share_1T = (times_T / CLIP_S).clamp(0, 1)[None]
    scale_BT = zoom * torch.exp(dzoom * share_1T)
    return _Path(x + dx * share_1T, y + dy * share_1T, scale_BT, torch.zeros_like(scale_BT))


def _main_path(stagings: Sequence[Staging], times_T: torch.Tensor) -> _Path:
    """The main subject's path, from its start: the sum of what each segment adds."""
    longest = max(len(staging.segments) for staging in stagings)
    padded = [(*staging.segments, *[_REST] * (longest - len(staging.segments))) for staging in stagings]
    values = torch.tensor(padded)[..., None]  # [B, S, fields, 1]
    start_s, duration_s, dx, dy, growth, turn, hop, radius, phase, sway = values.unbind(2)
    elapsed_s = torch.minimum((times_T - start_s).clamp(min=0), duration_s)  # [B, S, T]
    share = elapsed_s / duration_s
    round_rad = 2 * math.pi * elapsed_s / ROUND_S
    # Hops, rounds and sways end where they began: half a clip and a whole one hold a whole number of each.
    x = (
        dx * share
        + radius.abs() * (torch.cos(phase + round_rad) - torch.cos(phase))
        + sway * torch.sin(round_rad)
    )
    y = dy * share + radius * (torch.sin(phase + round_rad) - torch.sin(phase))
    y = y - hop * torch.sin(math.pi * elapsed_s / HOP_S).abs()
    return _Path(x.sum(1), y.sum(1), torch.exp((growth * share).sum(1)), (turn * share).sum(1))


def _place(camera: _Path, thing: _Path, size_px: torch.Tensor | float) -> torch.Tensor:
    """Where each pixel (x, y) of the frame lies in a picture ``size_px`` wide, both in -1..1 from side to side.

    Returns:
        float32 [B, T, 2, 3]: the factors of x and of y and the term that give each of the two coordinates.
    """
    half_px = thing.scale * size_px / 2
    step = HALF_PX / (camera.scale * half_px)
    cos, sin = torch.cos(thing.angle), torch.sin(thing.angle)
    dx, dy = (camera.x - thing.x) / half_px, (camera.y - thing.y) / half_px
    column = torch.stack([step * cos, step * sin, dx * cos + dy * sin], dim=-1)
    row = torch.stack([-step * sin, step * cos, dy * cos - dx * sin], dim=-1)
    return torch.stack([column, row], dim=-2)
