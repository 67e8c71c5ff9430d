"""``examples/caption_folder.py``, killed and started again: here, and with one word more on Ray."""

import json
import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from tests.pipeline.kill_resume import rows_of
from tests.reference import ROOT

SCRIPT = ROOT / "examples" / "caption_folder.py"


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_folder_is_captioned_over_a_kill_filtered_and_exported(executor, tmp_path):
    videos, captions, target = (tmp_path / name for name in ("videos", "captions", "set"))
    videos.mkdir()
    clips = sorted((ROOT / "examples").glob("*.mp4"))
    # On Ray as many as its queue holds may be done at once.
    count = len(clips) + (16 if executor == "ray" else 2)
    for number in range(count):
        shutil.copy(clips[number % len(clips)], videos / f"{number:02}.mp4")
    command = [sys.executable, str(SCRIPT), str(videos), str(captions), str(target), executor]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 280
    while not list(captions.glob("rows/*.parquet")):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.communicate()
    psutil.wait_procs(children, timeout=60)
    before = len(rows_of(captions))
    assert not target.exists()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = second.stdout.splitlines()
    assert lines[0].startswith(f"{count - before} clip")
    rows = rows_of(captions)
    assert sorted(row["source_video"] for row in rows) == sorted(map(str, videos.iterdir()))
    good = [row for row in rows if row["caption_status"] == "success" and not row["flags"]]
    assert lines[1] == f"{len(good)} good captions; the longest:"
    assert len(good) > count // 2
    longest = sorted((row["output_tokens"] for row in good), reverse=True)[:3]
    by_name = {row["source_video"]: row for row in rows}
    assert [by_name[line.partition(":")[0]]["output_tokens"] for line in lines[2:5]] == longest
    exported = [json.loads(line)["prompt"] for line in (target / "metadata.jsonl").read_text().splitlines()]
    assert sorted(exported) == sorted(
        {row["caption"] for row in good}
    )  # of clips with one caption only the first
