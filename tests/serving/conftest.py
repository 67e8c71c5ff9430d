from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.serving.settings import ServerSettings
from framescribe.synthetic.files import file_clips, write_clips
from framescribe.task import DecodeLimits
from tests.serving.served import Served, serving


@pytest.fixture(scope="session")
def tiny() -> Captioner:
    """The bundled model, whose captions are text."""
    return Captioner.from_pretrained("tiny", device="cpu", batch_size=8)


@pytest.fixture(scope="session")
def endless(tiny: Captioner) -> Captioner:
    """The same, but that no answer ends before its limit of tokens."""
    checkpoint = replace(tiny.checkpoint, stop_ids=frozenset())
    return Captioner(tiny.engine.model, checkpoint, tiny.precision, batch_size=8)


@pytest.fixture(scope="session")
def served(tiny: Captioner) -> Iterator[Served]:
    with serving(tiny, ServerSettings(limits=DecodeLimits(timeout_s=240))) as served:
        yield served


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of the generated world."""
    return next(write_clips(file_clips(1, 5), tmp_path_factory.mktemp("clips")))


@pytest.fixture(scope="session")
def row(tiny: Captioner, clip: Path) -> CaptionRow:
    """What ``caption`` makes of the clip."""
    return next(tiny.caption(clip))
