"""What phases take at once and how large the cache is, as numbers: the engine's page promises them."""

from types import SimpleNamespace

import pytest
import torch

from framescribe.engine import memory, scheduler
from framescribe.engine.kv_cache import BLOCK_SIZE
from framescribe.engine.memory import phase_limits, plan_cache
from framescribe.engine.scheduler import Limits
from framescribe.errors import UsageError
from framescribe.model.config import ModelConfig
from tests.reference import CPU, OFFICIAL

CONFIG = ModelConfig.from_dict(OFFICIAL["config"])
CUDA = torch.device("cuda")
GB = 10**9


def plan(
    device: torch.device, free: int, monkeypatch, probe=lambda *_: 0, max_batch: int = 8, reserved: int = 0
):
    """Blocks and limits for the official sizes in bf16, where so many bytes are free."""
    monkeypatch.setattr(memory, "probe_phases", probe)
    monkeypatch.setattr(memory, "available_bytes", lambda _: free)
    properties = SimpleNamespace(total_memory=80 * GB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    model = SimpleNamespace(device=device, config=CONFIG)
    return plan_cache(model, phase_limits(device, max_batch), torch.bfloat16, reserved)


def test_promised_numbers():
    assert BLOCK_SIZE == 64
    assert scheduler._RECOVERY_PHASES == 1000
    assert phase_limits(CUDA, 9) == Limits(frames=120, tokens=8192, batch=9, patience=16)
    assert phase_limits(CPU, 9) == Limits(frames=24, tokens=4096, batch=9, patience=0)


def test_a_computer_leaves_half_of_its_memory_to_others(monkeypatch):
    # A token takes 128 KiB: keys and values of 32 layers, 8 heads and 128 elements in two bytes each.
    assert plan(CPU, 4 * GB, monkeypatch)[0] == 2 * GB // (64 * 128 * 1024)


def test_no_sequence_needs_more_than_its_context(monkeypatch):
    assert plan(CPU, 4000 * GB, monkeypatch, max_batch=3)[0] == 3 * 8192 // 64


def test_a_gpu_keeps_what_its_phases_take_and_a_twelfth_free(monkeypatch):
    blocks, limits = plan(CUDA, 20 * GB, monkeypatch, probe=lambda *_: 5 * GB, max_batch=100)
    assert blocks == (20 - 5 - 6.4) * GB // (64 * 128 * 1024)
    assert limits == phase_limits(CUDA, 100)


def test_what_decodes_videos_has_its_memory_too(monkeypatch):
    blocks, _ = plan(CUDA, 40 * GB, monkeypatch, max_batch=100, reserved=6 * GB)
    assert blocks == (40 - 6.4 - 6) * GB // (64 * 128 * 1024)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_no_memory_for_a_cache_is_said(device, monkeypatch):
    with pytest.raises(UsageError, match="no memory left for a KV cache"):
        plan(device, 10**6, monkeypatch)
