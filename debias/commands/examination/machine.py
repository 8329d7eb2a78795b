"""The machine: versions of what is installed, cores, threads, GPU, telemetry."""

import importlib.metadata as metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from debias.commands.examination.finding import Finding

NAMED = ("torch", "torchvision", "pillow", "numpy", "pandas", "mlflow", "prefect", "h5py")
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
TRUE = ("1", "true", "yes", "on")
# Variable, and whether being set to "true" switches telemetry off.
TELEMETRY = {
    "DO_NOT_TRACK": True,
    "MLFLOW_DISABLE_TELEMETRY": True,
    "PREFECT_SERVER_ANALYTICS_ENABLED": False,
}
GPUS = Path("/dev")
LIMITS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))


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
    found = {name: _installed(name) for name in {*needed, *NAMED}}
    shown = ", ".join(f"{name} {found[name] or 'missing'}" for name in NAMED)
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("versions", "ok", f"{package} {_installed(package)}, Python {python}, {shown}")
    for name, one in sorted(needed.items()):
        if not one.specifier.contains(found[name] or "", prereleases=True):
            yield _out_of_range(name, found[name], str(one.specifier))
    yield from _python(sys.version_info[:3])


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _out_of_range(name: str, found: str, wanted: str) -> Finding:
    why = f": {REASONS[name]}" if name in REASONS else ""
    text = f"{name} {found} is outside {wanted}{why}" if found else f"{name} is not installed"
    return Finding("versions", "problem", text, f'pip install "{name}{wanted}"')


def _python(version: tuple[int, ...]) -> Iterator[Finding]:
    needed = SAFE_ARCHIVES.get(version[:2], (3, 11))
    if version < needed:
        yield Finding(
            "versions", "warning",
            f"Python {'.'.join(map(str, version))} can be led out of its folder by a crafted tar "
            "archive",
            f"use {'.'.join(map(str, needed))} or later before you unpack archives of others",
        )  # fmt: skip


def compute(*, deep: bool = False) -> Iterator[Finding]:
    """Cores that this process may use, threads that it is told to use, and the GPU."""
    cores = _cores()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    text = f"{cores:g} cores, OMP_NUM_THREADS {threads or 'not set'}, {_gpus()}"
    if threads.isdigit() and int(threads) > cores:
        yield Finding(
            "compute", "warning", f"{text}: more threads than cores wait for each other",
            f"export OMP_NUM_THREADS={max(1, int(cores))}",
        )  # fmt: skip
    else:
        yield Finding("compute", "ok", text)
    if deep:
        yield _torch()


def _cores() -> float:
    """Of this process: fewer than the machine has, in a container or under taskset."""
    present = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    for path in LIMITS:
        if path.exists():
            quota, *period = path.read_text().split()
            per = int(period[0]) if period else int(path.with_name("cpu.cfs_period_us").read_text())
            return min(present, int(quota) / per) if quota not in ("max", "-1") else present
    return present


def _gpus() -> str:
    count = len([path for path in GPUS.glob("nvidia*") if path.name[6:].isdecimal()])
    return f"{count} NVIDIA device{'s' if count > 1 else ''}" if count else "no NVIDIA device"


def _torch() -> Finding:
    from debias.training.device import choose  # seconds that only a deep examination costs

    about = choose().describe()
    text = ", ".join(f"{name} {value}" for name, value in about.items())
    if about["device"] == "cpu" and not _gpus().startswith("no"):
        return Finding(
            "compute", "warning", f"torch computes on the CPU although there is a GPU: {text}",
            "install the torch build for your CUDA driver",
        )  # fmt: skip
    return Finding("compute", "ok", f"torch computes with {text}")


def telemetry() -> Iterator[Finding]:
    """Whether MLflow and Prefect have been told to report to their makers."""
    told = [
        f"{name}={os.environ[name]}"
        for name, switches_off in TELEMETRY.items()
        if os.environ.get(name) and (os.environ[name].lower() in TRUE) != switches_off
    ]
    off = (
        "export DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false"
    )
    if told:
        yield Finding("telemetry", "warning", f"{', '.join(told)} switches telemetry on", off)
    elif not os.environ.get("DO_NOT_TRACK"):
        text = "off in whatever debias starts; MLflow and Prefect started by hand report by default"
        yield Finding("telemetry", "ok", text, off)
    else:
        yield Finding("telemetry", "ok", "off")
