"""What a start costs, and what an installation brings."""

import subprocess
import sys
import tomllib
from resource import RUSAGE_CHILDREN, getrusage

import pytest

import framescribe
from tests.cli.run import COMMAND, invoke
from tests.reference import ROOT

HEAVY = {
    "torch",
    "numpy",
    "av",
    "pyarrow",
    "fsspec",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "transformers",
}


def modules_after(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_import_brings_nothing_heavy():
    assert not modules_after("import framescribe") & HEAVY
    # Nor do settings and rows, which people hold without a model.
    statement = "from framescribe import CaptionSettings, CaptionRow, Clip"
    assert not modules_after(statement) & (HEAVY | {"framescribe.captioner"})
    assert not modules_after("import framescribe.cli.main") & HEAVY


def test_import_is_quick():
    def seconds(statement: str) -> float:
        """Of the CPU, which others on the machine do not add to."""
        before = sum(getrusage(RUSAGE_CHILDREN)[:2])
        subprocess.run([sys.executable, "-c", statement], check=True)
        return sum(getrusage(RUSAGE_CHILDREN)[:2]) - before

    assert min(seconds("import framescribe") for _ in range(5)) - min(seconds("pass") for _ in range(5)) < 0.3


@pytest.mark.parametrize("command", [(), ("caption",), ("ask",), ("inspect",), ("parity",)])
def test_help(command):
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_version():
    result = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"framescribe {framescribe.__version__}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == framescribe.__version__


def test_everything_public_can_be_imported():
    for name in framescribe.__all__:
        assert getattr(framescribe, name)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        framescribe.Nothing  # noqa: B018


def test_installing_brings_none_of_the_dead_decoders():
    import importlib.metadata
    import re

    def closure(name: str, seen: set[str]) -> set[str]:
        """Distributions that an installation without extras pulls, as installed here."""
        for line in importlib.metadata.requires(name) or ():
            requirement, _, marker = line.partition(";")
            needed = re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")
            if "extra ==" in marker or needed in seen:
                continue
            try:
                importlib.metadata.distribution(needed)
            except importlib.metadata.PackageNotFoundError:
                continue  # for another platform
            seen.add(needed)
            closure(needed, seen)
        return seen

    pulled = closure("framescribe", set())
    assert {"torch", "av", "tokenizers"} <= pulled
    forbidden = {
        "torchvision",
        "decord",
        "eva-decord",
        "opencv-python",
        "opencv-python-headless",
        "pytorchvideo",
    }
    assert not pulled & (forbidden | {"transformers", "xformers", "ray", "torchao", "bitsandbytes"})
