import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from framescribe.captioner import Captioner
from framescribe.model.checkpoint import load_model, read_stop_ids
from framescribe.model.config import ModelConfig
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.layout import official_tensors
from framescribe.model.saving import plan_shards, save_checkpoint
from framescribe.types import CaptionSettings, GenerationSettings
from tests.model.shards import shard_bytes
from tests.reference import CLIPS, CPU, ODD_SIZES, TINY, changed_sizes, write_random_checkpoint

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
NORM = "model.norm.weight"


@pytest.fixture
def folder(tmp_path):
    """A copy of tiny-random to spoil."""
    return shutil.copytree(TINY, tmp_path / "checkpoint")


def weight_map(folder) -> dict[str, str]:
    return json.loads((folder / INDEX).read_text())["weight_map"]


def rewrite(folder, change) -> None:
    """Changes the tensors of the shard that holds the last norm, and the index with them."""
    shard = weight_map(folder)[NORM]
    tensors = load_file(folder / shard)
    change(tensors)
    save_file(tensors, folder / shard)
    others = {name: file for name, file in weight_map(folder).items() if file != shard}
    write_index(folder, others | dict.fromkeys(tensors, shard))


def write_index(folder, names) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))


def refusal(folder) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        load_model(folder, CPU, torch.float32)
    return str(refused.value)


def test_missing_shard_is_named(folder):
    (folder / SECOND).unlink()
    message = refusal(folder)
    assert str(folder) in message
    assert SECOND in message
    assert FIRST not in message


def test_every_missing_unexpected_misshapen_and_integer_tensor_is_listed(folder):
    def spoil(tensors):
        del tensors[NORM], tensors["model.vision.boi"]
        tensors["model.extra"] = torch.zeros(1)
        tensors["model.embed_tokens.weight"] = torch.zeros(512, 63)
        tensors["model.vision.eoi"] = torch.zeros(1, 1, 64, dtype=torch.int32)

    rewrite(folder, spoil)
    message = refusal(folder)
    assert str(folder) in message
    assert f"2 missing: {NORM}, model.vision.boi" in message
    assert "1 unexpected: model.extra" in message
    assert "1 of another shape: model.embed_tokens.weight [512, 63] instead of [512, 64]" in message
    assert "1 not floating point: model.vision.eoi I32" in message


def test_another_config_than_the_weights_is_refused(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 4}))
    assert "missing: model.layers.3." in refusal(folder)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": 5}', '{"weight_map": ["ab"]}', "[" * 100_000,
     '{"weight_map": {"lm_head.weight": null}}'],
)  # fmt: skip
def test_malformed_index_is_named(content, folder):
    (folder / INDEX).write_text(content)
    assert INDEX in refusal(folder) or "missing" in refusal(folder)


@pytest.mark.parametrize(
    "shard", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "model.bin", ".."]
)
def test_index_may_name_only_safetensors_of_its_folder(shard, folder):
    write_index(folder, weight_map(folder) | {NORM: shard})
    assert repr(shard) in refusal(folder)


def test_index_that_disagrees_with_its_shards(folder):
    names = weight_map(folder)
    write_index(folder, names | {NORM: FIRST if names[NORM] == SECOND else SECOND})
    assert NORM in refusal(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 500_000])
def test_truncated_shard_is_named(keep, folder):
    shard = folder / SECOND
    shard.write_bytes(shard.read_bytes()[:keep])
    message = refusal(folder)
    assert str(shard) in message
    assert "not a readable safetensors file" in message


def test_pickle_is_never_read(folder):
    """With safetensors beside it a .bin is ignored; alone it is refused."""
    bomb = "cposix\nsystem\n(S'touch " + str(folder / "exploded") + "'\ntR."
    (folder / "pytorch_model.bin").write_text(bomb)
    load_model(folder, CPU, torch.float32)
    for file in (INDEX, FIRST, SECOND):
        (folder / file).unlink()
    assert "no weights" in refusal(folder)
    assert not (folder / "exploded").exists()


def test_code_in_a_checkpoint_is_never_run(folder):
    for name in ("modeling_cogvlm.py", "configuration_cogvlm.py", "tokenization.py", "conftest.py"):
        (folder / name).write_text(f"open({str(folder / 'ran')!r}, 'w')")
    Captioner.from_pretrained(folder, device="cpu")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("max_shard_bytes", [10_000, 60_000, 10**9])
def test_save_then_load_is_bit_identical(dtype, max_shard_bytes, tmp_path):
    model = write_random_checkpoint(tmp_path, dtype=dtype, max_shard_bytes=max_shard_bytes)
    again = load_model(tmp_path, CPU, dtype)
    saved, loaded = official_tensors(model), official_tensors(again)
    assert saved.keys() == loaded.keys()
    assert all(loaded[name].dtype == dtype and torch.equal(loaded[name], saved[name]) for name in saved)
    shards = plan_shards(saved, max_shard_bytes)
    assert len(shards) > 1 or max_shard_bytes == 10**9
    sizes = {file: shard_bytes({name: saved[name] for name in names}) for file, names in shards.items()}
    assert {path.name: path.stat().st_size for path in tmp_path.glob("*.safetensors")} == sizes
    for names in shards.values():
        assert len(names) == 1 or sum(saved[name].nbytes for name in names) <= max_shard_bytes


