"""Options in groups: a function's parameters are options, and what it returns is the value that they spell."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True, slots=True)
class Spelled:
    """``Annotated[ModelSpec, Spelled(model_spec)]``: a command's parameter that the options of ``model_spec`` spell."""

    by: Callable[..., Any]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """A command with keyword parameters as typer reads it: the options of each group stand where its value does."""
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        marks = getattr(parameter.annotation, "__metadata__", ())
        if marks and isinstance(marks[-1], Spelled):
            options = inspect.signature(marks[-1].by, eval_str=True).parameters
            groups[name] = marks[-1].by, list(options)
            parameters.extend(options.values())
        else:
            parameters.append(parameter)

    @wraps(command)
    def flat(**given: Any) -> None:
        values = {
            name: by(**{each: given.pop(each) for each in names}) for name, (by, names) in groups.items()
        }
        command(**given, **values)

    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    flat.__dict__["__signature__"] = inspect.Signature(keywords)
    flat.__annotations__ = {each.name: each.annotation for each in keywords}
    return flat
