"""The notebook runs, and shows what it runs to."""

import nbformat
from nbclient import NotebookClient

from tests.reference import ROOT


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    stored = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    executed = nbformat.from_dict(stored.copy())
    client = NotebookClient(executed, timeout=120, resources={"metadata": {"path": str(ROOT / "docs")}})
    client.execute()
    assert [_shown(cell) for cell in executed.cells] == [_shown(cell) for cell in stored.cells]


def _shown(cell):
    """What a cell's result is, as text."""
    return [
        output.get("data", {}).get("text/plain", output.get("text")) for output in cell.get("outputs", ())
    ]
