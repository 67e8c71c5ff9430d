"""One set of rules for what a search takes: in folders, by globs, in tars, on this machine and behind URLs."""

import io
import logging
import os
import tarfile
import tempfile
from pathlib import Path

import fsspec
import pytest

from framescribe.errors import UsageError
from framescribe.pipeline.listing import VIDEO_SUFFIXES, is_transport_stream
from framescribe.pipeline.sources import expand_sources

# Two packets of MPEG-TS and the head of a third: 0x47 every 188 bytes (ISO/IEC 13818-1, 2.4.3.2).
TRANSPORT = (b"G" + b"\0" * 187) * 2 + b"G\0"
TYPESCRIPT = b"export const GREETING = 'Good Grief, G!';\n" * 40
FILES = {
    "a.mp4": b"a",
    "b.MP4": b"b",
    "._a.mp4": b"\0\5\x16\7",  # AppleDouble
    ".DS_Store": b"",
    ".cache/c.mp4": b"c",
    "d.qt": b"", "e.3g2": b"", "f.mxf": b"", "g.asf": b"", "h.f4v": b"", "i.m2v": b"", "j.ogg": b"",
    "k.ts": TRANSPORT,
    "l.ts": TYPESCRIPT,
    "l.mts": TYPESCRIPT,
    "notes.txt": b"A caption.",
    "README": b"",
    "deep/er/m.mkv": b"m",
    "tars/x.TAR": None,
}  # fmt: skip
TAKEN = [
    "a.mp4", "b.MP4", "d.qt", "deep/er/m.mkv", "e.3g2", "f.mxf", "g.asf", "h.f4v", "i.m2v", "j.ogg", "k.ts",
]  # fmt: skip


