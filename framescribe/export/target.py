"""The folder that an export becomes: whole or not there, and only what an export wrote is ever removed from it.

A hidden folder in it (``.framescribe``, which no trainer reads) holds the report and the names of all files that the
export wrote. What else lies there, such as a trainer's caches, outlives ``overwrite``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.files import temporary_beside
from framescribe.reading import open_regular

META = ".framescribe"
REPORT = f"{META}/report.json"
MANIFEST = f"{META}/files.jsonl"

_TEXTS = {".csv", ".json", ".jsonl", ".toml", ".txt", ".yaml"}
"""Files that people may edit, which are known again by their content."""

Manifest = Mapping[str, tuple[int, str | None]]
"""Size in bytes and SHA-256 of each file by its name; of links and large files no hash."""


@contextlib.contextmanager
def new_target(final: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write an export into, which becomes ``final`` at the end of the ``with`` statement.

    Args:
        final: the target, with links in its path resolved.
        overwrite: an earlier export may lie there.

    Raises:
        UsageError: something else lies there, or what it wrote has been changed since.
        OSError: it cannot be made.
    """
    earlier = _earlier(final, overwrite)
    partial = temporary_beside(final)
    try:
        try:
            (partial / META).mkdir(parents=True)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(final)) from error
        yield partial
        _write_manifest(partial)
        if earlier is None:
            partial.rename(final)
        else:
            _replace(final, partial, earlier)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _earlier(final: Path, overwrite: bool) -> Manifest | None:
    """What an earlier export wrote to ``final``; None if nothing is there."""
    if not os.path.lexists(final) or (final.is_dir() and not any(final.iterdir())):
        return None
    if not (final / MANIFEST).is_file():
        raise UsageError(f"{final} exists and is no export; choose another `target`")
    if not overwrite:
        raise UsageError(f"{final} exists; choose another `target`, or replace it with `overwrite=True`")
    try:
        with open_regular(final / MANIFEST) as lines:
            manifest = {name: (size, sha256) for name, size, sha256 in map(json.loads, lines)}
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(f"{final / MANIFEST} cannot be read; choose another `target`") from error
    for name, path in _files(final):
        if name in manifest and _fingerprint(path) != manifest[name]:
            raise UsageError(
                f"{path} was changed after it was exported; move it away, or choose another `target`"
            )
    return manifest


def _write_manifest(folder: Path) -> None:
    names = {name: path for name, path in _files(folder) if name != MANIFEST}
    with (folder / MANIFEST).open("x", encoding="utf-8", newline="\n") as manifest:
        for name, path in sorted(names.items()):
            manifest.write(json.dumps([name, *_fingerprint(path)]) + "\n")


def _fingerprint(path: Path) -> tuple[int, str | None]:
    if path.is_symlink() or path.suffix not in _TEXTS:
        return path.lstat().st_size, None
    with path.open("rb") as file:
        return path.lstat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything in a folder that is no folder itself, by its name from there; no link is followed."""
    for here, folders, files in os.walk(folder):
        for name in (*files, *(name for name in folders if Path(here, name).is_symlink())):
            path = Path(here, name)
            yield path.relative_to(folder).as_posix(), path


def _replace(final: Path, partial: Path, earlier: Manifest) -> None:
    """Puts the new export in the place of the earlier one, with what others laid there."""
    for name, path in _files(final):
        if name not in earlier and name != MANIFEST and os.path.lexists(partial / name):
            raise UsageError(f"{path} is no part of the export; move it away, or choose another `target`")
    replaced = temporary_beside(final)
    final.rename(replaced)
    try:
        partial.rename(final)
    except BaseException:
        replaced.rename(final)
        raise
    for name, path in list(_files(replaced)):
        if name in earlier or name == MANIFEST:
            path.unlink()
    _merge(replaced, final, {parent.as_posix() for name in earlier for parent in Path(name).parents})


def _merge(folder: Path, into: Path, ours: set[str], name: str = ".") -> None:
    """Moves what is left of an earlier export into the new one, and removes the folders that this empties."""
    for path in list((folder / name).iterdir()):
        within = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink() and (within in ours or (into / within).is_dir()):
            _merge(folder, into, ours, within)
        else:
            (into / within).parent.mkdir(parents=True, exist_ok=True)
            path.rename(into / within)
    (folder / name).rmdir()
