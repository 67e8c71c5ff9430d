"""The engine's tests run twice: tokens read at once, as on a CPU, and one step late, as on a GPU."""

import pytest

from framescribe.engine import engine


@pytest.fixture(params=[0, 1], ids=["at once", "a step late"])
def lag(request, monkeypatch) -> int:
    monkeypatch.setitem(engine._STEPS_AHEAD, "cpu", request.param)
    return request.param
