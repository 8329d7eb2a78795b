"""Folders that are there whole or not at all: a manifest, written last, lists every file.

A folder without a manifest does not exist; a file that differs from its manifest is refused, and so
is a manifest, or any other document of a run, that differs from the checksum in it. Faces and names
are personal data, so nobody but their owner can read what is sealed.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from debias.errors import ArtifactCorruptError
from debias.storage.files import (
    TEMPORARY,
    is_abandoned,
    replace_file,
    storage_error,
    sync,
    temporary_prefix,
)

MANIFEST = "manifest.json"
CHECKSUM = "checksum"  # of everything else in a document; those of earlier versions have none
SCHEMA = 1  # raised whenever a saved value changes its meaning or its layout
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
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
        manifest = read_checked(path / MANIFEST)
        manifest["files"].items()
    except ArtifactCorruptError as error:
        raise _damaged(path, error.what) from error
    except (KeyError, AttributeError) as error:
        raise _damaged(path, f"{path / MANIFEST} is damaged ({error!r})") from error
    return manifest


def verify(path: Path) -> None:
    """Raise ArtifactCorruptError at a file that differs from its manifest, is missing or is new.

    Likewise at the folder of another artifact, and at one of a layout that is not known here.
    """
    manifest = read_manifest(path)
    for about, own in (("stage", path.parent.name), ("key", path.name), ("schema", SCHEMA)):
        if manifest.get(about, own) != own:
            what = f"{path} says of itself that its {about} is {manifest[about]!r}, not {own!r}"
            raise _damaged(path, what)
    expected = manifest["files"]
    present = {file.name for file in path.iterdir()} - {MANIFEST}
    for name in sorted(present | set(expected)):
        found = fingerprint(path / name) if (path / name).is_file() else "missing"
        found = "no file" if found == "missing" and name in present else found
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
        write_checked(path / MANIFEST, left)


def write_checked(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that nobody else reads, with a checksum of it; NaN is refused."""
    write_json(path, {**value, CHECKSUM: _checksum(value)}, mode=PRIVATE_FILE)


def read_checked(path: Path) -> dict[str, Any]:
    """A document as it was written, without its checksum.

    Raises:
        ArtifactCorruptError: It is no JSON mapping, or not what was written.
        OSError: It cannot be read.
    """
    remedy = "delete it and run again what wrote it"
    try:
        document: dict[str, Any] = {**json.loads(path.read_text(encoding="utf-8"))}
        known = document.pop(CHECKSUM, None)
        # A checksum under a damaged name is none of an earlier version.
        damaged = any(re.fullmatch("[0-9a-f]{64}", str(one)) for one in [*document.values()][-1:])
        if (known is None and damaged) or known not in (None, _checksum(document)):
            raise ArtifactCorruptError(f"{path} differs from the checksum in it", remedy)
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactCorruptError(f"{path} is damaged ({error})", remedy) from error
    return document


def _checksum(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, allow_nan=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


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
    write_checked(folder / MANIFEST, about)
    sync(folder)


def _publish(temporary: Path, final: Path) -> None:
    temporary.chmod(PRIVATE_FOLDER)
    try:
        temporary.rename(final)
    except OSError:
        if is_sealed(final):
            verify(final)  # somebody finished the same content first: theirs stays
        elif final.is_dir() and not final.is_symlink():
            shutil.rmtree(final)  # without a manifest it counts as nothing
            temporary.rename(final)
        else:
            raise
    sync(final.parent)


def remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        name = TEMPORARY.fullmatch(folder.name)
        if name and is_abandoned(folder, name["owner"]):
            with suppress(OSError):  # a file of this name stays, and so does a link
                shutil.rmtree(folder)
