"""What a source's name says: a path, a URL, or a file in an archive; and which of these are read at all.

A name is never rewritten: it is a clip's identity, and a signed URL is valid only byte for byte.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
import socket

from framescribe.errors import UsageError
from framescribe.shown import shorten, shown

MARK = "::"
"""Between an archive and a file in it: ``shard-000.tar::clip.mp4``."""

ARCHIVE_SUFFIXES = (".tar", ".parquet")
WEB = ("http", "https")
PROTOCOLS = frozenset(
    {"abfs", "abfss", "az", "file", "gcs", "gs", "hf", "http", "https", "memory", "s3", "s3a"}
)
"""What is read without a word: files, web servers, object stores, the Hugging Face hub."""

PROTOCOLS_SETTING = "FRAMESCRIBE_PROTOCOLS"
"""Environment variable with further ones that fsspec knows, such as ``sftp smb``; decoding processes inherit it."""

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HERE = ("", "file", "memory")


def protocol_of(name: str) -> str:
    """``s3`` of ``s3://bucket/key``; empty for a path."""
    found = _PROTOCOL.match(name)
    return found.group(1).lower() if found else ""


def local_path(name: str) -> str | None:
    """The path that a path or a ``file://`` URL names; None for anything else."""
    protocol = protocol_of(name)
    if not protocol:
        return name
    return name[len("file://") :] if protocol == "file" else None


def without_query(name: str) -> str:
    """What a name is called in files of our own: of URLs the query is no part of that; anything else stays as it is."""
    found = split_member(name)
    return _path(name) if found is None else f"{_path(found[0])}{MARK}{found[1]}"


def suffix_of(name: str) -> str:
    """The ending of a path, of a URL's path whatever query follows it, or of a file in an archive: ``.mp4``."""
    return _suffix(without_query(name))


def folder_of(name: str) -> str:
    """Where the relative paths in a list start: its folder, of a URL without the query."""
    head = f"{protocol_of(name)}://"
    if head == "://":
        return os.path.dirname(name)
    return head + posixpath.dirname(_path(name)[len(head) :])


def split_member(name: str) -> tuple[str, str] | None:
    """Archive and file of ``x.tar::k.mp4``; None if the name is not of this form."""
    at = name.find(MARK)
    while at >= 0:
        archive, member = name[:at], name[at + len(MARK) :]
        if member and _suffix(_path(archive)) in ARCHIVE_SUFFIXES:
            return archive, member
        at = name.find(MARK, at + 1)
    return None


def _path(name: str) -> str:
    return re.split("[?#]", name, maxsplit=1)[0] if protocol_of(name) else name


def _suffix(path: str) -> str:
    return os.path.splitext(path.rsplit("/", 1)[-1])[1].lower()


def check_name(name: str) -> None:
    """Raises UsageError for a name that would be read by a protocol that is not allowed, or by a chain of them.

    Of fsspec's chains (``a::b``) some run what a stranger's file says, and send what they find to a stranger's server:
    only a file in an archive of ours is ever taken behind ``::``.
    """
    found = split_member(name)
    place = name if found is None else found[0]
    protocol = protocol_of(place)
    label = shorten(shown(name), 300)
    if not protocol:
        if MARK in place and "://" in place and not os.path.lexists(place):
            raise UsageError(f"{label}: chains of protocols (a::b) are not read, only ARCHIVE.tar::MEMBER")
    elif protocol not in (allowed := PROTOCOLS | set(os.environ.get(PROTOCOLS_SETTING, "").split())):
        raise UsageError(
            f"{label}: nothing is read by {protocol}://, only by {', '.join(sorted(allowed))}; "
            f"{PROTOCOLS_SETTING}={protocol} in the environment allows it"
        )
    elif protocol not in WEB and protocol != "file" and MARK in place:
        raise UsageError(f"{label}: chains of protocols (a::b) are not read, only ARCHIVE.tar::MEMBER")


def check_listed(name: str, list_name: str) -> None:
    """Raises UsageError for what a list may not name; ``check_name`` comes first.

    A list on this machine may name its files. One behind a URL is a stranger's: it names neither files nor servers of
    the machine that reads it, except a list that this machine itself serves.
    """
    if protocol_of(list_name) in _HERE:
        return
    found = split_member(name)
    place = name if found is None else found[0]
    if protocol_of(place) in _HERE:
        raise UsageError("a list behind a URL cannot name files of this machine")
    if protocol_of(place) in WEB and is_this_machine(host_of(place)):
        if protocol_of(list_name) in WEB and is_this_machine(host_of(list_name)):
            return
        raise UsageError("a list from elsewhere cannot name servers of this machine")


def host_of(url: str) -> str:
    """The host of a URL, without user and port; brackets of IPv6 removed."""
    authority = re.split("[/?#]", url[len(protocol_of(url)) + 3 :], maxsplit=1)[0].rpartition("@")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def is_this_machine(host: str) -> bool:
    """Whether a host names the machine that asks, in any spelling that is no lookup."""
    name = host.lower().rstrip(".")
    address = _address(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return name in ("", "localhost") or name.endswith(".localhost")


def is_metadata(address: str) -> bool:
    """Whether an IP address is link-local, or one where clouds hand credentials to whoever asks."""
    found = _address(address.partition("%")[0])
    return found is not None and (found.is_link_local or str(found) in ("100.100.100.200", "fd00:ec2::254"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # also 127.1, 0x7f000001 and 2130706433
        except (OSError, ValueError):
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
