"""``debias doctor``: what it takes and prints, and what it looks at in a folder."""

import grp
import json
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import typer

from debias.commands.machine import Finding, examine_machine
from debias.commands.options import Options, argument, command, option
from debias.commands.screen import console, say
from debias.errors import ArtifactCorruptError
from debias.storage import leftovers as janitor
from debias.storage.sealed import MANIFEST, is_sealed, lineages, verify
from debias.tracking.servers import is_alive

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
NUMBERS = ("report.json", "audit.json")  # that a finished run or audit leaves
PRIVATE = "quarantine.jsonl"  # names people wherever it lies
NAMED = 3  # examples in a sentence
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Doctor(Options):
    """What it takes."""

    folder: Path | None = argument(
        "Folder of runs or stores, whose files are verified.", default=None
    )
    deep: bool = option("Load torch, too.", default=False)
    repair: bool = option("Delete what dead processes left behind in FOLDER.", default=False)
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
    yield from _permissions(folder)
    yield from _runs(folder)


def _some(things: Sequence[object]) -> str:
    """The first few."""
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(map(str, things[:NAMED])) + more


def _artifacts(paths: Sequence[Path]) -> Iterator[Finding]:
    broken = 0
    for path in paths:
        try:
            verify(path)
        except (ArtifactCorruptError, OSError) as error:
            broken += 1
            advice = f"delete {path} and run the same command again: it is built anew"
            yield Finding("integrity", "problem", str(error).split(";")[0], advice)
    if paths:
        text = f"{len(paths) - broken} of {len(paths)} artifacts agree with their manifest"
        yield Finding("integrity", "ok", text)
    else:
        yield Finding(
            "integrity", "warning", "no artifact of a run or store lies there, so none was checked",
            "name a run folder or store, or run the recipe that makes one",
        )  # fmt: skip


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
        for path in (place / name for name in folders if janitor.KEY.fullmatch(name)):
            if not is_sealed(path):
                yield Finding(
                    "integrity", "problem", f"{path} has no manifest, so it counts as nothing",
                    "delete it and run the same command again",
                )  # fmt: skip


def _pointed_to(store: Path) -> str:
    """Key of the faces; one that nothing can have where none is named."""
    with suppress(*UNREADABLE):
        key = json.loads((store / janitor.POINTER).read_text(encoding="utf-8"))["faces"]
        return key if janitor.KEY.fullmatch(key) else "none"
    return "none"


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
            "leftovers", "warning", f"{len(dead)} ({_some(dead)}) of dead processes",
            "delete them with: debias doctor FOLDER --repair",
        )  # fmt: skip


def _deleted(dead: Sequence[Path]) -> Finding:
    try:
        janitor.delete(dead)
    except OSError as error:
        text = f"temporary files of dead processes cannot be deleted: {error}"
        return Finding("leftovers", "problem", text, "ask the owner of the folder")
    return Finding("leftovers", "ok", f"{len(dead)} ({_some(dead)}) of dead processes: deleted")


def _unfinished(folder: Path) -> Iterator[Finding]:
    stages = sorted({path.parent for path in janitor.artifacts_below(folder)})
    stores = [same for stage in stages for same in lineages(stage).values() if len(same) > 1]
    old = [path for same in stores for path in same[:-1]]
    if old:
        yield Finding(
            "purge", "problem",
            f"a purge was interrupted: {len(old)} ({_some(old)}) may still name somebody",
            "run the same debias purge again",
        )  # fmt: skip
    parts = janitor.parts_below(folder)
    if parts:
        found = [janitor.status(file) for path in parts for file in path.rglob("*.npy")]
        held = sum(about.st_size for about in found if about is not None)
        yield Finding(
            "builds", "warning",
            f"{len(parts)} ({_some(parts)}) of unfinished builds take {held / 2**20:,.0f} MiB",
            "run the same command again, which goes on from there; or delete them",
        )  # fmt: skip


