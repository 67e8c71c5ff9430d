"""``framescribe rewrite``: the call that its options spell, and its exit codes."""

import json

import pytest

from framescribe import Dataset
from tests.cli.run import invoke
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write
from tests.endpoint.server import FakeServer
from tests.rewriting.test_run import asked, shortened


@pytest.fixture
def folder(tmp_path):
    target = str(tmp_path / "out")
    write(target, *(row(n, caption=f"A man number {n} walks.") for n in range(3)))
    return target


def test_rewrites_with_a_key_and_exits_1_where_a_caption_failed(folder, tmp_path):
    (tmp_path / "key").write_text("k\n")
    with FakeServer(
        key="k", say=lambda body: "" if "number 1" in str(asked(body)) else shortened(body)
    ) as server:
        given = (
            "rewrite",
            folder,
            "--endpoint",
            server.url,
            "--key-file",
            tmp_path / "key",
            "--variant",
            "short",
        )
        found = invoke(*given, "--preset", "short", "--tries", "2")
        assert found.exit_code == 1
        assert "no answer passed the checks; the last one: empty" in found.stderr
        assert "2 rewritten, 1 error" in found.stderr
        again = invoke(*given, "--preset", "short", "--tries", "2")
        assert (again.exit_code, again.stderr.strip()) == (0, "Nothing to do: no caption is left to rewrite")
    assert [each["variant_short"] for each in Dataset(folder)] == ["Dog walk 0.", None, "Dog walk 2."]


def test_a_schema_of_ones_own(folder, tmp_path):
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    with FakeServer(say=lambda body: json.dumps({"n": 3})) as server:
        invoke(
            "rewrite", folder, "--endpoint", server.url, "--variant", "n", "--instruction", "Count.",
            "--schema", tmp_path / "schema.json",
        )  # fmt: skip
    assert [each["variant_n"] for each in Dataset(folder)] == ['{"n": 3}'] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give either --preset or --instruction"),
        (["--preset", "translate"], "the preset translate needs --language"),
        (["--preset", "short", "--schema", "gone.json"], "--schema gone.json cannot be read"),
        (["--preset", "short"], "127.0.0.1:9"),
    ],
)
def test_wrong_usage(folder, given, message):
    found = invoke("rewrite", folder, "--endpoint", "http://127.0.0.1:9", "--variant", "x", *given)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())
