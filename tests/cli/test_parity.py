import json
import shutil

from safetensors.torch import save_file

from tests.cli.run import invoke
from tests.reference import CASES, CASES_FOLDER, recorded


def test_json_report_is_within_bounds():
    result = invoke("parity", "tiny-random", CASES_FOLDER, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["within_bounds"] is True
    assert report["cases"].keys() == CASES.keys()
    assert report["largest"].keys() == report["bounds"].keys()
    assert all(report["largest"][kind] <= bound for kind, bound in report["bounds"].items())


def spoilt(tmp_path):
    shutil.copytree(CASES_FOLDER, tmp_path / "reference" / "cases")
    tensors = recorded("text-only")
    tensors["logits_last8"] += 1
    save_file(tensors, tmp_path / "reference" / "cases" / "text-only.safetensors")
    (tmp_path / "clips").symlink_to(CASES_FOLDER.parents[1] / "clips")
    return tmp_path / "reference" / "cases"


def test_out_of_bounds_is_exit_code_1(tmp_path):
    result = invoke("parity", "tiny-random", spoilt(tmp_path), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["within_bounds"] is False
    assert [kind for kind, bound in report["bounds"].items() if not report["largest"][kind] <= bound] == [
        "logits",
        "logits_recorded_to_fp64",
    ]


def test_table(tmp_path):
    result = invoke("parity", "tiny-random", CASES_FOLDER)
    assert result.exit_code == 0
    assert "9 cases" in result.stdout
    assert "out of bounds" not in result.stdout
    worse = invoke("parity", "tiny-random", spoilt(tmp_path))
    assert worse.exit_code == 1
    assert worse.stdout.count("out of bounds") == 2


def test_wrong_usage(tmp_path):
    for arguments in (["tiny-random", tmp_path], ["no-such-model", CASES_FOLDER]):
        assert invoke("parity", *arguments).exit_code == 2
    assert invoke("parity", "tiny-random", CASES_FOLDER, "--device", "toaster").exit_code == 2
