"""Names of files and groups as text that can be shown and stored anywhere."""

from pathlib import Path

LONGEST_NAME, LONGEST_PATH = 200, 4096  # characters in a message


def is_text(name: str) -> bool:
    """Whether a name can be written to a file; bytes that are no UTF-8 cannot."""
    return safe_text(name) == name


def safe_text(name: str) -> str:
    """A file name that can be written as text, whatever bytes it is made of."""
    return name.encode(errors="backslashreplace").decode()


def shown(name: str | Path) -> str:
    """A name or path for a message: what a terminal would obey or hide is written out."""
    longest = LONGEST_PATH if isinstance(name, Path) else LONGEST_NAME
    written = (
        mark if mark.isprintable() else mark.encode("unicode_escape").decode()
        for mark in str(name)[:longest]
    )
    return "".join(written)
