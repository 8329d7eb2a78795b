"""A folder of runs or stores: whether what is there is whole, and what was left behind."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from debias.commands.examination.finding import NAMED, Finding, some
from debias.commands.examination.permissions import permissions
from debias.errors import ArtifactCorruptError
from debias.storage import leftovers as janitor
from debias.storage.sealed import MANIFEST, is_sealed, verify

NUMBERS = ("report.json", "audit.json")  # that a finished run or audit leaves


def examine_folder(folder: Path, *, repair: bool = False) -> Iterator[Finding]:
    """Artifacts against their manifests, what dead processes left, permissions, states of runs.

    Args:
        folder: Of one run or store, or of several.
        repair: Delete temporary files whose owner is gone; everything else stays as it is.
    """
    if not folder.is_dir():
        yield Finding(
            "folder", "problem", f"{folder.absolute()} is no folder", "name a run folder or store"
        )
        return
    yield from _artifacts(janitor.artifacts_below(folder))
    yield from _stores(folder)
    yield from _leftovers(folder, repair=repair)
    yield from _unfinished(folder)
    yield from permissions(folder)
    yield from _runs(folder)


def _artifacts(paths: Sequence[Path]) -> Iterator[Finding]:
    broken = 0
    for path in paths:
        try:
            verify(path)
        except (ArtifactCorruptError, OSError) as error:
            broken += 1
            advice = f"delete {path} and run the same command again: it is built anew"
            yield Finding("integrity", "problem", str(error).split(";")[0], advice)
    whole = len(paths) - broken
    if not paths:
        yield Finding(
            "integrity", "warning", "no artifact of a run or store lies there, so none was checked",
            "name a run folder or store, or run the recipe that makes one",
        )  # fmt: skip
        return
    yield Finding("integrity", "ok", f"{whole} of {len(paths)} artifacts agree with their manifest")


def _stores(folder: Path) -> Iterator[Finding]:
    """What is named as faces and is none: a store that points nowhere, artifacts cut short."""
    for here, folders, names in janitor.walk(folder, hidden=False):
        place = Path(here)
        if janitor.POINTER in names and not is_sealed(place / "faces" / _pointed_to(place)):
            yield Finding(
                "integrity", "problem", f"{place / janitor.POINTER} names faces that are not there",
                "purge again if a purge was interrupted; otherwise make the store again with "
                "debias ingest",
            )  # fmt: skip
        keys = [place / name for name in folders if janitor.KEY.fullmatch(name)]
        for path in keys:
            if not is_sealed(path):
                yield Finding(
                    "integrity", "problem", f"{path} has no manifest, so it counts as nothing",
                    "delete it and run the same command again",
                )  # fmt: skip


def _pointed_to(store: Path) -> str:
    """Key of the faces; one that nothing can have where none is named."""
    try:
        key = json.loads((store / janitor.POINTER).read_text(encoding="utf-8"))["faces"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "none"
    return key if isinstance(key, str) and janitor.KEY.fullmatch(key) else "none"


def _leftovers(folder: Path, *, repair: bool) -> Iterator[Finding]:
    left = janitor.leftovers_below(folder)
    dead = [one.path for one in left if not one.at_work]
    if len(dead) < len(left):
        text = f"{len(left) - len(dead)} temporary files and folders belong to work that may go on"
        yield Finding("leftovers", "ok", text)
    if not dead:
        yield Finding("leftovers", "ok", "no temporary file of a dead process")
    elif repair:
        yield _deleted(dead)
    else:
        yield Finding(
            "leftovers", "warning", f"{some(dead)} of dead processes",
            "delete them with: debias doctor FOLDER --repair",
        )  # fmt: skip


def _deleted(dead: Sequence[Path]) -> Finding:
    try:
        janitor.delete(dead)
    except OSError as error:
        text = f"temporary files of dead processes cannot be deleted: {error}"
        return Finding("leftovers", "problem", text, "ask the owner of the folder")
    return Finding("leftovers", "ok", f"{some(dead)} of dead processes: deleted")


def _unfinished(folder: Path) -> Iterator[Finding]:
    swaps = janitor.interrupted_swaps(folder)
    swaps += [Path(here) for here, _, names in janitor.walk(folder) if janitor.JOURNAL in names]
    if swaps:
        yield Finding(
            "purge", "problem", f"a purge was interrupted: {some(swaps)} may still name somebody",
            "run the same debias purge again",
        )  # fmt: skip
    parts = janitor.parts_below(folder)
    if parts:
        found = [janitor.status(file) for path in parts for file in path.rglob("*.npy")]
        held = sum(about.st_size for about in found if about is not None)
        yield Finding(
            "builds", "warning",
            f"{some(parts)} of unfinished builds take {held / 2**20:,.0f} MiB",
            "run the same command again, which goes on from there; or delete them",
        )  # fmt: skip


def _runs(folder: Path) -> Iterator[Finding]:
    states: list[str] = []
    for here, _, names in janitor.walk(folder, hidden=False):
        if "run.json" in names:
            state = _state(Path(here))
            if state == "unreadable":
                yield Finding(
                    "runs", "problem", f"{Path(here) / 'run.json'} cannot be read",
                    "delete it; the next run of the recipe writes it anew",
                )  # fmt: skip
            states.append(state)
            yield from _rests_on(Path(here))
    if states:
        counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        yield Finding("runs", "ok", f"{len(states)} runs: {counted}")


def _rests_on(run: Path) -> Iterator[Finding]:
    """What the numbers of a run were made of and is gone: they cannot be checked any more."""
    for numbers in (run / name for name in NUMBERS if (run / name).exists()):
        named = _named_in(_made_of(numbers))
        gone = [what for what, key in named if not any(run.glob(f"*/{key}/{MANIFEST}"))]
        if gone:
            more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
            yield Finding(
                "runs", "problem",
                f"{numbers} rests on what is not there: {', '.join(gone[:NAMED])}{more}",
                "run the same command again, which makes it anew",
            )  # fmt: skip


def _made_of(numbers: Path) -> object:
    """What a report says it was made of; None where it does not say so."""
    try:
        return json.loads(numbers.read_text(encoding="utf-8"))["run"]["artifacts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _named_in(artifacts: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Every artifact as a person calls it, and its key."""
    if isinstance(artifacts, dict):
        for inner, value in artifacts.items():
            yield from _named_in(value, f"{name}{inner} ")
    elif isinstance(artifacts, list):
        for value in artifacts:
            yield from _named_in(value, name)
    elif isinstance(artifacts, str) and janitor.KEY.fullmatch(artifacts):
        yield name + artifacts, artifacts


def _state(run: Path) -> str:
    try:
        about = json.loads((run / "run.json").read_text(encoding="utf-8"))
        owner = int(about.get("pid", 0))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return "unreadable"
    if any((run / name).exists() for name in NUMBERS):
        return "finished"
    return "perhaps at work" if _is_alive(owner) else "unfinished"


def _is_alive(owner: int) -> bool:
    try:
        os.kill(owner, 0) if owner else None
    except (ProcessLookupError, OverflowError):  # gone, or no number of a process
        return False
    except PermissionError:
        return True
    return bool(owner)
