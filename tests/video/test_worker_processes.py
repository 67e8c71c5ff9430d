"""Decoding processes beside their parent: how they start, what they import, and that they end with it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import framescribe
from framescribe.types import Clip
from framescribe.video.cpus import usable_cpus
from tests.video.decoders import HORSE, own_children, pixels

pytestmark = pytest.mark.usefixtures("earlier_children")

SCRIPT = """
import sys
from framescribe.types import Clip, FrameSampling
from framescribe.video.workers import DecodeWorkers

with DecodeWorkers([], 1000.0) as workers, workers.decoded(Clip(sys.argv[1]), FrameSampling()):
    pass
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_is_stopped(sent, server, tmp_path):
    """A user's script without a main guard, stopped while its worker waits in a clip."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "tmp").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "script.py", server.url],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.DEVNULL,
    )
    with server.accept():
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) == 1
        parent.send_signal(sent)
        parent.wait(240)
        assert psutil.wait_procs(children, timeout=240)[1] == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are bound to CPUs on Linux only")
def test_cpus_that_others_keep_are_not_counted():
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, mine)
    assert usable_cpus() == len(mine)


HIDDEN = """
import sys
from framescribe.types import Clip, FrameSampling
from framescribe.video.workers import DecodeWorkers

if __name__ == "__main__":
    sys.path[:0] = ["left"]
    with DecodeWorkers([], 1000.0) as workers, workers.decoded(Clip(sys.argv[1]), FrameSampling()) as frames:
        print(len(frames.pixels))
"""


@pytest.mark.parametrize("module", ["typing", "queue", "numpy"])
def test_a_folder_that_hides_modules_is_not_handed_on(module, tmp_path):
    """As a failed import of OpenCV leaves one on ``sys.path``, with a ``typing`` in it."""
    (tmp_path / "left" / module).mkdir(parents=True)
    (tmp_path / "left" / module / "__init__.py").write_text("raise ImportError('this is not the real one')")
    (tmp_path / "script.py").write_text(HIDDEN)
    found = subprocess.run(
        [sys.executable, "script.py", str(HORSE)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout == "7\n"


def test_a_worker_imports_the_same_framescribe(tmp_path):
    """Found through ``sys.path`` alone, as in a notebook, and though another is installed."""
    package = Path(framescribe.__file__).parent
    shutil.copytree(package, tmp_path / "framescribe", ignore=shutil.ignore_patterns("models", "__pycache__"))
    worker = tmp_path / "framescribe/video/worker.py"
    worker.write_text(
        worker.read_text().replace("def main() -> None:", "def main() -> None:\n    os._exit(42)\n")
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + SCRIPT
    found = subprocess.run(
        [sys.executable, "-c", script, str(HORSE)], cwd="/", capture_output=True, text=True, check=False
    )
    assert "exit code 42" in found.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses by this score")
def test_where_memory_runs_out_a_worker_goes_before_its_parent(workers):
    pixels(workers, Clip(str(HORSE)))
    (worker,) = own_children()
    assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text() == "1000\n"


def test_what_a_worker_writes_to_its_stderr_is_logged_and_not_shown(workers, monkeypatch, capfd, caplog):
    monkeypatch.setenv("PYTHONVERBOSE", "1")  # the interpreter tells each module that it imports
    caplog.set_level("DEBUG", logger="framescribe")
    pixels(workers, Clip(str(HORSE)))
    assert "decoder: import 'av'" in caplog.text
    # The log may be shown, on request; nothing else is.
    assert [line for line in capfd.readouterr().err.splitlines() if not line.startswith("decoder: ")] == []
