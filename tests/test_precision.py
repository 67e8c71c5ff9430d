"""Memory: what is foreseen is what is taken, and a refusal's advice is right."""

import json
import re
import resource
import shutil
import sys

import psutil
import pytest
import torch

from framescribe.captioner import Captioner
from framescribe.dataset.dataset import Dataset
from framescribe.engine.model_runner import ModelRunner
from framescribe.errors import UsageError
from framescribe.model import precision
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.free_memory import host_free_bytes
from framescribe.model.precision import (
    Precision,
    available_bytes,
    check_memory,
    choose_batch,
    choose_precision,
    clip_bytes,
    weight_bytes,
)
from framescribe.model_spec import ModelSpec
from tests.cli.run import invoke
from tests.reference import CLIPS, CPU, ODD_SIZES, OFFICIAL, TINY, changed_sizes


def chosen(device, dtype="auto", quant=None):
    return choose_precision(ModelSpec(device=device, dtype=dtype, quant=quant))


OFFICIAL_CONFIG = ModelConfig.from_dict(OFFICIAL["config"])


@pytest.mark.parametrize("dtype_name", ["fp32", "fp16", "bf16"])
def test_foreseen_bytes_are_the_allocated_ones(dtype_name):
    config = ModelConfig.from_dict(ODD_SIZES)
    model = random_model(config, CPU, Precision(CPU, dtype_name).dtype, seed=0)
    assert weight_bytes(config, Precision(CPU, dtype_name)) == sum(p.nbytes for p in model.parameters())


def test_official_weights_take_what_the_published_files_do():
    files = sum(shard["bytes"] for shard in OFFICIAL["shards"])
    assert weight_bytes(OFFICIAL_CONFIG, Precision(CPU, "bf16")) == pytest.approx(files, rel=1e-4)
    # Measured on an H100: 13.7 and 8.2 GB.
    assert weight_bytes(OFFICIAL_CONFIG, Precision(CPU, "bf16", "int8")) < 14e9
    assert weight_bytes(OFFICIAL_CONFIG, Precision(CPU, "bf16", "nf4")) < 9e9


FREE_BYTES = 20 * 10**9


def _sizes_that_need(share: float) -> ModelConfig:
    """Official sizes but for the decoder's MLPs: fp32 weights that take this share of ``FREE_BYTES``."""

    def sized(blocks: int) -> ModelConfig:
        return ModelConfig.from_dict(
            changed_sizes(lambda c: c.update(intermediate_size=256 * blocks), OFFICIAL["config"])
        )

    one, two = (weight_bytes(sized(blocks), Precision(CPU, "fp32")) for blocks in (1, 2))
    return sized(max(1, round((share * FREE_BYTES - one) / (two - one)) + 1))


FLAGS = {"`dtype=bf16`": ("bf16", None), "`quant=8`": ("fp32", "int8"), "`quant=4`": ("fp32", "int4")}


@pytest.mark.parametrize("share", [1.3, 2.2, 4.0])
def test_the_option_that_is_advised_fits(share, monkeypatch):
    # What is free changes with whatever else the machine does, between the advice and following it too.
    monkeypatch.setattr(precision, "available_bytes", lambda _: FREE_BYTES)
    config = _sizes_that_need(share)
    with pytest.raises(ValueError, match="not enough memory") as refusal:
        check_memory(config, Precision(CPU, "fp32"))
    message = str(refusal.value)
    (needed, weights, free) = re.search(
        r"needs ([\d.]+) GB \(([\d.]+) of it weights\), ([\d.]+) GB free", message.replace(" GB of", " of")
    ).groups()
    assert float(needed) > float(weights)
    assert float(needed) > float(free)
    assert float(weights) * 1e9 == pytest.approx(weight_bytes(config, Precision(CPU, "fp32")), rel=0.01)
    if "No setting would fit" in message:
        for dtype_name, quant in FLAGS.values():
            with pytest.raises(ValueError, match="not enough memory"):
                check_memory(config, Precision(CPU, dtype_name, quant))
        return
    flag = next(flag for flag in FLAGS if f"{flag} would fit" in message)
    assert "needs" in check_memory(config, Precision(CPU, *FLAGS[flag]))