def tar_bytes(files: dict[str, bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            if content is not None:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "videos"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tar_bytes({"n.mp4": b"n"}) if content is None else content)
    return root


def names(*sources: object) -> list[str]:
    return [clip.source_video for clip in expand_sources(map(str, sources))]


def test_a_folder_a_glob_and_a_tar_hold_the_same_videos(folder, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "framescribe"):
        in_folder = names(folder)
        assert in_folder == [*(f"{folder}/{name}" for name in TAKEN), f"{folder}/tars/x.TAR::n.mp4"]
        assert names(f"file://{folder}") == [f"file://{name}" for name in in_folder]
        assert names(folder / "**") == in_folder
        assert names(folder / "*", folder / "*/**") == [
            *(name for name in in_folder if name.count("/") == str(folder).count("/") + 1),
            *(name for name in in_folder if name.count("/") > str(folder).count("/") + 1),
        ]
        (tmp_path / "all.tar").write_bytes(tar_bytes(FILES))
        assert sorted(names(tmp_path / "all.tar")) == [
            f"{tmp_path}/all.tar::{name}" for name in sorted(TAKEN)
        ]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == (
        f"{folder}: passed over 2 hidden, 1 without an ending, 1 .mts without MPEG-TS in it, "
        "1 .ts without MPEG-TS in it, 1 .txt"
    )
    assert len(said) == len(set(said))


def test_a_url_holds_the_same_videos(folder):
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/listing", recursive=True)
    try:
        found = names("memory://listing")
        typescript = ["memory://listing/l.mts", "memory://listing/l.ts"]  # telling would fetch each file
        expected = [f"memory://listing/{name}" for name in TAKEN] + ["memory://listing/tars/x.TAR::n.mp4"]
        assert sorted(found) == sorted(expected + typescript)
        assert names("memory://listing/**/*.mp4") == ["memory://listing/a.mp4"]
        assert names("memory://listing/*.MP4") == ["memory://listing/b.MP4"]
    finally:
        memory.rm("/listing", recursive=True)


def test_links_that_lead_back_end(tmp_path, caplog):
    for name in ("a.mp4", "sub/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "to-file.mp4").symlink_to("a.mp4")
    (tmp_path / "to-nothing.mp4").symlink_to("nowhere")
    expected = [f"{tmp_path}/{name}" for name in ("a.mp4", "sub/b.mp4", "to-file.mp4")]
    with caplog.at_level(logging.INFO, "framescribe"):
        assert names(tmp_path) == names(tmp_path / "**/*") == expected
        assert names(tmp_path / "**/*.mp4") == expected
    assert f"{tmp_path}: passed over 2 linked folders, 1 no regular files" in caplog.messages
    # A link that the pattern itself walks through is followed, as a shell does.
    assert names(tmp_path / "self/*.mp4") == [f"{tmp_path}/self/a.mp4", f"{tmp_path}/self/to-file.mp4"]
    assert names(tmp_path / "s*/a.mp4") == [f"{tmp_path}/self/a.mp4"]


def test_folders_deeper_than_any_are_passed_over(tmp_path, caplog):
    path = tmp_path
    (tmp_path / "a.mp4").touch()
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(300):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with caplog.at_level(logging.INFO, "framescribe"):
            assert names(path) == [f"{path}/a.mp4"]
        assert "1 folders more than 200 deep" in caplog.text
    finally:
        os.close(here)


@pytest.fixture
def without_privileges():
    """Root lists every folder."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_folder_that_cannot_be_listed_does_not_end_the_run(without_privileges, caplog):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "z.mp4").touch()
        (root / "closed").mkdir(mode=0)
        assert names(root) == names(root / "**/*.mp4") == [f"{root}/z.mp4"]
        assert f"{root}/closed: cannot be listed: Permission denied" in caplog.text
        with pytest.raises(UsageError, match="closed: cannot be listed: Permission denied"):
            names(root / "closed")


class _ClosedBelow(fsspec.get_filesystem_class("memory")):
    """An object store that lists badly: out of order, one folder not at all, and each folder as its own child."""

    protocol = ("closed",)
    store: dict[str, object] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("closed://").strip("/")

    def ls(self, path, detail=True, **kwargs):
        if path.rstrip("/").endswith("/closed"):
            raise TimeoutError("the server is busy")
        return [*reversed(super().ls(path, detail=True)), {"name": path, "size": 0, "type": "directory"}]


def test_a_store_that_lists_badly(monkeypatch, caplog):
    fsspec.register_implementation("closed", _ClosedBelow, clobber=True)
    monkeypatch.setenv("FRAMESCRIBE_PROTOCOLS", "closed sftp")
    fsspec.filesystem("closed").pipe(
        {f"/b/{name}": b"x" for name in ("b.mp4", "closed/c.mp4", "a.mp4", "z/d.mp4")}
    )
    assert (
        names("closed://b")
        == names("closed://b/**/*.mp4")
        == [f"closed://b/{n}" for n in ("a.mp4", "b.mp4", "z/d.mp4")]
    )
    assert "closed://b/closed: cannot be listed: TimeoutError: the server is busy" in caplog.text
    with pytest.raises(UsageError, match="closed://b/closed: cannot be listed"):
        names("closed://b/closed")


def test_special_files_in_a_folder_are_passed_over(tmp_path, caplog):
    (tmp_path / "a.mp4").touch()
    for name in ("pipe.mp4", "pipe.tar", "pipe.ts"):
        os.mkfifo(tmp_path / name)
    with caplog.at_level(logging.INFO, "framescribe"):
        assert names(tmp_path) == names(tmp_path / "*.mp4") == [f"{tmp_path}/a.mp4"]
    assert f"{tmp_path}: passed over 3 no regular files" in caplog.messages


def test_transport_streams_by_their_sync_bytes():
    assert is_transport_stream(TRANSPORT)
    assert is_transport_stream(b"\0\0\0\0" + (b"G" + b"\0" * 191) * 3)  # M2TS: 4 bytes before each packet
    assert is_transport_stream(b"xyz" + (b"G" + b"\0" * 203) * 3)  # DVB with Reed-Solomon, cut into
    assert not is_transport_stream(TYPESCRIPT)
    assert not is_transport_stream(b"G" * 100)


def test_endings_that_docs_promise():
    assert {
        ".qt", ".3g2", ".mxf", ".asf", ".f4v", ".m2v", ".ogg", ".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts",
    } <= VIDEO_SUFFIXES  # fmt: skip
    assert not VIDEO_SUFFIXES & {".txt", ".json", ".srt", ".jpg", ".png", ".mp3", ".wav"}
