"""Options that name a profile's thresholds."""

from __future__ import annotations

from typing import Annotated

import typer


def profiles(incomplete: str) -> list[str]:
    """Names of the published profiles, for the shell's completion."""
    from framescribe.profiles.profile import profile_names

    return [name for name in profile_names() if name.startswith(incomplete)]


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        autocompletion=profiles,
        metavar="NAME|FILE",
        help="A published set of thresholds, such as allegro, or a TOML file of your own.",
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SCORE>=VALUE",
        help="A threshold of your own, with >=, <=, > or <; it takes the place of the profile's. Repeatable.",
    ),
]
UseNearest = Annotated[
    bool,
    typer.Option(
        "--nearest",
        help="Count thresholds on scores that are only the nearest to what the profile's source measures.",
    ),
]
