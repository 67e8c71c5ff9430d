"""Where checkpoints come from: a local folder, the Hugging Face hub, or ModelScope. Downloads data, never code."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.model.adapter import ADAPTER_CONFIG, base_of
from framescribe.model.layout import CONFIG_FILE
from framescribe.reading import open_regular

OFFICIAL_MODEL = "THUDM/cogvlm2-llama3-caption"
MODELSCOPE_PREFIX = "modelscope:"
_BUNDLED_FOLDER = Path(__file__).parent.parent / "models"
_FILES = ["*.json", "*.safetensors"]
# How the revisions of local folders begin.
_LOCAL = "sha256:"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        folder: holds the official layout.
        name: as the user gave it; goes into the rows.
        revision: commit of a hub's repository, or a fingerprint of a local folder's weights.
        base: the same without its adapter, where it has one.
    """

    folder: Path
    name: str
    revision: str
    base: Checkpoint | None = None

    def with_adapter(self, adapter: str) -> Checkpoint:
        """It under a LoRA adapter, which is in the name and the revision, too.

        Args:
            adapter: the adapter's folder.

        Raises:
            UsageError: it is no such folder.
        """
        revision = f"{self.revision}+{_fingerprint(_adapter_folder(adapter))}"
        return Checkpoint(self.folder, f"{self.name}+{adapter}", revision, self)

    def check_unchanged(self) -> None:
        """
        Raises:
            UsageError: the folder holds other weights by now.
        """
        if self.revision.startswith(_LOCAL) and self.revision != _fingerprint(self.folder):
            raise UsageError(f"{self.folder} has changed since it was loaded; load it again")


def bundled_models() -> list[str]:
    """Names of the checkpoints inside the package."""
    return sorted(path.parent.name for path in _BUNDLED_FOLDER.glob(f"*/{CONFIG_FILE}"))


def cache_folder() -> Path:
    """Where the Hugging Face hub's downloads are kept."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def local_checkpoints() -> list[tuple[str, Path, int]]:
    """Name, folder and bytes of each checkpoint that is on this machine: bundled, and of the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    found = [
        (name, _BUNDLED_FOLDER / name, _folder_bytes(_BUNDLED_FOLDER / name)) for name in bundled_models()
    ]
    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return found
    for repo in sorted(repos, key=lambda repo: repo.repo_id):
        if repo.repo_type == "model":
            found.append((repo.repo_id, repo.repo_path, repo.size_on_disk))
    return found


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def fetch_checkpoint(
    model: str | None, revision: str | None = None, adapter: str | None = None
) -> Checkpoint:
    """Finds ``model`` and downloads what is not here yet.

    Args:
        model: a folder, the name of a bundled model, a Hugging Face repo id (``owner/name``), or
            ``modelscope:owner/name``; None: the one that the adapter names.
        revision: branch, tag or commit of the repository; None is its main branch.
        adapter: folder of a LoRA adapter of it, which then is in the name and the revision, too.

    Raises:
        UsageError: no such folder or repository, no network, or a revision of a local folder.
    """
    if adapter is not None:
        folder = _adapter_folder(adapter)
        base = fetch_checkpoint(base_of(folder) if model is None else model, revision)
        found = base.with_adapter(adapter)
        return found if model is not None else replace(found, name=adapter)
    if model is None:
        raise UsageError("give `model`, or an `adapter` that names one")
    bundled = _BUNDLED_FOLDER / model
    local = bundled if model in bundled_models() else Path(model).expanduser()
    if local.is_dir():
        if revision is not None:
            raise UsageError(f"{model} is a local folder and has no revisions; leave out `revision`")
        if (local / ADAPTER_CONFIG).is_file():
            raise UsageError(f"{model} is a LoRA adapter, not a model; give it as `adapter`")
        if not (local / CONFIG_FILE).is_file():
            raise UsageError(f"{local} holds no {CONFIG_FILE}: not a checkpoint folder")
        return Checkpoint(local, model, _fingerprint(local))
    if model.startswith(MODELSCOPE_PREFIX):
        return _from_modelscope(model, revision)
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise UsageError(
            f"no checkpoint folder {model!r}, and it is no repository id (owner/name) either; "
            f"bundled models: {', '.join(bundled_models())}; the official one: {OFFICIAL_MODEL}"
        )
    return _from_hugging_face(model, revision)


def _adapter_folder(adapter: str) -> Path:
    folder = Path(adapter).expanduser()
    if not (folder / ADAPTER_CONFIG).is_file():
        raise UsageError(f"{adapter} holds no {ADAPTER_CONFIG}: not the folder of an adapter")
    return folder


def _from_hugging_face(model: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    at = f" at revision {revision}" if revision else ""
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=_FILES))
    except LocalEntryNotFoundError as error:
        raise UsageError(
            f"{model}{at} is not on this machine and the Hugging Face hub cannot be reached; "
            "connect, or give a local folder as `model`"
        ) from error
    except Exception as error:  # the hub's HTTP client, and so its errors, differ between its versions
        raise UsageError(f"{model}{at} cannot be downloaded from the Hugging Face hub: {error}") from error
    # The hub keeps each snapshot in a folder named by its commit.
    return Checkpoint(folder, model, folder.name)


def _from_modelscope(model: str, revision: str | None) -> Checkpoint:
    require("modelscope", model)
    from modelscope import snapshot_download

    try:
        folder = snapshot_download(
            model.removeprefix(MODELSCOPE_PREFIX), revision=revision, allow_file_pattern=_FILES
        )
    except Exception as error:  # of any of the library's HTTP clients
        raise UsageError(f"{model} cannot be downloaded from ModelScope: {error}") from error
    return Checkpoint(Path(folder), model, revision or _fingerprint(Path(folder)))


def _fingerprint(folder: Path) -> str:
    """Tells one local checkpoint from another without reading gigabytes: sizes, first and last 64 KiB of each file."""
    digest = hashlib.sha256()
    window = 1 << 16
    for path in sorted(path for pattern in _FILES for path in folder.glob(pattern)):
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                digest.update(os.fsencode(path.name) + f"\0{size}\0".encode())
                digest.update(file.read(window))
                file.seek(max(0, size - window))
                digest.update(file.read(window))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    return _LOCAL + digest.hexdigest()[:16]
