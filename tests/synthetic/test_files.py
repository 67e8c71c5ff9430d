"""`framescribe synthesize`, and that its files look like the frames that training sees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from framescribe.synthetic.batches import SEEN_TIMES_S, make_clips
from framescribe.synthetic.captions import parse
from framescribe.synthetic.files import file_clips
from framescribe.synthetic.render import render
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames
from tests.cli.run import invoke


def run(*arguments: object) -> int:
    return invoke("synthesize", *arguments).exit_code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "out"
    assert run(3, folder, "--seed", 5) == 0
    return folder


def listed(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]


def test_files_captions_and_facts(folder: Path) -> None:
    rows = listed(folder)
    assert [row["file"] for row in rows] == ["000.mp4", "001.mp4", "002.mp4"]
    for row, clip in zip(rows, file_clips(3, 5), strict=True):
        assert row["caption"] == clip.caption
        assert row["facts"] == json.loads(json.dumps(clip.facts.to_dict()))
        assert row["held_out"] is False
        assert parse(clip.caption).subject == clip.facts.subject
        assert (folder / str(row["file"])).with_suffix(".txt").read_text() == clip.caption + "\n"


def test_the_chat_strategy_sees_the_frames_that_training_sees(folder: Path) -> None:
    (clip,) = file_clips(1, 5)
    frames = decode_frames(Clip(str(folder / "000.mp4")), FrameSampling("chat"))
    assert frames.timestamps_s == SEEN_TIMES_S
    expected = render([clip], SEEN_TIMES_S)[0].numpy()
    assert np.abs(frames.pixels.astype(int) - expected).mean() < 4


def test_the_same_seed_gives_the_same_clips(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert run(2, again, "--seed", 5) == 0
    assert listed(again) == listed(folder)[:2]
    assert (again / "001.txt").read_bytes() == (folder / "001.txt").read_bytes()
    # x264 itself is not the same to the bit in every run (its lookahead, on processors with AVX-512).
    first, second = (
        decode_frames(Clip(str(where / "000.mp4")), FrameSampling("chat")).pixels.astype(int)
        for where in (folder, again)
    )
    assert np.abs(first - second).mean() < 3


def test_held_out_clips_are_marked(tmp_path: Path) -> None:
    assert run(1, tmp_path, "--held-out") == 0
    assert [row["held_out"] for row in listed(tmp_path)] == [True]


def test_a_folder_in_use_is_refused_unless_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    assert run(1, tmp_path) == 2
    assert run(2, tmp_path, "--overwrite") == 0
    assert run(1, tmp_path, "--overwrite") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000.mp4", "000.txt", "captions.jsonl", "notes.md"
    ]  # fmt: skip


def test_files_are_never_training_clips() -> None:
    trained = {clip.staging for clip in make_clips(5, 0, 50)}
    assert not trained & {clip.staging for clip in file_clips(50, 5)}
