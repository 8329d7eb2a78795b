"""Takes a person out of stores and run folders: pixels, latents, weights, predictions, pages.

Artifacts are written anew and keep their keys. The same recipe over the same source must find the
purged artifact: under another key it would read the person again.

A purge that was killed is finished by the same command: the names that it had found are noted in
the folder until all is done.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from debias.errors import StorageError
from debias.pipeline.purging.holdings import Place, is_held, places_in, traces_in
from debias.pipeline.purging.journal import begin, end
from debias.pipeline.purging.published import Published, published
from debias.pipeline.purging.rewriting import rewriting
from debias.pipeline.purging.scrubbing import names_person, without
from debias.pipeline.purging.swapping import finish_swaps
from debias.pipeline.purging.traces import Traces, combined, is_shown_in
from debias.pipeline.purging.unreached import unreached_in
from debias.storage import leftovers as janitor
from debias.storage.files import replace_file, storage_error
from debias.storage.locks import LOCK, locked

PATIENCE = 10.0  # seconds for which another process is waited for
EDITED = (".parquet", ".json", ".jsonl")  # loose files that may be changed
# Whatever a run folder's own pages are called, they were made with the person.
REPORTS = (
    "report.html", "report.json", "audit.html", "audit.json", "ingest.html", "ingest.json",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        path: File or folder.
        removed: Rows, lines or entries; None if all of it goes.
        apply: Does it.
    """

    path: Path
    removed: int | None
    apply: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Purged:
    """What a purge did, or would do.

    Attributes:
        images: Removed from stores of faces, copies in several stores each counted.
        steps: What was changed or deleted, in order.
        pages: Folders whose pages were deleted: the command that wrote them writes them again.
        unreached: One sentence for each place where the person may still be.
        remaining: Files that still name the person, None after a dry run.
        dry_run: Whether nothing was changed.
    """

    images: int
    steps: tuple[Step, ...]
    pages: tuple[Path, ...]
    unreached: tuple[str, ...]
    remaining: tuple[Path, ...] | None
    dry_run: bool

    @property
    def complete(self) -> bool:
        """Whether nothing in the folders names the person any more."""
        return self.remaining == ()

    def lines(self) -> Iterator[str]:
        """What a person at a terminal is told."""
        for step in self.steps:
            what = "whole" if step.removed is None else f"{step.removed:,} rows or entries"
            yield f"{step.path}: {what}"
        verb = "Would remove" if self.dry_run else "Removed"
        places = f"{len(self.steps):,} files and folders"
        yield f"{verb} from {places}, images from stores: {self.images:,}"
        yield from (f"Not reached: {text}." for text in self.unreached)
        yield from (f"Still names the person: {path}" for path in self.remaining or ())
        for folder in self.pages:
            yield (
                f"Next: write the pages in {folder} again, with debias run, debias audit or "
                "debias ingest."
            )


def purge(
    name: str, folders: Sequence[Path], *, sample: bool = False, dry_run: bool = False
) -> Purged:
    """Take a person, or one image, out of every store and run folder below the given folders.

    Args:
        name: A ``subject_id``; with ``sample``, a ``sample_id``.
        folders: Run folders, stores, or folders of them.
        sample: Only this image, and files with the same content.
        dry_run: Say what would be removed, and change nothing.

    Raises:
        DataError: Nobody of that name is there; the message says how many people are.
        StorageError: A process is writing there, or a folder cannot be written.
        ArtifactCorruptError: A part differs from its manifest.
        TrackingError: It cannot be found out what was published.
    """
    folders = [folder.resolve() for folder in folders]
    if dry_run:
        return _planned(folders, name, sample=sample).result(dry_run=True)
    with ExitStack() as held:
        runs = _runs_in(folders)
        for folder in sorted({lock for run in runs for lock in _locks(run)}):
            held.enter_context(locked(folder, PATIENCE))
        for run in runs:
            _require_silence(run)
            finish_swaps(run)
        return _planned(folders, name, sample=sample).result(dry_run=False)


def _planned(folders: Sequence[Path], name: str, *, sample: bool) -> "_Purge":
    places = places_in(folders)
    return _Purge(folders, places, traces_in(places, name, sample=sample))


