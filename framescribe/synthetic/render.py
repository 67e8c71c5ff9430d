"""Draws clips of the synthetic world, many at a time, on the CPU or a GPU.

Shapes: B clips, T frames, A actors, S segments of the main subject's motion, P = 224 pixels of a frame's
side, W of the world's. Every frame of a clip samples the same pictures, so the T frames are stacked into
one tall image [B, T·P, P]: one call of ``grid_sample`` for the scenery, and one for each actor, whatever T
is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch.nn import functional

from framescribe.synthetic.facts import BACKGROUNDS, WEATHERS, Facts
from framescribe.synthetic.scenes import WORLD_PX, scenes
from framescribe.synthetic.sprites import sprites
from framescribe.synthetic.staging import CLIP_S, FRAME_PX, HOP_S, ROUND_S, Segment, Staging
from framescribe.synthetic.weather import PATTERN_PX, WeatherLooks, weather_looks

HALF_PX = FRAME_PX / 2
_REST = Segment(0.0, CLIP_S)


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


@torch.no_grad()
def render(
    clips: Sequence[Renderable],
    times_s: Sequence[float],
    *,
    device: str = "cpu",
    grain: torch.Generator | None = None,
) -> torch.Tensor:
    """Frames of clips at the same instants.

    Args:
        clips: B of them.
        times_s: T instants in seconds; the world stands still outside 0..7 s.
        device: where to draw; the frames stay there.
        grain: draws each clip's noise (a generator on ``device``), and asks for a slight blur, as files and
            cameras have it; None draws clean frames.

    Returns:
        uint8 [B, T, 3, P, P], RGB.
    """
    count, times = len(clips), len(times_s)
    times_T = torch.tensor(times_s, dtype=torch.float32, device=device)
    camera = _camera_path(clips, times_T)
    backgrounds = torch.tensor([BACKGROUNDS.index(clip.facts.background) for clip in clips], device=device)
    variants = torch.tensor([clip.staging.background_variant for clip in clips], device=device)
    brightness = torch.tensor([clip.staging.brightness for clip in clips], device=device)
    looks = weather_looks(device)
    weathers = torch.tensor([WEATHERS.index(clip.facts.weather) for clip in clips], device=device)
    gain_B311 = (looks.gain[weathers] * (brightness / 255)[:, None])[..., None, None]
    world_B3WW = scenes(device)[backgrounds, variants] * gain_B311 + looks.offset[weathers][..., None, None]
    zero_BT = torch.zeros_like(camera.scale)
    scenery = _Path(zero_BT, zero_BT, zero_BT + 1, zero_BT)
    picture = functional.grid_sample(
        world_B3WW, _grid(camera, scenery, WORLD_PX), padding_mode="border", align_corners=False
    )
    # Companions first: the main subject is in front, should they ever touch.
    for index in range(max(len(clip.staging.actors) for clip in clips) - 1, -1, -1):
        rows = [row for row, clip in enumerate(clips) if len(clip.staging.actors) > index]
        rows_R = torch.tensor(rows, device=device)
        actors_R7 = torch.tensor([clips[row].staging.actors[index] for row in rows], device=device)
        path = _main_path(clips, times_T) if index == 0 else _rest_path(actors_R7, times)
        view = _Path(*(part[rows_R] for part in camera))
        path = path._replace(x=path.x + actors_R7[:, 1:2], y=path.y + actors_R7[:, 2:3])
        sprite_R4 = sprites(device)[actors_R7[:, 0].long()]
        sprite_R4[:, :3] *= (actors_R7[:, 4:] * looks.actor_gain[weathers[rows_R]])[..., None, None]
        drawn_R4 = functional.grid_sample(
            sprite_R4, _grid(view, path, actors_R7[:, 3:4]), padding_mode="zeros", align_corners=False
        )
        picture[rows_R] = picture[rows_R] * (1 - drawn_R4[:, 3:]) + drawn_R4[:, :3]
    frames = picture.reshape(count, 3, times, FRAME_PX, FRAME_PX).transpose(1, 2)
    frames = _with_particles(frames, clips, times_T, looks, weathers)
    if grain is not None:
        frames = _with_grain(frames, clips, grain)
    return (frames.clamp_(0, 1) * 255).round_().to(torch.uint8)


def _camera_path(clips: Sequence[Renderable], times_T: torch.Tensor) -> _Path:
    start = torch.tensor([clip.staging.camera for clip in clips], device=times_T.device)
    x, y, zoom, dx, dy, dzoom = start[:, :, None].unbind(1)
    share_1T = (times_T / CLIP_S).clamp(0, 1)[None]
    scale_BT = zoom * torch.exp(dzoom * share_1T)
    return _Path(x + dx * share_1T, y + dy * share_1T, scale_BT, torch.zeros_like(scale_BT))


def _main_path(clips: Sequence[Renderable], times_T: torch.Tensor) -> _Path:
    """The main subject's path, from its start: the sum of what each segment adds."""
    longest = max(len(clip.staging.segments) for clip in clips)
    padded = [(*clip.staging.segments, *[_REST] * (longest - len(clip.staging.segments))) for clip in clips]
    values = torch.tensor(padded, device=times_T.device)[..., None]  # [B, S, fields, 1]
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


