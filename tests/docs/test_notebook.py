"""The notebook runs, and shows what it runs to."""

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from tests.reference import ROOT


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    stored = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    executed = nbformat.from_dict(stored.copy())
    client = NotebookClient(
        executed,
        timeout=280,
        startup_timeout=280,
        resources={"metadata": {"path": str(ROOT / "docs")}},
        # Over TCP the kernel would listen on ports that were free a moment ago.
        config=Config(KernelManager={"transport": "ipc", "ip": str(tmp_path / "kernel")}),
    )
    client.execute()
    assert [_shown(cell) for cell in executed.cells] == [_shown(cell) for cell in stored.cells]


def _shown(cell):
    """A cell's result as text. Progress, which tells of time, is not compared."""
    results = [output for output in cell.get("outputs", ()) if output["output_type"] == "execute_result"]
    return [output["data"]["text/plain"] for output in results]
