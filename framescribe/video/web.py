"""Requests by HTTP: a URL goes out byte for byte as it is named, and leads nowhere but to web servers."""

from __future__ import annotations

import base64
import gzip
import http.client
import re
import socket
import string
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from functools import partial
from typing import IO, Any, Protocol, cast
from urllib.parse import quote, unquote

from framescribe.video.address import host_of, is_metadata, is_this_machine, protocol_of
from framescribe.video.random_access import RandomAccess

_TIMEOUT_S = 60.0
"""A server that sends nothing for so long is given up."""


class WebError(OSError):
    """A web server refused, failed, or may not be asked."""


class Guard(Protocol):
    """What decides where requests may go, beyond what is always refused."""

    def check(self, url: str) -> None:
        """Raises WebError for a URL that may not be asked: the first one, and each that a redirect leads to."""

    def connect(
        self, address: tuple[str, int], timeout: float, source: tuple[str, int] | None = None
    ) -> socket.socket:
        """As ``socket.create_connection``; raises WebError for an address that may not be asked."""


@contextmanager
def requested(
    url: str,
    span: tuple[int, int] | None = None,
    *,
    guard: Guard | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Iterator[http.client.HTTPResponse]:
    """Sends a GET and gives the answer, after redirects, with its body unread.

    Args:
        url: sent as it is; only spaces and what is no ASCII are escaped, as no request can hold them.
        span: asks for the bytes from the first number up to the second, excluded; the server may send all of them.
        guard: is asked first, and makes the connections: no proxy does.
        timeout_s: a server that sends nothing for so long is given up.

    Raises:
        WebError: no answer, or one that is no success; a redirect to anything but a web server.
    """
    request = _request(url)
    if span is not None:
        request.add_header("Range", f"bytes={span[0]}-{span[1] - 1}")
    try:
        with _opener(guard).open(request, timeout=timeout_s) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        raise WebError(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise WebError(str(error.reason)) from error
    except (http.client.HTTPException, ValueError, zlib.error, EOFError) as error:
        raise WebError(f"{type(error).__name__}: {error}") from error


def decoded(response: http.client.HTTPResponse) -> IO[bytes]:
    """The body, decompressed if the server compressed it unasked."""
    match response.headers.get("Content-Encoding", "identity").lower():
        case "" | "identity":
            return response
        case "gzip" | "x-gzip":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=response))
        case encoding:
            raise WebError(f"it is sent with Content-Encoding {encoding}, which was not asked for")


def _request(url: str) -> urllib.request.Request:
    if re.search("[\x00-\x1f\x7f]", url):
        raise WebError("a URL cannot hold control characters")
    address = url.partition("#")[0]
    scheme = protocol_of(url)
    authority, rest = re.fullmatch(r"([^/?]*)(.*)", address[len(scheme) + 3 :]).groups()  # type: ignore[union-attr]
    user, _, host = authority.rpartition("@")
    if not host:
        raise WebError("it names no host")
    request = urllib.request.Request(f"{scheme}://{host}{quote(rest, safe=string.punctuation)}")
    request.add_header("User-Agent", "framescribe")
    if user:
        # For the server that the URL names, not for one that it redirects to.
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _opener(guard: Guard | None) -> urllib.request.OpenerDirector:
    """Opens web addresses only: ``build_opener`` would open files, FTP and data URLs too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(None if guard is None else {}), _Web(guard), _Redirects(),
        urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler(), urllib.request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if is_this_machine(host_of(newurl)) and not is_this_machine(host_of(req.full_url)):
            raise WebError(f"it redirects to {newurl!r}, which is this machine")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _connect(
    address: tuple[str, int], timeout: float, source: tuple[str, int] | None = None
) -> socket.socket:
    """As ``socket.create_connection``, but to no address where clouds keep credentials, whatever name leads there."""
    failure: OSError | None = None
    for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        if is_metadata(str(place[0])):
            raise WebError(f"{address[0]} is a link-local address, from which nothing is read")
        try:
            return socket.create_connection((str(place[0]), int(place[1])), timeout, source)
        except OSError as error:
            failure = error
    raise failure or WebError(f"{address[0]} has no address")


class _Web(urllib.request.AbstractHTTPHandler):
    def __init__(self, guard: Guard | None) -> None:
        super().__init__()
        self._guard = guard

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        # What ``_connect`` checks, for requests that go through a proxy, as far as the address is spelled out.
        host = host_of(request.full_url)
        if is_metadata(host):
            raise WebError(f"{host} is a link-local address, from which nothing is read")
        if self._guard is not None:
            self._guard.check(request.full_url)
        return self.do_request_(request)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPSConnection), req)

    def _connection(self, kind: type[http.client.HTTPConnection], *arguments: Any, **options: Any) -> Any:
        connection: Any = kind(*arguments, **options)
        connection._create_connection = _connect if self._guard is None else self._guard.connect
        return connection

    https_request = http_request


class WebFile(RandomAccess):
    """A file behind a URL, of ``size`` bytes, on a server that sends ranges: each read is a request for one."""

    def __init__(self, url: str, size: int) -> None:
        super().__init__(size)
        self._url = url

    def read_at(self, at: int, count: int) -> bytes:
        with requested(self._url, (at, at + count)) as response:
            if response.status != http.client.PARTIAL_CONTENT:
                raise WebError("it stopped sending ranges")
            return response.read(count)


def ranged_size(headers: Message) -> int | None:
    """The size of the whole file, from the header of an answer with a part of it."""
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
    return int(found.group(1)) if found else None
