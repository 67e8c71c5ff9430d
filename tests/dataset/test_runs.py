"""A run's identity: whatever decides a caption is in it, field by field."""

import dataclasses

import pytest

from framescribe.dataset.runs import RunLog, run_identity
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings

PLAIN = CaptionSettings(generation=GenerationSettings(temperature=0.7))
_OTHER = {"repair": True, "strategy": "base", "template": "vqa", "prompt": "Why?"}


def with_another(settings, field: str):
    """The settings with another value of one field."""
    value = getattr(settings, field)
    if field in _OTHER:
        other = _OTHER[field]
    elif isinstance(value, bool):
        other = not value
    elif isinstance(value, int):
        other = value + 1
    else:
        other = value / 2
    return dataclasses.replace(settings, **{field: other})


def changes():
    """Every field of every settings class, so that one which is added later is here too."""
    for field in dataclasses.fields(CaptionSettings):
        if field.name in ("sampling", "generation"):
            inner = getattr(PLAIN, field.name)
            for name in (each.name for each in dataclasses.fields(inner)):
                yield name, dataclasses.replace(PLAIN, **{field.name: with_another(inner, name)})
        else:
            yield field.name, with_another(PLAIN, field.name)


CHANGES = dict(changes())


def identity(settings, *made_by):
    return run_identity(settings, [settings.prompt], *made_by)


def test_other_prompts_are_another_run():
    one, two, turned = (
        run_identity(PLAIN, prompts, "m", "r", "fp32") for prompts in (["a"], ["a", "b"], ["b", "a"])
    )
    assert one["prompt"] == "a"
    assert one != two != turned


def test_every_field_is_tried():
    classes = (CaptionSettings, FrameSampling, GenerationSettings)
    names = {field.name for each in classes for field in dataclasses.fields(each)} - {
        "sampling",
        "generation",
    }
    assert CHANGES.keys() == names


@pytest.mark.parametrize("field", CHANGES)
def test_another_setting_is_another_run(field, tmp_path):
    folder = RowFolder(tmp_path)
    folder.prepare()
    before, after = (identity(settings, "m", "r", "fp32") for settings in (PLAIN, CHANGES[field]))
    run = RunLog(folder).begin(before, beside=False)
    log = RunLog(folder)
    assert log.find(before).fingerprint == run.fingerprint
    assert log.find(after) is None
    with pytest.raises(UsageError, match=f"other settings: .*{field} was "):
        log.begin(after, beside=False)
    assert log.begin(after, beside=True).fingerprint != run.fingerprint


@pytest.mark.parametrize("place", range(3))
def test_another_model_is_another_run(place, tmp_path):
    made_by = ["m", "r", "fp32"]
    before = identity(PLAIN, *made_by)
    made_by[place] += "x"
    folder = RowFolder(tmp_path)
    folder.prepare()
    RunLog(folder).begin(before, beside=False)
    with pytest.raises(UsageError, match="other settings"):
        RunLog(folder).begin(identity(PLAIN, *made_by), beside=False)


@pytest.mark.parametrize(
    "content",
    [
        "[]", "5", "null", '{"runs": 5}', '{"runs": [[]]}', '{"runs": [{"identity": 5}]}', "[" * 99_999, "\xff",
        '{"schema_version": "x", "runs": [{}]}',
    ],
)  # fmt: skip
def test_a_run_file_of_others_is_named(content, tmp_path):
    folder = RowFolder(tmp_path)
    folder.prepare()
    (tmp_path / "_run.json").write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match=r"_run\.json is damaged.*move it away"):
        RunLog(folder)
