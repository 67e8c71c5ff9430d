"""The server of a review: an address on this machine, a token, and what runs until Ctrl-C."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from framescribe.errors import UsageError
from framescribe.event_loop import run
from framescribe.extras import require
from framescribe.reviewing.guard import LOOPBACK_HOSTS
from framescribe.shown import shown

if TYPE_CHECKING:
    from framescribe.reviewing.session import ReviewSession

DEFAULT_PORT, _TRIED_PORTS = 8765, 20
DEFAULT_CACHE_GB = 2.0
_TOKEN = re.compile(r"[\w-]{43}")
_NO_FILES: Mapping[str, Path] = MappingProxyType({})


def review(
    folder: str | PathLike[str],
    *,
    compare: str | PathLike[str] | None = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    reviewer: str | None = None,
    open_browser: bool = True,
    cache_gb: float = DEFAULT_CACHE_GB,
    tokenizer_files: Mapping[str, Path] = _NO_FILES,
    on_address: Callable[[str], None] = print,
) -> None:
    """Opens a page on which people look at clips beside their captions and decide, until Ctrl-C.

    >>> import framescribe
    >>> framescribe.review("captions/", reviewer="ann")  # doctest: +SKIP

    Args:
        folder: of captions, a path or URL.
        compare: another folder, whose captions of the same clips are compared blind; None: those of two prompts are.
        port: of the address; None takes 8765, or the next that is free.
        host: ``127.0.0.1``, ``localhost`` or ``::1``: no other machine is answered.
        reviewer: whose decisions they are, unless a page says another name; None: this user's name.
        open_browser: show the page.
        cache_gb: most that previews may take on the disk, in 10^9 bytes.
        tokenizer_files: ``tokenizer.json`` of the encoders ``t5`` and ``clip``, whose tokens are then counted.
        on_address: is told the address, with its token, once it answers.

    Raises:
        UsageError: the host is not this machine, the port is taken, there are no rows, or a package is missing.
    """
    for package in ("starlette", "uvicorn"):
        require(package, "review")
    if host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"`host` must be one of {', '.join(LOOPBACK_HOSTS)}, not {host!r}: the page is for this machine only. "
            "From another one, forward the port: ssh -L 8765:127.0.0.1:8765 HOST"
        )
    if not cache_gb > 0:
        raise UsageError(f"`cache_gb` must be above 0, not {cache_gb}")
    from framescribe.reviewing.folder import ReviewedFolder
    from framescribe.reviewing.previews import Previews
    from framescribe.reviewing.report import FolderReport
    from framescribe.reviewing.session import ReviewSession

    names = [fspath(each) for each in (folder, compare) if each is not None]
    if len(set(map(os.path.realpath, names))) < len(names):
        raise UsageError(f"`compare` is the folder itself, {shown(names[0])}: name another run's")
    home = _home(names[0])
    with _listening(host, port) as listening:
        previews = Previews(home.parent / "previews", int(cache_gb * 1e9))
        folders = [ReviewedFolder(name, reviewer or None) for name in names]
        who, page = folders[0].decisions.reviewer, FolderReport(folders[0], home / "report.html")
        with contextlib.closing(ReviewSession(folders, who, previews, page, tokenizer_files)) as session:
            session.start()
            token = _token(home)
            on_address(address := _address(host, listening, token))
            if open_browser:
                webbrowser.open(address)
            _serve(session, listening, token)


def _address(host: str, listening: socket.socket, token: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/?token={token}"


def _serve(session: ReviewSession, listening: socket.socket, token: str) -> None:
    import uvicorn

    from framescribe.reviewing.app import app_of
    from framescribe.reviewing.guard import Guard

    config = uvicorn.Config(
        Guard(app_of(session), token, f"framescribe-{listening.getsockname()[1]}"),
        log_level="warning",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        limit_concurrency=200,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        run(server.serve(sockets=[listening]), partial(server.handle_exit, signal.SIGINT, None))


@contextmanager
def _listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """A socket that already takes connections, so that the address may be told."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = range(DEFAULT_PORT, DEFAULT_PORT + _TRIED_PORTS) if port is None else (port,)
    # As TCP by name: else asyncio leaves Nagle's algorithm on, and what is written in parts waits 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in ports:
            try:
                listening.bind((host, each))
                listening.listen(100)
            except (OSError, OverflowError) as error:
                if each == ports[-1]:
                    reason = getattr(error, "strerror", None) or str(error)
                    raise UsageError(f"`port={each}` cannot be used: {reason}; name another one") from error
            else:
                break
        yield listening


def _home(name: str) -> Path:
    """The folder of this user for what a folder's review keeps between its servers."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    where = hashlib.sha256(os.path.realpath(name).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Path(cache, "framescribe", "review", where)


def _token(home: Path) -> str:
    """The token of a folder's review, the same after a restart: a page that stayed open goes on with it."""
    path = home / "token"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="ascii")
        if _TOKEN.fullmatch(text) and path.stat().st_mode & 0o077 == 0:
            return text
    token = secrets.token_urlsafe(32)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token)
    return token
