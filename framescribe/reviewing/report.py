"""The folder's report as the server shows it: made when it is asked for, and anew when something changed since."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.report.overview import Row
    from framescribe.reviewing.folder import ReviewedFolder

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from framescribe.reviewing.report import write
write(*sys.argv[2:])
"""


class FolderReport:
    """What ``framescribe report`` makes of a folder, but for its pictures, which lead to their clips in the review.

    It is made in a process, one at a time: its time and memory are not the server's, and it ends with the server.

    Args:
        folder: that is reviewed.
        path: where it is kept.
    """

    def __init__(self, folder: ReviewedFolder, path: Path) -> None:
        self._folder, self._path = folder, path
        self._process: subprocess.Popen[bytes] | None = None
        self._generation: int | None = None  # of the folder, when the last one was begun
        self._guard = threading.Lock()

    def page(self) -> bytes | None:
        """The page; None while the rows are read and while it is made.

        A page that was begun is given once it is there, though the folder may have changed meanwhile: where captioning
        goes on nobody would get any otherwise.

        Raises:
            UsageError: it cannot be made; why.
            OSError: it cannot be read.
        """
        with self._guard:
            if not self._folder.is_complete:
                return None
            if self._process is None:
                if self._generation != self._folder.table.generation or not self._path.is_file():
                    self._begin()
                    return None
            elif self._process.poll() is None:
                return None
            else:
                self._end()
            return self._path.read_bytes()

    def close(self) -> None:
        """Ends what is being made."""
        with self._guard:
            if self._process is not None:
                self._process.kill()
                self._process.communicate()

    def _begin(self) -> None:
        self._generation = self._folder.table.generation
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), self._folder.name, str(self._path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the server
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        said, _ = process.communicate()
        if process.returncode:
            self._generation = None
            reason = said.decode("utf-8", "replace").strip()
            raise UsageError(reason or f"the report's process ended with exit code {process.returncode}")


def write(name: str, target: str) -> None:
    """Writes the report of a folder, or says why not and exits. Called in a process of its own."""
    from framescribe.dataset.dataset import Dataset
    from framescribe.report.write import write_report

    try:
        write_report(Dataset(name), Path(target), overwrite=True, link=_in_review)
    except (UsageError, OSError) as error:
        sys.stdout.buffer.write(str(error).encode("utf-8", "backslashreplace"))
        sys.exit(1)


def _in_review(row: Row) -> str:
    """The address of a row's clip in the review."""
    clip_id = str(row["clip_id"]).replace("'", "''")
    where = f"clip_id = '{clip_id}'"
    return f"/#where={quote(where.encode('utf-8', 'surrogatepass'), safe='')}"