class _Purge:
    """Everything that is to be done, found before anything is changed."""

    def __init__(
        self, folders: Sequence[Path], places: Sequence[Place], traces: dict[Path, Traces]
    ) -> None:
        self.folders, self.places, self.traces = folders, places, traces
        # Where there is no store, nothing says whether something there is the person's.
        self.held = [
            place for place in places if not place.stores or is_held(place, traces[place.root])
        ]
        self.tracked = {place.root: published(place, traces[place.root]) for place in self.held}
        self.rewritings = [
            found
            for place in self.held
            for path in place.artifacts
            if (found := rewriting(path, traces[place.root], place.stores)) is not None
        ]

    def result(self, *, dry_run: bool) -> Purged:
        unreached = tuple(self._unreached())  # before the stores, which say it, are changed
        steps = [*self._loose(), *self._tracked(), *self._unfinished(), *self._artifacts()]
        if not dry_run:
            self._apply(steps)
        return Purged(
            images=sum(one.images for one in self.rewritings),
            steps=tuple(steps),
            pages=tuple(sorted({s.path.parent for s in steps if s.path.suffix == ".html"})),
            unreached=unreached,
            remaining=None if dry_run else tuple(sorted(set(self._remaining()))),
            dry_run=dry_run,
        )

    def _apply(self, steps: Sequence[Step]) -> None:
        """Do everything, in order.

        Raises:
            StorageError: A folder cannot be written.
        """
        noted = [place.root for place in self.held if place.stages or place.artifacts]
        path = noted[0] if noted else Path()
        try:
            for path in noted:
                begin(path, self.traces[path])
            for step in steps:
                path = step.path.parent
                step.apply()
            for path in noted:
                end(path)
        except OSError as error:
            raise storage_error(error, path) from error

    def _loose(self) -> Iterator[Step]:
        for place in self.held:
            traces = self.traces[place.root]
            for path in place.loose_files():
                yield from _page_or_table(path, place, traces)

    def _tracked(self) -> Iterator[Step]:
        for found in self.tracked.values():
            for uri, runs in found.files.items():
                paths = [path for chosen in runs.values() for path in chosen]
                # All files of a store go together, with the first of them.
                yield Step(paths[0], None, _taking_back(found, uri))
                yield from (Step(path, None, _nothing) for path in paths[1:])

    def _unfinished(self) -> Iterator[Step]:
        """Parts of unfinished builds and abandoned temporary files hold pixels and tables."""
        for place in self.held:
            left = [one.path for one in janitor.leftovers_below(place.root)]
            for path in [*janitor.parts_below(place.root), *left]:
                yield Step(path, None, _deleting([path]))

    def _artifacts(self) -> Iterator[Step]:
        """Stores last: what belongs to them is read from them until then."""
        for one in sorted(self.rewritings, key=lambda one: one.is_store):
            if one.edits is None:
                yield from _pointing_to(one.path)
            yield Step(one.path, None if one.edits is None else one.removed, one.apply)

    def _unreached(self) -> Iterator[str]:
        yield (
            "the source of the data, lists of images that debias export wrote elsewhere, copies, "
            "backups and snapshots of any of these folders"
        )
        for found in self.tracked.values():
            yield from found.unreached
        for place in self.held:
            yield from unreached_in(place, self.traces[place.root])

    def _remaining(self) -> Iterator[Path]:
        for place in self.places:
            traces = self.traces[place.root]
            for folder in [place.root, *self.tracked.get(place.root, Published()).folders]:
                yield from _still_naming(folder, traces, self.roots)
        every = combined(self.traces.values())
        for folder in self.folders:
            if not any(folder.is_relative_to(root) for root in self.roots):
                yield from _still_naming(folder, every, self.roots)

    @property
    def roots(self) -> list[Path]:
        return [place.root for place in self.places]


def _still_naming(folder: Path, traces: Traces, apart: Sequence[Path]) -> Iterator[Path]:
    """Files that name the person; places inside, which have their own names, are left out."""
    for here, inside, names in janitor.walk(folder):
        inside[:] = [name for name in inside if Path(here, name) not in apart]
        for path in (Path(here, name) for name in names if name != LOCK):
            if path.is_file() and not path.is_symlink() and names_person(path, traces):
                yield path


def _pointing_to(artifact: Path) -> Iterator[Step]:
    """What says that a store of which nothing is left is the store."""
    pointer = artifact.parent.parent / janitor.POINTER
    if janitor.status(pointer) is not None and artifact.name.encode() in pointer.read_bytes():
        yield Step(pointer, None, _deleting([pointer]))


def _page_or_table(path: Path, place: Place, traces: Traces) -> Iterator[Step]:
    if _is_page_of(path, place, traces):
        yield Step(path, None, _deleting([path]))
    elif path.suffix in EDITED:
        edit = _edit(path, traces)
        if edit is not None:
            yield edit


def _is_page_of(path: Path, place: Place, traces: Traces) -> bool:
    """Whether a page or the numbers beside it name the person or may show them."""
    if place.stores and path.name in REPORTS:
        return True
    page = path.with_suffix(".html")
    if path.suffix not in (".html", ".json") or not page.exists():
        return False
    both = [one for one in (page, page.with_suffix(".json")) if one.exists()]
    return is_shown_in(page) or any(names_person(one, traces) for one in both)


def _edit(path: Path, traces: Traces) -> Step | None:
    try:
        edit = without(path, traces)
    except ValueError:  # not ours, or half of a file: the search at the end says so
        return None
    if edit is None:
        return None
    save = edit.save
    if save is None:
        return Step(path, None, _deleting([path]))
    mode = path.stat().st_mode & 0o777
    return Step(path, edit.removed, lambda: replace_file(path, save, mode=mode))


def _runs_in(folders: Sequence[Path]) -> list[Path]:
    """Run folders that the given folders are in or hold; one may be known by its swap alone."""
    runs = {place.root for place in places_in(folders) if place.stages or place.artifacts}
    left = {path for folder in folders for path in janitor.interrupted_swaps(folder)}
    # An artifact lies in the folder of its stage, what points to it in that of the run.
    return sorted(
        runs | {path.parent if path.name == janitor.HIDDEN else path.parent.parent for path in left}
    )


def _locks(folder: Path) -> list[Path]:
    """Folders whose lock somebody else may hold: this one, and wherever one has built before."""
    below = {Path(here) for here, _, names in janitor.walk(folder) if LOCK in names}
    return sorted({folder} | below)


def _require_silence(folder: Path) -> None:
    busy = [one for one in janitor.leftovers_below(folder) if one.at_work]
    if busy:
        raise StorageError(
            f"process {busy[0].owner} is writing {busy[0].path}: what it writes could name the "
            "person again; wait for it or stop it, then run the same command again"
        )


def _deleting(paths: list[Path]) -> Callable[[], object]:
    return lambda: janitor.delete(paths)


def _taking_back(found: Published, uri: str) -> Callable[[], object]:
    return lambda: found.take_back(uri)


def _nothing() -> None:
    """Done by another step."""
