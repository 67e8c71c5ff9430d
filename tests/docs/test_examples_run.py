"""Examples run: those in the docstrings of public names, and Python blocks of pages."""

import contextlib
import doctest
import importlib
import shutil
from pathlib import Path

import pytest

import framescribe
from tests.docs.pages import PAGES, blocks, name_of
from tests.integrations.adapters import write_adapter
from tests.reference import ROOT, TINY
from tests.serving.served import serving

SERVED = "http://127.0.0.1:8000/v1"
MODULES = sorted({"framescribe", *(f"framescribe.{home}" for home in framescribe._HOMES.values())})
BLOCKS = [
    pytest.param(code, id=f"{name_of(page)}-{number}")
    for page in PAGES
    if page.name != "README_zh.md"
    for number, code in enumerate(blocks(page, "python"))
    if not code.startswith("--8<--")  # a file that has a test of its own
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with what examples name: a clip, folders of clips, adapters, a dataset folder and a file of rows."""
    from tests.cli.run import invoke

    folder = tmp_path_factory.mktemp("workspace")
    for name in ("clips/kite.mp4", "examples/kite.mp4", "clip.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "examples" / "kite.mp4", folder / name)
    for seed, name in enumerate(("style", "short")):
        write_adapter(folder / "runs" / name / "adapter", seed=seed, model=TINY.parent / "tiny")
    with contextlib.chdir(folder):
        assert invoke("caption", "--model", "tiny", "clips", "-o", "captions").exit_code == 0
        Path("rows.jsonl").write_text(invoke("rows", "captions", "--json").stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bundled():
    """What ``captioner`` is in the examples of its methods."""
    return framescribe.Captioner.from_pretrained("tiny", device="cpu")


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module, workspace, bundled, monkeypatch):
    monkeypatch.chdir(workspace)
    found = doctest.testmod(
        importlib.import_module(module),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        extraglobs={"captioner": bundled},
    )
    assert found.failed == 0


@pytest.mark.parametrize("code", BLOCKS)
def test_blocks(code, workspace, bundled, monkeypatch, capsys):
    monkeypatch.chdir(workspace)
    with contextlib.ExitStack() as stack:
        if SERVED in code:
            code = code.replace(SERVED, stack.enter_context(serving(bundled)).url)
        exec(compile(code, "<block>", "exec"), {})
    assert capsys.readouterr().out, "an example that shows nothing"
