"""Packages that only some features need: whether they are installed, and the command that installs them."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from framescribe.errors import UsageError

_NOT_CHOSEN = ("dev", "docs", "all")
_MODULE_OF_PACKAGE = {"opencv-python-headless": "cv2", "jsonschema-rs": "jsonschema_rs"}
_PACKAGE_OF_PROTOCOL = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}


def require(package: str, feature: str) -> None:
    """Checks that a feature's package is installed, without importing it.

    Raises:
        UsageError: it is not; the message has the command that installs it.
    """
    if not is_installed(package):
        raise UsageError(f"{feature} needs {package}, which is not installed; {how_to_install(package)}")


def require_for_url(url: str) -> None:
    """As ``require``, for what opens a URL."""
    protocol = url.partition("://")[0].lower()
    if package := _PACKAGE_OF_PROTOCOL.get(protocol):
        require(package, f"{protocol}://")


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(_MODULE_OF_PACKAGE.get(package, package)) is not None


def how_to_install(package: str) -> str:
    """How to install one of the extras' packages into this environment, in words.

    It names the package, not the extra: ``framescribe[quant]`` means nothing to an index that has no framescribe.
    """
    wanted = (text for packages in requirements().values() for text in packages)
    requirement = next((text for text in wanted if _name(text) == package), package)
    return f"install it with: {shlex.quote(sys.executable)} -m pip install {shlex.quote(requirement)}"


def requirements() -> dict[str, list[str]]:
    """The requirements of each extra that users choose from, as pip takes them; none where nothing declares any."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.is_file():  # a checkout, which may be newer than what was installed of it
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        return {extra: packages for extra, packages in declared.items() if extra not in _NOT_CHOSEN}
    found: dict[str, list[str]] = {}
    for line in metadata.requires("framescribe") or []:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if extra and extra[1] not in _NOT_CHOSEN:
            found.setdefault(extra[1], []).append(requirement.strip())
    return found


def required() -> list[str]:
    """The packages that every installation has."""
    return [_name(line) for line in metadata.requires("framescribe") or [] if "extra ==" not in line]


def missing() -> dict[str, list[str]]:
    """The packages of each extra that are not installed."""
    return {
        extra: [name for name in map(_name, packages) if not is_installed(name)]
        for extra, packages in requirements().items()
    }


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return found[0]
