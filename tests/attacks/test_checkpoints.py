"""Checkpoints of strangers: refused by file and value, before anything is built and before much is read."""

import json
import os
import resource
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.model.checkpoint import load_model
from framescribe.model.hub import fetch_checkpoint
from framescribe.tokenizer import CaptionTokenizer
from tests.reference import CPU, TINY

INDEX = "model.safetensors.index.json"
SHARD = "model-00002-of-00002.safetensors"
DEEP = "[" * 200_000 + "]" * 200_000
BIG = 10 << 30


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(TINY, tmp_path / "checkpoint")


@pytest.fixture(autouse=True)
def within_limits():
    """What is refused takes neither gigabytes nor minutes of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    yield
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_maxrss - before.ru_maxrss < 1 << 20, "KiB, where it is given so"
    assert after.ru_utime - before.ru_utime < 20


def refused(folder) -> str:
    with pytest.raises(UsageError) as caught:
        Captioner.from_pretrained(folder, device="cpu")
    message = str(caught.value)
    assert len(message) < 8000
    return message


def changed(folder, name: str, change) -> None:
    path = folder / name
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("num_hidden_layers", 1_000_000, "num_hidden_layers is 1000000, more than"),
        ("num_hidden_layers", 10**400, "num_hidden_layers is 1"),
        ("hidden_size", 2**62, "hidden_size is 4611686018427387904, more than"),
        ("vocab_size", 2**40, "vocab_size is 1099511627776, more than"),
        ("intermediate_size", -1, "intermediate_size must be a number above 0, not -1"),
        ("num_attention_heads", 1e300, "num_attention_heads must be a number above 0, not 1e"),
        ("num_attention_heads", 0, "num_attention_heads must be a number above 0, not 0"),
        ("num_multi_query_heads", True, "num_multi_query_heads must be a number above 0, not True"),
        ("rms_norm_eps", float("nan"), "rms_norm_eps must be a number above 0, not nan"),
        ("rms_norm_eps", float("inf"), "rms_norm_eps is inf, more than 1.0"),
        ("rms_norm_eps", 1e9, "rms_norm_eps is 1000000000.0, more than 1.0"),
        ("eos_token_id", True, "eos_token_id True lies outside"),
        ("eos_token_id", [1] * 10**5, "eos_token_id [1, 1,"),
        ("pad_token_id", 2**70, "pad_token_id 1180591620717411303424 lies outside"),
        ("architectures", ["x" * 10**6], "architectures is ['xxx"),
        ("hidden_act", "\x1b[2J" + "y" * 10**6, r"hidden_act is '\x1b[2J"),
        ("rope_dtype", [[]], "rope_dtype must be one of"),
        ("vision_config", [1], "vision_config is missing"),
    ],
)
def test_config_values(key, value, said, folder):
    changed(folder, "config.json", lambda values: values.update({key: value}))
    message = refused(folder)
    assert said in message
    assert f"{folder}/config.json" in message
    assert "\x1b" not in message


@pytest.mark.parametrize(
    "key", ["num_hidden_layers", "hidden_size", "image_size", "num_positions", "in_channels"]
)
def test_config_values_of_the_vision_tower(key, folder):
    changed(folder, "config.json", lambda values: values["vision_config"].update({key: 10**9}))
    assert f"vision_config.{key} is 1000000000, more than" in refused(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", INDEX]
)
@pytest.mark.parametrize("content", ["deep", "huge", "pipe", "list", "twice", "device"])
def test_files_that_are_not_what_they_should_be(name, content, folder):
    path = folder / name
    path.unlink(missing_ok=True)
    if content == "huge":
        path.touch()
        os.truncate(path, BIG)  # holes: nothing is on the disk
    elif content == "pipe":
        os.mkfifo(path)
    elif content == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_text({"deep": f'{{"x": {DEEP}}}', "list": "[1]", "twice": '{"a": 1, "a": 2}'}[content])
    assert name in refused(folder)


@pytest.mark.parametrize("name", [SHARD, "config.json", "extra.json"])
@pytest.mark.parametrize("is_link", [True, False])
def test_pipes_are_not_waited_for(name, is_link, folder):
    (folder / name).unlink(missing_ok=True)
    pipe = folder.parent / "pipe" if is_link else folder / name
    os.mkfifo(pipe)
    if is_link:
        (folder / name).symlink_to(pipe)
    with pytest.raises(UsageError, match=name):
        load_model(fetch_checkpoint(str(folder)).folder, CPU, torch.float32)


@pytest.mark.parametrize(
    "shard", ["../x.safetensors", "/dev/zero", "a/b.safetensors", "", ".", ["x"], 5, "\x1b[2J"]
)
def test_an_index_names_files_of_its_folder_only(shard, folder):
    changed(folder, INDEX, lambda values: values["weight_map"].update({"model.norm.weight": shard}))
    message = refused(folder)
    assert INDEX in message
    assert "is not a .safetensors file of its folder" in message
    assert "\x1b" not in message


def test_an_index_of_many_shards_is_not_opened_file_by_file(folder):
    names = {f"x{number}": f"{number}.safetensors" for number in range(20_000)}
    changed(folder, INDEX, lambda values: values.update(weight_map=names))
    assert "0.safetensors" in refused(folder)


def header(folder, content: bytes, length: int | None = None) -> None:
    path = folder / SHARD
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", len(content) if length is None else length) + content)
    os.truncate(path, size)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**9, (16 << 20) + 1, 0])
def test_the_length_of_a_header_is_not_believed(length, folder):
    os.truncate(folder / SHARD, BIG)  # room enough, were it believed
    header(folder, b"{", length)
    message = refused(folder)
    assert SHARD in message
    assert f"its header has {length} bytes" in message


ONE = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DEEP, "not a readable safetensors file"),
        ("[]", ""),
        ("null", "not a readable safetensors file"),
        ('"text"', ""),
        (f'{{"a": {ONE}, "a": {ONE}}}', "holds more than once: a"),
        (f'{{"\\u001b[2J": {ONE}, "\\u001b[2J": {ONE}}}', r"holds more than once: \x1b[2J"),
        (
            '{"a": {"dtype": "F32", "shape": [99999999999, 99999999999], "data_offsets": [0, 4]}}',
            "not a readable",
        ),
        ('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', "not a readable"),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}', "not a readable"),
        ('{"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}', "not a readable"),
        ('{"a": 5}', "not a readable"),
    ],
)
def test_headers(content, said, folder):
    header(folder, content.encode())
    message = refused(folder)
    assert SHARD in message
    assert said in message
    assert "\x1b" not in message


def test_a_tensor_in_two_shards_is_not_taken_from_either(folder):
    first, second = (folder / f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    tensors = load_file(second)
    save_file(tensors | load_file(first), second)
    message = refused(folder)
    assert "both hold" in message
    assert SHARD in message


@pytest.mark.parametrize(
    "ids", ["5", [1.5], [None], {"a": 1}, [[1]], [True], -1, 10**30, [10**6], [1] * 5000, "x" * 10**5]
)
def test_what_ends_a_caption_is_tokens_of_the_vocabulary(ids, folder):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    message = refused(folder)
    assert "generation_config.json" in message
    assert "eos_token_id is" in message


GROW = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("normalizer", {"type": "Sequence", "normalizers": [GROW] * 20}, "normalizer is 'Replace', not one of"),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 10**5}, "normalizer is longer than"),
        ("normalizer", {"type": "Prepend", "prepend": "x" * 100}, "normalizer is 'Prepend'"),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "normalizer is 'Precompiled'"),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
         "a pattern that may take for ever"),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [{"type": "Delimiter"}]}, "'Delimiter'"),
        ("post_processor", {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 10**5,
         "pair": [], "special_tokens": {}}, "post_processor is longer than"),
        ("decoder", {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}, "decoder is 'Replace'"),
        ("decoder", {"type": "Sequence", "decoders": [GROW] * 20}, "decoder is 'Replace'"),
        ("normalizer", 5, "is not a tokenizer file"),
        ("model", {"type": "Unigram", "vocab": [["a", 0.0]]}, "model is 'Unigram'"),
        ("model", [], "is not a tokenizer file"),
        ("added_tokens", [{"id": 2**40, "content": "x"}], "a token's id is 1099511627776"),
        ("added_tokens", [{"id": -1, "content": "x"}], "a token's id is -1"),
        ("added_tokens", "x", "is not a tokenizer file"),
    ],
)  # fmt: skip
def test_tokenizers(part, value, said, folder):
    changed(folder, "tokenizer.json", lambda values: values.update({part: value}))
    with pytest.raises(UsageError) as caught:
        CaptionTokenizer(folder)
    assert said in str(caught.value)
    assert "tokenizer.json" in str(caught.value)
    assert refused(folder) == str(caught.value)


def test_prompts_are_neither_cut_nor_filled_up(folder):
    expected = CaptionTokenizer(folder).encode("What happens in this video?")
    padding = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    changed(
        folder,
        "tokenizer.json",
        lambda values: values.update(
            padding=padding | {"pad_type_id": 0, "pad_token": "x"},
            truncation={"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        ),
    )
    assert CaptionTokenizer(folder).encode("What happens in this video?") == expected


def test_a_token_beyond_the_model_s_vocabulary_is_refused(folder):
    def add(values) -> None:
        values["added_tokens"].append(values["added_tokens"][0] | {"id": 70_000, "content": "<far>"})

    changed(folder, "tokenizer.json", add)
    assert "the tokenizer has 70001 tokens, the model 512" in refused(folder)


def test_dropout_that_makes_each_prompt_another_is_refused(folder):
    changed(folder, "tokenizer.json", lambda values: values["model"].update(dropout=0.5))
    assert "with dropout 0.5" in refused(folder)


def test_nothing_else_in_the_folder_is_read(folder):
    for name in ("README.md", "pytorch_model.bin", "modeling.py"):
        (folder / name).touch()
        os.truncate(folder / name, BIG)
    Captioner.from_pretrained(folder, device="cpu")
