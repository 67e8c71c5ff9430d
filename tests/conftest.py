"""What many tests share: the bundled tiny model, loaded once, and the rule that a GPU run skips nothing."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from framescribe.captioner import Captioner
from framescribe.model.checkpoint import load_model
from framescribe.model.model import CaptionModel
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from tests.browser import browser  # noqa: F401 - a fixture
from tests.reference import CPU, TINY

# Models of tests are so small that threads wait for each other longer than they compute; processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# How fast examples are drawn says how busy the machine is. By default all runs draw the same ones.
settings.register_profile(
    "framescribe", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("search", settings.get_profile("framescribe"), derandomize=False)
settings.load_profile("framescribe")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a GPU, a cluster or minutes may take an hour; the others, as long as pyproject.toml says."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("gpu", "ray", "slow")):
            item.add_marker(pytest.mark.timeout(3600))


_CLOCK = pytest.StashKey[Any]()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    item.stash[_CLOCK] = settings
    _end_process_later(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _end_process_later(item)  # anew, as pytest cancels it where a test fails


def _end_process_later(item: pytest.Item) -> None:
    """What still hangs then, as a thread that is waited for in a ``finally``; xdist starts another process."""
    if settings := item.stash.get(_CLOCK, None):
        faulthandler.dump_traceback_later(2 * settings.timeout, exit=True, file=sys.__stderr__)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that is run again may take as long again: pytest-timeout times the first run alone."""
    if getattr(item, "execution_count", 1) > 1 and (settings := item.stash.get(_CLOCK, None)):
        item.config.hook.pytest_timeout_set_timer(item=item, settings=settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With FRAMESCRIBE_REQUIRE_GPU=1 a test that would be skipped fails: a GPU run must not pass by doing nothing."""
    report: pytest.TestReport = yield  # type: ignore[assignment, misc]
    if report.skipped and os.environ.get("FRAMESCRIBE_REQUIRE_GPU"):
        report.outcome = "failed"
        report.longrepr = f"skipped although FRAMESCRIBE_REQUIRE_GPU is set: {report.longrepr}"
    return report  # type: ignore[return-value]


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device("cuda")


@pytest.fixture(scope="session")
def model() -> CaptionModel:
    """tiny-random in fp32 on the CPU; read only."""
    return load_model(TINY, CPU, torch.float32)


@pytest.fixture(scope="session")
def tokenizer() -> CaptionTokenizer:
    return CaptionTokenizer(TINY)


@pytest.fixture(scope="session")
def prompts(tokenizer: CaptionTokenizer) -> PromptBuilder:
    """Of tiny-random, whose special tokens its config names."""
    return PromptBuilder(
        tokenizer, bos_token_id=509, eos_token_id=510, slot_token_id=511, tokens_per_frame=66
    )


@pytest.fixture(scope="session")
def captioner() -> Captioner:
    return Captioner.from_pretrained("tiny-random", device="cpu", batch_size=3)
