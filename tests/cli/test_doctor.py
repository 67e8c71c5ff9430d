"""What the machine has, beside what the system's own tools say of it; and checkpoints fetched ahead."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess

import pytest

from tests.cli.run import COMMAND, invoke
from tests.reference import TINY

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path):
    """A hub's cache with one downloaded repository, as huggingface_hub documents its layout."""
    repository = tmp_path / "hub" / "models--someone--captions"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(TINY, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "hub"


def run(*arguments, cache):
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    return subprocess.run([COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_doctor_tells_what_is_here(cache):
    done = run("doctor", "--json", cache=cache)
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["problems"] else 0)
    assert found["versions"]["python"] == platform.python_version()
    for package in ("torch", "av", "pyarrow"):
        assert found["versions"][package] == importlib.metadata.version(package)
    cpu = next(device for device in found["devices"] if device["device"] == "cpu")
    assert cpu["memory_bytes"] == pytest.approx(
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.01
    )
    assert cpu["free_bytes"] < cpu["memory_bytes"]
    for folder in found["folders"].values():
        assert folder["free_bytes"] == pytest.approx(shutil.disk_usage("/tmp").free, rel=0.2)
    assert found["folders"]["checkpoints"]["folder"] == str(cache)
    sizes = {each["name"]: each["bytes"] for each in found["checkpoints"]}
    on_disk = sum(path.stat().st_size for path in TINY.iterdir())
    assert sizes["tiny-random"] == sizes["someone/captions"] == on_disk
    assert "tiny" in sizes


def test_doctor_says_which_extras_lack_what(cache):
    found = json.loads(run("doctor", "--json", cache=cache).stdout)
    told = found["extras"]
    assert {"quant", "train", "eval", "ray", "s3", "gcs"} <= told.keys()
    assert "dev" not in told
    for package, extra in (("torchao", "quant"), ("peft", "train"), ("ray", "ray"), ("s3fs", "s3")):
        try:
            importlib.metadata.version(package)
            is_there = True
        except importlib.metadata.PackageNotFoundError:
            is_there = False
        assert (package not in told[extra]) == is_there


def test_doctor_for_people(cache):
    done = run("doctor", cache=cache)
    assert "someone/captions" in done.stdout
    assert "--quant 8, 4" in done.stdout
    assert str(cache) in done.stdout


def test_download_finds_what_is_here_already(cache):
    done = run("download", "someone/captions", cache=cache)
    assert (done.returncode, done.stdout) == (
        0, f"{cache}/models--someone--captions/snapshots/{COMMIT}\n",
    )  # fmt: skip
    assert COMMIT in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["someone/else"], "the Hugging Face hub cannot be reached"),
        (["no-such"], "no checkpoint folder 'no-such'"),
        (["tiny", "--revision", "main"], "leave out --revision"),
    ],
)
def test_what_cannot_be_downloaded_is_said(arguments, said, cache):
    done = run("download", *arguments, cache=cache)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert invoke("download", tmp_path).exit_code == 2
