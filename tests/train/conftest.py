"""A small checkpoint to start from and a few tiny clips with captions, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.saving import save_checkpoint
from framescribe.synthetic.batches import make_clips
from framescribe.tokenizer import learn_tokenizer
from framescribe.video.encode import write_mp4
from tests.reference import CPU
from tests.train.small import SIZES


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The small model's work is too little to share; threads would only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


CAPTIONS = [clip.caption for clip in make_clips(3, 0, 6)]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with random weights, in fp32, and a tokenizer learnt from synthetic captions."""
    import torch

    folder = tmp_path_factory.mktemp("small")
    learn_tokenizer(
        [clip.caption for clip in make_clips(0, 0, 300)], SIZES["vocab_size"], folder / "tokenizer"
    )
    model = random_model(ModelConfig.from_dict(SIZES), CPU, torch.float32, seed=1)
    save_checkpoint(model, folder / "checkpoint", folder / "tokenizer")
    return folder / "checkpoint"


@pytest.fixture(scope="session")
def _clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for index, caption in enumerate(CAPTIONS):
        frames = np.random.default_rng(index).integers(0, 256, (1, 3, 4, 4), dtype=np.uint8)
        write_mp4(folder / f"{index}.mp4", frames.repeat(5, 0).repeat(8, 2).repeat(8, 3), fps=2)
        (folder / f"{index}.txt").write_text(caption + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def clips(_clips: Path, tmp_path: Path) -> Path:
    """A folder of six clips of 2 s, 0.mp4 to 5.mp4, each with its caption (``CAPTIONS``); the test's own copy."""
    return Path(shutil.copytree(_clips, tmp_path / "clips"))
