"""``debias doctor``: what it takes and prints, and what it looks at in a folder."""

import json
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from debias.commands.machine import Finding, examine_machine, ok, problem, warning
from debias.commands.options import Options, argument, command, option
from debias.commands.screen import console, say
from debias.errors import ArtifactCorruptError, TrackingError
from debias.processes import is_gone
from debias.storage import leftovers as janitor
from debias.storage.files import amount
from debias.storage.sealed import is_sealed, lineages, read_checked, verify
from debias.tracking.servers import local_store

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
NUMBERS = ("report.json", "audit.json", "study.json")  # that a finished run or audit leaves
PRIVATE = "quarantine.jsonl"  # names people wherever it lies
NAMED = 3  # examples in a sentence
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Doctor(Options):
    folder: Path | None = argument(
        "Folder of runs or stores, whose files are verified.", default=None
    )
    deep: bool = option("Load torch, too.", default=False)
    repair: bool = option(
        "Delete what dead processes left in FOLDER, and end their tracked runs.", default=False
    )
    images: int | None = option("Images that are to be put into a store.", min=1)
    size: int = option("Side of these images, pixels.", default=64, min=1)


@command
def doctor(given: Doctor) -> None:
    """Examine versions, disk, permissions, servers, and a folder of runs or stores."""
    folder = given.folder
    found = list(examine_machine(folder or Path(), given.deep, given.images, given.size))
    found += [] if folder is None else examine_folder(folder, repair=given.repair)
    for one in found:
        console.print(f"[{STYLES[one.state]}]{one.state:8}[/] {one.area}: ", end="")
        say(one.text + (f"\n         -> {one.advice}" if one.advice else ""))
    if any(one.state == "problem" for one in found):
        raise typer.Exit(4)


def examine_folder(folder: Path, *, repair: bool = False) -> Iterator[Finding]:
    """Artifacts against their manifests, what dead processes left, permissions, states of runs.

    ``repair`` deletes temporary files whose owner is gone, and ends its tracked runs; everything
    else stays as it is.
    """
    if not folder.is_dir():
        yield problem("folder", f"{folder.absolute()} is no folder", "name a run folder or store")
        return
    yield from _artifacts(janitor.artifacts_below(folder))
    yield from _stores(folder)
    yield from _leftovers(folder, repair)
    yield from _unfinished(folder)
    yield from _permissions(folder)
    yield from _runs(folder)
    yield from _tracked(folder, repair)


def _some(things: Sequence[object]) -> str:
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(map(str, things[:NAMED])) + more


def _counted(things: Sequence[object]) -> str:
    return f"{len(things)} ({_some(things)})"


def _artifacts(paths: Sequence[Path]) -> Iterator[Finding]:
    if not paths:
        text = "no artifact of a run or store lies there, so none was checked"
        advice = "name a run folder or store, or run the recipe that makes one"
        yield warning("integrity", text, advice)
        return
    whole = 0
    for path in paths:
        try:
            verify(path)
            whole += 1
        except (ArtifactCorruptError, OSError) as error:
            advice = f"delete {path} and run the same command again: it is built anew"
            yield problem("integrity", getattr(error, "what", str(error)), advice)
    yield ok("integrity", f"{whole} of {amount(len(paths), 'artifact')} as sealed")


def _stores(folder: Path) -> Iterator[Finding]:
    """What is named as faces and is none: a store that points nowhere, artifacts cut short."""
    for here, folders, names in janitor.walk(folder, hidden=False):
        place = Path(here)
        if janitor.POINTER in names and not _has_faces(place):
            advice = (
                "purge again if a purge was interrupted; otherwise make the store again with "
                "debias ingest"
            )
            text = f"{place / janitor.POINTER} names faces that are not there"
            yield problem("integrity", text, advice)
        for path in (place / name for name in folders if janitor.KEY.fullmatch(name)):
            if not is_sealed(path):
                text = f"{path} has no manifest, so it counts as nothing"
                yield problem("integrity", text, "delete it and run the same command again")


def _has_faces(store: Path) -> bool:
    key = _read(store / janitor.POINTER, "faces")
    return bool(janitor.KEY.fullmatch(str(key))) and is_sealed(store / "faces" / str(key))


def _read(file: Path, *names: str) -> Any:  # noqa: ANN401 (JSON)
    """What stands at that place of a JSON file; None where nothing does."""
    with suppress(*UNREADABLE):
        found = json.loads(file.read_text(encoding="utf-8"))
        for name in names:
            found = found[name]
        return found
    return None


def _leftovers(folder: Path, repair: bool) -> Iterator[Finding]:
    left = janitor.leftovers_below(folder)
    dead = [one.path for one in left if not one.at_work]
    if len(dead) < len(left):
        text = f"{amount(len(left) - len(dead), 'temporary file')} of work that may go on"
        yield ok("leftovers", text)
    if not dead:
        yield ok("leftovers", "no temporary file of a dead process")
    elif not repair:
        advice = "delete them with: debias doctor FOLDER --repair"
        yield warning("leftovers", f"{_counted(dead)} of dead processes", advice)
    else:
        try:
            janitor.delete(dead)
            yield ok("leftovers", f"{_counted(dead)} of dead processes: deleted")
        except OSError as error:
            text = f"temporary files of dead processes cannot be deleted: {error}"
            yield problem("leftovers", text, "ask the owner of the folder")


