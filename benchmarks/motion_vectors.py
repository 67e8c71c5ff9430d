"""The motion-vector scores beside NVIDIA's published recipe, computed apart pixel by pixel, and beside dense flow.

    python -m benchmarks.motion_vectors --videos clips/ --json benchmarks/results/motion_vectors.json

Parts of real videos are coded as H.264 by x264 at its own settings: frozen, slowed, as they are, sped up, each with a
still and a moving cut, so that movement varies. The recipe takes every round(fps / 2)-th frame's vectors, fills each
block's pixels with the vector, a later one over an earlier one, divides lengths by width plus height and takes the mean
over pixels and frames that have vectors, and over frames at the middle of each patch of 256 pixels. Last line: JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags2

from benchmarks.provenance import provenance, publish
from benchmarks.text_scores import rank_correlation
from framescribe import Clip, Dataset, score

NAMES = ("motion_vector_mean", "motion_vector_patch_min", "motion")
FPS = 24


def recipe(path: Path) -> tuple[float, float]:
    """Global mean and least patch by a painting of single pixels."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.flags2 |= Flags2.export_mvs
        step = max(1, round(float(stream.average_rate) / 2))
        painted = []
        for number, frame in enumerate(container.decode(stream)):
            vectors = next((data for data in frame.side_data if data.type.name == "MOTION_VECTORS"), None)
            if number % step or vectors is None:
                continue
            length = np.zeros((frame.height, frame.width))
            for vector in vectors.to_ndarray():
                moved = np.hypot(int(vector["motion_x"]), int(vector["motion_y"])) / int(
                    vector["motion_scale"]
                )
                x, y, w, h = (int(vector[name]) for name in ("dst_x", "dst_y", "w", "h"))
                length[max(0, y - h // 2) : y + h // 2, max(0, x - w // 2) : x + w // 2] = moved
            painted.append(length / (frame.width + frame.height))
    mean = np.mean(painted, axis=0)
    height, width = mean.shape
    middles = [
        mean[min(y, height - 2) : min(y, height - 2) + 2, min(x, width - 2) : min(x, width - 2) + 2].mean()
        for y in range(127, 256 * round(height / 256), 256)
        for x in range(127, 256 * round(width / 256), 256)
    ]
    return float(mean.mean()), float(min(middles))


def write(path: Path, pictures: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))


def parts(videos: Path, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """3 s each."""
    found = []
    for path in sorted(videos.glob("*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        if len(frames) < 24 or max(frames[0].shape) < 320:
            continue
        for rate in (0, 0.25, 0.5, 1, 2):  # source frames for each that is shown, at a third of the rate
            for pan in (0, 0.5, 3):
                start = rng.integers(0, max(1, len(frames) - round(24 * rate) - 1))
                height, width = (side // 4 * 3 // 2 * 2 for side in frames[0].shape[:2])
                shown = []
                for number in range(3 * FPS):
                    frame = frames[min(len(frames) - 1, start + int(number * rate / 3))]
                    left = round(min(pan * number, frame.shape[1] - width))
                    shown.append(frame[:height, left : left + width])
                found.append(shown)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as temporary:
        folder, scored = Path(temporary) / "clips", Path(temporary) / "scored"
        folder.mkdir()
        paths = []
        for number, pictures in enumerate(parts(arguments.videos, np.random.default_rng(arguments.seed))):
            paths.append(folder / f"{number:03}.mp4")
            write(paths[-1], pictures)
        score(folder, scored, scores=["motion", "motion_vectors"], progress=False)
        rows = {row["clip_id"]: row for row in Dataset.scored(scored).rows()}
        ours = np.array([[rows[Clip(str(path)).id][name] for name in NAMES] for path in paths], float)
        alone = np.array([recipe(path) for path in paths])
    figures = {
        "clips": len(paths),
        "rank_correlation_of_mean": rank_correlation(ours[:, 0], alone[:, 0]),
        "rank_correlation_of_least_patch": rank_correlation(ours[:, 1], alone[:, 1]),
        "largest_relative_difference_of_mean": float(
            np.max(np.abs(ours[:, 0] / np.maximum(alone[:, 0], 1e-9) - 1))
        ),
        "rank_correlation_of_vectors_with_dense_flow": rank_correlation(ours[:, 0], ours[:, 2]),
        "same_side_of_0.00098": float(((ours[:, 0] >= 0.00098) == (alone[:, 0] >= 0.00098)).mean()),
    }
    publish(figures | made_by, arguments.json)


if __name__ == "__main__":
    main()
