"""How captions are rewritten: an instruction, and the checks that prove an answer; presets are ``presets.toml``."""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from framescribe.errors import UsageError
from framescribe.rewriting.schema import validator_of

Fact = Literal["numbers", "names", "quotes", "colours"]
FACTS: tuple[Fact, ...] = get_args(Fact)
MAX_WORDS = 400
"""Of any rewritten caption that is no JSON."""
_MAX_INSTRUCTION_CHARS = 20_000  # it stands in each request and each row


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An instruction with its checks.

    Attributes:
        preset, version: where it comes from; None for an instruction of one's own.
        instruction: what to do with a caption, in words.
        max_words: an answer has at most so many words; in Chinese and Japanese, characters.
        language: an answer is in this language, by its code, such as ``zh``; None for the caption's.
        schema: JSON text of the JSON Schema that an answer fits; None for an answer in prose.
        keep: facts of the caption that an answer has too.
        no_new: facts that an answer has only if the caption has them.
        temperature: of sampling.
    """

    instruction: str
    preset: str | None = None
    version: int | None = None
    max_words: int = MAX_WORDS
    language: str | None = None
    schema: str | None = None
    keep: tuple[Fact, ...] = ()
    no_new: tuple[Fact, ...] = ()
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not self.instruction.strip():
            raise UsageError("`instruction` is empty")
        if len(self.instruction) > _MAX_INSTRUCTION_CHARS:
            raise UsageError(f"`instruction` has {len(self.instruction):,} characters; say it shorter")
        if type(self.max_words) is not int or not 1 <= self.max_words <= MAX_WORDS:
            raise UsageError(f"`max_words` must be 1 to {MAX_WORDS}, not {self.max_words!r}")
        if self.language is not None and self.language not in data()["languages"]:
            raise UsageError(
                f"`language` takes one of {', '.join(data()['languages'])}, not {self.language!r}"
            )
        if not (isinstance(self.temperature, int | float) and 0 <= self.temperature <= 2):
            raise UsageError(f"`temperature` must be 0 to 2, not {self.temperature!r}")
        if self.schema is not None:
            validator_of(self.schema)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that another recipe does not have."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def openers(self) -> tuple[str, ...]:
        """What no answer begins with, in lower case, beside what ``quality.openers`` knows."""
        mine = [] if self.language is None else data()["languages"][self.language].get("openers", [])
        return (*data()["common"]["openers"], *mine)


@functools.cache
def data() -> Mapping[str, Any]:
    """What ``presets.toml`` holds."""
    loaded: Mapping[str, Any] = tomllib.loads(
        Path(__file__).with_name("presets.toml").read_text(encoding="utf-8")
    )
    return loaded


def recipe_of(preset: str | None, instruction: str | None, **checks: Any) -> Recipe:
    """A recipe of a preset, or of an instruction of one's own.

    Args:
        preset: its name; None for none. One of the two is given.
        instruction: in words.
        **checks: attributes of ``Recipe`` that take the place of the preset's; None leaves them.

    Raises:
        UsageError: there is no such preset, it needs what is not given, or a value makes no sense.
    """
    if (preset is None) is (instruction is None):
        raise UsageError("give either `preset` or `instruction`")
    presets = data()["presets"]
    if preset is not None and preset not in presets:
        raise UsageError(f"unknown `preset` {preset!r}; choose one of {', '.join(presets)}")
    values = {} if preset is None else {"preset": preset, **presets[preset]}
    needs = values.pop("needs", None)
    given = {name: value for name, value in checks.items() if value is not None}
    if needs is not None and needs not in given:
        raise UsageError(f"the preset {preset} needs `{needs}`")
    if instruction is not None:
        given["instruction"] = instruction
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    recipe = Recipe(**values | given)
    return replace(recipe, instruction=" ".join(recipe.instruction.split()))