def _unfinished(folder: Path) -> Iterator[Finding]:
    stages = sorted({path.parent for path in janitor.artifacts_below(folder)})
    stores = [same for stage in stages for same in lineages(stage).values()]
    if old := [path for same in stores for path in same[:-1]]:
        text = f"a purge was interrupted: {_counted(old)} may still name somebody"
        yield problem("purge", text, "run the same debias purge again")
    if parts := janitor.parts_below(folder):
        files = [janitor.status(file) for path in parts for file in path.rglob("*.npy")]
        held = sum(about.st_size for about in files if about is not None)
        text = f"{_counted(parts)} of unfinished builds take {held / 2**20:,.0f} MiB"
        advice = "run the same command again, which goes on from there; or delete them"
        yield warning("builds", text, advice)


def _permissions(folder: Path) -> Iterator[Finding]:
    """Folders that anybody can change; files about people that others can read.

    Bits of the mode decide, those of the folders above included; access lists are not looked at.
    """
    writable = [here for here, _, _ in janitor.walk(folder) if _anybody_writes(Path(here))]
    if writable:
        text = f"anybody on this machine can change {_counted(writable)}"
        yield problem("permissions", text, f"chmod -R o-w {folder}")
    readable = [path for path in _about_people(folder) if _others_read(path)]
    if readable:
        places = " ".join(sorted({str(path.parent) for path in readable}))
        text = f"others on this machine can read faces or names: {_counted(readable)}"
        yield warning("permissions", text, f"chmod -R go-rwx {places}")
    if not writable and not readable:
        yield ok("permissions", "nobody else can write there, nor read faces and names")


def _about_people(folder: Path) -> Iterator[Path]:
    """Files of stores, finished or not, and lists of what was set aside."""
    whole = janitor.artifacts_below(folder)
    stores = [path for path in whole if path.parent.name in janitor.STAGES]
    for place in [*stores, *janitor.parts_below(folder)]:
        yield from (path for path in sorted(place.rglob("*")) if path.name != PRIVATE)
    yield from (Path(here, PRIVATE) for here, _, names in janitor.walk(folder) if PRIVATE in names)


def _anybody_writes(folder: Path) -> bool:
    about = janitor.status(folder)
    return about is not None and about.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH


def _others_read(path: Path) -> bool:
    """Whether all folders on the way to a file let others through, or its group."""
    about, above = janitor.status(path), map(janitor.status, path.resolve().parents)
    if about is None or not stat.S_ISREG(about.st_mode):
        return False
    ways = [one.st_mode for one in above if one]
    everybody = about.st_mode & stat.S_IROTH and all(mode & stat.S_IXOTH for mode in ways)
    passed = stat.S_IXGRP | stat.S_IXOTH
    return bool(everybody or (about.st_mode & stat.S_IRGRP and all(mode & passed for mode in ways)))


def _runs(folder: Path) -> Iterator[Finding]:
    states: list[str] = []
    for here, _, names in janitor.walk(folder, hidden=False):
        run = Path(here)
        for name in NUMBERS:
            try:
                if name in names:
                    read_checked(run / name)
            except (ArtifactCorruptError, OSError) as error:
                advice = "run its recipe again, which writes it anew"
                yield problem("integrity", getattr(error, "what", str(error)), advice)
        if "run.json" in names:
            states.append(_state(run))
            if states[-1] == "unreadable":
                advice = "delete it; the next run of the recipe writes it anew"
                yield problem("runs", f"{run / 'run.json'} cannot be read", advice)
    if states:
        counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        yield ok("runs", f"{amount(len(states), 'run')}: {counted}")


def _tracked(folder: Path, repair: bool) -> Iterator[Finding]:
    """Runs that the tracker of a folder shows at work although their process is gone."""
    for place in (folder, folder.parent):
        if not (place / "mlflow.db").exists():
            continue
        from debias.tracking.mlflow_tracker import left_running  # seconds

        try:
            dead = left_running(local_store(place), end=repair)
        except TrackingError as error:
            yield problem("tracking", str(error))
            continue
        text = f"{amount(len(dead), 'tracked run')} of dead processes still RUNNING in {place}"
        if dead and not repair:
            yield warning("tracking", text, "end them with: debias doctor FOLDER --repair")
        else:
            yield ok("tracking", text + (": ended" if dead else ""))


def _state(run: Path) -> str:
    try:
        owner = str(read_checked(run / "run.json").get("process"))
    except (ArtifactCorruptError, OSError):
        return "unreadable"
    if any((run / name).exists() for name in NUMBERS):
        return "finished"
    return "perhaps at work" if is_gone(owner) is False else "unfinished"