def _rest_path(actors_R7: torch.Tensor, times: int) -> _Path:
    zero_RT = actors_R7.new_zeros(len(actors_R7), times)
    return _Path(zero_RT, zero_RT, zero_RT + 1, zero_RT)


def _grid(camera: _Path, thing: _Path, size_px: torch.Tensor | float) -> torch.Tensor:
    """Where each pixel of the tall image lies in a picture ``size_px`` wide: [B, T·P, P, 2] in -1..1."""
    half_px = thing.scale * size_px / 2
    step = HALF_PX / (camera.scale * half_px)
    cos, sin = torch.cos(thing.angle), torch.sin(thing.angle)
    dx, dy = (camera.x - thing.x) / half_px, (camera.y - thing.y) / half_px
    # Written out, as affine_grid multiplies matrices, coarsely so where TensorFloat-32 is allowed.
    pixel_P = (torch.arange(FRAME_PX, device=step.device) + 0.5) / HALF_PX - 1
    x, y = pixel_P, pixel_P[:, None]

    def spread(per_frame_BT: torch.Tensor) -> torch.Tensor:
        return per_frame_BT[..., None, None]

    columns = spread(step * cos) * x + (spread(step * sin) * y + spread(dx * cos + dy * sin))
    rows = spread(-step * sin) * x + (spread(step * cos) * y + spread(dy * cos - dx * sin))
    return torch.stack([columns, rows], dim=-1).flatten(1, 2)


def _with_particles(
    frames: torch.Tensor,
    clips: Sequence[Renderable],
    times_T: torch.Tensor,
    looks: WeatherLooks,
    weathers: torch.Tensor,
) -> torch.Tensor:
    """Rain, snow or fog in front of everything; it moves with time and not with the camera."""
    phase = torch.tensor([clip.staging.weather_phase for clip in clips], device=times_T.device)
    fallen_BT = phase[:, None] * PATTERN_PX + looks.fall_px_s[weathers][:, None] * times_T
    rows_P = torch.arange(FRAME_PX, device=times_T.device)
    rows_BTP = (rows_P - fallen_BT.long()[..., None]) % PATTERN_PX
    cover = looks.particles[weathers[:, None, None], rows_BTP][:, :, None]  # [B, T, 1, P, P]
    return torch.lerp(frames, looks.particle_colour[weathers][:, None, :, None, None], cover)


def _with_grain(frames: torch.Tensor, clips: Sequence[Renderable], grain: torch.Generator) -> torch.Tensor:
    strengths = torch.tensor(
        [(clip.staging.blur, clip.staging.grain) for clip in clips], device=frames.device
    )
    blur, noise_step = strengths[:, :, None, None, None, None].unbind(1)
    soft = functional.avg_pool2d(frames.flatten(0, 1), 3, 1, 1, count_include_pad=False).view_as(frames)
    noise = torch.randn(frames.shape, generator=grain, device=frames.device)
    return torch.lerp(frames, soft, blur.expand_as(frames)) + noise * (noise_step / 255)
