"""What an earlier recipe left in a run folder: kept, deleted with a word, or a reason to refuse."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from debias.errors import ConfigError, StorageError
from debias.tracking.progress import Progress

REPORT, AUDIT = "report", "audit"  # each a page and its numbers


def make_room(
    folder: Path,
    name: str,
    wanted: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    *,
    replace: bool,
    check: Callable[[], object],
) -> None:
    """See to it that no finished page will lie beside the recipe of another.

    Args:
        folder: Run folder, existing or not.
        name: Of the recipe that is about to work there.
        wanted: Its settings, by the page that it is going to write.
        progress: Is told what is deleted.
        replace: Delete the pages of recipes of other names, too.
        check: Raises if the recipe does not fit its data; called before anything is deleted.

    Raises:
        ConfigError: A recipe of another name has finished there, and ``replace`` is not set.
        StorageError: A page cannot be deleted.
    """
    for kind in (REPORT, AUDIT):
        found = _finished(folder, kind)
        if found is None:
            continue
        other, settings = found
        if other != name and not replace:
            raise ConfigError(
                f"{folder.absolute()} holds the finished {kind} of another recipe, {other!r}; this "
                f"one is called {name!r}. Name another folder with --out, or give --replace: the "
                f"{kind} of {other!r} is deleted then, its stages stay"
            )
        changed = _changed(settings, wanted.get(kind, settings))
        if other != name or changed:
            check()
            _delete(folder, kind)
            what = f"recipe {other!r}" if other != name else f"other settings ({changed})"
            progress.note(
                f"The {kind} in {folder} was made with {what} and is deleted; with them it comes "
                "back from its finished stages."
            )


def _finished(folder: Path, kind: str) -> tuple[str, Mapping[str, Any]] | None:
    """Name and settings of the recipe that wrote the numbers of this kind."""
    try:
        document = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
        about = document.get("run", document)
        return str(document["name"]), about["config"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # none was finished, or nobody can read it


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = dict.fromkeys([*before, *after])
    return ", ".join(name for name in names if before.get(name) != after.get(name))


def _delete(folder: Path, kind: str) -> None:
    try:
        for ending in ("json", "html"):
            (folder / f"{kind}.{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot delete {kind} in {folder.absolute()}: {error}") from error
