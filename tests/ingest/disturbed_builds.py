"""Builds one store again and again in child processes that are disturbed.

A script, so that everything is imported once and every child is a fork:

    disturbed_builds.py killed SOURCE OUT KILLS SEED    killed at random times, then left in peace
    disturbed_builds.py full SOURCE OUT OFFSETS 0       no file may grow beyond so many bytes
    disturbed_builds.py together SOURCE OUT BUILDERS 0  all at once, one of them killed

Prints one JSON line about what happened.
"""

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from debias.errors import StorageFullError
from debias.ingesting import parts
from debias.ingesting.build import ingest_faces
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.recipe import load
from debias.storage.artifacts import RunFolder

SIZE = 32
FULL = 4  # exit status
parts.PART_BYTES = 64 * SIZE * SIZE * 3  # 64 images a part: many seams to be killed at


def build(source: Path, out: Path) -> None:
    recipe = load(
        FacesRecipe,
        {
            "name": "disturbed",
            "data": {"name": "image_folder", "root": str(source)},
            "attributes": ["class"],
            "image_size": SIZE,
            "ingest": {"workers": 1},  # starting more takes longer than the few images
        },
    )
    ingest_faces(recipe, RunFolder(out))


def child(source: Path, out: Path, prepare: Callable[[], None] = lambda: None) -> int:
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        prepare()
        build(source, out)
        status = 0
    except StorageFullError:
        status = FULL
    finally:
        os._exit(status)


def status_of(number: int) -> int:
    return os.waitpid(number, 0)[1]


def undisturbed(source: Path, out: Path) -> float:
    """Seconds it takes."""
    begun = time.monotonic()
    if status_of(child(source, out)):
        raise SystemExit("the undisturbed build failed")
    return time.monotonic() - begun


def killed(source: Path, out: Path, kills: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    longest = undisturbed(source, out / "undisturbed")
    done, stores = 0, 0
    while done < kills:
        number = child(source, out / f"disturbed-{stores}")
        time.sleep(chance.uniform(0, 1.1 * longest))
        os.kill(number, signal.SIGKILL)  # one that has finished is still waited for
        if os.WIFSIGNALED(status_of(number)):
            done += 1
        else:
            stores += 1
    undisturbed(source, out / f"disturbed-{stores}")
    return {"killed": done, "stores": stores + 1, "seconds": longest}


def full(source: Path, out: Path, offsets: int, _: int) -> dict[str, object]:
    undisturbed(source, out / "undisturbed")
    largest = max(path.stat().st_size for path in (out / "undisturbed").rglob("*"))
    statuses = []
    for number in range(offsets):
        limit = largest * number // offsets
        place = out / f"disturbed-{number}"
        limited = lambda limit=limit: resource.setrlimit(  # noqa: E731
            resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
        )
        statuses.append(os.waitstatus_to_exitcode(status_of(child(source, place, limited))))
        half = sorted(path.parent.name for path in place.rglob("manifest.json.*"))
        if half:
            raise SystemExit(f"half-written: {half}")
        undisturbed(source, place)
    return {"statuses": statuses}


def together(source: Path, out: Path, builders: int, _: int) -> dict[str, object]:
    longest = undisturbed(source, out / "undisturbed")
    numbers = [child(source, out / "disturbed-0") for _ in range(builders)]
    time.sleep(longest / 2)
    os.kill(numbers[0], signal.SIGKILL)
    statuses = [os.waitstatus_to_exitcode(status_of(number)) for number in numbers]
    return {"statuses": statuses[1:]}


if __name__ == "__main__":
    mode, source, out, count, seed = sys.argv[1:]
    build(Path(source), Path(out) / "warm")  # what is loaded now, every child finds loaded
    disturb = {"killed": killed, "full": full, "together": together}[mode]
    print(json.dumps(disturb(Path(source), Path(out), int(count), int(seed))))  # noqa: T201
