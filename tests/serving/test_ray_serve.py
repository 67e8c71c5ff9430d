"""``examples/serve_on_ray.py``: the same answers from two replicas behind Ray Serve."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from framescribe.caption_row import CaptionRow
from tests.serving.served import video

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve", exc_type=ImportError)


def test_the_example_answers_as_caption_does(clip: Path, row: CaptionRow) -> None:
    from examples.serve_on_ray import captions

    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": 8765})
        serve.run(captions({"gpus": "0", "replicas": "2"}), route_prefix="/")
        body = {"model": "tiny", "messages": [{"role": "user", "content": video(clip)}]}
        response = httpx.post("http://127.0.0.1:8765/v1/chat/completions", json=body, timeout=120)
        assert response.json()["choices"][0]["message"]["content"] == row.caption
    finally:
        serve.shutdown()
        ray.shutdown()
