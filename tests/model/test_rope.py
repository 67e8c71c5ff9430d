"""RoPE's numbers are the checkpoint's: the table in the dtype of the stored frequencies, layer by layer."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from framescribe.model.attention import causal_attention
from framescribe.model.checkpoint import load_model
from framescribe.model.config import ModelConfig
from framescribe.model.decoder import RotaryTable, rotary_frequencies
from tests.reference import CPU, DATA, OFFICIAL, TINY

RECORDED = load_file(DATA / "reference" / "rope_bf16.safetensors")
CONFIG = ModelConfig.from_dict(OFFICIAL["config"])


def bf16_steps(a: torch.Tensor, b: torch.Tensor) -> int:
    """How many bf16 numbers lie between a and b at most: their bits, made to ascend with the value."""

    def ordinal(x: torch.Tensor) -> torch.Tensor:
        bits = x.contiguous().view(torch.int16).int()
        return torch.where(bits < 0, -(bits & 0x7FFF), bits)

    return int((ordinal(a) - ordinal(b)).abs().max())


def check_table(device: torch.device) -> None:
    table = RotaryTable(CONFIG).to(device, torch.bfloat16)
    positions_BL = torch.arange(640, device=device)[None]
    angles = table.angles(positions_BL)[:, 0].cpu()
    cos, sin = (part[:, 0, 0].cpu() for part in table(positions_BL, torch.bfloat16))
    for layer in range(CONFIG.num_hidden_layers):
        assert torch.equal(angles[layer].view(torch.int16), RECORDED["angles"].view(torch.int16))
        # Half-rotation: both halves of a head turn by the same angles.
        for half in (slice(0, 64), slice(64, 128)):
            assert bf16_steps(cos[layer, :, half], RECORDED["cos"]) <= 1
            assert bf16_steps(sin[layer, :, half], RECORDED["sin"]) <= 1


def test_bf16_table_as_recorded():
    check_table(CPU)


@pytest.mark.gpu
def test_bf16_table_as_recorded_on_the_gpu(cuda):
    check_table(cuda)


def test_frequencies_of_a_new_model_are_the_recorded_ones():
    frequencies = rotary_frequencies(CONFIG)
    assert frequencies.dtype == torch.float32
    assert all(torch.equal(row, RECORDED["inv_freq"].float()) for row in frequencies)


def test_bf16_and_fp32_tables_differ_as_the_reference_says():
    """Up to 0.3 rad at position 112, and positions above 256 fall together in pairs."""
    fp32, bf16 = RotaryTable(CONFIG), RotaryTable(CONFIG).bfloat16()
    at_112 = torch.tensor([[112]])
    assert 0.1 < (fp32.angles(at_112) - bf16.angles(at_112).float()).abs().max() < 0.4
    assert torch.equal(bf16.angles(torch.tensor([[300]])), bf16.angles(torch.tensor([[301]])))


def tiny_copy(folder):
    shutil.copytree(TINY, folder)
    return folder


def logits(folder, dtype=torch.float32) -> torch.Tensor:
    model = load_model(folder, CPU, dtype)
    ids_BL = torch.arange(40)[None]
    hidden = model.decoder(model.embedding(ids_BL), ids_BL, causal_attention)
    return model.lm_head(hidden).float()


@pytest.mark.parametrize("layer", range(3))
def test_each_layers_stored_frequencies_are_used(layer, tmp_path):
    folder = tiny_copy(tmp_path / "checkpoint")
    name = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
    shard = folder / json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"][name]
    tensors = load_file(shard)
    tensors[name] = tensors[name] * 1.5
    save_file(tensors, shard)
    assert (logits(folder) - logits(TINY)).abs().max() > 1e-3


def test_rope_dtype_is_a_switch_of_the_config(tmp_path):
    def switched(rope_dtype):
        folder = tiny_copy(tmp_path / rope_dtype)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"rope_dtype": rope_dtype}))
        return folder

    table = load_model(switched("float32"), CPU, torch.bfloat16).decoder.rotary
    assert table.inv_freq_NE.dtype == torch.float32
    # By default the table follows the weights.
    assert torch.equal(logits(TINY, torch.bfloat16), logits(switched("bfloat16"), torch.bfloat16))
    assert not torch.equal(logits(TINY, torch.bfloat16), logits(tmp_path / "float32", torch.bfloat16))
    assert torch.equal(logits(TINY), logits(tmp_path / "float32"))
