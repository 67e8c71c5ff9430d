"""What ``--ray`` refuses before any work, with the reason. Some need the extra: ``-m ray``."""

from __future__ import annotations

import socket
import time

import pytest

from framescribe.dataset.store import RowFolder
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.ray import cluster
from framescribe.pipeline.ray.cluster import Cluster, check_hosts, connected, is_address
from framescribe.pipeline.ray.run import check_store, choose_device, spread_over
from tests.cli.run import invoke, start
from tests.reference import CLIPS


def test_what_is_an_address():
    assert all(map(is_address, ["local", "auto", "ray://head:10001", "10.0.0.1:6379", "[::1]:6379"]))
    assert not any(map(is_address, ["clips/", "a.mp4", "-o", "s3://bucket/x", "ray://head"]))


@pytest.mark.ray
def test_an_address_that_does_not_answer_is_told_at_once(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # not listening
        address = f"127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        result = invoke("caption", CLIPS / "horse.mp4", "-o", tmp_path / "out", "--ray", address)
    assert result.exit_code == 2
    assert f"nothing answers at {address}" in " ".join(result.stderr.split())
    assert time.monotonic() - began < 20
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
def test_what_answers_but_is_no_cluster_is_told(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        result = invoke("caption", CLIPS / "horse.mp4", "-o", tmp_path / "out", "--ray", address)
    assert result.exit_code == 2
    assert address in result.stderr


def test_a_gpu_that_is_not_there_and_a_small_store_are_refused():
    small = Cluster(hosts=2, gpus=0, cpus=8, store_bytes=10**9)
    with pytest.raises(ValueError, match="no GPU on the cluster's 2 hosts"):
        choose_device("cuda", small)
    run = CaptionRun(sources=("x",), output="out", executor=Ray(), model=ModelSpec(device="cuda"))
    assert choose_device("auto", small) == "cpu"
    spread = spread_over(Cluster(1, 8, 128, 10**9), run, Ray())
    assert (spread.workers, spread.gpus_per_worker, spread.decoders, spread.queue_clips) == (8, 1, 120, 320)
    with pytest.raises(ValueError, match=r"object store has 1\.0 GB .* need .* --object-store-memory"):
        check_store(spread, small, 7_225_344)


@pytest.mark.ray
def test_no_gpu_is_refused_before_anything_is_written(tmp_path):
    process = start("caption", CLIPS / "horse.mp4", "-o", tmp_path / "out", "--device", "cuda", "--ray")
    messages = process.communicate(timeout=300)[1]
    assert process.returncode == 2
    assert "Ray sees no GPU" in " ".join(messages.split())
    assert not (tmp_path / "out").exists()


def test_ray_needs_a_folder(tmp_path):
    result = invoke("caption", CLIPS / "horse.mp4", "-o", tmp_path / "rows.jsonl", "--ray")
    assert result.exit_code == 2
    assert "--ray writes to a folder" in result.stderr


@pytest.mark.ray
def test_hosts_with_another_version_or_without_the_folder_are_named(tmp_path, monkeypatch):
    here, elsewhere = RowFolder(tmp_path), RowFolder(tmp_path / "elsewhere")
    (tmp_path / "_run.json").touch()
    with connected("local") as there:
        assert there.hosts == 1
        check_hosts(here)
        with pytest.raises(ValueError, match=r"host \S+ does not see .*elsewhere"):
            check_hosts(elsewhere)
        monkeypatch.setattr(cluster, "__version__", "99.0")
        with pytest.raises(ValueError, match=r"has framescribe 0\S+, this one 99\.0"):
            check_hosts(here)
