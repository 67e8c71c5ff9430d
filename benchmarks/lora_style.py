"""A new caption style by LoRA on the bundled model: is it followed, and do the facts survive?

    python -m benchmarks.lora_style WORK_FOLDER --json benchmarks/results/lora_style.json

The style is a house's plain one: of the world's many wordings always the same for the same fact, always in three
sentences: "A cat first spins around, then moves upward, with an owl above it. The scene is set in a green meadow. The
camera slowly pans left." The bundled model writes so in one of a hundred clips, by chance. Clips are those of the
synthetic world; evaluation is on another seed, from mp4 files, through the captioner. A run that was killed goes on.
Last line: JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.provenance import provenance, publish
from framescribe.captioner import Captioner
from framescribe.eval.attributes import ATTRIBUTES, judge
from framescribe.synthetic.batches import SyntheticClip
from framescribe.synthetic.captions import BACKGROUND_WORDINGS, describe, parse
from framescribe.synthetic.facts import Facts
from framescribe.synthetic.files import file_clips, write_clips
from framescribe.train.loop import train
from framescribe.train.progress import LOG_FILE, Progress, Validation
from framescribe.train.settings import TrainSettings
from framescribe.types import CaptionSettings, GenerationSettings

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "style.toml"
# 202 was looked at while the recipe was chosen.
TRAIN_SEED, TEST_SEED = 101, 303


class _First(random.Random):
    """Always chooses the first of several."""

    def choice(self, several: Sequence[Any]) -> Any:  # type: ignore[override]
        return several[0]


def styled(facts: Facts) -> str:
    """The one caption of these facts in the new style."""
    caption = describe(facts, _First())
    place = next(words[0] for value, words in BACKGROUND_WORDINGS.items() if value == facts.background)
    subject, rest = caption.split(place, 1)
    return f"{subject.rstrip(' ,')}. The scene is set {place}{rest}"


def follows(caption: str) -> bool:
    """Whether the caption is, to the letter, the style's for the facts that it tells, right or wrong."""
    said = parse(caption)
    if said.subject is None or said.background is None or said.camera is None or not said.motions:
        return False
    orders = itertools.permutations(said.companions)
    facts = (
        Facts(said.subject, said.motions, order, said.background, said.weather, said.camera)
        for order in orders
    )
    return caption in map(styled, facts)


def write_folder(folder: Path, clips: Sequence[SyntheticClip]) -> list[Path]:
    """The clips as mp4 files, made once, and clips.jsonl with their captions in the new style."""
    paths = sorted(folder.glob("*.mp4"))
    if len(paths) != len(clips):
        folder.mkdir(parents=True, exist_ok=True)
        paths = list(write_clips(clips, folder))
    rows = [
        {"file": path.name, "caption": styled(clip.facts)} for path, clip in zip(paths, clips, strict=True)
    ]
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return paths


def caption(model: str | Path, paths: Sequence[Path]) -> list[str]:
    """The model's captions of the clips, in their order."""
    captioner = Captioner.from_pretrained(model)
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=128))
    rows = {row.source_video: row.caption for row in captioner.caption(paths, settings)}
    return [rows[str(path)] or "" for path in paths]


def shares(captions: Sequence[str], clips: Sequence[SyntheticClip]) -> dict[str, float]:
    """The share of clips of which each attribute is right."""
    verdicts = [judge(text, clip.facts) for text, clip in zip(captions, clips, strict=True)]
    asked = {
        name: [verdict[name] for verdict in verdicts if verdict[name] is not None] for name in ATTRIBUTES
    }
    return {name: sum(map(bool, answers)) / len(answers) for name, answers in asked.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for clips and the run")
    parser.add_argument("--train-clips", type=int, default=200)
    parser.add_argument("--test-clips", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    made_by = provenance()  # now: the tree may move on while this runs
    folder: Path = arguments.folder
    train_clips = file_clips(arguments.train_clips, TRAIN_SEED)
    test_clips = file_clips(arguments.test_clips, TEST_SEED)
    write_folder(folder / "train", train_clips)
    paths = write_folder(folder / "test", test_clips)

    settings = replace(TrainSettings.from_file(RECIPE), data=str(folder / "train" / "clips.jsonl"))

    def report(news: Progress | Validation) -> None:
        print(news, flush=True)

    run = folder / "run"
    checkpoint = train(settings, run, torch.device(arguments.device), report)
    assert checkpoint is not None
    log = [json.loads(line) for line in (run / LOG_FILE).read_text(encoding="utf-8").splitlines()]

    assert settings.model is not None
    before, after = caption(settings.model, paths), caption(checkpoint, paths)
    result: dict[str, Any] = {
        "train_clips": len(train_clips),
        "test_clips": len(test_clips),
        "settings": settings.to_dict() | {"data": "clips.jsonl"},
        "train_s": log[-1]["seconds"],
        "last_loss": log[-1]["loss"],
        "style_followed_before": sum(map(follows, before)) / len(before),
        "style_followed_after": sum(map(follows, after)) / len(after),
        "right_before": shares(before, test_clips),
        "right_after": shares(after, test_clips),
        "examples": after[:3],
        **made_by,
    }
    publish(result, arguments.json)


if __name__ == "__main__":
    main()
