"""Files that are written whole: what others laid in the way is neither followed nor harmed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from framescribe.files import (
    concerns_one_name,
    create_file,
    new_file,
    remove_leftovers,
    temporary_beside,
    write_file,
)


def test_content_bytes_and_text(tmp_path: Path) -> None:
    write_file(tmp_path / "a", "zwölf\r\n")
    write_file(tmp_path / "b", b"\x00\xff")
    assert (tmp_path / "a").read_bytes() == b"zw\xc3\xb6lf\r\n"
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_older_file_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), new_file(path) as file:  # noqa: PT012 - half of it is the point
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["the name", "the name plus .partial", "the name plus .tmp"])
def test_links_are_never_written_through(tmp_path: Path, where: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "a.txt"
    victim.write_text("precious")
    link = path.with_name(path.name + where.removeprefix("the name").removeprefix(" plus "))
    link.symlink_to(victim)
    write_file(path, "new")
    assert victim.read_text() == "precious"
    assert path.read_text() == "new"
    assert not path.is_symlink()


def test_a_hard_link_keeps_its_other_name_s_content(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "a.txt"
    victim.write_text("precious")
    path.hardlink_to(victim)
    write_file(path, "new")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("dangling", [True, False])
def test_create_file_takes_no_link(tmp_path: Path, dangling: bool) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    if not dangling:
        victim.write_text("precious")
    link.symlink_to(victim)
    with pytest.raises(FileExistsError):
        create_file(link)
    assert victim.exists() is not dangling


def test_temporary_names_cannot_be_foretold(tmp_path: Path) -> None:
    names = {temporary_beside(tmp_path / "a.txt").name for _ in range(1000)}
    assert len(names) == 1000


@pytest.mark.parametrize("name", ["x" * 255, "字" * 85, "字" * 72 + ".txt"])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, "caption")
    assert (tmp_path / name).read_text() == "caption"


def test_a_name_too_long_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 256)
    with pytest.raises(OSError, match="x" * 256) as caught:
        write_file(path, "caption")
    assert caught.value.errno == errno.ENAMETOOLONG
    assert not list(tmp_path.iterdir())


def test_errors_name_the_final_path(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "a.txt"
    with pytest.raises(OSError, match=r"absent/a\.txt'$"):
        write_file(path, "caption")


def test_errors_of_what_is_read_meanwhile_keep_their_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"), new_file(tmp_path / "a.txt"):
        (tmp_path / "source").read_bytes()


def test_permissions_are_kept_and_new_ones_are_those_of_any_file(tmp_path: Path) -> None:
    kept, new, plain = tmp_path / "kept", tmp_path / "new", tmp_path / "plain"
    kept.write_text("old")
    kept.chmod(0o640)
    plain.write_text("")
    write_file(kept, "new")
    write_file(new, "new")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_library_may_write_by_path_and_replace_the_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "a", tmp_path / "plain"
    plain.write_text("")
    with new_file(path) as file:
        other = tmp_path / "of-the-library"
        other.write_text("content")
        other.chmod(0o600)
        other.replace(file.name)
    assert path.read_text() == "content"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_content_reaches_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder" if is_folder else f"{os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def recorded_replace(old: Path, new: Path) -> None:
        calls.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write_file(tmp_path / "a", "content", sync=True)
    assert calls == ["7 bytes", "name", "folder"]


@pytest.mark.parametrize(
    ("number", "is_of_one"),
    [
        (errno.ENAMETOOLONG, True), (errno.EACCES, True), (errno.EISDIR, True), (errno.EROFS, True),
        (errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EIO, False), (errno.EMFILE, False),
    ],
)  # fmt: skip
def test_a_full_or_broken_disk_is_no_matter_of_one_name(number: int, is_of_one: bool) -> None:
    assert concerns_one_name(OSError(number, os.strerror(number))) is is_of_one


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    temporary_beside(tmp_path / "a").write_text("half")
    temporary_beside(tmp_path / "b").mkdir()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    temporary_beside(tmp_path / "c").symlink_to(victim)
    others = {"a.tmp", ".framescribe-notes.tmp", ".framescribe-00.tmp", "x.partial", "victim"}
    for name in others - {"victim"}:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others
    assert (victim / "precious").exists()
    remove_leftovers(tmp_path / "absent")
