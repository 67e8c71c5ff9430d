"""``framescribe parity`` over two recorded cases; ``tests/model/test_parity.py`` measures all of them."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.cli.run import invoke
from tests.reference import CASES, CASES_FOLDER, recorded

NAMES = ("text-only", "train-answer")


@pytest.fixture
def cases(tmp_path) -> Path:
    for name in NAMES:
        shutil.copy(CASES_FOLDER / f"{name}.safetensors", tmp_path)
    (tmp_path / "cases.json").write_text(json.dumps([CASES[name] for name in NAMES]))
    return tmp_path


@pytest.fixture
def spoilt(cases) -> Path:
    tensors = recorded("text-only")
    tensors["logits_last8"] += 1
    save_file(tensors, cases / "text-only.safetensors")
    return cases


def test_within_bounds(cases):
    result = invoke("parity", "tiny-random", cases, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["within_bounds"] is True
    assert report["cases"].keys() == set(NAMES)
    assert report["largest"].keys() == report["bounds"].keys()
    assert all(report["largest"][kind] <= bound for kind, bound in report["bounds"].items())
    table = invoke("parity", "tiny-random", cases)
    assert table.exit_code == 0
    assert "2 cases" in table.stdout
    assert "out of bounds" not in table.stdout


def test_out_of_bounds_is_exit_code_1(spoilt):
    result = invoke("parity", "tiny-random", spoilt, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["within_bounds"] is False
    assert [kind for kind, bound in report["bounds"].items() if not report["largest"][kind] <= bound] == [
        "logits",
        "logits_recorded_to_fp64",
    ]
    table = invoke("parity", "tiny-random", spoilt)
    assert table.exit_code == 1
    assert table.stdout.count("out of bounds") == 2


def test_wrong_usage(tmp_path):
    for arguments in (["tiny-random", tmp_path], ["no-such-model", CASES_FOLDER]):
        assert invoke("parity", *arguments).exit_code == 2
    assert invoke("parity", "tiny-random", CASES_FOLDER, "--device", "toaster").exit_code == 2
