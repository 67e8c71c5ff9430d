"""mkdocs hooks: pages that show files from outside ``docs/``, and links between the two.

Everything reads well where it lies, with links relative to its own folder. On the site a link to a file that a page
shows leads to that page, and a link to any other file outside ``docs/`` becomes plain text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
SHOWN = {
    "index.md": "README.md",
    "zh.md": "README_zh.md",
    "notebook.md": "docs/notebook.ipynb",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/README.md",
    "bundled-model.md": "framescribe/models/tiny/README.md",
    "log.md": "dev/LOG.md",
}
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of ``SHOWN``."""
    notebook = files.get_file_from_path("notebook.ipynb")
    if notebook is not None:
        files.remove(notebook)
    for page, source in SHOWN.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            text = notebook_text(json.loads(text))
        files.append(File.generated(config, page, content=site_links(text, PurePosixPath(source).parent)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns the links of a page of ``docs/``."""
    return markdown if page.file.src_uri in SHOWN else site_links(markdown, PurePosixPath("docs"))


def site_links(markdown: str, folder: PurePosixPath) -> str:
    """Links relative to ``folder`` of the repository, as the site's."""
    pages = {source: page for page, source in SHOWN.items()}

    def turned(match: re.Match[str]) -> str:
        path = normpath(folder / match["target"])
        page = pages.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if page is None:
            return match["text"]
        return f"{match['image']}[{match['text']}]({page}{match['anchor'] or ''})"

    return _LINK.sub(turned, markdown)


def notebook_text(notebook: dict[str, Any]) -> str:
    """A notebook with its outputs as Markdown."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
        parts += [_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output["data"]
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"```text\n{''.join(data['text/plain'])}\n```"
