"""Runs one command again and again in child processes that are killed, or asked to end.

A script, so that everything is imported once and every child is a fork:

    disturbed_runs.py RECIPE OUT TIMES SEED run|audit|study

Every other child is killed (SIGKILL), the others are asked to end (SIGTERM), at random times; who
comes through is followed by a child in a new folder. Prints one JSON line about what happened.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # threads do not come through a fork

from debias.commands import app
from debias.pipeline import examine, mitigate, survey
from debias.tracking import mlflow_tracker
from debias.training import checkpoint

checkpoint.EVERY = 0.05  # seconds: small trainings are interrupted, too
LOADED = (examine, mitigate, survey, mlflow_tracker)  # so that no child loads them


def child(command: str, recipe: str, out: Path) -> int:
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        said = os.open(out.parent / f"{out.name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1), os.dup2(said, 2)
        sys.argv = ["debias", command, recipe, "--out", str(out)]
        app(sys.argv[1:])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code)


def undisturbed(command: str, recipe: str, out: Path) -> float:
    """Seconds it takes."""
    begun = time.monotonic()
    if os.waitpid(child(command, recipe, out), 0)[1]:
        raise SystemExit((out.parent / f"{out.name}.txt").read_text())
    return time.monotonic() - begun


def disturbed(command: str, recipe: str, out: Path, times: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    longest = undisturbed(command, recipe, out / "0" / "it")
    done, place, slowest, codes = 0, 1, 0.0, set()
    while done < times:
        started = time.monotonic()
        number = child(command, recipe, out / str(place) / "it")
        time.sleep(chance.uniform(0, 1.1 * longest))
        how = (signal.SIGKILL, signal.SIGTERM)[done % 2]
        begun = time.monotonic()
        os.kill(number, how)  # one that has finished is still waited for
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        slowest = max(slowest, time.monotonic() - begun)
        if code == 0:
            place, longest = place + 1, min(longest, begun - started)
        elif code != -signal.SIGTERM:  # by which a program ends that has not begun
            done += 1
            codes.add(code)
    undisturbed(command, recipe, out / str(place) / "it")
    return {"places": place + 1, "codes": sorted(codes), "slowest": slowest, "seconds": longest}


if __name__ == "__main__":
    recipe, out, times, seed, command = sys.argv[1:]
    print(json.dumps(disturbed(command, recipe, Path(out), int(times), int(seed))))  # noqa: T201
