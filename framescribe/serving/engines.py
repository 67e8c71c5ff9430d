"""One server for each device, as processes of this machine that are started again when they end."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

from framescribe.errors import DeviceError, FramescribeError, UsageError

log = logging.getLogger("framescribe")

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from framescribe.serving.engines import main
main()
"""
_LONGEST_PAUSE_S = 30.0
_BETWEEN_LOOKS_S = 0.2
_ENDS_WITHIN_S = 10.0


class Engine:
    """A server on one device, in a process of its own.

    Args:
        device: which.
        arguments: of ``framescribe.serving.run.serve``.

    Attributes:
        url: of the server, while it is ready.
        in_work: requests that it was given and has not answered.
        failure: why it is not started any more.
    """

    def __init__(self, device: str, arguments: dict[str, Any]) -> None:
        self.device, self._arguments = device, arguments
        self.url: str | None = None
        self.in_work = 0
        self.failure: FramescribeError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"engine {device}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the process, with what it is at."""
        self._is_over.set()
        if (process := self._process) is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _keep(self) -> None:
        pause_s = 1.0
        while not self._is_over.is_set() and self.failure is None:
            was_ready = self._run()
            pause_s = 1.0 if was_ready else min(2 * pause_s, _LONGEST_PAUSE_S)
            if not self._is_over.is_set() and self.failure is None:
                log.error("the process of %s ended; it is started again", self.device)
                self._is_over.wait(pause_s)

    def _run(self) -> bool:
        """Runs it once, to its end; whether it was ready."""
        was_ready = False
        with subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the process that listens
        ) as process:
            self._process = process
            if self._is_over.is_set():
                process.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump(self._arguments, process.stdin)
                process.stdin.flush()
                for line in process.stdout:
                    told = json.loads(line)
                    if "url" in told:
                        was_ready = self._wait_until_ready(process, told["url"])
                    elif not was_ready and told["kind"] == "UsageError":  # the same each time
                        self.failure = UsageError(told["failure"])
                    else:
                        log.error("%s: %s", self.device, told["failure"])
            except (OSError, ValueError) as error:
                log.error("the process of %s: %s", self.device, error)
            finally:
                self.url = None
                process.kill()
        return was_ready

    def _wait_until_ready(self, process: subprocess.Popen[bytes], url: str) -> bool:
        root = url.removesuffix("/v1")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while process.poll() is None:
            try:
                opener.open(f"{root}/health/ready", timeout=10).close()
            except OSError:
                self._is_over.wait(_BETWEEN_LOOKS_S)
            else:
                self.url = root
                return True
        return False


def main() -> None:
    """The process: serves, and ends with the one that started it."""
    from framescribe.serving.run import serve

    arguments = pickle.load(sys.stdin.buffer)  # of the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "w") as told:
        os.dup2(2, 1)  # what a library prints is no message

        def tell(**message: str) -> None:
            print(json.dumps(message), file=told, flush=True)

        try:
            serve(**arguments, on_address=lambda address: tell(url=address))
        except (UsageError, DeviceError) as error:
            tell(failure=str(error), kind=type(error).__name__)
            raise SystemExit(1) from None


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
