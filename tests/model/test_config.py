import json

import pytest

from framescribe.model.config import ModelConfig
from tests.reference import ODD_SIZES, changed_sizes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(architectures=["LlamaForCausalLM"]), "LlamaForCausalLM"),
        (lambda c: c.update(architectures=5), "architectures is 5"),
        (lambda c: c.pop("architectures"), "architectures is None"),
        (lambda c: c.pop("hidden_size"), r"missing \['hidden_size'\]"),
        (lambda c: c["vision_config"].pop("patch_size"), r"vision_config: missing \['patch_size'\]"),
        (lambda c: c.pop("vision_config"), "vision_config is missing"),
        (lambda c: c.update(vision_config=[]), "vision_config is missing"),
        (lambda c: c.update(rope_scaling={"factor": 8}), r"unknown \['rope_scaling'\]"),
        (lambda c: c["vision_config"].update(depth=3), r"unknown \['depth'\]"),
        (lambda c: c.update(hidden_act="gelu"), "hidden_act is 'gelu'"),
        (lambda c: c.update(tie_word_embeddings=True), "tie_word_embeddings"),
        (lambda c: c.update(hidden_size="96"), "hidden_size must be a number above 0"),
        (lambda c: c.update(hidden_size=96.5), "hidden_size must be a number above 0"),
        (lambda c: c.update(num_hidden_layers=0), "num_hidden_layers must be a number above 0"),
        (lambda c: c.update(rms_norm_eps=True), "rms_norm_eps must be a number above 0"),
        (lambda c: c.update(num_attention_heads=7), "7 heads"),
        (lambda c: c.update(num_multi_query_heads=4), "not a multiple of num_multi_query_heads 4"),
        (lambda c: c.update(eos_token_id=520), "eos_token_id 520 lies outside the vocabulary"),
        (lambda c: c.update(eos_token_id="510"), "eos_token_id '510' lies outside the vocabulary"),
        (lambda c: c["vision_config"].update(image_size=60), "even number of patches"),
        (lambda c: c["vision_config"].update(image_size=70), "even number of patches"),
        (lambda c: c["vision_config"].update(num_positions=16), "num_positions must be 17"),
        (lambda c: c["vision_config"].update(num_heads=3), "not a multiple of num_heads 3"),
        (lambda c: c.update(rope_dtype="float64"), "rope_dtype"),
        (lambda c: c.update(rope_dtype=["float32"]), "rope_dtype"),
    ],
)
def test_what_cannot_be_this_architecture_is_refused(change, said, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(changed_sizes(change)))
    with pytest.raises(ValueError, match=said) as refusal:
        ModelConfig.from_file(path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"architectures"']
)
def test_what_is_no_json_object_is_refused(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config.json does not describe a CogVLM2-Caption model"):
        ModelConfig.from_file(path)


def test_derived_sizes():
    config = ModelConfig.from_dict(ODD_SIZES)
    assert config.head_dim == 16
    assert config.vision_config.tokens_per_frame == 2 * 2 + 2
