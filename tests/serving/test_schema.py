"""Requests drawn from the published schema, fitting or not: none is answered by 500, and answers fit the schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from framescribe.captioner import Captioner
from framescribe.serving.app import create_app
from framescribe.serving.settings import ServerSettings

KEY = "a-key-of-this-test"
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection,
]  # fmt: skip


@pytest.fixture(scope="module")
def published(captioner: Captioner) -> Iterator[Any]:
    app = create_app(captioner, ServerSettings(model_name="m", max_output_tokens=2), keys=(KEY,))
    yield schemathesis.openapi.from_asgi("/openapi.json", app, headers={"authorization": f"Bearer {KEY}"})
    app.state.service.close()


def check(published: Any, count: int) -> Counter[int]:
    """Sends ``count`` cases of each operation, fitting ones and others; which statuses came back."""
    statuses: Counter[int] = Counter()
    for found in published.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and operation.method != "post":
                continue  # there is nothing in it that could be wrong

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=count,
                derandomize=count < 100,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            def send(case: Any) -> None:
                if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
                    case.body["model"] = "m"  # so that it is not refused for that alone
                    if mode is GenerationMode.POSITIVE and statuses.total() % 2:  # noqa: B023 - it is called at once
                        case.body["messages"] = [{"role": "user", "content": "hello"}]
                response = case.call_and_validate(headers={"authorization": f"Bearer {KEY}"}, checks=CHECKS)
                statuses[response.status_code] += 1

            send()
    return statuses


def test_requests_of_the_schema(published: Any) -> None:
    statuses = check(published, 25)
    assert {200, 400, 404} <= set(statuses)


@pytest.mark.slow
def test_very_many_requests_of_the_schema(published: Any) -> None:
    statuses = check(published, 3000)
    print(dict(statuses))
    assert sum(statuses.values()) >= 5000
