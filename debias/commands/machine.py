"""Examines the machine before it costs somebody a day: versions, disk, cores, servers, telemetry.

Nobody is called but the two configured servers.
"""

import importlib.metadata as metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from debias.storage.files import HEADROOM, free_bytes
from debias.storage.leftovers import file_system, is_over_a_network
from debias.tracking.servers import MLFLOW, PREFECT, answer, without_password

LIBRARIES = ("torch", "torchvision", "pillow", "numpy", "pandas", "mlflow", "prefect", "h5py")
REASONS = {
    "fastapi": "Prefect's server does not start with this one",
    "mlflow": "older servers let anybody read files without logging in",
    "pillow": "older ones can be crashed, and worse, by crafted images",
}
# From here on, tarfile's data filter cannot be led out of the folder (CVE-2025-4517 and others).
SAFE_ARCHIVES: dict[tuple[int, ...], tuple[int, ...]] = {
    (3, 11): (3, 11, 13),
    (3, 12): (3, 12, 11),
    (3, 13): (3, 13, 4),
}
LITTLE = 2**30  # bytes
CORES = Path("/sys/fs/cgroup/cpu.max")
GPUS = Path("/dev")
# Variable, and whether being set to "true" switches telemetry off.
TELEMETRY = {
    "DO_NOT_TRACK": True,
    "MLFLOW_DISABLE_TELEMETRY": True,
    "PREFECT_SERVER_ANALYTICS_ENABLED": False,
}
OFF = "export DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false"
PATIENCE = 3.0  # seconds a server may take to answer


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
    state: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""


def examine_machine(
    place: Path, deep: bool = False, images: int | None = None, size: int = 64
) -> Iterator[Finding]:
    """Look at everything that runs depend on.

    Args:
        place: Where runs or stores lie or are to lie; may not exist yet.
        deep: Load torch, to see what it computes with.
        images: So many images are to be put into a store.
        size: Side of these images, pixels.
    """
    yield from versions()
    yield from disk(place, images, size)
    yield from compute()
    if deep:
        yield torch_device()
    yield from servers()
    yield telemetry()


def versions(package: str = "debias") -> Iterator[Finding]:
    """Compare what is installed with what the package asks for; nothing is imported."""
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(text) for text in metadata.requires(package) or []]
    except metadata.PackageNotFoundError:
        yield Finding(
            "versions", "warning", f"{package} is not installed, so nothing says what it needs",
            "install it with: pip install -c constraints.txt -e .",
        )  # fmt: skip
        return
    needed = {one.name: one for one in asked if one.marker is None or one.marker.evaluate()}
    found = {name: _installed(name) for name in {*needed, *LIBRARIES}}
    shown = ", ".join(f"{name} {found[name] or 'missing'}" for name in LIBRARIES)
    text = f"{package} {_installed(package)}, Python {_dotted(sys.version_info[:3])}, {shown}"
    yield Finding("versions", "ok", text)
    for name, one in sorted(needed.items()):
        if not one.specifier.contains(found[name], prereleases=True):
            yield _out_of_range(name, found[name], str(one.specifier))
    yield from python_version(sys.version_info[:3])


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _out_of_range(name: str, found: str, wanted: str) -> Finding:
    why = f": {REASONS[name]}" if name in REASONS else ""
    text = f"{name} {found} is outside {wanted}{why}" if found else f"{name} is not installed"
    return Finding("versions", "problem", text, f'pip install "{name}{wanted}"')


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def python_version(version: tuple[int, ...]) -> Iterator[Finding]:
    """Warn of a Python that unpacks anything anywhere."""
    needed = SAFE_ARCHIVES.get(version[:2], (3, 11))
    if version < needed:
        yield Finding(
            "versions", "warning",
            f"Python {_dotted(version)} can be led out of its folder by a crafted tar archive",
            f"use {_dotted(needed)} or later before you unpack archives of others",
        )  # fmt: skip


def disk(folder: Path, images: int | None = None, size: int = 64) -> Iterator[Finding]:
    """Free space in images of ``size`` pixels (3 size² bytes), its kind, whether one may write."""
    folder = folder.absolute()
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = free_bytes(place)
    room = int(free / HEADROOM / (3 * size * size))
    text = f"{_gigabytes(free)} free below {place}: room for {room:,} images of {size} px"
    if images is not None and images > room:
        needed = _gigabytes(int(HEADROOM * images * 3 * size * size))
        yield Finding(
            "disk", "problem", f"{text}; {images:,} of them need {needed}",
            "make space, choose a smaller image_size, or another folder",
        )  # fmt: skip
    elif free < LITTLE:
        yield Finding("disk", "warning", text, "make space: builds stop when the disk is full")
    else:
        yield Finding("disk", "ok", text)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "disk", "problem", f"{place} cannot be written",
            "choose another folder with --out, or ask its owner",
        )  # fmt: skip
    if is_over_a_network(place):
        yield Finding(
            "disk", "warning",
            f"{place} lies on a network file system ({file_system(place)}), where locks and SQLite "
            "are not safe",
            "keep runs and mlflow.db on a local disk and copy what is finished",
        )  # fmt: skip


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def compute() -> Iterator[Finding]:
    """Cores that this process may use, threads that it is told to use, and the GPU."""
    cores, threads = usable_cores(), os.environ.get("OMP_NUM_THREADS", "")
    text = f"{cores:g} cores, OMP_NUM_THREADS {threads or 'not set'}, {_gpus()}"
    if threads.isdigit() and int(threads) > cores:
        yield Finding(
            "compute", "warning", f"{text}: more threads than cores wait for each other",
            f"export OMP_NUM_THREADS={max(1, int(cores))}",
        )  # fmt: skip
    else:
        yield Finding("compute", "ok", text)


