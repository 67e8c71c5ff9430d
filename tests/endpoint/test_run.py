"""Runs through an endpoint: the folder, resuming, Ctrl-C, kills, the command line."""

import signal

import pytest

import framescribe
from framescribe import CaptionSettings, Endpoint, FrameSampling
from framescribe.dataset.dataset import Dataset
from framescribe.endpoint.spec import BudgetSpent
from framescribe.errors import UsageError
from tests.cli.run import CliRunner, app
from tests.endpoint.kill_resume import kill_and_resume, make_clips, start, wait_until
from tests.endpoint.server import MODEL, FakeServer

SETTINGS = CaptionSettings(sampling=FrameSampling("uniform", num_frames=2))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    make_clips(folder, 6)
    return folder


def caption(server, videos, out, settings=SETTINGS, new_run=False, **options):
    executor = Endpoint(server.url, **options)
    return framescribe.caption(
        videos, out, executor=executor, settings=settings, progress=False, new_run=new_run
    )


def test_a_budget_stops_a_run_that_resumes(videos, tmp_path):
    out = tmp_path / "out"
    with FakeServer() as server:
        with pytest.raises(BudgetSpent):
            caption(server, videos, out, max_requests=6)  # two are the probe's
        assert Dataset(out).count() == 4
        assert caption(server, videos, out).rows == 2
        assert Dataset(out).count() == 6
        assert "Nothing to do" in str(caption(server, videos, out))


def test_other_servers_of_the_model_go_on_and_other_media_do_not(videos, tmp_path):
    out = tmp_path / "out"
    with FakeServer() as server:
        caption(server, videos, out)
    with FakeServer() as server:
        assert caption(server, videos, out).rows == 0
        with pytest.raises(UsageError, match="sent was 'frames jpeg q=2', now 'images jpeg q=2'"):
            caption(server, videos, out, send="images")
        assert caption(server, videos, out, send="images", new_run=True).rows == 6
    with FakeServer(models=("another",)) as server, pytest.raises(UsageError, match="model was 'model-a'"):
        caption(server, videos, out)


def test_nothing_is_made_for_an_endpoint_that_cannot_be_used(videos, tmp_path):
    with FakeServer(key="a") as server, pytest.raises(UsageError, match="it wants a key"):
        caption(server, videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"model": "tiny-random"},
        {"features": True},
        {"batch_size": 2},
        {"limits": framescribe.DecodeLimits(workers=0)},
        {"scores": "all", "executor": Endpoint("http://127.0.0.1:1", send="video")},
    ],
)
def test_rules(videos, tmp_path, options):
    options = {"executor": Endpoint("http://127.0.0.1:1")} | options
    with pytest.raises(UsageError, match="`"):
        framescribe.caption(videos, tmp_path / "out", progress=False, **options)


def test_the_command_reads_keys_and_hides_them(videos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    (tmp_path / "key").write_text("secret-key\n")
    with FakeServer(key="secret-key") as server:
        command = ["caption", str(videos), "-o", str(out), "--endpoint", server.url, "--frames", "2"]
        refused = CliRunner().invoke(app, command)
        assert (refused.exit_code, "it wants a key" in refused.stderr) == (2, True)
        done = CliRunner().invoke(app, [*command, "--key-file", str(tmp_path / "key")])
        assert done.exit_code == 0, done.stderr
        monkeypatch.setenv("OTHER_KEY", "secret-key")
        asked = ["ask", str(videos / "0.mp4"), "What?", "--endpoint", server.url, "--key-env", "OTHER_KEY"]
        answer = CliRunner().invoke(app, asked)
        assert answer.stdout.startswith("A caption of what has the hash")
    row = next(iter(Dataset(out)))
    assert row["answered_by"] == MODEL
    assert "secret" not in done.stderr + done.stdout + refused.stderr
    files = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(b"secret" in content for content in files)


def test_ctrl_c_ends_at_once_and_the_run_resumes(videos, tmp_path):
    out = tmp_path / "out"
    with FakeServer(lambda number, body: "hang" if number > 4 else None) as server:
        process = start(videos, out, server.url)
        wait_until(lambda: server.faults["hang"] > 0, process)
        process.send_signal(signal.SIGINT)
        messages = process.communicate(timeout=240)[1]
        assert process.returncode == 130, messages
        kept = Dataset(out).count()
        assert kept <= 2  # two of the four answers were the probe's
        server.fault = lambda number, body: None
        resumed = start(videos, out, server.url)
        assert resumed.wait(timeout=240) == 0
    assert Dataset(out).count() == len({row["clip_id"] for row in Dataset(out)}) == 6


def test_kills(tmp_path):
    outcome = kill_and_resume(tmp_path, clips=16, kills=1, seed=0, rows_per_shard=4)
    assert (outcome.rows, outcome.lost, outcome.wrong, outcome.captioned_twice) == (16, 0, 0, 0)
    assert outcome.kills == 1
