"""Examines the machine before it costs somebody a day: versions, disk, servers, telemetry.

Nobody is called but the two configured servers.
"""

import importlib.metadata as metadata
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from debias.storage.files import HEADROOM, free_bytes
from debias.storage.leftovers import file_system, is_over_a_network
from debias.tracking.servers import MLFLOW, PREFECT, answer, without_password

LIBRARIES = ("torch", "torchvision", "pillow", "numpy", "pandas", "mlflow", "prefect", "h5py")
REASONS = {
    "fastapi": ": Prefect's server does not start with this one",
    "mlflow": ": older servers let anybody read files without logging in",
    "pillow": ": older ones can be crashed, and worse, by crafted images",
}
# From here on, tarfile's data filter cannot be led out of the folder (CVE-2025-4517 and others).
SAFE_ARCHIVES: dict[tuple[int, ...], tuple[int, ...]] = {
    (3, 11): (3, 11, 13), (3, 12): (3, 12, 11), (3, 13): (3, 13, 4),
}  # fmt: skip
LITTLE = 2**30  # bytes
GPUS = Path("/dev")
# Variable, and whether being set to "true" switches telemetry off.
TELEMETRY = {
    "DO_NOT_TRACK": True,
    "MLFLOW_DISABLE_TELEMETRY": True,
    "PREFECT_SERVER_ANALYTICS_ENABLED": False,
}
OFF = "export DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false"
OVER_THERE = "keep runs and mlflow.db on a local disk and copy what is finished"
CORRECT = (
    "set it to that of a server, such as http://127.0.0.1:5000; in a password, write @ as %40 and "
    "/ as %2F"
)
PATIENCE = 3.0  # seconds a server may take to answer


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it, if anything.

    A problem makes work fail or results wrong; a warning may.
    """

    state: Literal["ok", "warning", "problem"]
    area: str
    text: str
    advice: str = ""


ok, warning, problem = (partial(Finding, state) for state in ("ok", "warning", "problem"))


def examine_machine(
    place: Path, deep: bool = False, images: int | None = None, size: int = 64
) -> Iterator[Finding]:
    """Look at everything that runs depend on; ``place`` may not exist yet.

    ``deep`` loads torch; so many ``images`` of ``size`` pixels are to be put into a store.
    """
    yield from versions()
    yield from disk(place, images, size)
    if deep:
        yield torch_device()
    yield from servers()
    yield telemetry()


def versions(package: str = "debias") -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(text) for text in metadata.requires(package) or []]
    except metadata.PackageNotFoundError:
        text = f"{package} is not installed, so nothing says what it needs"
        yield warning("versions", text, "install it with: pip install -c constraints.txt -e .")
        return
    shown = ", ".join(f"{name} {_installed(name) or 'missing'}" for name in LIBRARIES)
    python = _dotted(sys.version_info[:3])
    yield ok("versions", f"{package} {_installed(package)}, Python {python}, {shown}")
    needed = {one.name: one for one in asked if one.marker is None or one.marker.evaluate()}
    for name, one in sorted(needed.items()):
        found, advice = _installed(name), f'pip install "{name}{one.specifier}"'
        if not found:
            yield problem("versions", f"{name} is not installed", advice)
        elif not one.specifier.contains(found, prereleases=True):
            text = f"{name} {found} is outside {one.specifier}{REASONS.get(name, '')}"
            yield problem("versions", text, advice)
    yield from python_version(sys.version_info[:3])


def _installed(name: str) -> str:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def python_version(version: tuple[int, ...]) -> Iterator[Finding]:
    """Warn of a Python that unpacks anything anywhere."""
    needed = SAFE_ARCHIVES.get(version[:2], (3, 11))
    if version < needed:
        text = f"Python {_dotted(version)} can be led out of its folder by a crafted tar archive"
        advice = f"use {_dotted(needed)} or later before you unpack archives of others"
        yield warning("versions", text, advice)


def disk(folder: Path, images: int | None = None, size: int = 64) -> Iterator[Finding]:
    """Free space in images of ``size`` pixels (3 size² bytes), its kind, whether one may write."""
    folder, each = folder.absolute(), HEADROOM * 3 * size * size
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = free_bytes(place)
    text = f"{_gib(free)} free below {place}: room for {int(free / each):,} images of {size} px"
    if images is not None and images > int(free / each):
        text += f"; {images:,} of them need {_gib(int(images * each))}"
        yield problem("disk", text, "make space, choose a smaller image_size, or another folder")
    elif free < LITTLE:
        yield warning("disk", text, "make space: builds stop when the disk is full")
    else:
        yield ok("disk", text)
    if not os.access(place, os.W_OK | os.X_OK):
        advice = "choose another folder with --out, or ask its owner"
        yield problem("disk", f"{place} cannot be written", advice)
    if is_over_a_network(place):
        text = (
            f"{place} lies on a network file system ({file_system(place)}), where locks and SQLite "
            "are not safe"
        )
        yield warning("disk", text, OVER_THERE)


def _gib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def torch_device() -> Finding:
    from debias.training.device import choose  # seconds that only a deep examination costs

    about = choose().describe()
    text = ", ".join(f"{name} {value}" for name, value in about.items())
    if about["device"] == "cpu" and any(path.name[6:].isdecimal() for path in GPUS.glob("nvidia*")):
        text = f"torch computes on the CPU although there is a GPU: {text}"
        return warning("compute", text, "install the torch build for your CUDA driver")
    return ok("compute", f"torch computes with {text}")


def telemetry() -> Finding:
    """Whether MLflow and Prefect have been told to report to their makers."""
    told = [
        f"{name}={value}"
        for name, switches_off in TELEMETRY.items()
        if (value := os.environ.get(name))
        and (value.lower() in ("1", "true", "yes", "on")) != switches_off
    ]
    if told:
        return warning("telemetry", f"{', '.join(told)} switches telemetry on", OFF)
    if os.environ.get("DO_NOT_TRACK"):
        return ok("telemetry", "off")
    text = "off in whatever debias starts; MLflow and Prefect started by hand report by default"
    return ok("telemetry", text, OFF)


# What a server is called; what happens where none is named; where it tells its version; the oldest
# version without a known way around its protection.
SERVICES = {
    MLFLOW: (  # before: files could be read without logging in (CVE-2026-116690)
        "MLflow", "runs are recorded in mlflow.db beside their folders", "/version", (3, 17, 0)
    ),
    PREFECT: (  # before: logging in could be walked around (CVE-2026-3514)
        "Prefect", "flows start a server of their own for as long as they run", "/admin/version",
        (3, 6, 22),
    ),
}  # fmt: skip


def servers() -> Iterator[Finding]:
    """Look at the servers that the environment names; nobody else is asked."""
    for variable, (name, absent, version, floor) in SERVICES.items():
        address = os.environ.get(variable, "").rstrip("/")
        scheme, separator, _ = address.lower().partition(":")
        writes = f"{name} writes to {without_password(address)}"
        if not address:
            yield ok("servers", f"{variable} is not set: {absent}")
        elif separator and scheme in ("http", "https"):
            if asked := _asked(address):
                yield _server(f"{name} at {asked}", asked, version, floor)
            else:
                text = f"{variable} is no address ({without_password(address)})"
                yield problem("servers", text, CORRECT)
        elif scheme in ("sqlite", "file") if separator else not scheme.startswith("databricks"):
            yield ok("servers", f"{writes}, without a server")
        else:
            advice = "see for yourself that it answers, and who can read what is there"
            yield warning("servers", f"{writes}: not examined", advice)


def _asked(address: str) -> str | None:
    """Where a stranger would ask: without credentials and question; None if it is no address."""
    with suppress(ValueError):
        parts = urlsplit(address)
        behind = parts.path + parts.query + parts.fragment  # an @ there: of a password, perhaps
        if parts.hostname and parts.port != 0 and "@" not in behind:  # a wrong port raises
            plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
            return plain.geturl().rstrip("/")
    return None


def _server(named: str, asked: str, version: str, floor: tuple[int, ...]) -> Finding:
    if answer(f"{asked}/health", PATIENCE) is None:
        advice = "start it, or correct or unset the variable that names it"
        return problem("servers", f"{named} does not answer within {PATIENCE:g} s", advice)
    text = (answer(asked + version, PATIENCE) or b"").decode(errors="replace")
    parts = text.strip().strip('"').split(".")[:3]
    known = len(parts) == 3 and all(part.isdecimal() for part in parts)
    if known and tuple(map(int, parts)) < floor:
        text = f"{named} is {'.'.join(parts)}: its protection can be walked around"
        return warning("servers", text, f"use {_dotted(floor)} or later")
    return ok("servers", f"{named} answers")
