"""The names of a person who is being purged, kept until nothing is left to do.

A purge that was killed half-way may have emptied the very table that said which images were
theirs. The same command finds them here.
"""

import json
from dataclasses import replace
from pathlib import Path

from debias.files import replace_file
from debias.janitor import JOURNAL
from debias.purging.traces import Traces


def begin(folder: Path, traces: Traces) -> None:
    """Note the names; only the owner of the file can read it.

    Raises:
        OSError: The folder cannot be written.
    """
    about = {
        "asked": traces.asked,
        "subject": traces.subject,
        "ids": sorted(traces.ids),
        "sha256": sorted(traces.sha256),
    }
    text = json.dumps(about)
    replace_file(folder / JOURNAL, lambda file: file.write_text(text, "utf-8"), mode=0o600)


def resume(folder: Path, traces: Traces) -> Traces | None:
    """The names with those that an interrupted purge of the same person had found, if one did."""
    path = folder / JOURNAL
    if not path.exists():
        return None
    about = json.loads(path.read_text(encoding="utf-8"))
    if (about["asked"], about["subject"]) != (traces.asked, traces.subject):
        return None
    return replace(
        traces,
        ids=traces.ids | frozenset(about["ids"]),
        sha256=traces.sha256 | frozenset(about["sha256"]),
    )


def end(folder: Path) -> None:
    """Forget the names."""
    (folder / JOURNAL).unlink(missing_ok=True)
