"""Whether text that is planted in clips is found, and how far the scores go with those of rapidocr used alone.

    python -m benchmarks.text_scores --videos clips/ --fonts DejaVuSans.ttf --json benchmarks/results/text_scores.json

Parts of real videos and clips of the synthetic world, each once as it is and once with one to three lines of text:
height 5 to 14 % of the picture's, at random places, in random colours with an outline, in the scripts that `--fonts`
have, standing or moving. AUC: how surely a clip with text has the higher score. Rank correlations are with what is
known of the same clips otherwise: the area that rapidocr's detector marks and the area of what it reads, with its own
settings, on two pictures a second, decoded apart; where text was planted, the area of the boxes around it. Last line:
JSON.
"""

from __future__ import annotations

import argparse
import functools
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.provenance import provenance, publish
from framescribe import Clip, Dataset, score
from framescribe.synthetic.batches import make_clip
from framescribe.synthetic.render import render
from framescribe.video.encode import write_mp4

FPS, FRAMES = 4, 8
SCORES = "text_area_share", "read_text_area_share", "detected_text_area_share"
LINES = {
    "Latin": ("SUBSCRIBE NOW", "This is what happened next", "© 2024 Channel Seven", "Breaking news: 12:45"),
    "Cyrillic": ("Смотрите далее", "Новости дня", "Подписывайтесь на канал"),
    "Greek": ("Δείτε περισσότερα", "Καλημέρα σας"),
    "Chinese": ("点击关注我们", "今天的新闻报道", "字幕由网友提供"),
}


def has_glyphs(font: Path, text: str) -> bool:
    drawn = ImageFont.truetype(str(font), 24)
    missing = drawn.getmask("\uffff").getbbox(), bytes(drawn.getmask("\uffff"))
    return all(
        (drawn.getmask(sign).getbbox(), bytes(drawn.getmask(sign))) != missing for sign in text if sign > "~"
    )