def usable_cores() -> float:
    """Of this process: fewer than the machine has, in a container or under taskset."""
    present = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    quota, period = CORES.read_text().split() if CORES.exists() else ("max", "1")
    return present if quota == "max" else min(present, int(quota) / int(period))


def _gpus() -> str:
    count = len([path for path in GPUS.glob("nvidia*") if path.name[6:].isdecimal()])
    return f"{count} NVIDIA device{'s' if count > 1 else ''}" if count else "no NVIDIA device"


def torch_device() -> Finding:
    """What torch computes with."""
    from debias.training.device import choose  # seconds that only a deep examination costs

    about = choose().describe()
    text = ", ".join(f"{name} {value}" for name, value in about.items())
    if about["device"] == "cpu" and not _gpus().startswith("no"):
        return Finding(
            "compute", "warning", f"torch computes on the CPU although there is a GPU: {text}",
            "install the torch build for your CUDA driver",
        )  # fmt: skip
    return Finding("compute", "ok", f"torch computes with {text}")


def telemetry() -> Finding:
    """Whether MLflow and Prefect have been told to report to their makers."""
    told = [
        f"{name}={os.environ[name]}"
        for name, switches_off in TELEMETRY.items()
        if os.environ.get(name)
        and (os.environ[name].lower() in ("1", "true", "yes", "on")) != switches_off
    ]
    if told:
        return Finding("telemetry", "warning", f"{', '.join(told)} switches telemetry on", OFF)
    if os.environ.get("DO_NOT_TRACK"):
        return Finding("telemetry", "ok", "off")
    text = "off in whatever debias starts; MLflow and Prefect started by hand report by default"
    return Finding("telemetry", "ok", text, OFF)


@dataclass(frozen=True)
class Service:
    """One kind of server.

    Attributes:
        name: As it is called in sentences.
        absent: What happens where none is named.
        version: Says which version it is, relative to the address, as does ``/health`` how it is.
        floor: Oldest version without a known way around its protection.
    """

    name: str
    absent: str
    version: str
    floor: tuple[int, ...]


SERVICES = {
    MLFLOW: Service(  # before: files could be read without logging in (CVE-2026-116690)
        "MLflow", "runs are recorded in mlflow.db beside their folders", "/version", (3, 17, 0)
    ),
    PREFECT: Service(  # before: logging in could be walked around (CVE-2026-3514)
        "Prefect", "flows start a server of their own for as long as they run", "/admin/version",
        (3, 6, 22),
    ),
}  # fmt: skip


def servers() -> Iterator[Finding]:
    """Look at the servers that the environment names; nobody else is asked."""
    for variable, service in SERVICES.items():
        address = os.environ.get(variable, "").rstrip("/")
        shown = without_password(address)
        if not address:
            yield Finding("servers", "ok", f"{variable} is not set: {service.absent}")
        elif address.lower().startswith(("http:", "https:")):
            yield _server(service, address, variable)
        elif _is_file(address):
            text = f"{service.name} writes to {shown}, without a server"
            yield Finding("servers", "ok", text)
        else:
            yield Finding(
                "servers", "warning", f"{service.name} writes to {shown}: not examined",
                "see for yourself that it answers, and who can read what is there",
            )  # fmt: skip


def _is_file(address: str) -> bool:
    """Whether MLflow takes it for a file or a folder on this machine."""
    scheme, separator, _ = address.partition(":")
    return scheme in ("sqlite", "file") if separator else not address.startswith("databricks")


def _asked(address: str) -> str | None:
    """Where a stranger would ask: without credentials and question; None if it is no address."""
    try:
        parts = urlsplit(address)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return None
    if "@" in parts.path + parts.query + parts.fragment:  # of a password, perhaps
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}" if host else None


def _server(service: Service, address: str, variable: str) -> Finding:
    asked = _asked(address)
    if asked is None:
        return Finding(
            "servers", "problem", f"{variable} is no address ({without_password(address)})",
            "set it to that of a server, such as http://127.0.0.1:5000; in a password, write @ as "
            "%40 and / as %2F",
        )  # fmt: skip
    if answer(f"{asked}/health", PATIENCE) is None:
        return Finding(
            "servers", "problem",
            f"{service.name} at {asked} does not answer within {PATIENCE:g} s",
            "start it, or correct or unset the variable that names it",
        )  # fmt: skip
    text = (answer(asked + service.version, PATIENCE) or b"").decode(errors="replace")
    parts = text.strip().strip('"').split(".")[:3]
    known = len(parts) == 3 and all(part.isdecimal() for part in parts)
    if known and tuple(map(int, parts)) < service.floor:
        return Finding(
            "servers", "warning",
            f"{service.name} at {asked} is {'.'.join(parts)}: its protection can be walked around",
            f"use {_dotted(service.floor)} or later",
        )  # fmt: skip
    return Finding("servers", "ok", f"{service.name} at {asked} answers")
