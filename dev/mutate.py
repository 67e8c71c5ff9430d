"""Makes changes at risky places on purpose, one at a time in a copy of the tree, and says which tests notice.

    python -m dev.mutate                          every change that dev/mutations/*.toml lists
    python -m dev.mutate --only store --jobs 2    those whose id holds "store", two at a time
    python -m dev.mutate --json FILE              writes verdicts as they come; run again, it goes on with the rest

A list names the tests of its room and its changes: an id, a file, a text that stands in it exactly once, what takes
its place, why that would matter, and the tests that should notice. Where these do not, the room's tests are run too.
A test that fails on the untouched tree notices nothing; a change that makes tests hang is noticed by that. The exit
code is 1 if a change went unnoticed or does not fit the code any more, or names tests that do not run.

To add one: write the entry, run it with ``--only``, and if it goes unnoticed, write the test.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import json
import multiprocessing
import os
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "dev" / "mutations"
LIMIT_S = 180.0
_NOT_COPIED = (".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "site", "shared")
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s\[]+)", re.MULTILINE)  # without parameters
_BY_CONTENT = py_compile.PycInvalidationMode.CHECKED_HASH  # a change may be as long as what it replaces
_TESTS_FAILED, _NOT_COLLECTED = 1, 2  # pytest's exit codes
_FORKS = multiprocessing.get_context("forkserver")
# What takes long to import and is none of ours: tests run in forks of a process that has it.
_PRELOADED = [
    "pytest", "hypothesis", "torch", "transformers", "safetensors.torch", "tokenizers", "huggingface_hub", "duckdb",
    "pyarrow.parquet", "pyarrow.dataset", "fsspec", "av", "psutil", "rensa", "typer.testing", "rich.progress",
]  # fmt: skip


class Unusable(Exception):
    """A change that cannot be tried: the code has moved, or its tests do not run."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a list, and the tests of its room."""

    id: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]
    room_tests: tuple[str, ...]

    def text(self, tree: Path) -> str:
        """The file's text with the change; raises ``Unusable`` if the change does not fit the file."""
        path = tree / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (times := text.count(self.old)) != 1 or self.old == self.new:
            raise Unusable(f"stale: its old text stands {times} times in {self.file}")
        text = text.replace(self.old, self.new)
        try:
            if path.suffix == ".py":
                ast.parse(text)
        except SyntaxError as error:
            raise Unusable(f"its new text is no Python: {error}") from error
        return text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change: ``noticed``, ``unnoticed`` or ``unusable``, by which tests or why."""

    id: str
    file: str
    verdict: str
    by: tuple[str, ...]
    seconds: float


def read_changes(folder: Path = LISTS) -> Iterator[Change]:
    """The changes of all lists of a folder."""
    for path in sorted(folder.glob("*.toml")):
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for entry in values["change"]:
            tests = tuple(entry.pop("tests", ()))
            yield Change(**entry, tests=tests, room_tests=tuple(values["tests"]))


def failing(tree: Path, tests: Sequence[str], limit_s: float, stop_after: int = 0) -> set[str]:
    """Runs tests in a tree; gives the names of those that fail, or what else ended the run."""
    if not tests:
        return set()
    log = tree.parent / "log"
    process = _FORKS.Process(target=_run_pytest, args=(tree, log, [f"--maxfail={stop_after}", *tests]))
    process.start()
    try:
        process.join(limit_s)
        is_late = process.is_alive()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its processes too
    process.join()
    code, output = process.exitcode, log.read_text(encoding="utf-8", errors="replace")
    if is_late:
        return {late(limit_s)}
    if code < 0:
        return {f"the tests were ended by signal {-code}"}
    failed = set(_FAILED.findall(output))
    if code not in (0, _TESTS_FAILED, _NOT_COLLECTED) or (code and not failed):
        raise Unusable(f"its tests do not run: {(output.strip().splitlines() or ['without a word'])[-1]}")
    return failed


def late(limit_s: float) -> str:
    """How it is told that tests were stopped."""
    return f"the tests had not ended after {limit_s:g} s"


def _run_pytest(tree: Path, log: Path, arguments: list[str]) -> None:
    """Runs tests of a tree in this process, which has none of its modules yet, and ends it."""
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000"}
    sys.dont_write_bytecode = True
    sys.path[:] = [str(tree), *(path for path in sys.path if path and Path(path) != ROOT)]
    import pytest

    options = ["-q", "-rfE", "-p", "no:cacheprovider", f"--basetemp={tree.parent / 'tmp'}"]
    code = pytest.main([*options, *arguments])
    sys.stdout.flush()
    os._exit(code)


def attempt(change: Change, tree: Path, known: dict[str, bool], limit_s: float) -> Verdict:
    """Makes one change in a tree and runs its tests, then, if none notices, the room's.

    ``known`` remembers which tests fail on the untouched tree too.
    """
    started = time.monotonic()
    try:
        by: set[str] = set()
        for tests in (change.tests, change.room_tests):
            with changed(change, tree):
                by = failing(tree, tests, limit_s, stop_after=1)
            if late(limit_s) in by and late(limit_s) in failing(tree, tests, limit_s):
                raise Unusable(f"without it too its tests had not ended after {limit_s:g} s")
            if names := [name for name in by if " " not in name and name not in known]:
                fail_anyway = failing(tree, names, limit_s)
                known |= {name: name in fail_anyway for name in names}
            if by := {name for name in by if not known.get(name, False)}:
                break
        verdict = "noticed" if by else "unnoticed"
    except Unusable as reason:
        verdict, by = "unusable", {str(reason)}
    return Verdict(change.id, change.file, verdict, tuple(sorted(by)), round(time.monotonic() - started, 1))


@contextlib.contextmanager
def changed(change: Change, tree: Path) -> Iterator[None]:
    """The tree with the change."""
    path = tree / change.file
    text, original = change.text(tree), path.read_bytes() if path.is_file() else b""
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(original)


def attempt_all(changes: Sequence[Change], root: Path, jobs: int, limit_s: float) -> Iterator[Verdict]:
    """Tries changes in copies of ``root``, ``jobs`` at a time; verdicts come in the changes' order."""
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            tree = Path(folder, str(number), "tree")
            shutil.copytree(root, tree, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
            compileall.compile_dir(tree / "framescribe", quiet=2, invalidation_mode=_BY_CONTENT)
            trees.put(tree)
        known: dict[str, bool] = {}

        def in_a_tree(change: Change) -> Verdict:
            mine = trees.get()
            try:
                return attempt(change, mine, known, limit_s)
            finally:
                trees.put(mine)

        yield from pool.map(in_a_tree, changes)


def main() -> int:
    """The command."""
    from benchmarks.provenance import (
        provenance,
    )  # not above: a fork that runs tests must import the tree's own
    from framescribe.files import write_file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="changes whose id or file holds this")
    parser.add_argument("--jobs", type=int, default=1, help="changes tried at a time")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for the tests of a change")
    parser.add_argument("--named", action="store_true", help="run the named tests only, never the room's")
    parser.add_argument("--json", type=Path, help="write the result into this file")
    options = parser.parse_args()
    _FORKS.set_forkserver_preload(_PRELOADED)
    chosen = [change for change in read_changes() if options.only in f"{change.id} {change.file}"]
    if options.named:
        chosen = [replace(change, room_tests=()) for change in chosen]
    figures = {"changes": len(chosen), "limit_s": options.limit, **provenance()}
    done = _done(options.json, figures["commit"])
    left = [change for change in chosen if change.id not in done]
    for verdict in attempt_all(left, ROOT, options.jobs, options.limit):
        done[verdict.id] = asdict(verdict)
        print(
            f"{verdict.verdict:9} {verdict.seconds:6.1f} s  {verdict.id}: {', '.join(verdict.by)}", flush=True
        )
        if options.json is not None:
            counts = Counter(each["verdict"] for each in done.values())
            result = figures | counts | {"verdicts": list(done.values())}
            write_file(options.json, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    counts = Counter(done[change.id]["verdict"] for change in chosen)
    print(f"{counts['noticed']} of {len(chosen)} noticed, {counts['unusable']} could not be tried")
    return int(counts["noticed"] < len(chosen))


def _done(path: Path | None, commit: str | None) -> dict[str, dict[str, Any]]:
    """By id, the verdicts that a file has of this commit."""
    if path is None or not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {each["id"]: each for each in found["verdicts"]} if found["commit"] == commit else {}


if __name__ == "__main__":
    sys.exit(main())
