"""Asks runs to end while they decode, publish and write the report; prints a JSON line of each.

A script, so that everything is imported once and every run is a fork: stopped_runs.py RECIPE OUT
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from disturbed_runs import child
from test_killed_runs import store_of, tracked

from debias.decoding import pool
from debias.pipeline import delivery
from debias.tracking.mlflow_tracker import MlflowTracker

SAID, HEARD = os.pipe()
PLACES = {
    "decoding": (pool.Pool, "read"), "publishing": (MlflowTracker, "artifact"),
    "report": (delivery, "write_checked"),
}  # fmt: skip
FIRST, AGAIN = ([signal.SIGINT], [signal.SIGTERM]), [signal.SIGTERM, signal.SIGINT]


def held(place, stubborn):
    """Make a function say that it was come to, and take its time."""
    owner, name = PLACES[place]
    before = getattr(owner, name)

    def slowly(*given, **named):
        done = before(*given, **named)  # what reads images is a generator, and has begun then
        for made in [next(done)] if place == "decoding" else []:
            assert made is not None
        os.write(HEARD, b"x")
        for _ in range(1 + stubborn):
            try:
                time.sleep(30)
            except KeyboardInterrupt:
                if not stubborn:
                    raise
        return done

    setattr(owner, name, slowly)


def decoders():
    return [one for one in Path("/proc").glob("[0-9]*") if of_decoder(one)]


def of_decoder(process):
    try:
        return b"debias.decoding" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def stopped(place, signals, recipe, out):
    owner, name = PLACES[place]
    before = getattr(owner, name)
    held(place, len(signals) > 1)
    number = child("run", recipe, out)
    setattr(owner, name, before)
    os.read(SAID, 1)
    begun, at_work = time.monotonic(), len(decoders())
    for one in signals:
        os.kill(number, one)
        time.sleep(0.2)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    seconds = time.monotonic() - begun
    states = sorted({state for _, state in tracked(store_of(out.parent))[0]})
    time.sleep(0.3)
    return {
        "place": place, "signals": [one.name for one in signals], "code": code, "seconds": seconds,
        "states": states, "decoders": [at_work, len(decoders())],
    }  # fmt: skip


if __name__ == "__main__":
    recipe, out = sys.argv[1], Path(sys.argv[2])
    tries = [(place, signals) for place in PLACES for signals in FIRST] + [("decoding", AGAIN)]
    for place, signals in sorted(tries, key=lambda one: list(PLACES).index(one[0])):
        print(json.dumps(stopped(place, signals, recipe, out)), flush=True)  # noqa: T201
