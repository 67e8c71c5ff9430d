"""Faults planted in known amounts against the scores that are made for them, and motion beside other measures of it.

    python -m benchmarks.planted_faults --json benchmarks/results/planted_faults.json

Half of the clips are of the synthetic world, at 24 frames a second; half are parts of the real clips in
``examples/real`` (cropped, mirrored, backwards), at their 8 frames a second and interpolated to 24, in turn. All are
encoded as H.264, decoded and measured as ``framescribe score`` does. ``auc``: the share of pairs of a clip with the
fault and one without that the score puts in the right order. ``motion`` is compared with the pans, rotations and zooms
of a view of real frames, whose rim leaves the picture; and, by Spearman's rank correlation over parts of 1.5 s of the
real clips at their own speed, with the mean length of OpenCV's Farneback flow by several settings, of which the first
is EasyAnimate's. How far each of these settings is right is seen by the known pans. Last line: JSON.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import defaultdict
from functools import cache, partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.hd_clips import FPS as SMOOTH_FPS
from benchmarks.hd_clips import smooth_frames
from benchmarks.provenance import provenance, publish
from framescribe.scores.registry import scorers_named
from framescribe.synthetic.batches import make_clip
from framescribe.synthetic.facts import STILL
from framescribe.types import Clip
from framescribe.video.encode import write_mp4
from framescribe.video.scoring import score_clip
from framescribe.video_frames import VideoFrames
from tests.reference import ROOT
from tests.scores import faults
from tests.scores.real import FPS, NAMES, real_clip, variant

SYNTHETIC_FPS, SYNTHETIC_FRAMES = 24.0, 96
RENDERED = 60
"""Clips of the synthetic world that are drawn; each fault takes some of them at random."""

FARNEBACK = {
    "full size, 3 levels, window 15, half a second": (None, 3, 15, 4),
    "full size, 6 levels, window 41, half a second": (None, 6, 41, 4),
    "192 px, 5 levels, window 25, half a second": (192, 5, 25, 4),
    "full size, 3 levels, window 15, an eighth": (None, 3, 15, 1),
    "full size, 6 levels, window 41, an eighth": (None, 6, 41, 1),
    "192 px, 5 levels, window 15, an eighth": (192, 5, 15, 1),
    "192 px, 5 levels, window 25, an eighth": (192, 5, 25, 1),
}
"""Longer side, levels, window, and eighths of a second between the frames."""

SCORERS = ("motion", "shake", "stillness", "cuts", "sharpness", "exposure", "colour", "borders")
KINDS = ("synthetic", "real")
FAULTS = (
    *("none", "frozen", "half_frozen", "slowed", "shaken", "blurred", "darkened", "overexposed", "grey"),
    *("bordered", "cut_together", "slides", "screen_recording"),
)
# What is higher, what is lower, and the score.
ORDERS = (
    ("slowed", "frozen", "motion"),
    ("none", "frozen", "motion"),
    ("frozen", "slowed", "static_share"),
    ("half_frozen", "none", "longest_still_s"),
    ("shaken", "none", "shake"),
    ("cut_together", "none", "cuts"),
    ("cut_together", "shaken", "cuts"),
    ("slides", "none", "slide_share"),
    ("slides", "frozen", "slide_share"),
    ("slides", "half_frozen", "slide_share"),
    ("slides", "screen_recording", "slide_share"),
    ("none", "blurred", "edge_sharpness"),
    ("none", "blurred", "laplacian_variance"),
    ("darkened", "none", "underexposed_share"),
    ("none", "darkened", "brightness"),
    ("overexposed", "none", "overexposed_share"),
    ("none", "grey", "saturation"),
    ("bordered", "none", "border_share"),
    ("screen_recording", "none", "flat_share"),
    ("screen_recording", "none", "repeated_share"),
)


@cache
def synthetic_clip(seed: int, number: int) -> np.ndarray:
    """A clip of the synthetic world in which something moves all the time; every other one is grainy."""
    import torch

    from framescribe.synthetic.render import render

    torch.set_num_threads(1)
    tries = (make_clip(f"planted faults/{seed}/{number}/{attempt}") for attempt in range(1000))
    clip = next(clip for clip in tries if STILL not in clip.facts.motions)
    first_s = np.random.default_rng([seed, number]).uniform(0, 3)
    times_s = [first_s + frame / SYNTHETIC_FPS for frame in range(SYNTHETIC_FRAMES)]
    grain = torch.Generator().manual_seed(number) if number % 2 else None
    return render([clip], times_s, grain=grain)[0].permute(0, 2, 3, 1).contiguous().numpy()


@cache
def smooth_clip(name: str) -> np.ndarray:
    """A real clip interpolated along its motion to 24 frames a second."""
    return np.stack(
        [frame.to_ndarray(format="rgb24") for frame in smooth_frames(ROOT / f"examples/real/{name}.mp4")]
    )


def planted(fault: str, kind: str, number: int, seed: int) -> tuple[np.ndarray, float]:
    """The frames of a clip with a fault, and their rate."""
    rng = np.random.default_rng([seed, number, FAULTS.index(fault), KINDS.index(kind)])
    if fault == "screen_recording":
        size = (224, 224) if kind == "synthetic" else (360, 640)
        return faults.screen_recording(SYNTHETIC_FRAMES, size, rng), SYNTHETIC_FPS
    size = (int(rng.integers(150, 220)) * 2, int(rng.integers(220, 340)) * 2)
    if kind == "synthetic":
        shots = [synthetic_clip(seed, int(each)) for each in rng.choice(RENDERED, 3, replace=False)]
    else:
        frames_of, count = (smooth_clip, 96) if number % 2 else (real_clip, 32)
        names = [NAMES[(number // 2 + shot) % 3] for shot in range(3)]
        shots = [variant(name, rng, size, count, frames_of(name)) for name in names]
    fps = FPS if kind == "real" and number % 2 == 0 else float(SMOOTH_FPS)
    if fault in ("cut_together", "slides"):
        return getattr(faults, fault)(shots, rng), fps
    return shots[0] if fault == "none" else getattr(faults, fault)(shots[0], rng), fps


def measured(job: tuple[str, str, int], seed: int) -> tuple[str, str, dict[str, float]]:
    """The fault, the kind of clip, and every score of it, by way of a file."""
    fault, kind, number = job
    frames, fps = planted(fault, kind, number, seed)
    height, width = (side // 2 * 2 for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames[:, :height, :width].transpose(0, 3, 1, 2), fps)
        rows = score_clip(Clip(str(path)), scorers_named(SCORERS))
    names = (score.name for scorer in scorers_named(SCORERS) for score in scorer.scores)
    return fault, kind, dict(zip(names, (value for row in rows for value in row.values or ()), strict=True))


def auc(high: list[float], low: list[float]) -> float:
    highs, lows = np.array(high)[:, None], np.array(low)[None]
    return float(((highs > lows) + (highs == lows) / 2).mean())


def orders(found: dict[tuple[str, str], list[dict[str, float]]]) -> list[dict[str, Any]]:
    made = []
    for higher, lower, score in ORDERS:
        line: dict[str, Any] = {"higher": higher, "lower": lower, "score": score}
        for name, kinds in (("synthetic", KINDS[:1]), ("real", KINDS[1:]), ("auc", KINDS)):
            high, low = (
                [each[score] for kind in kinds for each in found[fault, kind]] for fault in (higher, lower)
            )
            line[name] = round(auc(high, low), 4)
        made.append(line)
        print(line, flush=True)
    return made


def known_flows() -> list[dict[str, Any]]:
    """``motion_diagonals`` divided by what it is known to be."""
    made = []
    for movement, amounts in (
        ("pan", (0.005, 0.01, 0.02, 0.03, 0.06, 0.12, 0.2)),
        ("rotation", (0.005, 0.01, 0.02, 0.03, 0.06)),
        ("zoom", (0.005, 0.01, 0.02, 0.03, 0.06)),
    ):
        for amount in amounts:
            ratios = [
                _ratio(real_clip(name)[at], movement, amount * way)
                for name in NAMES
                for at in range(0, 48, 12)
                for way in (1, -1)
            ]
            within = float((np.abs(np.array(ratios) - 1) <= 0.1).mean())
            low, median, high = np.quantile(ratios, (0.05, 0.5, 0.95)).round(3).tolist()
            made.append(
                {"movement": movement, "diagonals_in_half_a_second": amount, "clips": len(ratios)}
                | {"within_10_percent": round(within, 3), "ratio_p5": low, "ratio_median": median}
                | {"ratio_p95": high}
            )
            print(made[-1], flush=True)
    return made


def _ratio(frame: np.ndarray, movement: str, amount: float) -> float:
    """Of the speed that is measured of a view to the one that it has."""
    video = VideoFrames(_view(frame, movement, amount).transpose(0, 3, 1, 2), fps=SMOOTH_FPS, name="known")
    (row_of_scores,) = score_clip(Clip("known", data=video), scorers_named(["motion"]))
    assert row_of_scores.values is not None
    return float(row_of_scores.values[1] / (2 * abs(amount)))


def _view(frame: np.ndarray, movement: str, amount: float) -> np.ndarray:
    """A second of a view of the middle of a frame, in which points move by ``amount`` in half a second."""
    height, width = 240, 360
    row, column = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    diagonal_px = math.hypot(height, width)
    turn = amount / (np.hypot(row, column).mean() / diagonal_px)  # radians, or logarithm of the growth
    made = []
    for number in range(round(SMOOTH_FPS) + 1):
        halves = 2 * number / SMOOTH_FPS - 1
        angle = turn * halves if movement == "rotation" else 0.0
        scale = math.exp(-turn * halves) if movement == "zoom" else 1.0
        shift_px = amount * diagonal_px * halves * np.array([0.9, 0.436]) * (movement == "pan")
        matrix = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        middle = np.array([frame.shape[1] - 1, frame.shape[0] - 1]) / 2 + shift_px
        origin = middle - matrix @ np.array([width - 1, height - 1]) / 2
        made.append(
            cv2.warpAffine(
                frame, np.column_stack([matrix, origin]), (width, height),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT,
            )
        )  # fmt: skip
    return np.stack(made)


def beside_farneback(number: int, seed: int) -> tuple[str, float, list[float]]:
    """A part of a real clip at its own speed: the clip, ``motion``, and Farneback's by each of the settings."""
    rng = np.random.default_rng([seed, number, 99])
    frames = variant(name := NAMES[number % 3], rng, count=13)
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames.transpose(0, 3, 1, 2), FPS)
        (row,) = score_clip(Clip(str(path)), scorers_named(["motion"]))
    assert row.values is not None
    return name, row.values[0], [_farneback(frames, FPS, *settings) for settings in FARNEBACK.values()]


