"""Settings files: what is refused, and that the documentation lists exactly what there is."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import pytest

from framescribe.train.settings import TrainSettings
from tests.reference import ROOT

GOOD: dict[str, Any] = {"data": "synthetic", "steps": 10, "model": "tiny"}
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_valid(path: Path) -> None:
    """Every value is read as it was written; names of files, which are sought, are left out."""
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    read = asdict(TrainSettings.from_file(path))
    kept = {name: list(value) if isinstance(value, tuple) else value for name, value in read.items()}
    files = {"architecture", "data", "model"}
    assert {"steps", "data"} <= written.keys()
    assert {name: kept[name] for name in written.keys() - files} == {
        name: written[name] for name in written.keys() - files
    }


def test_there_are_recipes() -> None:
    assert {path.name for path in RECIPES} >= {"style.toml", "askew.toml", "upright.toml"}


def test_architecture_is_sought_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('data = "synthetic"\nsteps = 1\narchitecture = "sizes/config.json"\n')
    assert TrainSettings.from_file(path).architecture == str(tmp_path / "sizes" / "config.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 5, "lr": 1}, r"unknown settings \['lr', 'step'\]; known are"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
        ({"steps": True}, "steps must be a whole number, not True"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0, not nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be at least 0, not inf"),
        ({"learning_rate": "1e-4"}, "learning_rate must be a number, not '1e-4'"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, not -1"),
        (
            {"lora_layers": 0, "lora_rank": 2},
            "lora_layers must be at least 1, and goes with lora_rank; it is 0",
        ),
        ({"lora_layers": 2}, "lora_layers must be at least 1, and goes with lora_rank; it is 2"),
        (
            {"data": "clips", "askew": 0.25},
            "askew is a share of the synthetic world's subjects, not 0.25 of 'clips'",
        ),
        ({"data": "synthetic", "askew": 1.5}, "not 1.5 of 'synthetic'"),
        ({"data": "synthetic", "askew": -1}, "askew must be at least 0, not -1"),
        ({"optimizer": "sgd"}, "optimizer must be one of adamw, muon, not 'sgd'"),
        ({"bf16": 1}, "bf16 must be true or false, not 1"),
        ({"prompt": 3}, "prompt must be text, not 3"),
        ({"template": "chatty"}, "template must be one of chat, base, vqa, not 'chatty'"),
        ({"strategy": "all"}, "strategy must be one of"),
        ({"parts": "vision"}, "parts must be a list, not 'vision'"),
        ({"parts": []}, "parts must name some of vision, adapter, language"),
        ({"parts": ["head"]}, "parts must be one of vision, adapter, language, not 'head'"),
        ({"architecture": "config.json"}, "give either `model`"),
        ({"model": None}, "give either `model`"),
        ({"model": None, "architecture": "config.json", "lora_rank": 8}, "LoRA adapts a trained model"),
    ],
)
def test_bad_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings.from_dict(GOOD | changes)


def test_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"missing settings \['data', 'steps'\]"):
        TrainSettings.from_dict({"model": "tiny"})


@pytest.mark.parametrize("text", ["steps = ", "[data]\nx = 1", None])
def test_errors_name_the_file(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r"run\.toml: "):
        TrainSettings.from_file(path)


def test_settings_survive_their_own_dict() -> None:
    settings = TrainSettings.from_dict(GOOD | {"parts": ["vision", "language"], "learning_rate": 1})
    assert TrainSettings.from_dict(settings.to_dict()) == settings


def test_the_documentation_lists_every_setting_and_its_default() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE))
    assert documented.keys() == {field.name for field in fields(TrainSettings)}
    for field in fields(TrainSettings):
        if field.default is MISSING:
            assert documented[field.name] == "required"
        elif field.name == "parts":
            assert documented[field.name] == "all three"
        elif field.default is None:
            assert documented[field.name] == "none"
        else:
            said = documented[field.name].strip("`")
            number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
            assert (float(said) if number else said) == (field.default if number else toml(field.default))


def toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'
