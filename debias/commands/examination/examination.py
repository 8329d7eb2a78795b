"""Examines the machine, and a folder of runs or stores, before they cost somebody a day.

Nothing is changed unless a repair is asked for, and nobody is called but the two configured
servers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from debias.commands.examination.finding import Finding
from debias.commands.examination.folder import examine_folder
from debias.commands.examination.machine import compute, telemetry, versions
from debias.commands.examination.servers import servers
from debias.commands.examination.storage import disk, file_system


def examine(
    folder: Path | None = None,
    *,
    deep: bool = False,
    repair: bool = False,
    images: int | None = None,
    size: int = 64,
) -> list[Finding]:
    """Look at everything that runs depend on.

    Args:
        folder: Of runs or stores; without one, the working folder's disk alone is looked at.
        deep: Load torch, to see what it computes with.
        repair: Delete what dead processes left behind in ``folder``.
        images: So many images are to be put into a store.
        size: Side of these images, pixels.

    Returns:
        In the order in which they are to be read; ``exit_code`` sums them up.
    """
    place = folder or Path()
    parts: list[Callable[[], Iterator[Finding]]] = [
        versions,
        lambda: disk(place, images, size),
        lambda: file_system(place),
        lambda: compute(deep=deep),
        servers,
        telemetry,
    ]
    if folder is not None:
        parts.append(lambda: examine_folder(folder, repair=repair))
    return [finding for part in parts for finding in part()]
