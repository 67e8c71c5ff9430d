"""What needs a package says so before anything loads, with a command that installs it; defaults need none."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

import framescribe
from framescribe import Captioner
from framescribe.cli.main import app
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.model.quantize import require_library
from framescribe.pipeline.ray.cluster import connected
from framescribe.pipeline.sources import expand_sources
from framescribe.train.setup import set_up
from tests.reference import CPU, ROOT
from tests.train.small import small_settings

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def ray_cluster():
    with connected("auto"):
        pass


# None of these could go on if it went past the check: there is no such model, host or bucket.
USES = {
    "torchao": lambda: require_library("int8", "cuda"),
    "bitsandbytes": lambda: require_library("nf4", "cuda"),
    "modelscope": lambda: Captioner.from_pretrained("modelscope:nowhere/at-all", device="cpu"),
    "ray": ray_cluster,
    "s3fs": lambda: RowFolder("s3://no-bucket/rows"),
    "gcsfs": lambda: list(expand_sources(["gs://no-bucket/*.mp4"])),
}


@pytest.mark.parametrize("package", USES)
def test_the_message_has_a_command_that_installs_what_is_missing(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"needs {package}") as caught:
        USES[package]()
    command = shlex.split(re.search(r"install it with: (.*)", str(caught.value))[1])
    assert command[:-1] == [sys.executable, "-m", "pip", "install"]
    declared = [Requirement(text) for packages in DECLARED.values() for text in packages]
    assert Requirement(command[-1]) in declared


def test_lora_is_checked_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "peft", None)
    settings = small_settings(tmp_path, data="nowhere", model="nothing", lora_rank=4)
    with pytest.raises(UsageError, match=r"`lora_rank` needs peft.*pip install"):
        set_up(settings, tmp_path / "run", CPU)
    assert not (tmp_path / "run").exists()


def test_evaluate_goes_without_overlap_figures(monkeypatch, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"file": "a.mp4", "caption": "A dog runs."}) + "\n")
    everything = CliRunner().invoke(app, ["evaluate", str(rows), str(rows), "--json"])
    assert json.loads(everything.stdout)["captions"]["bleu_4"] > 0
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    found = CliRunner().invoke(app, ["evaluate", str(rows), str(rows), "--json"])
    assert found.exit_code == 0, found.output
    assert "without CIDEr, BLEU and ROUGE: install it with:" in found.stderr
    captions = json.loads(found.stdout)["captions"]
    assert captions["words_mean"] == 3
    assert "bleu_4" not in captions


def test_all_is_every_extra_that_users_choose_from():
    """But vllm, which takes no other version of torch than its own."""
    chosen = [name for name in DECLARED if name not in ("all", "dev", "docs", "vllm")]
    assert DECLARED["all"] == [f"framescribe[{','.join(chosen)}]"]


def test_an_installation_from_a_wheel_knows_its_extras(tmp_path):
    """Without a checkout: the package alone, beside what an installer wrote."""
    package = Path(framescribe.__file__).parent
    (tmp_path / "framescribe").mkdir()
    for name in ("__init__.py", "extras.py", "errors.py", "shown.py", "version.py"):
        shutil.copy(package / name, tmp_path / "framescribe")
    written = tmp_path / "framescribe-9.9.dist-info"
    written.mkdir()
    (written / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: framescribe\nVersion: 9.9\n"
        "Requires-Dist: peft<1,>=0.5; extra == 'train'\nRequires-Dist: pytest>=8; extra == 'dev'\n"
    )
    code = "from framescribe.extras import how_to_install, requirements; print(how_to_install('peft'), requirements())"
    found = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        found.stdout
        == f"install it with: {sys.executable} -m pip install 'peft<1,>=0.5' {{'train': ['peft<1,>=0.5']}}\n"
    )
