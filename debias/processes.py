"""Which process this is, so that another one can tell whether it is gone."""

import hashlib
import os
import re
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

PROCESSES = Path("/proc")
IDENTITY = r"[1-9][0-9]*-[0-9]+-[0-9a-f]{8}"


def several() -> bool:
    """Whether ``torchrun`` has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


@cache
def machine() -> str:
    """Eight digits for this start of this machine or container, where numbers of processes count.

    Containers of one machine share its boot id; some share the host's name.
    """
    about = [socket.gethostname(), _read("sys/kernel/random/boot_id")]
    with suppress(OSError):
        about.append(os.readlink(PROCESSES / "self" / "ns" / "pid"))
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]


def identity() -> str:
    """``NUMBER-START-MACHINE``: this process and none that is given its number later."""
    return f"{os.getpid()}-{_start(os.getpid())}-{machine()}"


def is_gone(owner: str) -> bool | None:
    """Whether the process of an identity has ended; None where this machine cannot tell."""
    if not re.fullmatch(IDENTITY, owner):
        return None
    number, start, place = owner.split("-")
    if place != machine():
        return None
    return not _is_alive(int(number)) or start != _start(int(number))


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):  # gone, or no number of a process
        return False
    return True


def _start(number: int) -> str:
    """Ticks between the start of the machine and that of a process; 0 where nobody says."""
    fields = _fields(number)
    return fields[19] if len(fields) > 19 else "0"


def _fields(number: int) -> list[str]:
    """What the system says of a process from its state on, as in proc(5)."""
    return _read(f"{number}/stat").rpartition(")")[2].split()  # a name may hold anything


def _read(name: str) -> str:
    with suppress(OSError):
        return (PROCESSES / name).read_text(errors="replace")
    return ""


def resident() -> int | None:
    """Bytes of memory that this process and all below it hold; None where the system says nothing.

    What several of them share is counted for each.
    """
    if not (PROCESSES / "self" / "stat").exists():
        return None
    parents, pages = {}, {}
    for place in PROCESSES.glob("[0-9]*"):
        fields = _fields(int(place.name))
        if len(fields) > 21:
            parents[int(place.name)], pages[int(place.name)] = int(fields[1]), int(fields[21])
    below, found = {os.getpid()}, {os.getpid()}
    while below:
        below = {number for number, parent in parents.items() if parent in below} - found
        found |= below
    return os.sysconf("SC_PAGE_SIZE") * sum(pages.get(number, 0) for number in found)
