"""Whether text that is planted in clips is found, and how far the scores go with those of rapidocr used alone.

    python -m benchmarks.text_scores --videos clips/ --fonts DejaVuSans.ttf --json benchmarks/results/text_scores.json

Parts of real videos and clips of the synthetic world, each once as it is and once with one to three lines of text:
height 5 to 14 % of the picture's, at random places, in random colours with an outline, in the scripts that `--fonts`
have, standing or moving. AUC: how surely a clip with text has the higher score. The rank correlation is that of the
area share with the one that rapidocr gives with its own settings, reading included, on two pictures a second, decoded
apart. Last line: JSON.
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


def planted(frames: np.ndarray, fonts: list[Path], rng: random.Random) -> tuple[np.ndarray, str]:
    """The frames uint8 [T, H, W, 3] with text, and its script."""
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
    result = []
    for number, frame in enumerate(frames):
        picture = Image.fromarray(frame)
        for text, drawn, (x, y), (dx, dy), colour in lines:
            outline = (255, 255, 255) if colour == (0, 0, 0) else (0, 0, 0)
            at = x + dx * number, y + dy * number
            ImageDraw.Draw(picture).text(
                at, text, colour, drawn, stroke_width=max(1, drawn.size // 14), stroke_fill=outline
            )
        result.append(np.asarray(picture))
    return np.stack(result), script


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


def area_by_rapidocr(path: Path) -> float:
    """The mean share of the picture that rapidocr's boxes cover, with its own settings."""
    ocr = rapidocr_alone()
    shares = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % (FPS // 2) == 0:
                result = ocr(frame.to_ndarray(format="bgr24"))
                mask = Image.new("1", (frame.width, frame.height))
                for box in () if result.boxes is None else result.boxes:
                    ImageDraw.Draw(mask).polygon([tuple(map(float, corner)) for corner in box], fill=1)
                shares.append(float(np.asarray(mask).mean()))
    return float(np.mean(shares))


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
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clips"
        folder.mkdir()
        paths: dict[str, list[Path]] = {"plain": [], "text": []}
        scripts = []
        for number, frames in enumerate(films(arguments.clips, arguments.seed, arguments.videos)):
            with_text, script = planted(frames, arguments.fonts, rng)
            scripts.append(script)
            for kind, each in (("plain", frames), ("text", with_text)):
                paths[kind].append(folder / f"{kind}-{number:04}.mp4")
                write_mp4(paths[kind][-1], each.transpose(0, 3, 1, 2), FPS)
        summary = score(folder, Path(temporary) / "scored", scorers=["text"], progress=False)
        rows = {row["clip_id"]: row for row in Dataset.scored(Path(temporary) / "scored").rows()}
        values = {
            (kind, name): np.array([rows[Clip(str(path)).id][name] for path in paths[kind]], float)
            for kind in paths
            for name in ("text_area_share", "read_text_area_share", "text_persistence")
        }
        compared = [*paths["plain"][: arguments.compared], *paths["text"][: arguments.compared]]
        alone = np.array([area_by_rapidocr(path) for path in compared])
        ours = {
            name: np.concatenate([values[kind, name][: arguments.compared] for kind in ("plain", "text")])
            for name in ("text_area_share", "read_text_area_share")
        }
    texts, plain = values["text", "text_area_share"], values["plain", "text_area_share"]
    kinds = {"real": slice(0, None, 2), "synthetic": slice(1, None, 2), "all": slice(None)}
    figures: dict[str, object] = {
        "seed": arguments.seed, "clips_of_each_kind": arguments.clips, "seconds": summary.seconds,
        "auc": {
            name: {kind: auc(values["text", name][part], values["plain", name][part]) for kind, part in kinds.items()}
            for name in ("text_area_share", "read_text_area_share")
        },
        "auc_by_script": {
            script: auc(texts[np.array(scripts) == script], plain)
            for script in sorted(set(scripts))
        },
        "rank_correlation_with_rapidocr": {name: rank_correlation(each, alone) for name, each in ours.items()},
        "rank_correlation_where_text": {
            name: rank_correlation(each[len(each) // 2 :], alone[len(alone) // 2 :]) for name, each in ours.items()
        },
        "rank_correlation_on_real": {name: rank_correlation(each[::2], alone[::2]) for name, each in ours.items()},
    }  # fmt: skip
    publish(figures | made_by, arguments.json)


if __name__ == "__main__":
    main()