def _farneback(
    frames: np.ndarray, fps: float, side: int | None, levels: int, window: int, eighths: int
) -> float:
    """The mean length over half a second in pixels, of pairs that begin in every half second."""
    stride, half = round(eighths * fps / 8), round(fps / 2)
    lengths = []
    for at in range(0, len(frames) - half, half):
        one, other = (cv2.cvtColor(frames[place], cv2.COLOR_RGB2GRAY) for place in (at, at + stride))
        scale = min(1.0, (side or math.inf) / max(one.shape))
        size = round(one.shape[1] * scale), round(one.shape[0] * scale)
        one, other = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (one, other))
        flow = cv2.calcOpticalFlowFarneback(one, other, None, 0.5, levels, window, 3, 5, 1.2, 0)
        lengths.append(np.hypot(flow[..., 0], flow[..., 1]).mean() / scale * half / stride)
    return float(np.mean(lengths))


def farneback_figures(measured: list[tuple[str, float, list[float]]]) -> list[dict[str, Any]]:
    """Of each of the settings: whether it is right about known pans, and whether it orders clips as ``motion``."""
    amounts = (0.01, 0.03, 0.06, 0.12, 0.2)
    views = [(amount, _view(real_clip(name)[24], "pan", amount)) for name in NAMES for amount in amounts]
    made = []
    for place, (name, settings) in enumerate(FARNEBACK.items()):
        lengths = np.array([_farneback(view, SMOOTH_FPS, *settings) for _, view in views])
        ratios = lengths / [amount * math.hypot(*view.shape[1:3]) for amount, view in views]
        line: dict[str, Any] = {"farneback": name, "clips": len(measured)}
        line["known_pans_within_10_percent"] = round(float((abs(ratios - 1) <= 0.1).mean()), 3)
        line["known_pans_ratio_median"] = round(float(np.median(ratios)), 3)
        for which in ("all", *NAMES):
            pairs = [(motion, values[place]) for clip, motion, values in measured if which in ("all", clip)]
            line[f"rank_correlation_{which}"] = round(rank_correlation(pairs), 4)
        made.append(line)
        print(line, flush=True)
    return made


def rank_correlation(pairs: list[tuple[float, float]]) -> float:
    ranks = np.argsort(np.argsort(np.array(pairs), axis=0), axis=0)
    return float(np.corrcoef(ranks.T)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=200, help="with each fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    half = arguments.clips // 2
    jobs = [(fault, kind, number) for kind in KINDS for fault in FAULTS for number in range(half)]
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    with Pool(2) as pool:
        for fault, kind, scores in pool.imap(partial(measured, seed=arguments.seed), jobs, chunksize=8):
            found[fault, kind].append(scores)
        pairs = pool.map(partial(beside_farneback, seed=arguments.seed), range(arguments.clips))
    result = {
        "clips_with_each_fault": 2 * half,
        "orders": orders(found),
        "flow_beside_known": known_flows(),
        "motion_beside_farneback": farneback_figures(pairs),
    }
    publish(result | made_by, arguments.json)


if __name__ == "__main__":
    main()
