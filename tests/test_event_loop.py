"""What waits for asynchronous work does so in a script, in a notebook's cell, and until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from framescribe.event_loop import run
from tests.reviewing.served import make_folder

CELL = """
import asyncio, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import framescribe
from framescribe.event_loop import run

async def waits():
    print("here", flush=True)
    if "at once" in sys.argv:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("ended", flush=True)

def told(address):
    print(address, flush=True)

async def cell():
    {call}
    print("after", flush=True)

# Not ``asyncio.run``: its own handler turns the first Ctrl-C into a cancelled task. A notebook's raises.
asyncio.new_event_loop().run_until_complete(cell())
"""
CALLS = {
    "serve": "framescribe.serve('tiny', port=0, on_address=told)",
    "review": "framescribe.review(sys.argv[1], port=0, open_browser=False, on_address=told)",
}


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    if value < 0:
        raise ValueError(value)
    return value


def test_answers_and_errors_come_back_in_a_script_and_in_a_notebook() -> None:
    async def cell(value: int) -> int:
        return run(answer(value))

    with ThreadPoolExecutor(1) as threads:  # a browser of other tests may run a loop in this one
        for call in (lambda value: run(answer(value)), lambda value: asyncio.run(cell(value))):
            assert threads.submit(call, 3).result() == 3
            with pytest.raises(ValueError, match="-3"):
                threads.submit(call, -3).result()


@contextmanager
def notebook(call: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-u", "-c", CELL.format(call=call), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as cell:
        try:
            yield cell
        finally:
            cell.kill()


def test_ctrl_c_ends_the_work_and_then_the_cell() -> None:
    with notebook("run(waits())") as cell:
        assert cell.stdout is not None
        assert cell.stdout.readline() == "here\n"
        cell.send_signal(signal.SIGINT)
        printed, error = cell.communicate(timeout=240)
    assert printed == "ended\n"
    assert error.strip().endswith("KeyboardInterrupt")


def test_ctrl_c_while_the_work_begins_ends_it_too() -> None:
    again = """
    for _ in range(50):
        try:
            run(waits())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with notebook(again, "at once") as cell:
        printed, error = cell.communicate(timeout=240)
    assert printed.split() == ["here", "ended", "interrupted"] * 50 + ["after"]
    assert error == ""


@pytest.mark.parametrize("name", CALLS)
def test_a_server_in_a_notebook_answers_until_ctrl_c(name: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "clips", 2) if name == "review" else tmp_path
    with notebook(CALLS[name], str(folder)) as cell:
        assert cell.stdout is not None
        address = cell.stdout.readline().strip()
        url = address if name == "review" else address.removesuffix("/v1") + "/health/live"
        assert httpx.get(url, timeout=60, follow_redirects=True).status_code == 200
        cell.send_signal(signal.SIGINT)
        printed, error = cell.communicate(timeout=240)
    assert (cell.returncode, printed, error) == (0, "after\n", "")
