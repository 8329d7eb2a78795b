"""What a purge cannot do, in words: networks, other files, whoever is still at work."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from debias.pipeline.purging.holdings import Place
from debias.pipeline.purging.traces import Traces
from debias.storage.sealed import PROCESSES


def unreached_in(place: Place, traces: Traces) -> Iterator[str]:
    """One sentence for each thing in or around a place that a purge leaves as it is."""
    yield from _at_work(place)
    trained = [path for path in place.artifacts if (path / "network.safetensors").exists()]
    if trained:
        yield (
            f"{len(trained)} networks in {place.root} that may have been trained on these images: "
            "nobody can take them out of a network; delete "
            f"{', '.join(sorted({path.parent.name for path in trained}))} there and run again"
        )
    file = place.setting("representation", "model", "file")
    if file:
        yield f"{file}, which {place.root} takes embeddings or an encoder from"
    alike = [name for store in place.stores for name in store.lookalikes(traces)]
    if alike:
        yield (
            f"{len(alike)} near duplicates of removed images in {place.root}, which are not said "
            f"to show the same person: {', '.join(alike[:10])}; remove them with --image"
        )
    short = traces.names - traces.searchable
    if short and place.stores:
        yield (
            f"{len(short)} of the names are too short to be looked for in texts of {place.root}; "
            "tables and lists were searched for them"
        )


def _at_work(place: Place) -> Iterator[str]:
    """The run's own process: between two stages it has nothing on disk by which it is seen."""
    owner = place.about.get("pid")
    if isinstance(owner, int) and owner != os.getpid() and b"debias" in _command(owner):
        yield (
            f"process {owner}, which opened {place.root} last and is still there: if it is at "
            "work, run this command once more when it has ended"
        )


def _command(process: int) -> bytes:
    with suppress(OSError):  # it has ended, or belongs to somebody else
        return Path(PROCESSES, str(process), "cmdline").read_bytes()
    return b""
