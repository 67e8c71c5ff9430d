"""From where an export reads clips: rows may be a stranger's, and name what is none of his."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote

from framescribe.errors import UsageError
from framescribe.export.pair import Unusable
from framescribe.video.address import WEB, check_name, host_of, local_path, protocol_of, split_member

_NOT_ALLOWED = "from a place that is not allowed"


class Places:
    """Folders and URLs from where clips may come."""

    def __init__(self, places: Collection[str]) -> None:
        """
        Args:
            places: folders, and beginnings of URLs that end in ``/``. None of them: every file of this machine, and
                every URL but those of web servers in private networks.

        Raises:
            UsageError: a beginning of a URL does not end in ``/``, or there is no such folder.
        """
        self._urls = tuple(place for place in places if protocol_of(place))
        folders = [place for place in places if not protocol_of(place)]
        for url in self._urls:
            if not url.endswith("/"):
                raise UsageError(f"`sources` {url}: a URL must end in /, so that no other begins as it does")
        for folder in folders:
            if not Path(folder).is_dir():
                raise UsageError(f"`sources` {folder}: there is no such folder")
        self._folders = tuple(Path(folder).resolve() for folder in folders)

    def check(self, source: str) -> None:
        """Raises Unusable for a source from elsewhere, or by a protocol or a chain of protocols that is not read.

        Links are resolved first: a link in an allowed folder leads to no file outside of it.
        """
        try:
            check_name(source)
        except UsageError as error:
            raise Unusable(_NOT_ALLOWED, str(error)) from error
        found = split_member(source)
        path = local_path(source if found is None or os.path.lexists(source) else found[0])
        is_limited = bool(self._urls or self._folders)
        if path is not None:
            is_allowed = not is_limited or self._holds(path)
        elif is_limited:
            is_allowed = source.startswith(self._urls) and "/../" not in unquote(source)
        else:
            is_allowed = protocol_of(source) not in WEB or _is_public(host_of(source))
        if not is_allowed:
            raise Unusable(_NOT_ALLOWED, f"{source}: name its folder in `sources`")

    def _holds(self, path: str) -> bool:
        try:
            real = Path(os.path.realpath(path))
        except ValueError:  # a null byte
            return False
        return any(real.is_relative_to(folder) for folder in self._folders)


def _is_public(host: str) -> bool:
    """Whether a host lies outside of this machine and its private networks, as far as names can be looked up."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (ValueError, OSError):
        return True  # one that is nowhere; reading from it says so
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_global for address in found)
