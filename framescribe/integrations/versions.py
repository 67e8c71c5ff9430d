"""Which versions of the other library an integration was tried with: the range of its extra."""

from __future__ import annotations

from importlib import metadata

from framescribe.errors import UsageError
from framescribe.extras import require, requirements


def check_version(package: str, feature: str) -> None:
    """Checks that a library is installed in a version that was tried.

    Raises:
        UsageError: it is not; the message names the range.
    """
    require(package, feature)
    if reason := untried(package):
        raise UsageError(f"{feature}: {reason}")


def untried(package: str) -> str | None:
    """Why the installed version of a library is none that was tried, in words; None where it is."""
    from packaging.requirements import Requirement

    wanted = next(
        parsed
        for extra in requirements().values()
        for parsed in map(Requirement, extra)
        if parsed.name == package
    )
    version = _installed(package)
    if wanted.specifier.contains(version, prereleases=True):
        return None
    return f"{package} {version} is installed, and {wanted.specifier} was tried; pip install '{wanted}'"


def _installed(package: str) -> str:
    # vLLM's builds for CPUs have a name of their own.
    name = metadata.packages_distributions().get(package, [package])[0]
    return metadata.version(name)
