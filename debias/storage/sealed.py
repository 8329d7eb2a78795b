"""Folders that are there whole or not at all: a manifest, written last, lists every file.

A folder without a manifest does not exist; a file that differs from its manifest is refused. Faces
and names are personal data, so nobody but their owner can read what is sealed.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from debias.errors import ArtifactCorruptError
from debias.storage.files import TEMPORARY, replace_file, storage_error, sync, temporary_prefix

MANIFEST = "manifest.json"
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
PROCESSES = Path("/proc")
ORIGIN = ("base", "instead_of")  # of a store: keys under which it is looked for beside its own


@contextmanager
def sealing(final: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary folder to fill; it becomes ``final`` once everything is on disk.

    If somebody else finished it meanwhile, theirs stays. ``about`` goes into the manifest and is
    read when the folder is sealed; ``files`` in it holds fingerprints that are known already.

    Raises:
        StorageError: The disk is full or not writable; nothing is left under the final name.
        ArtifactCorruptError: Somebody else's folder of this name differs from its manifest.
    """
    parent = final.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(parent)
        temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir=parent))
    except OSError as error:
        raise storage_error(error, parent) from error
    try:
        yield temporary
        _seal(temporary, dict(about))
        _publish(temporary, final)
    except OSError as error:
        raise storage_error(error, parent) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_sealed(path: Path) -> bool:
    return (path / MANIFEST).exists()


def sealed_in(folder: Path) -> list[Path]:
    """Sealed folders right below a folder, by name; hidden ones are somebody's work in progress."""
    found = (path.parent for path in folder.glob(f"*/{MANIFEST}"))
    return sorted(path for path in found if not path.name.startswith("."))


def lineages(stage: Path) -> dict[str, list[Path]]:
    """Stores by the key under which they were first made.

    Where a purge was killed there are several, the one with fewer people last.
    """
    known: list[tuple[int, Path, str]] = []
    for path in sealed_in(stage):
        with suppress(ArtifactCorruptError):  # another store's damage is none of ours
            manifest = read_manifest(path)
            origin = manifest.get("instead_of", path.name)
            known.append((manifest.get("purged", 0), path, origin))
    found: dict[str, list[Path]] = {}
    for _, path, origin in sorted(known):
        found.setdefault(origin, []).append(path)
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    """What the manifest of a sealed folder says; ArtifactCorruptError if it is none."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        manifest["files"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"{path / MANIFEST} is damaged ({error})") from error
    return manifest


def verify(path: Path) -> None:
    """Raise ArtifactCorruptError at a file that differs from its manifest, is missing or is new."""
    expected = read_manifest(path)["files"]
    present = {file.name for file in path.iterdir()} - {MANIFEST}
    for name in sorted(present | set(expected)):
        found = fingerprint(path / name) if name in present else "missing"
        if found != expected.get(name, "no such file"):
            raise _damaged(
                path,
                f"{path / name} does not match its manifest (expected "
                f"{expected.get(name, 'no such file')}, found {found})",
            )


def _damaged(folder: Path, what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(what, f"delete the folder {folder} and run again to rebuild it")


def supersede_nothing(path: Path) -> None:
    """Let a store no longer be found in the place of the one that it was made from."""
    manifest = read_manifest(path)
    if manifest.keys() & {"instead_of", "purged"}:
        left = {name: value for name, value in manifest.items() if name not in ORIGIN}
        write_json(path / MANIFEST, left, mode=PRIVATE_FILE)


def write_json(path: Path, value: Mapping[str, Any], *, mode: int = 0o644) -> None:
    """Write JSON under its final name only when it is complete; NaN is refused."""
    text = json.dumps(value, indent=2, allow_nan=False, default=str)
    replace_file(path, lambda file: file.write_text(text, encoding="utf-8"), mode=mode)


def fingerprint(file: Path) -> str:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return f"{file.stat().st_size}:{digest}"


def _seal(folder: Path, about: dict[str, Any]) -> None:
    """Bring every file to disk, then write the manifest."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        path.chmod(PRIVATE_FILE)
    for path in [*files, folder]:
        sync(path)
    known = about.get("files", {})
    about["files"] = {path.name: known.get(path.name) or fingerprint(path) for path in files}
    write_json(folder / MANIFEST, about, mode=PRIVATE_FILE)
    sync(folder)


def _publish(temporary: Path, final: Path) -> None:
    temporary.chmod(PRIVATE_FOLDER)
    try:
        temporary.rename(final)
    except OSError:
        if not is_sealed(final):
            raise
        verify(final)  # somebody finished the same content first: theirs stays
    sync(final.parent)


def remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        name = TEMPORARY.fullmatch(folder.name)
        if name and PROCESSES.exists() and not (PROCESSES / name["owner"]).exists():
            with suppress(OSError):  # a file of this name stays, and so does a link
                shutil.rmtree(folder)
