"""From where an export reads clips: rows may be a stranger's, and name what is none of his."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from framescribe.errors import UsageError
from framescribe.export.pair import Unusable

_CHAIN = re.compile(r"^\w+::|://.*::.*://|^(?!https?:)\w+://.*(?<!\.tar)::")


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
        for place in places:
            if "://" in place and not place.endswith("/"):
                raise UsageError(
                    f"`sources` {place}: a URL must end in /, so that no other begins as it does"
                )
            if "://" not in place and not Path(place).is_dir():
                raise UsageError(f"`sources` {place}: there is no such folder")
        self._urls = tuple(place for place in places if "://" in place)
        self._folders = tuple(Path(place).resolve() for place in places if "://" not in place)

    def check(self, source: str) -> None:
        """Raises Unusable for a source from elsewhere.

        Links are resolved first: a link in an allowed folder leads to no file outside of it.
        """
        place = source.removeprefix("file://")
        if _CHAIN.search(place):
            is_allowed = False
        elif "://" in place:
            if self._urls or self._folders:
                is_allowed = place.startswith(self._urls) and "/../" not in place
            else:
                is_allowed = not place.startswith(("http://", "https://")) or _is_public(place)
        elif self._urls or self._folders:
            archive = place.partition(".tar::")[0] + (".tar" if ".tar::" in place else "")
            real = Path(os.path.realpath(place if os.path.lexists(place) else archive))
            is_allowed = any(real.is_relative_to(folder) for folder in self._folders)
        else:
            is_allowed = True
        if not is_allowed:
            raise Unusable("from a place that is not allowed", f"{source}: name its folder in `sources`")


def _is_public(url: str) -> bool:
    """Whether a web address leads out of this machine and its private networks, as far as names can be looked up."""
    try:
        host = urlsplit(url).hostname or ""
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
    except (ValueError, OSError):
        return True  # an address that leads nowhere; reading it says so
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_global for address in found)
