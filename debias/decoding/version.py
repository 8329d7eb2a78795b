"""Which rules pixels were made by: what another version decoded is not mixed with this one's."""

from importlib.metadata import version

RULES = 1  # raised whenever the same file would become other pixels


def decoded_by() -> str:
    """Our rules and the major version of the library that reads the files."""
    return f"rules {RULES}, Pillow {version('pillow').partition('.')[0]}"