HUGE = changed_sizes(lambda c: c.update(num_hidden_layers=1, intermediate_size=10**8), OFFICIAL["config"])


def test_what_no_setting_fits_is_said():
    config = ModelConfig.from_dict(HUGE)
    with pytest.raises(ValueError, match="No setting would fit"):
        check_memory(config, Precision(CPU, "fp32"))


def test_from_pretrained_refuses_before_it_reads_weights(tmp_path):
    """The folder has no weights: only the config can have been read when the memory is found too small."""
    (tmp_path / "config.json").write_text(json.dumps(HUGE))
    shutil.copy(TINY / "tokenizer.json", tmp_path)
    with pytest.raises(ValueError, match="not enough memory"):
        Captioner.from_pretrained(tmp_path, device="cpu")


def test_tiny_model_says_need_and_supply():
    line = check_memory(ModelConfig.from_dict(ODD_SIZES), Precision(CPU, "fp32"))
    assert re.fullmatch(r"fp32 on cpu: needs \d+ MB \(\d+ MB of it weights\), [\d.]+ GB free", line)


def test_a_clip_needs_its_cache_and_its_widest_activations():
    """3,670 tokens of 128 KiB in bf16; two MLPs over 3,670 tokens, twice 14,336 wide."""
    config = ModelConfig.from_dict(OFFICIAL["config"])
    assert clip_bytes(config, Precision(CPU, "bf16")) == 3670 * 128 * 1024 + 2 * 2 * 3670 * 14336 * 2
    assert clip_bytes(config, Precision(CPU, "fp32")) == 2 * clip_bytes(config, Precision(CPU, "bf16"))


