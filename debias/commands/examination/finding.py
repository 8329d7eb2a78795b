"""One thing that an examination of the machine or of a folder found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAMED = 3  # examples in a sentence
State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it.

    Attributes:
        area: What it is about: versions, disk, permissions, ...
        state: A problem makes work fail or results wrong; a warning may.
        text: One sentence.
        advice: What to do; empty where there is nothing to do.
    """

    area: str
    state: State
    text: str
    advice: str = ""


def exit_code(findings: Iterable[Finding]) -> int:
    """0 without a problem, 4 with one; warnings do not count."""
    return 4 if any(finding.state == "problem" for finding in findings) else 0


def some(paths: Sequence[Path]) -> str:
    """How many there are, and the first of them."""
    named = ", ".join(str(path) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{len(paths)} ({named}{more})"