def _permissions(folder: Path) -> Iterator[Finding]:
    """Folders that anybody can change; files about people that others can read.

    Bits of the mode decide, those of the folders above included; access lists are not looked at.
    """
    writable = [Path(here) for here, _, _ in janitor.walk(folder) if _anybody_writes(Path(here))]
    if writable:
        yield Finding(
            "permissions", "problem",
            f"anybody on this machine can change {len(writable)} ({_some(writable)})",
            f"chmod -R o-w {folder}",
        )  # fmt: skip
    readable: dict[str, list[Path]] = {}
    for path in _about_people(folder):
        if who := _other_reader(path):
            readable.setdefault(who, []).append(path)
    for who, paths in readable.items():
        places = " ".join(sorted({str(path.parent) for path in paths}))
        yield Finding(
            "permissions", "warning",
            f"{who} can read faces or names: {len(paths)} ({_some(paths)})",
            f"chmod -R go-rwx {places}",
        )  # fmt: skip
    if not writable and not readable:
        yield Finding("permissions", "ok", "nobody else can write there, nor read faces and names")


def _about_people(folder: Path) -> Iterator[Path]:
    """Files of stores, finished or not, and lists of what was set aside."""
    stores = [
        path for path in janitor.artifacts_below(folder) if path.parent.name in janitor.STAGES
    ]
    for place in [*stores, *janitor.parts_below(folder)]:
        yield from (path for path in sorted(place.rglob("*")) if path.name != PRIVATE)
    for here, _, names in janitor.walk(folder):
        yield from (Path(here, name) for name in names if name == PRIVATE)


def _anybody_writes(folder: Path) -> bool:
    about = janitor.status(folder)
    return about is not None and about.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH


def _other_reader(path: Path) -> str:
    """Who else can read a file: all folders on the way to it must let them through."""
    about = janitor.status(path)
    if about is None or not stat.S_ISREG(about.st_mode):
        return ""
    above = [found for one in path.resolve().parents if (found := janitor.status(one))]
    if about.st_mode & stat.S_IROTH and all(one.st_mode & stat.S_IXOTH for one in above):
        return "anybody on this machine"
    through = all(
        one.st_mode & (stat.S_IXGRP if one.st_gid == about.st_gid else stat.S_IXOTH)
        for one in above
    )
    return f"the group {_group(about.st_gid)}" if about.st_mode & stat.S_IRGRP and through else ""


def _group(number: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)


def _runs(folder: Path) -> Iterator[Finding]:
    states: list[str] = []
    for here, _, names in janitor.walk(folder, hidden=False):
        run = Path(here)
        if "run.json" in names:
            states.append(_state(run))
            if states[-1] == "unreadable":
                yield Finding(
                    "runs", "problem", f"{run / 'run.json'} cannot be read",
                    "delete it; the next run of the recipe writes it anew",
                )  # fmt: skip
            yield from _rests_on(run)
    if states:
        counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        yield Finding("runs", "ok", f"{len(states)} runs: {counted}")


def _state(run: Path) -> str:
    try:
        owner = int(json.loads((run / "run.json").read_text(encoding="utf-8")).get("pid", 0))
    except UNREADABLE:
        return "unreadable"
    if any((run / name).exists() for name in NUMBERS):
        return "finished"
    return "perhaps at work" if owner and is_alive(owner) else "unfinished"


def _rests_on(run: Path) -> Iterator[Finding]:
    """What the numbers of a run were made of and is gone: they cannot be checked any more."""
    for numbers in (run / name for name in NUMBERS if (run / name).exists()):
        named = list(_named_in(_made_of(numbers)))
        gone = [what for what, key in named if not any(run.glob(f"*/{key}/{MANIFEST}"))]
        if gone:
            yield Finding(
                "runs", "problem", f"{numbers} rests on what is not there: {_some(gone)}",
                "run the same command again, which makes it anew",
            )  # fmt: skip


def _made_of(numbers: Path) -> object:
    """What a report says it was made of; None where it does not say so."""
    with suppress(*UNREADABLE):
        return json.loads(numbers.read_text(encoding="utf-8"))["run"]["artifacts"]
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
