"""The names of a person who is being purged, kept until nothing is left to do.

A purge that was killed half-way may have emptied the very table that said which images were
theirs. The same command finds them here.
"""

import json
from dataclasses import replace
from pathlib import Path

from debias.errors import ArtifactCorruptError
from debias.pipeline.purging.traces import Traces
from debias.storage.files import replace_file
from debias.storage.leftovers import JOURNAL

LISTS = ("ids", "sha256", "paths")


def begin(folder: Path, traces: Traces) -> None:
    """Note the names; only the owner of the file can read it.

    Raises:
        OSError: The folder cannot be written.
    """
    about = {"asked": traces.asked, "subject": traces.subject}
    text = json.dumps(about | {name: sorted(getattr(traces, name)) for name in LISTS})
    replace_file(folder / JOURNAL, lambda file: file.write_text(text, "utf-8"), mode=0o600)


def resume(folder: Path, traces: Traces) -> Traces | None:
    """The names with those that an interrupted purge of the same person had found, if one did.

    Raises:
        ArtifactCorruptError: The note cannot be read.
    """
    path = folder / JOURNAL
    if not path.exists():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        whose = (about["asked"], about["subject"])
        noted = {name: frozenset(map(str, about[name])) for name in LISTS}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactCorruptError(
            f"{path} cannot be read ({error}); it said what an interrupted purge still had to "
            "remove: delete it and purge the same person again, and their images one by one, with "
            "--image, if their names are gone from the store already"
        ) from error
    if whose != (traces.asked, traces.subject):
        return None
    return replace(traces, **{name: getattr(traces, name) | noted[name] for name in LISTS})


def end(folder: Path) -> None:
    """Forget the names."""
    (folder / JOURNAL).unlink(missing_ok=True)
