"""Addresses of servers, as they may be shown."""

import re
from urllib.parse import urlsplit

MLFLOW, PREFECT = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"  # where the environment names them
SCHEME = r"[A-Za-z][\w.+:-]*://"
WHOLE = re.compile(SCHEME + r".*", re.DOTALL)
IN_A_SENTENCE = re.compile(SCHEME + r"""[^\s"'<>]*""")
FILES = ("sqlite:///", "file:///")  # nobody logs in to a file: an @ is part of its name


def without_password(text: str) -> str:
    """Without what stands in front of a host, and without the question behind it.

    Both may hold a password. An address whose parts cannot be told apart is cut down to its scheme.

    Args:
        text: An address, or a sentence with addresses in it.
    """
    pattern = WHOLE if WHOLE.fullmatch(text) else IN_A_SENTENCE  # a password can hold blanks
    return pattern.sub(lambda found: _shown(found.group()), text)


def _shown(address: str) -> str:
    scheme, _, rest = address.partition("://")
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    if address.startswith(FILES):
        return f"{scheme}://{place}"
    if "@" in rest[len(place) :]:
        return f"{scheme}://"  # the password itself may hold the mark that begins a question
    shown = f"{scheme}://{place.rpartition('@')[2]}"
    try:
        urlsplit(shown)
    except ValueError:
        return f"{scheme}://"
    return shown
