"""Which media a client may name, and fetching them: nothing is asked that the operator did not allow.

A URL must be spelled plainly, so that no two parsers can read it differently; its host must be on the list; every
address that the host resolves to must be a public one; and the connection goes to an address that was checked, not to a
name that is looked up again. Redirects pass the same checks. It runs in a decoding process (``ForeignUrl.open``).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
import tempfile
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from framescribe.errors import UsageError
from framescribe.reading import Foreign, Member, open_regular
from framescribe.video.address import is_metadata
from framescribe.video.web import WebError, decoded, requested

_NAME = r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9](?:[a-z0-9-]{0,62})"
_HOST = rf"{_NAME}|\[[0-9a-f:.]+\]"
_DOMAIN = re.compile(rf"(?:\*\.)?(?:{_HOST})(?::\d{{1,5}})?")
_URL = re.compile(rf"(https?)://({_HOST})(?::(\d{{1,5}}))?((?:[/?][!-~]*)?)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_CHUNK_BYTES = 1 << 20
_SILENCE_S = 15.0
_MAX_URL = 8192
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def check_domain(domain: str) -> None:
    """Raises UsageError for what is no host, ``*.host`` or ``host:port``, in lower case."""
    if not _DOMAIN.fullmatch(domain):
        raise UsageError(
            f"`allowed_domains`: {domain!r} is no host; give it as example.org, *.example.org or example.org:8443"
        )


class UrlRules:
    """Which URLs may be fetched; also what checks each of a fetch's connections.

    Args:
        domains: as ``ServerSettings.allowed_domains``.
    """

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._domains = domains

    def check(self, url: str) -> None:
        """
        Raises:
            WebError: it is spelled in an odd way, or its host is not allowed.
        """
        found = _URL.fullmatch(url)
        if found is None or "\\" in url or len(url) > _MAX_URL:
            raise WebError(
                "is no plain http(s) URL: a host, maybe a port, a path, without user and odd characters"
            )
        scheme, host, port = found[1].lower(), found[2].lower(), int(found[3] or _PORTS[found[1].lower()])
        if not any(_allows(domain, host, port, _PORTS[scheme]) for domain in self._domains):
            raise WebError("its host is not among those that this server fetches from (--allow-domain)")

    def connect(
        self, address: tuple[str, int], timeout: float, source: tuple[str, int] | None = None
    ) -> socket.socket:
        """Connects to a host whose every address may be asked, by one of the addresses that were checked."""
        host, port = address
        places = list(dict.fromkeys(str(found[4][0]) for found in self.resolve(host, port)))
        is_named = any(
            domain.partition(":")[0] == host or domain.startswith(f"[{host}]") for domain in self._domains
        )
        for place in places:
            if is_metadata(place) or not (is_public(place) or (is_named and _is_address(host))):
                raise WebError("its host leads to an address that is not public")
        failure: OSError | None = None
        for place in places:
            try:
                return socket.create_connection((place, port), timeout, source)
            except OSError as error:
                failure = error
        raise failure or WebError("its host has no address")

    def resolve(self, host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
        """As ``socket.getaddrinfo``."""
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def _allows(domain: str, host: str, port: int, usual_port: int) -> bool:
    name, separator, wanted_port = domain.rpartition(":")
    if not separator or domain.endswith("]"):
        name, wanted_port = domain, str(usual_port)
    if str(port) != wanted_port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and not _is_address(host)
    return host == name


def _is_address(host: str) -> bool:
    """Whether a host is an IP address in any spelling that some resolver takes: 127.1, 0x7f000001, 2130706433."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, itself and whatever IPv4 address it may stand for."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        return found.is_global and found in _GLOBAL_UNICAST
    return found.is_global and not found.is_multicast and not found.is_reserved


class ForeignUrl(Foreign, Member):
    """A video behind a URL that a client named.

    Args:
        url: which.
        domains: that may be asked.
        max_bytes: of the file.
    """

    def __init__(self, url: str, domains: tuple[str, ...], max_bytes: int) -> None:
        super().__init__(url, domains, max_bytes)

    def open(self) -> IO[bytes]:
        """Fetches it. Whoever calls this bounds its time: a decoding process is killed."""
        url, domains, max_bytes = self.where
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller
        with requested(url, guard=UrlRules(domains), timeout_s=_SILENCE_S) as response:
            body, count = decoded(response), 0
            while chunk := body.read(min(_CHUNK_BYTES, max_bytes + 1 - count)):
                if (count := count + len(chunk)) > max_bytes:
                    raise WebError(f"it has more than the {max_bytes:,} bytes that are allowed")
                copy.write(chunk)
            if response.length:
                raise WebError(f"it broke off after {count:,} bytes")
        copy.seek(0)
        return copy


class ForeignFile(Foreign, Member):
    """A video in the folder that clients may name files of."""

    def open(self) -> IO[bytes]:
        path: str = self.where[0]
        return open_regular(path)


def file_in(folder: str | Path, url: str) -> ForeignFile | None:
    """The file that a ``file:`` URL names, if it is a regular one within ``folder``, wherever links lead; else None."""
    path = unquote(url.removeprefix("file://"))
    if not path.startswith("/") or "\0" in path:
        return None
    real, root = os.path.realpath(path), os.path.realpath(folder)
    try:
        is_file = stat.S_ISREG(os.stat(real, follow_symlinks=False).st_mode)
    except OSError:
        return None
    is_within = os.path.commonpath([real, root]) == root
    return ForeignFile(real) if is_file and is_within else None
