"""Takes a person out of stores and run folders: pixels, latents, weights, predictions, pages.

A store without the person is sealed first. Then everything goes that was made from the old one,
networks that saw the person included, and the old store last: as long as it is there, a purge that
was killed finds in it whose traces are left, and the same command finishes it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from glob import escape
from pathlib import Path

from debias.errors import ArtifactCorruptError
from debias.ingesting.build import QUARANTINE
from debias.pipeline.purging.holdings import (
    COMPARED,
    Place,
    is_held,
    is_of,
    places_in,
    traces_in,
)
from debias.pipeline.purging.lifting import alone_in, asked_for
from debias.pipeline.purging.published import Published, published
from debias.pipeline.purging.rebuilt import Rebuilding
from debias.pipeline.purging.result import Purged, Step
from debias.pipeline.purging.traces import Traces, combined, is_shown_in, names_person
from debias.processes import PROCESSES
from debias.storage import leftovers as janitor
from debias.storage.files import LOCK, amount, replace_file, storage_error, temporary_prefix
from debias.storage.sealed import read_manifest, verify
from debias.storage.suppressed import CONTENT, SAMPLE, Name, suppressed_in

# Whatever they show, they were made with the person.
REPORTS = (
    "report.html", "report.json", "audit.html", "audit.json", "study.html", "study.json",
    "ingest.html", "ingest.json",
)  # fmt: skip


def purge(
    name: str, folders: Sequence[Path], *, sample: bool = False, dry_run: bool = False
) -> Purged:
    """Take a person, or one image, out of every store and run folder below the given folders.

    What goes is noted in each of them by keyed hashes, and held back by later ingests.

    Args:
        name: A ``subject_id``; with ``sample``, a ``sample_id``.
        folders: Run folders, stores, or folders of them.
        sample: Only this image, and files with the same content.
        dry_run: Say what would be removed, and change nothing.

    Raises:
        ConfigError: The name is empty.
        DataError: Nobody of that name is there; the message says how many people are.
        StorageError: A process is writing there, or a folder cannot be written.
        ArtifactCorruptError: A part differs from its manifest.
        TrackingError: It cannot be found out what was published.
    """
    asked, folders = asked_for(name, sample=sample), [folder.resolve() for folder in folders]
    try:
        if dry_run:
            return _planned(folders, asked).result(dry_run=True)
        with alone_in(folders):
            return _planned(folders, asked).result(dry_run=False)
    except ArtifactCorruptError as error:
        raise ArtifactCorruptError(
            error.what,
            "so nobody can tell who is in it. Take their files out of the source, delete this "
            "run folder or store as a whole, and make it again",
        ) from error


def _planned(folders: Sequence[Path], asked: Name) -> "_Purge":
    places = places_in(folders)
    return _Purge(folders, places, traces_in(places, asked), asked)


class _Purge:
    """Everything that is to be done, found before anything is changed."""

    def __init__(
        self,
        folders: Sequence[Path],
        places: Sequence[Place],
        traces: dict[Path, Traces],
        asked: Name,
    ) -> None:
        self.folders, self.places, self.traces, self.asked = folders, places, traces, asked
        # Where there is no store, nothing says whether something there is the person's.
        self.known = [place for place in places if is_held(place, traces[place.root])]
        self.held = [place for place in places if not place.stores or place in self.known]
        self.tracked = {place.root: published(place) for place in self.held}
        self.rebuilt = {place.root: _rebuildings(place, traces[place.root]) for place in self.held}
        self.runs = [place.root for place in self.held if place.artifacts]
        self.compared = list(_compared(self.runs))

    def result(self, *, dry_run: bool) -> Purged:
        unreached = tuple(self._unreached())
        steps = list(self._steps())
        days = [suppressed_in(place.root).day(self.asked) for place in self.places]
        if not dry_run:
            self._hold_back()
            _apply(steps)
        tracked = [one for found in self.tracked.values() for one in found.stores if one.runs]
        return Purged(
            images=sum(one.images for found in self.rebuilt.values() for one in found),
            steps=tuple(steps),
            pages=tuple(sorted({x.path.parent for x in steps if x.path.suffix == ".html"})),
            unreached=unreached,
            held_back=tuple(place.root for place in self.known),
            tracked=tuple((one.uri, len(one.runs)) for one in tracked),
            already=None if self.known else max(filter(None, days), default=None),
            remaining=tuple(sorted(set(self._remaining(steps if dry_run else [])))),
            dry_run=dry_run,
        )

    def _hold_back(self) -> None:
        """First: whatever happens to this process, they are not read again."""
        for place in self.known:
            traces = self.traces[place.root]
            gone = [(CONTENT, one) for one in traces.sha256]
            gone += [(SAMPLE, one) for one in traces.ids if self.asked[0] == SAMPLE]
            suppressed_in(place.root).add(self.asked, gone)

    def _steps(self) -> Iterator[Step]:
        every = [one for found in self.rebuilt.values() for one in found]
        for one in every:
            if (final := one.final) is not None:
                yield Step(final, one.removed, one.seal)
            yield from _pointing_to(one)
        for place in self.held:
            traces = self.traces[place.root]
            yield from (step for path in place.loose_files() for step in _page(path, place, traces))
            yield from _taken_back(self.tracked[place.root])
            # Parts of unfinished builds and abandoned temporary files hold pixels and tables, and
            # what was learned of images is in checkpoints.
            left = [one.path for one in janitor.leftovers_below(place.root)]
            left += [*janitor.parts_below(place.root), *janitor.checkpoints_below(place.root)]
            for path in left:
                yield Step(path, None, partial(janitor.delete, [path]))
            for path in _resting_on(place, self.rebuilt[place.root], traces):
                yield Step(path, None, partial(_discard, path))
        for path in self.compared:
            yield Step(path, None, partial(janitor.delete, [path]))
        # A store that says by itself who is asked for goes after those that share an image with it.
        for one in sorted(every, key=lambda one: one.store.tells_of(self.asked[1])):
            yield Step(one.store.path, None, partial(_discard, one.store.path))

    def _unreached(self) -> Iterator[str]:
        yield (
            "the source of the data (take their files out of it, too: another folder would read "
            "them), lists of images that debias export wrote elsewhere, comparisons elsewhere, "
            "copies, backups and snapshots of any of these folders"
        )
        for place in self.held:
            yield from self.tracked[place.root].unreached
            yield from _unreached_in(place, self.traces[place.root])
        named = [run.parent.glob(f"*{escape(run.name)}*-comparison") for run in self.runs]
        gone = {page.parent for page in self.compared}
        for path in sorted({path for found in named for path in found} - gone):
            yield f"{path}, whose rates may be of these runs: delete it, then compare again"

    def _remaining(self, planned: Sequence[Step]) -> Iterator[Path]:
        """Files that name the person, but for what the ``planned`` steps would change."""
        gone = {one.path for one in planned if one.removed is None or one.path.is_file()}
        roots = [place.root for place in self.places]
        every = combined(self.traces.values())
        others = [one for one in self.folders if not any(map(one.is_relative_to, roots))]
        for folder in [*roots, *others]:
            for path in _still_naming(folder, self.traces.get(folder, every), roots):
                if gone.isdisjoint((path, *path.parents)):
                    yield path


def _apply(steps: Sequence[Step]) -> None:
    path = Path()
    try:
        for step in steps:
            path = step.path.parent
            step.apply()
    except OSError as error:
        raise storage_error(error, path) from error


def _rebuildings(place: Place, traces: Traces) -> list[Rebuilding]:
    """Stores that name the person; ArtifactCorruptError if nobody knows what is in one."""
    found = []
    for store in place.stores:
        if store.path in place.artifacts and store.names(traces):
            verify(store.path)
            found.append(Rebuilding(store, traces))
    return found


def _resting_on(place: Place, gone: Sequence[Rebuilding], traces: Traces) -> list[Path]:
    """What was made from old stores, what nothing else was made from first.

    So that a purge that was killed finds the rest of it. Where there is no store: what names the
    person.
    """
    stores = {store.path for store in place.stores}
    left = [path for path in place.artifacts if path not in stores]
    if not place.stores:
        return [path for path in left if _names(path, traces)]
    keys, found = {one.store.path.name for one in gone}, list[Path]()
    while mine := [path for path in left if keys & _inputs(path, keys)]:
        found = [*mine, *found]
        keys = keys | {path.name for path in mine}
        left = [path for path in left if path not in mine]
    return found


def _inputs(path: Path, unknown: set[str]) -> set[str]:
    """Keys of what an artifact was made from; manifests of earlier versions do not say it."""
    inputs = read_manifest(path).get("inputs")
    return unknown if inputs is None else set(inputs.values())


def _names(artifact: Path, traces: Traces) -> bool:
    return any(names_person(path, traces) for path in artifact.iterdir() if path.is_file())


def _discard(artifact: Path) -> None:
    """Delete an artifact, so that at no moment a part of it counts as one."""
    aside = artifact.with_name(f"{temporary_prefix()}{artifact.name[:8]}")
    artifact.rename(aside)
    janitor.delete([aside])


def _compared(runs: Sequence[Path]) -> list[Path]:
    """Pages and numbers of comparisons of these runs, where debias compare writes them."""
    near = {folder.resolve() for run in runs for folder in (*run.parents[:2], Path.cwd())}
    found = []
    for numbers in sorted({path for folder in near for path in folder.glob(f"*/{COMPARED}")}):
        with suppress(OSError, ValueError, TypeError, AttributeError):  # somebody else's
            places = json.loads(numbers.read_text(encoding="utf-8")).get("of", ())
            if set(map(Path, places)) & set(runs):
                found += [*sorted(numbers.parent.glob("comparison*.html")), numbers]
    return found


def _pointing_to(one: Rebuilding) -> Iterator[Step]:
    """What says which faces are the store, of a folder that debias ingest made."""
    old, final = one.store.path, one.final
    pointer = old.parent.parent / janitor.POINTER
    if janitor.status(pointer) is None or old.name.encode() not in pointer.read_bytes():
        return
    if final is None:
        yield Step(pointer, None, partial(janitor.delete, [pointer]))
    else:
        text = pointer.read_text(encoding="utf-8").replace(old.name, final.name)
        yield _rewriting(pointer, 1, text)


def _rewriting(path: Path, removed: int, text: str) -> Step:
    mode = path.stat().st_mode & 0o777

    def apply() -> None:
        replace_file(path, lambda file: file.write_text(text, encoding="utf-8"), mode=mode)

    return Step(path, removed, apply)


def _taken_back(found: Published) -> Iterator[Step]:
    """Runs first: none may count as complete whose files are gone."""
    for one in found.stores:
        if one.runs:
            yield Step(one.store, len(one.runs), one.delete_runs)
        yield from (Step(path, None, partial(janitor.delete, [path])) for path in one.folders)
        if one.models:
            yield Step(one.store, len(one.models), one.delete_models)


def _page(path: Path, place: Place, traces: Traces) -> Iterator[Step]:
    """A page or numbers that name the person or may show them; a list of what was set aside."""
    if _is_page_of(path, place, traces):
        yield Step(path, None, partial(janitor.delete, [path]))
    for store in place.stores:
        if path == store.path / QUARANTINE and store.names(traces):
            kept = [one for one in store.set_aside if not is_of(one, traces)]
            removed = len(store.set_aside) - len(kept)
            yield _rewriting(path, removed, "".join(f"{json.dumps(one)}\n" for one in kept))


def _is_page_of(path: Path, place: Place, traces: Traces) -> bool:
    if place.stores and path.name in REPORTS:
        return True
    page = path.with_suffix(".html")
    if path.suffix not in (".html", ".json") or not page.exists():
        return False
    both = [one for one in (page, page.with_suffix(".json")) if one.exists()]
    return is_shown_in(page) or any(names_person(one, traces) for one in both)


def _still_naming(folder: Path, traces: Traces, apart: Sequence[Path]) -> Iterator[Path]:
    """Files that name the person; places inside, which have their own names, are left out."""
    for here, inside, names in janitor.walk(folder):
        inside[:] = [name for name in inside if Path(here, name) not in apart]
        for path in (Path(here, name) for name in names if name != LOCK):
            if path.is_file() and not path.is_symlink() and names_person(path, traces):
                yield path


def _unreached_in(place: Place, traces: Traces) -> Iterator[str]:
    """One sentence for each thing in or around a place that a purge leaves as it is."""
    owner = place.about.get("pid")
    # Between two stages a run has nothing on disk by which it is seen.
    if isinstance(owner, int) and owner != os.getpid() and b"debias" in _command(owner):
        yield (
            f"process {owner}, which opened {place.root} last and is still there: if it is at "
            "work, run this command once more when it has ended"
        )
    file = place.setting("representation", "model", "file")
    if file:
        yield f"{file}, which {place.root} takes embeddings or an encoder from"
    alike = [name for store in place.stores for name in store.lookalikes(traces)]
    if alike:
        yield (
            f"{amount(len(alike), 'near duplicate')} of removed images in {place.root}, not said "
            f"to show the same person: {', '.join(alike[:10])}; remove them with --image"
        )
    short = traces.names - traces.searchable
    if short and place.stores:
        yield (
            f"{amount(len(short), 'name is', 'names are')} too short to be looked for in texts of "
            f"{place.root}; tables and lists were searched"
        )


def _command(process: int) -> bytes:
    with suppress(OSError):  # it has ended, or belongs to somebody else
        return Path(PROCESSES, str(process), "cmdline").read_bytes()
    return b""
