"""A folder of runs or stores: whether what is there is whole, and who can read it."""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from debias import janitor
from debias.doctor.finding import Finding
from debias.errors import ArtifactCorruptError
from debias.sealed import verify

PRIVATE = "quarantine.jsonl"
NAMED = 3  # examples in a sentence


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
    yield from _leftovers(folder, repair=repair)
    yield from _unfinished(folder)
    yield from _permissions(folder)
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
    yield Finding("integrity", "ok", f"{whole} of {len(paths)} artifacts agree with their manifest")


def _leftovers(folder: Path, *, repair: bool) -> Iterator[Finding]:
    left = janitor.leftovers_below(folder)
    dead = [one.path for one in left if not one.at_work]
    if len(dead) < len(left):
        text = f"{len(left) - len(dead)} temporary files and folders belong to work that may go on"
        yield Finding("leftovers", "ok", text)
    if not dead:
        yield Finding("leftovers", "ok", "no temporary file of a dead process")
    elif repair:
        janitor.delete(dead)
        yield Finding("leftovers", "ok", f"{_some(dead)} of dead processes: deleted")
    else:
        yield Finding(
            "leftovers", "warning", f"{_some(dead)} of dead processes",
            "delete them with: debias doctor FOLDER --repair",
        )  # fmt: skip


def _unfinished(folder: Path) -> Iterator[Finding]:
    swaps = janitor.matching(folder, janitor.PURGED)
    swaps += [Path(here) for here, _, names in janitor.walk(folder) if janitor.JOURNAL in names]
    if swaps:
        yield Finding(
            "purge", "problem", f"a purge was interrupted: {_some(swaps)} may still name somebody",
            "run the same debias purge again",
        )  # fmt: skip
    parts = janitor.matching(folder, janitor.PARTS)
    if parts:
        held = sum(file.stat().st_size for path in parts for file in path.rglob("*.npy"))
        yield Finding(
            "builds", "warning",
            f"{_some(parts)} of unfinished builds take {held / 2**20:,.0f} MiB",
            "run the same command again, which goes on from there; or delete them",
        )  # fmt: skip


def _permissions(folder: Path) -> Iterator[Finding]:
    readable, writable = [], []
    for here, _, names in janitor.walk(folder):
        place = Path(here)
        mode = place.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            writable.append(place)
        if PRIVATE in names and (place / PRIVATE).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            readable.append(place / PRIVATE)
    if writable:
        yield Finding(
            "permissions", "problem", f"anybody on this machine can change {_some(writable)}",
            f"chmod -R o-w {folder}",
        )  # fmt: skip
    if readable:
        yield Finding(
            "permissions", "warning", f"others can read who was rejected: {_some(readable)}",
            "chmod 600 each of them",
        )  # fmt: skip
    if not writable and not readable:
        yield Finding("permissions", "ok", "nobody else can write, nor read who was rejected")


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
    if states:
        counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        yield Finding("runs", "ok", f"{len(states)} runs: {counted}")


def _state(run: Path) -> str:
    try:
        about = json.loads((run / "run.json").read_text(encoding="utf-8"))
        owner = int(about.get("pid", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return "unreadable"
    if (run / "report.json").exists():
        return "finished"
    return "perhaps at work" if _is_alive(owner) else "unfinished"


def _is_alive(owner: int) -> bool:
    try:
        os.kill(owner, 0) if owner else None
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(owner)


def _some(paths: Sequence[Path]) -> str:
    named = ", ".join(str(path) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{len(paths)} ({named}{more})"
