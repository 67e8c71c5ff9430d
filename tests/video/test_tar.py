"""What a tar holds is what ``tar -x`` would leave: compared with ``tarfile.extractall`` and with GNU tar's results."""

from __future__ import annotations

import io
import os
import pickle
import sys
import tarfile
from pathlib import Path

import pytest

from framescribe.pipeline.sources import expand_sources
from framescribe.types import Clip
from framescribe.video.source import open_source

ONE, TWO, NEW = b"one" * 1000, b"two" * 2000, b"new" * 500


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(content))


def link(archive: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.LNKTYPE) -> None:
    add(archive, name, type=kind, linkname=target)


def hard_links(archive):
    add(archive, "one.mp4", ONE)
    link(archive, "hard.mp4", "one.mp4")
    link(archive, "harder.mp4", "hard.mp4")
    add(archive, "objects/ab12", TWO)  # a name that no search takes, linked under one that it does
    link(archive, "sub/two.mp4", "objects/ab12")


def symbolic_links(archive):
    link(archive, "first.mp4", "sub/one.mp4", tarfile.SYMTYPE)  # to what comes later
    add(archive, "sub/one.mp4", ONE)
    link(archive, "sub/up.mp4", "../first.mp4", tarfile.SYMTYPE)
    link(archive, "sub/same.mp4", "./one.mp4", tarfile.SYMTYPE)
    link(archive, "to-hard.mp4", "first.mp4", tarfile.SYMTYPE)


def replaced(archive):
    add(archive, "a.mp4", ONE)
    link(archive, "kept.mp4", "a.mp4")  # a hard link keeps what was there when it was made
    add(archive, "a.mp4", NEW)
    link(archive, "newer.mp4", "a.mp4")
    link(archive, "follows.mp4", "a.mp4", tarfile.SYMTYPE)  # a symbolic link does not


def one_name_twice(archive):
    add(archive, "a.mp4", ONE)
    add(archive, "./a.mp4", TWO)
    add(archive, "sub//b.mp4", ONE)
    add(archive, "sub/b.mp4", NEW)
    link(archive, "c.mp4", "a.mp4", tarfile.SYMTYPE)
    add(archive, "c.mp4", NEW)


def long_names(archive):
    add(archive, f"{'d' * 90}/{'e' * 90}/{'n' * 120}.mp4", ONE)
    add(archive, f"{'猫' * 80}.mp4", TWO)
    link(archive, f"{'l' * 150}.mp4", f"{'猫' * 80}.mp4")


def old_types(archive):
    add(archive, "old.mp4", ONE, type=tarfile.AREGTYPE)
    add(archive, "contiguous.mp4", TWO, type=tarfile.CONTTYPE)
    add(archive, "folder.mp4", type=tarfile.DIRTYPE)
    add(archive, "folder.mp4/in.mp4", NEW)


CASES = [hard_links, symbolic_links, long_names, old_types]
# ``extractall`` writes into what is there, through links; ``tar -xf x.tar`` (GNU tar 1.34) replaces it, and left this:
REPLACED = {
    replaced: {"a.mp4": NEW, "kept.mp4": ONE, "newer.mp4": NEW, "follows.mp4": NEW},
    one_name_twice: {"a.mp4": TWO, "sub/b.mp4": NEW, "c.mp4": NEW},
}


def extracted(path: Path, folder: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="tar")
        else:
            archive.extractall(folder)
    return {
        os.path.normpath(found.relative_to(folder)): found.read_bytes()
        for found in folder.rglob("*.mp4")
        if found.is_file()
    }


def held(path: Path) -> dict[str, bytes]:
    found = {}
    for clip in expand_sources([str(path)]):
        assert clip.problem is None
        contents = set()
        for each in (clip, pickle.loads(pickle.dumps(clip)), Clip(clip.source_video)):
            with open_source(each) as file:
                contents.add(file.read())
        name = os.path.normpath(clip.source_video.partition("::")[2])
        assert name not in found
        (found[name],) = contents
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_as_extraction_leaves_it(case, form, tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=form) as archive:
        case(archive)
    expected = extracted(path, tmp_path / "out")
    assert len(expected) >= 2
    assert held(path) == expected