def planted(frames: np.ndarray, fonts: list[Path], rng: random.Random) -> tuple[np.ndarray, str, float]:
    """The frames uint8 [T, H, W, 3] with text, its script, and the share of the picture that it takes."""
    height, width = frames.shape[1:3]
    script = rng.choice([name for name in LINES if any(has_glyphs(font, LINES[name][0]) for font in fonts)])
    lines = []
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(LINES[script])
        font = rng.choice([font for font in fonts if has_glyphs(font, text)])
        size = rng.uniform(0.05, 0.14) * height
        while (drawn := ImageFont.truetype(str(font), max(9, round(size)))).getlength(text) > 0.95 * width:
            size, text = size * 0.95, text if size > 12 else text[: len(text) // 2 + 1]
        room = width - drawn.getlength(text), height - 1.4 * size
        place = rng.uniform(0, room[0]), rng.uniform(0, room[1])
        drift = (0, 0) if rng.random() < 0.7 else (rng.uniform(-1, 1) * width / 40, 0)
        colour = tuple(rng.choice([(255, 255, 255), (255, 230, 0), (0, 0, 0), (255, 60, 60)]))
        lines.append((text, drawn, place, drift, colour))
    result, shares = [], []
    for number, frame in enumerate(frames):
        picture, taken = Image.fromarray(frame), Image.new("1", (width, height))
        for text, drawn, (x, y), (dx, dy), colour in lines:
            outline = (255, 255, 255) if colour == (0, 0, 0) else (0, 0, 0)
            at = x + dx * number, y + dy * number
            ImageDraw.Draw(picture).text(
                at, text, colour, drawn, stroke_width=max(1, drawn.size // 14), stroke_fill=outline
            )
            ImageDraw.Draw(taken).rectangle(ImageDraw.Draw(picture).textbbox(at, text, drawn), fill=1)
        result.append(np.asarray(picture))
        shares.append(float(np.asarray(taken).mean()))
    return np.stack(result), script, float(np.mean(shares))


def films(count: int, seed: int, videos: Path) -> list[np.ndarray]:
    """Half of the real videos' parts, half of the synthetic world: uint8 [T, H, W, 3]."""
    rng = random.Random(seed)
    sources = []
    for path in sorted(videos.glob("*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        if len(frames) > 2 * FRAMES and max(frames[0].shape) >= 320:  # test charts show their own clock
            sources.append(np.stack(frames))
    found = []
    for number in range(count):
        if number % 2:
            clip = make_clip(f"text/{seed}/{number}")
            found.append(
                render([clip], [1 + at / FPS for at in range(FRAMES)])[0].numpy().transpose(0, 2, 3, 1)
            )
        else:
            frames = rng.choice(sources)
            start = rng.randrange(len(frames) - 2 * FRAMES)
            height, width = (rng.randrange(side // 3, side // 2) * 2 for side in frames.shape[1:3])
            top, left = (
                rng.randrange(side - part + 1)
                for side, part in zip(frames.shape[1:3], (height, width), strict=True)
            )
            found.append(frames[start : start + 2 * FRAMES : 2, top : top + height, left : left + width])
    return found


def areas_by_rapidocr(path: Path) -> tuple[float, float]:
    """The mean share of the picture that rapidocr marks, and that it reads, with its own settings."""
    ocr = rapidocr_alone()
    shares = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % (FPS // 2) == 0:
                picture = frame.to_ndarray(format="bgr24")
                results = ocr(picture, use_det=True, use_cls=False, use_rec=False), ocr(picture, use_rec=True)
                shares.append([painted(result.boxes, frame.width, frame.height) for result in results])
    marked, read = np.mean(shares, 0)
    return float(marked), float(read)


def painted(boxes: np.ndarray | None, width: int, height: int) -> float:
    mask = Image.new("1", (width, height))
    for box in () if boxes is None else boxes:
        ImageDraw.Draw(mask).polygon([tuple(map(float, corner)) for corner in box], fill=1)
    return float(np.asarray(mask).mean())


@functools.cache
def rapidocr_alone() -> Callable[[np.ndarray], Any]:
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "critical"})


def auc(with_text: np.ndarray, without: np.ndarray) -> float:
    higher = (with_text[:, None] > without).mean()
    return float(higher + (with_text[:, None] == without).mean() / 2)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    def ranks(values: np.ndarray) -> np.ndarray:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--compared", type=int, default=60, help="clips of each kind that rapidocr reads too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, nargs="+", required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measured(arguments, Path(scratch))
    publish(figures | made_by, arguments.json)


def measured(arguments: argparse.Namespace, scratch: Path) -> dict[str, object]:
    rng = random.Random(arguments.seed)
    folder = scratch / "clips"
    folder.mkdir()
    paths: dict[str, list[Path]] = {"plain": [], "text": []}
    scripts, planted_areas = [], []
    for number, frames in enumerate(films(arguments.clips, arguments.seed, arguments.videos)):
        with_text, script, area = planted(frames, arguments.fonts, rng)
        scripts.append(script)
        planted_areas.append(area)
        for kind, each in (("plain", frames), ("text", with_text)):
            paths[kind].append(folder / f"{kind}-{number:04}.mp4")
            write_mp4(paths[kind][-1], each.transpose(0, 3, 1, 2), FPS)
    summary = score(folder, scratch / "scored", scores=["text"], progress=False)
    rows = {row["clip_id"]: row for row in Dataset.scored(scratch / "scored").rows()}
    values = {
        (kind, name): np.array([rows[Clip(str(path)).id][name] for path in paths[kind]], float)
        for kind in paths
        for name in SCORES
    }
    kinds = {"real": slice(0, None, 2), "synthetic": slice(1, None, 2), "all": slice(None)}
    plain, texts = values["plain", SCORES[0]], values["text", SCORES[0]]
    return {
        "seed": arguments.seed,
        "clips_of_each_kind": arguments.clips,
        "seconds": summary.seconds,
        "auc": {
            name: {
                kind: auc(values["text", name][part], values["plain", name][part])
                for kind, part in kinds.items()
            }
            for name in SCORES
        },
        "auc_by_script": {
            script: auc(texts[np.array(scripts) == script], plain) for script in sorted(set(scripts))
        },
        "rank_correlation_with_planted_area": {
            name: {
                kind: rank_correlation(values["text", name][part], np.array(planted_areas)[part])
                for kind, part in kinds.items()
            }
            for name in SCORES
        },
        "rank_correlation_with_rapidocr": beside_rapidocr(values, paths, arguments.compared),
    }


def beside_rapidocr(
    values: dict[tuple[str, str], np.ndarray], paths: dict[str, list[Path]], count: int
) -> dict[str, object]:
    """Of the first ``count`` clips of each kind."""
    compared = [*paths["plain"][:count], *paths["text"][:count]]
    alone = np.array([areas_by_rapidocr(path) for path in compared])
    number = np.arange(len(compared))
    is_real, has_text = number % len(compared[:count]) % 2 == 0, number >= len(compared[:count])
    parts = {"all": number >= 0, "real": is_real, "with text": has_text, "real with text": is_real & has_text}
    return {"clips_of_each_kind": count} | {
        f"{name} and what rapidocr {what}": {
            kind: rank_correlation(
                np.concatenate([values[each, name][:count] for each in ("plain", "text")])[part],
                alone[part, column],
            )
            for kind, part in parts.items()
        }
        for name in SCORES
        for column, what in enumerate(("detects", "reads"))
    }


if __name__ == "__main__":
    main()
