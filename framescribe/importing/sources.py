"""Captions of all that a user names: files of entries, exports, and texts beside videos, in folders and tars."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import PurePath

from framescribe.errors import UsageError
from framescribe.export.layout import LAYOUTS
from framescribe.export.writers import Lists, Texts
from framescribe.importing.entries import ENTRY_SUFFIXES, EntryFile, entry_files, is_there
from framescribe.importing.found import Found, Problem, caption_text
from framescribe.pipeline.sources import expand_sources
from framescribe.reading import check_encoding, open_regular, read_text, text_lines
from framescribe.shown import shown
from framescribe.types import Clip
from framescribe.video.address import MARK, local_path, split_member, suffix_of

_MAX_TEXT_BYTES = 1 << 20
_END = ".txt"


def find_captions(source: str, caption_column: str | None, dropped: set[str]) -> Iterator[Found | Problem]:
    """What there is of clips and captions in something that a user names.

    Args:
        source: a file of entries; a folder that holds one, or a pair of lists, as exports do; or else videos, as for
            ``caption``, with a text file of the same stem beside each, or in the folder where an export puts it.
        caption_column: see ``EntryFile``.
        dropped: names of values that are not read are added.

    Raises:
        UsageError: it is not there, or is nothing of these.
    """
    path = local_path(source)
    is_folder = path is not None and os.path.isdir(path)
    files = entry_files(source) if is_folder else [source] if suffix_of(source) in ENTRY_SUFFIXES else []
    if files:
        for file in (EntryFile(name, caption_column) for name in files):
            yield from file
            dropped |= file.dropped
    elif is_folder and (pair := _lists(source)) is not None:
        yield from _in_lists(source, *pair)
    elif suffix_of(source) == _END and not is_folder:
        raise UsageError(f"{shown(source)}: a list of videos has no captions; name the folder of the videos")
    else:
        yield from _beside(source)


def _lists(folder: str) -> tuple[str, str] | None:
    """The files of paths and of captions of an export that has such."""
    for layout in LAYOUTS.values():
        if isinstance(layout.writer, Lists):
            names = {template: name for name, template in layout.writer.files.items()}
            pair = names["{path}"], names["{caption}"]
            if all(os.path.isfile(os.path.join(folder, name)) for name in pair):
                return pair
    return None


def _in_lists(folder: str, paths: str, captions: str) -> Iterator[Found | Problem]:
    names = [os.path.join(folder, name) for name in (paths, captions)]
    with open_regular(names[0]) as first, open_regular(names[1]) as second:
        files = zip((first, second), names, strict=True)
        lines = [filter(_has_text, enumerate(text_lines(file, name), start=1)) for file, name in files]
        for entry, caption in itertools.zip_longest(*lines):
            if entry is None or caption is None:
                raise UsageError(f"{shown(names[0])} and {captions} do not have as many lines as each other")
            where = f"{names[1]}:{caption[0]}"
            try:
                clip = Clip(os.path.join(folder, os.fsdecode(entry[1] or b"").strip()))
                if not is_there(clip):
                    raise UsageError(f"there is no video {shown(clip.source_video)}")
                yield Found(clip, _decoded(caption[1]), where)
            except UsageError as error:
                yield Problem(where, str(error))


def _has_text(line: tuple[int, bytes | None]) -> bool:
    return line[1] is None or bool(line[1].strip())


def _decoded(text: bytes | None) -> str | None:
    if text is None or len(text) > _MAX_TEXT_BYTES:
        raise UsageError(f"the caption is longer than {_MAX_TEXT_BYTES >> 20} MiB")
    check_encoding(text, "the caption")
    try:
        return caption_text(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"the caption is not UTF-8: {error.reason} at byte {error.start}") from error


def _beside(source: str) -> Iterator[Found | Problem]:
    tar, texts = "", {}
    for clip in expand_sources([source]):
        where = clip.source_video
        try:
            if clip.problem is not None:
                raise UsageError(clip.problem)
            member = split_member(clip.source_video)
            if clip.data is not None and member is not None:
                if member[0] != tar:
                    tar, texts = member[0], _texts_in(member[0])
                where, caption = texts.get(PurePath(member[1]).with_suffix("").as_posix(), (where, None))
            else:
                where, caption = _text_of(clip)
            yield Found(clip, caption, where)
        except (UsageError, OSError) as error:
            yield Problem(where, str(error))


def _text_of(clip: Clip) -> tuple[str, str | None]:
    """The file of a video's text, and what is in it; of several places where exports put it the first."""
    path = local_path(clip.source_video)
    if path is None:
        return clip.source_video, None
    for place in _places(path):
        if os.path.isfile(place):
            return place, caption_text(read_text(place, _MAX_TEXT_BYTES))
    return path, None


def _places(path: str) -> Iterator[str]:
    folder, name = os.path.split(os.path.splitext(path)[0] + _END)
    yield os.path.join(folder, name)
    parent, last = os.path.split(folder)
    for layout in LAYOUTS.values():
        if isinstance(layout.writer, Texts) and layout.writer.clips == last != layout.writer.texts:
            yield os.path.join(parent, layout.writer.texts, name)


def _texts_in(tar: str) -> dict[str, tuple[str, str | None]]:
    """Of a tar, by the stem of a clip: where its caption is, and what it is."""
    from framescribe.video.tar import index_tar

    found: dict[str, tuple[str, str | None]] = {}
    for name, member in index_tar(tar).files.items():
        if suffix_of(name) == _END:
            with member.open() as file:
                text = _decoded(file.read(_MAX_TEXT_BYTES + 1))
            found[PurePath(name).with_suffix("").as_posix()] = f"{tar}{MARK}{name}", text
    lines = f"{tar.removesuffix('.tar')}.meta.jsonl"
    if local_path(lines) is not None and os.path.isfile(lines):
        with open_regular(lines) as file:
            for number, line in enumerate(text_lines(file, lines), 1):
                entry = json.loads(line or b"null")
                if isinstance(entry, dict) and isinstance(entry.get("key"), str):
                    found[entry["key"]] = f"{lines}:{number}", caption_text(entry.get("caption"))
    return found
