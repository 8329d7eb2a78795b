"""How a finished job leaves its page and its numbers: whole, with checksums, and published."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from debias.errors import ArtifactCorruptError
from debias.pipeline.job import Job
from debias.storage.files import storage_error
from debias.storage.sealed import fingerprint, read_checked, write_checked

Charts = Mapping[str, bytes]  # SVG by name
PAGE = "page"  # in the numbers: size and SHA-256 of the page beside them


def deliver(
    job: Job,
    kind: str,
    document: Any,  # noqa: ANN401 (of a run, an audit or a study)
    draw: Callable[[Path], Charts],
    tell: Callable[[Charts], None],
) -> None:
    """Write ``KIND.html`` and ``KIND.json``, the numbers last, and publish.

    Where the tracker does not take everything, the page says so in the end.

    Raises:
        StorageError: They cannot be written; what was there is as it was, or has the new page.
    """
    _write(job, kind, document, draw, tell)
    if (lost := job.unpublished()) != document["run"].get("unpublished", ""):
        document["run"]["unpublished"] = lost
        _write(job, kind, document, draw)


def _write(
    job: Job,
    kind: str,
    document: Any,  # noqa: ANN401
    draw: Callable[[Path], Charts],
    tell: Callable[[Charts], None] = lambda charts: None,
) -> None:
    folder = job.folder.path
    page = folder / f"{kind}.html"
    try:
        charts = draw(page)
        write_checked(folder / f"{kind}.json", {**document, PAGE: fingerprint(page)})
    except OSError as error:
        raise storage_error(error, folder) from error
    tell(charts)


def delivered(folder: Path, kind: str) -> dict[str, Any] | None:
    """The numbers that lie beside their page; None where either is missing or was altered."""
    try:
        document = read_checked(folder / f"{kind}.json")
        intact = document.pop(PAGE, None) == fingerprint(folder / f"{kind}.html")
    except (ArtifactCorruptError, OSError):
        return None
    return document if intact else None
