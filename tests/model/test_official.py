"""The official checkpoint on paper: names, shapes, parameters and file sizes, without its 25 GB."""

import pytest
import torch

from framescribe.model.checkpoint import empty_model
from framescribe.model.config import ModelConfig
from framescribe.model.layout import official_tensors
from framescribe.model.saving import plan_shards
from tests.model.shards import shard_bytes
from tests.reference import OFFICIAL


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return official_tensors(empty_model(ModelConfig.from_dict(OFFICIAL["config"])).to(torch.bfloat16))


def test_exactly_the_official_tensors(tensors):
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == OFFICIAL["tensors"]


def test_parameter_count(tensors):
    # As counted officially, without the 32 buffers of 64 frequencies.
    frequencies = sum(tensor.numel() for name, tensor in tensors.items() if name.endswith("inv_freq"))
    total = sum(tensor.numel() for tensor in tensors.values())
    model = empty_model(ModelConfig.from_dict(OFFICIAL["config"]))
    assert sum(parameter.numel() for parameter in model.parameters()) == total - frequencies
    assert OFFICIAL["parameters"] == 12_507_530_496
    assert OFFICIAL["parameters"] in (total, total - frequencies)


def test_shards_to_the_byte(tensors):
    shards = [
        {
            "file": name,
            "bytes": shard_bytes({tensor: tensors[tensor] for tensor in held}),
            "tensors": len(held),
        }
        for name, held in plan_shards(tensors).items()
    ]
    assert shards == OFFICIAL["shards"]


def test_config_survives_a_round_trip():
    config = ModelConfig.from_dict(OFFICIAL["config"])
    written = config.official_values("bfloat16")
    assert ModelConfig.from_dict(written) == config
    # What is written differs from the official file only where it says nothing about the computation.
    descriptive = {"initializer_range", "max_position_embeddings", "transformers_version", "use_cache"}
    assert written == {key: value for key, value in OFFICIAL["config"].items() if key not in descriptive}