def test_tiny_random_survives_a_round_trip_in_names_and_bits(tmp_path):
    save_checkpoint(load_model(TINY, CPU, torch.float32), tmp_path, TINY, max_shard_bytes=1_200_000)

    def all_tensors(folder):
        return {
            name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()
        }

    ours, theirs = all_tensors(tmp_path), all_tensors(TINY)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name].float()) for name in theirs)


@pytest.mark.parametrize("sizes", [(10_000, 10**9), (10**9, 10_000), (10_000, 60_000)])
def test_saving_over_another_checkpoint_leaves_nothing_of_it(sizes, tmp_path):
    """A stale index, or a stale shard, must not win over the new weights."""
    before, after = sizes
    write_random_checkpoint(
        tmp_path, changed_sizes(lambda c: c.update(num_hidden_layers=3)), max_shard_bytes=before
    )
    model = write_random_checkpoint(tmp_path, max_shard_bytes=after)
    loaded = official_tensors(load_model(tmp_path, CPU, torch.float32))
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in official_tensors(model).items())
    held = {path.name for path in tmp_path.glob("*.safetensors*") if path.name != INDEX}
    assert held == set(plan_shards(official_tensors(model), after))


def test_any_sizes_caption(tmp_path):
    write_random_checkpoint(tmp_path)
    captioner = Captioner.from_pretrained(tmp_path, device="cpu")
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=4))
    (row,) = captioner.caption([CLIPS / "short-half-second.mp4"], settings)
    assert row.caption_status == "truncated"
    assert row.output_tokens == 4


def test_loading_to_another_dtype_converts(tmp_path):
    model = write_random_checkpoint(tmp_path)
    expected = {name: tensor.bfloat16() for name, tensor in official_tensors(model).items()}
    loaded = official_tensors(load_model(tmp_path, CPU, torch.bfloat16))
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())


def test_progress_ends_at_the_whole(tmp_path):
    seen = []
    load_model(TINY, CPU, torch.float32, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]


STREAM = """
import sys, torch
from pathlib import Path
from framescribe.model.checkpoint import load_model

def status(key):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(key))

load_model(Path(sys.argv[1]), torch.device("cpu"), torch.float32)  # what any load brings along
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = status("VmRSS")
model = load_model(Path(sys.argv[2]), torch.device("cpu"), torch.float32)
print(status("VmHWM") - before, sum(p.nbytes for p in model.parameters()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_loading_takes_the_model_and_less_than_a_shard(tmp_path):
    def widen(config):
        config.update(hidden_size=768, intermediate_size=3072, num_hidden_layers=6)

    shard = 24_000_000
    write_random_checkpoint(tmp_path, changed_sizes(widen), max_shard_bytes=shard)
    files = [path.stat().st_size for path in tmp_path.glob("*.safetensors")]
    output = subprocess.run(
        [sys.executable, "-c", STREAM, TINY, tmp_path], capture_output=True, text=True, check=True
    ).stdout
    peak, weights = map(int, output.split())
    assert weights > 200_000_000
    assert max(files) < 25_000_000
    assert weights <= peak <= weights + max(files) + 4_000_000


def test_stop_ids_are_those_of_both_configs(folder):
    config = ModelConfig.from_dict(ODD_SIZES)
    path = folder / "generation_config.json"
    assert read_stop_ids(folder, config) == {510}
    for value, expected in ((7, {7, 510}), ([7, 8], {7, 8, 510}), (None, {510})):
        path.write_text(json.dumps({"eos_token_id": value}))
        assert read_stop_ids(folder, config) == expected
    for content in ("[]", "{", '{"eos_token_id": ["a"]}', '{"eos_token_id": {"a": [1]}}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="not a generation config"):
            read_stop_ids(folder, config)


def test_fingerprint_tells_weights_apart(folder):
    before = fetch_checkpoint(str(folder))
    assert before.revision == fetch_checkpoint(str(folder)).revision
    rewrite(folder, lambda tensors: tensors[NORM].mul_(2))
    assert fetch_checkpoint(str(folder)).revision != before.revision


@pytest.mark.parametrize("place", [100, -100])
def test_fingerprint_sees_both_ends_of_a_file(place, folder):
    before = fetch_checkpoint(str(folder)).revision
    content = bytearray((folder / FIRST).read_bytes())
    assert len(content) > 1 << 17
    content[place] ^= 1
    (folder / FIRST).write_bytes(content)
    assert fetch_checkpoint(str(folder)).revision != before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-model", "no checkpoint folder 'no-such-model'.*tiny-random.*THUDM/cogvlm2-llama3-caption"),
        ("/no/such/folder", "no checkpoint folder '/no/such/folder'"),
        ("./a/b", "no checkpoint folder"),
    ],
)
def test_checkpoint_that_is_not_there(name, said):
    with pytest.raises(ValueError, match=said):
        fetch_checkpoint(name)


def test_folder_that_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config.json"):
        fetch_checkpoint(str(tmp_path))


def test_a_local_folder_has_no_revision(folder):
    with pytest.raises(ValueError, match="leave out `revision`"):
        fetch_checkpoint(str(folder), "main")


def test_hub_that_cannot_be_reached_is_said(monkeypatch, tmp_path):
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    with pytest.raises(ValueError, match=r"nobody/nothing at revision v1 .*Hugging Face hub"):
        fetch_checkpoint("nobody/nothing", "v1")
