"""The options of a call that are the fields of a run: named once, and shown one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import Parameter, signature
from typing import Any, TypeVar

Call = TypeVar("Call", bound=Callable[..., Any])


def shows_options(options: type, run: type, **defaults: object) -> Callable[[Call], Call]:
    """Lets Python's help and completion show a call's options as parameters.

    Args:
        options: the typed dictionary of the call's options.
        run: the dataclass whose fields they become, and whose defaults they have.
        defaults: of those that the call takes in another form than the run has them.
    """
    values: dict[str, Any] = {each.name: each.default for each in fields(run)} | defaults

    def shown(call: Call) -> Call:
        own = [each for each in signature(call).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        flat = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=values[name], annotation=kind.__forward_arg__)
            for name, kind in options.__annotations__.items()
        ]
        call.__dict__["__signature__"] = signature(call).replace(parameters=own + flat)
        return call

    return shown


def check_options(call: str, options: type, given: Mapping[str, object]) -> None:
    """
    Raises:
        TypeError: the call has no such option.
    """
    for name in given.keys() - options.__annotations__:
        raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")
