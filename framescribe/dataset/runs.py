"""``_run.json``: what the rows of a folder were made with, run by run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from framescribe.dataset.schema import CAPTIONS
from framescribe.dataset.store import OLD_NAMES, RUN_FILE, RowFolder
from framescribe.errors import UsageError
from framescribe.shown import shown, shown_value
from framescribe.types import CaptionSettings
from framescribe.version import __version__

_PACKAGES = ("torch", "av", "numpy", "pyarrow")

Identity = dict[str, Any]
# What was so before it became a setting: a folder from then goes on under these.
_BEFORE: Identity = {"stop_loops": False, "sample_fps": 1.0}


def run_identity(
    settings: CaptionSettings,
    prompts: Sequence[str],
    model: str,
    revision: str | None,
    precision: str | None,
    sent: str | None = None,
) -> Identity:
    """All that decides a caption beside the clip itself, by the names of the rows' columns (and ``repair``).

    Args:
        settings: how clips are captioned.
        prompts: what each clip is asked, in this order.
        model, revision, precision: as rows record them.
        sent: as rows record it, where a server captions.
    """
    generation = settings.generation
    identity = {
        "model": model,
        "model_revision": revision,
        "precision": precision,
        "prompt": prompts[0] if len(prompts) == 1 else list(prompts),
        "template": settings.resolved_template,
        "strategy": settings.sampling.strategy,
        "num_frames": settings.sampling.num_frames,
        "sample_fps": settings.sampling.fps,
        "max_new_tokens": generation.max_new_tokens,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "repetition_penalty": generation.repetition_penalty,
        "seed": generation.seed,
        "stop_loops": generation.stop_loops,
        "repair": bool(settings.repair),
    }
    return identity if sent is None else identity | {"sent": sent}


def _versions() -> dict[str, str]:
    return {"framescribe": __version__} | {name: version(name) for name in _PACKAGES}


@dataclass(slots=True)
class Run:
    """Captioning under one identity, in as many sessions as it takes.

    Attributes:
        identity: from ``run_identity``.
        created: when it was first started, UTC, ISO 8601.
        versions: of the packages that matter, in the last session.
        rates: for each kind of hardware, clips captioned and the seconds that took.
        is_redo: whether it only ever mended captions of other runs.
        fingerprint: 16 hexadecimal digits of the identity as it was first written; shards carry it.
    """

    identity: Identity
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=_versions)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    is_redo: bool = False
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            key = json.dumps(self.identity, sort_keys=True)
            self.fingerprint = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def add_rate(self, hardware: str, clips: int, seconds: float) -> None:
        """Counts clips that were captioned on such hardware, and the time that they took."""
        rate = self.rates.setdefault(hardware, {"clips": 0, "seconds": 0.0})
        rate["clips"] += clips
        rate["seconds"] += seconds

    def clips_per_s(self, hardware: str) -> float | None:
        """The rate measured on such hardware; None if there is none."""
        rate = self.rates.get(hardware)
        return rate["clips"] / rate["seconds"] if rate and rate["seconds"] > 0 else None


class OtherSettings(UsageError):
    """A run's settings are not those of the folder's current run.

    Attributes:
        changes: by key of the identity: the folder's value, and the run's.
    """

    def __init__(self, message: str, changes: dict[str, tuple[Any, Any]]) -> None:
        super().__init__(message)
        self.changes = changes


class RunLog:
    """The runs of a folder, the current one last.

    Raises:
        UsageError: ``_run.json`` cannot be read, is damaged, or was written by a newer framescribe.
    """

    def __init__(self, folder: RowFolder) -> None:
        self._folder = folder
        self._runs: list[Run] = []
        name = (
            OLD_NAMES[RUN_FILE] if folder.has(OLD_NAMES[RUN_FILE]) and not folder.has(RUN_FILE) else RUN_FILE
        )
        path = shown(f"{folder.name}/{name}")
        try:
            content = folder.read(name)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        if content is not None:
            try:
                values = json.loads(content)
                CAPTIONS.check_version(values.get("schema_version"))
                self._runs = [
                    Run(
                        _BEFORE | run["identity"],
                        run["created"],
                        run["versions"],
                        run["rates"],
                        run.get("is_redo", False),
                        run["run"],
                    )
                    for run in values["runs"]
                ]
            except UsageError as error:
                raise UsageError(f"{path}: {error}") from error
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise UsageError(f"{path} is damaged: {shown_value(error)}; move it away") from error

    def differences(self, identity: Identity) -> dict[str, tuple[Any, Any]]:
        """By key: the current run's value and ``identity``'s, where they differ; none if there was no run.

        A revision of None stands for any.
        """
        if not self._runs:
            return {}
        current = self._runs[-1].identity
        identity = identity | {"model_revision": identity["model_revision"] or current["model_revision"]}
        return {
            key: (current.get(key), identity.get(key))
            for key in sorted(current.keys() | identity.keys())
            if current.get(key) != identity.get(key)
        }

    def find(self, identity: Identity) -> Run | None:
        """The run of this identity; a revision of None stands for any, and finds the newest."""
        for run in reversed(self._runs):
            revision = identity["model_revision"] or run.identity["model_revision"]
            if run.identity == identity | {"model_revision": revision}:
                return run
        return None

    def check(self, identity: Identity) -> None:
        """Raises OtherSettings if an identity differs from the current run's; the message names the keys."""
        if differing := self.differences(identity):
            changes = "; ".join(f"{key} was {old!r}, now {new!r}" for key, (old, new) in differing.items())
            raise OtherSettings(
                f"{self._folder.name} was made with other settings: {changes}. Repeat the earlier ones to go on, "
                "or give `new_run=True` to caption again beside what is there, or another folder",
                differing,
            )

    def others(self, run: Run) -> set[str]:
        """Fingerprints of the runs whose rows stand in the place of ``run``'s, where they are later."""
        return {other.fingerprint for other in self._runs if other is not run and not other.is_redo}

    def begin(self, identity: Identity, *, beside: bool, redo: bool = False) -> Run:
        """Makes the run of this identity the current one, and writes that down.

        Args:
            identity: from ``run_identity``.
            beside: whether a run that differs from the current one may go into the same folder.
            redo: it mends captions of the current run, which stays the current one.

        Raises:
            UsageError: it differs and may not; the message names the keys.
            OSError: ``_run.json`` cannot be written.
        """
        if not beside:
            self.check(identity)
        known = self.find(identity)
        mends = redo and bool(self._runs)
        run = known or Run(identity, is_redo=mends)
        run.versions = Run(identity).versions
        if not mends:
            run.is_redo = False
            self._runs = [*(other for other in self._runs if other is not run), run]
        elif known is None:
            self._runs.insert(-1, run)
        self._folder.clean()
        self.save()
        return run

    def save(self) -> None:
        """Writes ``_run.json``.

        Raises:
            OSError: it cannot be written.
        """
        runs = [
            {
                "run": run.fingerprint,
                "identity": run.identity,
                "created": run.created,
                "versions": run.versions,
                "rates": run.rates,
                "is_redo": run.is_redo,
            }
            for run in self._runs
        ]
        content = json.dumps({"schema_version": CAPTIONS.version, "runs": runs}, indent=2)
        self._folder.put(RUN_FILE, content.encode("utf-8"))
        self._folder.remove(OLD_NAMES[RUN_FILE])