@pytest.mark.parametrize("case", REPLACED, ids=lambda case: case.__name__)
def test_of_several_with_one_name_the_last_counts(case, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        case(archive)
    assert held(tmp_path / "x.tar") == REPLACED[case]


# A file of 3,000,000 bytes with three stretches of data, in the three layouts that GNU tar's manual describes ("Storing
# Sparse Files"); tarfile's extraction says what it holds.
SPARSE_MAP = [(0, 512), (999_936, 512), (2_999_808, 192)]
SPARSE_SIZE = 3_000_000


def sparse_content() -> bytes:
    content = bytearray(SPARSE_SIZE)
    content[:3], content[1_000_000:1_000_003], content[-3:] = b"abc", b"def", b"ghi"
    return bytes(content)


def sparse_data(content: bytes) -> bytes:
    data = b"".join(content[start : start + size] for start, size in SPARSE_MAP)
    return data + bytes(-len(data) % 512)


def old_gnu(content: bytes) -> bytes:
    info = tarfile.TarInfo("a.mp4")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, sum(size for _, size in SPARSE_MAP)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for index, (start, size) in enumerate(SPARSE_MAP):
        block[386 + 24 * index : 410 + 24 * index] = b"%011o\0%011o\0" % (start, size)
    block[483:495] = b"%011o\0" % SPARSE_SIZE
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + sparse_data(content)


def pax(version: str, content: bytes) -> bytes:
    pairs = ",".join(f"{start},{size}" for start, size in SPARSE_MAP)
    data = sparse_data(content)
    headers = {"GNU.sparse.name": "a.mp4"}
    if version == "0.1":
        headers |= {"GNU.sparse.map": pairs, "GNU.sparse.size": str(SPARSE_SIZE), "GNU.sparse.numblocks": "3"}
    else:
        headers |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(SPARSE_SIZE)}
        table = "".join(
            f"{number}\n" for number in (len(SPARSE_MAP), *(n for pair in SPARSE_MAP for n in pair))
        )
        data = table.encode().ljust(512, b"\0") + data
    info = tarfile.TarInfo("GNUSparseFile.0/a.mp4")
    info.size, info.pax_headers = len(data), headers
    return info.tobuf(tarfile.PAX_FORMAT) + data


@pytest.mark.parametrize("form", ["old GNU", "0.1", "1.0"])
def test_sparse_members(form, tmp_path):
    content = sparse_content()
    path = tmp_path / "x.tar"
    path.write_bytes((old_gnu(content) if form == "old GNU" else pax(form, content)) + bytes(1024))
    assert extracted(path, tmp_path / "out") == {"a.mp4": content}
    assert held(path) == {"a.mp4": content}
    (clip,) = expand_sources([str(path)])
    with open_source(clip) as file:
        file.seek(999_990)
        assert file.read(20) == content[999_990:1_000_010]
        file.seek(-5, io.SEEK_END)
        assert file.read() == content[-5:]


@pytest.mark.parametrize("places", ["0,3,1,3", "0,3,48,3", "5,3,0,3"])
def test_maps_of_holes_that_make_no_sense(places, tmp_path):
    """Pieces that overlap, lie beyond the file's 50 bytes, or come in another order."""
    info = tarfile.TarInfo("GNUSparseFile.0/a.mp4")
    info.size = 6
    info.pax_headers = {
        "GNU.sparse.name": "a.mp4", "GNU.sparse.map": places, "GNU.sparse.size": "50", "GNU.sparse.numblocks": "2",
    }  # fmt: skip
    path = tmp_path / "x.tar"
    path.write_bytes(info.tobuf(tarfile.PAX_FORMAT) + b"abcdef".ljust(512, b"\0") + bytes(1024))
    (clip,) = expand_sources([str(path)])
    assert "its map of holes makes no sense" in (clip.problem or "")


def test_what_is_no_file_is_counted_and_said(tmp_path, caplog):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "a.mp4", ONE)
        link(archive, "out.mp4", "/etc/passwd", tarfile.SYMTYPE)
        link(archive, "up.mp4", "../../etc/passwd", tarfile.SYMTYPE)
        link(archive, "nowhere.mp4", "missing.mp4", tarfile.SYMTYPE)
        link(archive, "hard-nowhere.mp4", "missing.mp4")
        link(archive, "loop.mp4", "pool.mp4", tarfile.SYMTYPE)
        link(archive, "pool.mp4", "loop.mp4", tarfile.SYMTYPE)
        add(archive, "pipe.mp4", type=tarfile.FIFOTYPE)
        add(archive, "device.mp4", type=tarfile.CHRTYPE)
        add(archive, "a.txt", b"text")
    with caplog.at_level("INFO", "framescribe"):
        assert held(path) == {"a.mp4": ONE}
    assert caplog.messages == [
        f"{path}: passed over 4 links to what is no file of the tar, 2 links that lead out of the tar, "
        "2 no regular files, 1 .txt"
    ]


def test_a_member_of_a_tar_whose_name_looks_like_a_glob(tmp_path):
    path = tmp_path / "x[1].tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "a*.mp4", ONE)
    assert [clip.source_video for clip in expand_sources([f"{path}::a*.mp4"])] == [f"{path}::a*.mp4"]
    assert held(path) == {"a*.mp4": ONE}


def test_a_tar_read_in_other_processes_and_twice(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "a.mp4", ONE)
    (clip,) = expand_sources([str(path)])
    with open_source(clip) as first, open_source(clip) as second:
        assert first.read(3) == second.read(3)
        assert first.read() == second.read()
    # The index of the tar that was read last is kept, but not beyond a change of the file.
    with tarfile.open(path, "w") as archive:
        add(archive, "a.mp4", TWO)
    os.utime(path, ns=(1, 1))
    with open_source(Clip(clip.source_video)) as file:
        assert file.read() == TWO