def test_batch_is_at_least_one_and_bounded():
    assert choose_batch(ModelConfig.from_dict(ODD_SIZES), Precision(CPU, "fp32")) == 8
    assert choose_batch(ModelConfig.from_dict(HUGE), Precision(CPU, "fp32")) == 1


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda:99", "device cuda:99 is not there"),
        ("toaster", "unknown `device` 'toaster'"),
        ("", "unknown `device` ''"),
        ("meta", "unknown `device` 'meta'"),
        ("cuda:-1", "unknown `device` 'cuda:-1'"),
    ],
)
def test_devices_that_are_not_there(device, said):
    with pytest.raises(ValueError, match=said):
        chosen(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_where_there_is_none():
    with pytest.raises(ValueError, match="torch sees 0 CUDA devices"):
        chosen("cuda")
    assert chosen("auto") == Precision(CPU, "fp32")


@pytest.mark.gpu
def test_auto_takes_the_gpu(cuda):
    assert chosen("auto").device.type == "cuda"
    assert chosen("auto").dtype_name == "bf16"


@pytest.mark.parametrize(
    ("dtype", "quant"), [("int8", None), ("float8", None), ("auto", 2), ("auto", 16), ("auto", "int8")]
)
def test_unknown_precision(dtype, quant):
    with pytest.raises(ValueError, match=r"unknown `dtype`|`quant` takes 8, 4, fp8 or fp8-kv"):
        chosen("cpu", dtype, quant)


@pytest.mark.parametrize(("flag", "quant"), [(8, "int8"), ("8", "int8"), ("4", "int4"), (None, None)])
def test_quant_is_spelt_as_a_number_or_text(flag, quant):
    assert chosen("cpu", "fp32", flag) == Precision(CPU, "fp32", quant)


def test_fp8_is_refused_where_it_cannot_be_computed(monkeypatch):
    with pytest.raises(ValueError, match=r"needs a CUDA GPU .* not cpu; use `quant=8`"):
        chosen("cpu", "bf16", "fp8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    with pytest.raises(ValueError, match=r"8\.9 .*; NVIDIA A100 has 8\.0; use `quant=8`"):
        chosen("cuda", "bf16", "fp8")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert str(chosen("cuda", "bf16", "fp8")) == "bf16-fp8"
    assert chosen("cuda", "bf16", "fp8").kv_dtype == torch.bfloat16
    assert str(chosen("cuda", "bf16", "fp8-kv")) == "bf16-fp8-kv"
    assert chosen("cuda", "bf16", "fp8-kv").kv_dtype == torch.float8_e4m3fn
    with pytest.raises(ValueError, match="`dtype=bf16`, not fp16"):
        chosen("cuda", "fp16", "fp8")


GIB = 1 << 30


def groups(root, files: dict[str, str]):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": f"{GIB}",
          "sys/fs/cgroup/a/b/memory.current": f"{GIB // 4}"}, 3 * GIB // 4),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/memory.max": f"{GIB}",
          "sys/fs/cgroup/a/b/memory.current": "5", "sys/fs/cgroup/a/memory.current": f"{GIB // 2}"}, GIB // 2),
        ({"proc/self/cgroup": "0::/seen/from/outside", "sys/fs/cgroup/memory.max": f"{GIB}",
          "sys/fs/cgroup/memory.current": f"{GIB}", "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {GIB // 8}"},
         GIB // 8),
        ({"proc/self/cgroup": "12:cpu:/x\n4:memory:/job\n0::/", "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "0",
          "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{GIB // 2}"}, GIB // 2),
        ({"proc/self/cgroup": "4:cpu,memory:/job", "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB // 4}",
          "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}"}, 0),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": f"{1 << 60}",
          "sys/fs/cgroup/memory.current": "0"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_least_of_what_machine_and_groups_leave_counts(files, free, tmp_path):
    """Files as the kernel's documentation of both versions of control groups describes them."""
    before = psutil.virtual_memory().available
    found = host_free_bytes(groups(tmp_path, files))
    if free is None:  # others on the machine take some and give it back meanwhile
        seen = before, psutil.virtual_memory().available
        assert 0.8 * min(seen) <= found <= 1.25 * max(seen)
    else:
        assert found == free


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say how much of a limit is used")
@pytest.mark.parametrize("limit", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_a_limit_on_the_process_counts(limit):
    before = resource.getrlimit(limit)
    memory = psutil.Process().memory_info()
    used = memory.vms if limit == resource.RLIMIT_AS else memory.data
    try:
        resource.setrlimit(limit, (used + GIB // 2, before[1]))
        assert 0.8 * GIB / 2 < available_bytes(CPU) <= 1.01 * GIB / 2
        with pytest.raises(UsageError, match="not enough memory"):
            check_memory(OFFICIAL_CONFIG, Precision(CPU, "bf16"))
    finally:
        resource.setrlimit(limit, before)


def test_memory_that_runs_out_all_the_same_keeps_the_rows(tmp_path, monkeypatch):
    prefill, calls = ModelRunner.prefill, []

    def narrow(runner, sequences):
        calls.append(1)
        if len(calls) > 2:
            raise MemoryError
        return prefill(runner, sequences)

    monkeypatch.setattr(ModelRunner, "prefill", narrow)
    for number in range(4):
        shutil.copy(CLIPS / "one-frame.mp4", tmp_path / f"{number}.mp4")
    result = invoke(
        "caption", tmp_path, "-o", tmp_path / "out", "--device", "cpu", "--batch-size", "1", "--no-repair"
    )
    assert result.exit_code == 3
    said = " ".join(result.stderr.split())
    assert "memory ran out with one clip at work" in said
    assert "--batch-size" in said
    assert "What was done is kept" in said
    assert len(list(Dataset(tmp_path / "out"))) == 2
