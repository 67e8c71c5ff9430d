"""A file of requests: each line one answer, whatever it holds and however often the run is killed."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from framescribe.caption_row import CaptionRow
from framescribe.errors import UsageError
from framescribe.serving import batches
from framescribe.serving.batches import BatchSummary, run_batch
from framescribe.serving.settings import ServerSettings
from framescribe.task import DecodeLimits
from tests.cli.run import invoke
from tests.serving.served import video


def line(custom_id: str, content: Any, **fields: Any) -> str:
    body = {"model": "tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 4} | fields
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})


def answers(path: Path) -> dict[str, Any]:
    found = [json.loads(each) for each in path.read_text().splitlines()]
    assert max(Counter(each["custom_id"] for each in found).values()) == 1
    return {each["custom_id"]: each for each in found}


def test_each_line_gets_one_answer(tmp_path: Path, clip: Path, row: CaptionRow) -> None:
    lines = [
        line("whole", video(clip), max_tokens=2048), "", line("text", "hello"), "{", '{"custom_id": 7}', "[]",
        line("other model", "hello", model="other"), line("stream", "hello", stream=True), line("broken", video(b"no")),
        line("get", "hello").replace("POST", "GET"), line("ünïcode \U0001f3a5", "hello"),
    ]  # fmt: skip
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text("\n".join(lines))
    told: list[tuple[int, int]] = []
    summary = run_batch(
        requests, out, "tiny", batch_size=4, progress=lambda done, total: told.append((done, total))
    )
    assert summary == BatchSummary(answered=10, before=0, failed=7)
    assert told == [(number, 10) for number in range(1, 11)]
    found = answers(out)
    statuses = {name: each["response"]["status_code"] for name, each in found.items()}
    assert statuses == {
        "whole": 200, "text": 200, "ünïcode \U0001f3a5": 200, "line-4": 400, "line-5": 400, "line-6": 400,
        "other model": 404, "stream": 400, "broken": 400, "get": 400,
    }  # fmt: skip
    assert found["whole"]["response"]["body"]["choices"][0]["message"]["content"] == row.caption
    assert found["broken"]["response"]["body"]["error"]["code"] == "invalid_video"
    assert all(each["error"] is None and each["id"] for each in found.values())
    # Again there is nothing to do, and no model is loaded for it.
    assert run_batch(requests, out, "no such model") == BatchSummary(answered=0, before=10, failed=0)


def test_a_notebook_runs_a_loop_already(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(line("text", "hello"))

    async def cell() -> BatchSummary:
        return run_batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl", "tiny")

    with ThreadPoolExecutor(1) as threads:  # a browser of other tests may run a loop in this one
        assert threads.submit(asyncio.run, cell()).result() == BatchSummary(answered=1, before=0, failed=0)


def test_a_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text("".join(line(f"r{number}", "hello") + "\n" for number in range(30)))
    command = [sys.executable, "-m", "framescribe", "run-batch", str(requests), str(out), "--batch-size", "2"]
    before = b"\n" * 30
    while before.count(b"\n") == 30:  # until the kill does not come too late, as on a busy machine it may
        out.unlink(missing_ok=True)
        with subprocess.Popen(command) as running:
            while running.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < 3):
                os.sched_yield()
            running.send_signal(signal.SIGKILL)
        before = out.read_bytes()
    out.write_bytes(before + b'{"id": "torn", "custom_id": "r2')  # a line that the kill cut off
    summary = run_batch(requests, out, "tiny", batch_size=4)
    assert summary.before == before.count(b"\n")
    assert set(answers(out)) == {f"r{number}" for number in range(30)}
    assert out.read_bytes().startswith(before)


def test_a_full_disk_is_told_as_one_and_loses_nothing(tmp_path: Path) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text("".join(line(f"r{number}", "hello") + "\n" for number in range(9)))
    told = [0]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            run_batch(requests, out, "tiny", progress=lambda done, _: told.append(done))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 0 < told[-1] == out.read_bytes().count(b"\n") < 9
    assert run_batch(requests, out, "tiny").before == told[-1]
    assert set(answers(out)) == {f"r{number}" for number in range(9)}


def test_files_that_are_refused(tmp_path: Path) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    with pytest.raises(UsageError):
        run_batch(requests, out)
    for content in ("", "\n\n", line("a", "x") + "\n" + line("a", "y")):
        requests.write_text(content)
        with pytest.raises(UsageError):
            run_batch(requests, out)
        assert not out.exists()
    requests.write_text(line("a", "x"))
    for content in (
        "no JSON\n",
        '{"custom_id": "of another"}\n',
        '{"caption": "a row"}\n',
        "a note without an end",
    ):
        out.write_text(content)
        with pytest.raises(UsageError):
            run_batch(requests, out)
        assert out.read_text() == content
    with pytest.raises(UsageError):
        run_batch(requests, tmp_path)
    link = tmp_path / "link.jsonl"
    link.symlink_to(requests)
    for same in (requests, link):
        with pytest.raises(UsageError, match="has the requests"):
            run_batch(requests, same)
    assert requests.read_text() == line("a", "x")
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(UsageError, match="not a regular file"):
            run_batch(requests, device)


def test_media_are_guarded_and_lines_are_limited(tmp_path: Path, clip: Path) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    url = [{"type": "video_url", "video_url": f"file://{clip}"}]
    requests.write_text(line("file", url) + "\n" + line("long", "x" * 300_000) + "\n" + line("after", "x"))
    run_batch(requests, out, "tiny", settings=ServerSettings(allowed_folder=clip.parent, max_body_mb=0.2))
    statuses = {name: each["response"]["status_code"] for name, each in answers(out).items()}
    assert statuses == {"file": 200, "line-2": 413, "after": 200}
    out.unlink()
    run_batch(requests, out, "tiny", settings=ServerSettings(max_body_mb=0.2))
    assert answers(out)["file"]["response"]["status_code"] == 400


def test_the_command(tmp_path: Path) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text(line("a", "hello"))
    assert invoke("run-batch", requests, out).exit_code == 0
    requests.write_text(line("a", "hello") + "\n{")
    assert invoke("run-batch", requests, out).exit_code == 1
    assert invoke("run-batch", requests, out).exit_code == 0  # all have their answer
    assert invoke("run-batch", tmp_path / "none", out).exit_code == 2


PATIENT = ServerSettings(limits=DecodeLimits(2, timeout_s=300))


# Beneath a device nothing can be made, by root or by a library that makes the folders it misses.
NOWHERE = "/dev/null/nowhere"


@pytest.mark.parametrize("trouble", [NOWHERE, 7])
def test_a_line_that_fails_for_a_moment_or_by_a_bug_is_left_for_the_next_run(
    tmp_path: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Any,
) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text(
        "\n".join([line("film", video(clip)), line("text", "hello"), line("wrong", "x", n=2)])
    )
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", trouble)  # so that no decoder starts: an OSError, and a TypeError
        patch.setattr(batches, "_PAUSES_S", (0.01, 0.01))
        assert run_batch(requests, out, "tiny", settings=PATIENT) == BatchSummary(
            answered=2, before=0, failed=1, left=1
        )
    assert set(answers(out)) == {"text", "wrong"}
    assert "film: no answer: " in caplog.text
    summary = run_batch(requests, out, "tiny", settings=PATIENT)
    assert summary == BatchSummary(answered=1, before=2, failed=0), answers(out)["film"]


def test_a_line_that_failed_for_a_moment_is_tried_again(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text(line("text", "hello") + "\n" + line("film", video(clip)))
    usual = tempfile.gettempdir()
    monkeypatch.setattr(tempfile, "tempdir", NOWHERE)
    monkeypatch.setattr(batches, "_PAUSES_S", (20.0, 20.0))
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        tempfile.tempdir = usual  # now there is room

    monkeypatch.setattr(batches, "_pause", pause)
    assert run_batch(requests, out, "tiny", settings=PATIENT) == BatchSummary(answered=2, before=0, failed=0)
    assert pauses == [20.0]
