"""What a purge does, step by step, and what a person at a terminal is told of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from debias.storage.files import amount


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
        held_back: Folders into which they are not read again.
        tracked: Stores of tracked runs, and how many of them were made with the person.
        already: Day of an earlier purge, where this one found nothing more in any store.
        remaining: Files that still name the person, or would.
        dry_run: Whether nothing was changed.
    """

    images: int
    steps: tuple[Step, ...]
    pages: tuple[Path, ...]
    unreached: tuple[str, ...]
    held_back: tuple[Path, ...]
    tracked: tuple[tuple[str, int], ...]
    already: str | None
    remaining: tuple[Path, ...]
    dry_run: bool

    @property
    def complete(self) -> bool:
        """Whether nothing in the folders names the person any more."""
        return not (self.dry_run or self.remaining)

    def lines(self) -> Iterator[str]:
        """What a person at a terminal is told."""
        for step in self.steps:
            what = "whole"
            if step.removed is not None:
                what = amount(step.removed, "row or entry", "rows or entries")
            yield f"{step.path}: {what}"
        if self.already:
            yield f"Purged on {self.already} already: no store here holds more of it."
        verb = "Would remove" if self.dry_run else "Removed"
        if self.steps or not self.already:
            places = amount(len(self.steps), "file or folder", "files and folders")
            yield f"{verb} from {places}, images from stores: {self.images:,}"
        for uri, count in self.tracked:
            runs = amount(count, "tracked run")
            yield (
                f"{verb} {runs} from MLflow, with all files; their numbers go with: mlflow gc "
                f"--backend-store-uri {uri}"
            )
        if self.held_back:
            yield (
                f"Held back from now on in {', '.join(map(str, self.held_back))}, whatever the "
                "source holds; no other folder knows of it, so another --out would read them "
                "again. The same command with --forget lifts it."
            )
        yield from (f"Not reached: {text}." for text in self.unreached)
        yield from (f"Still names the person: {path}" for path in self.remaining)
        for folder in self.pages:
            yield (
                f"Next: write the pages in {folder} again, with debias run, debias audit, debias "
                "ingest or debias compare; what was trained on these images is trained again."
            )
