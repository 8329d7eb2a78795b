"""Weights of 20 million latents in shards, on Dask workers with a memory limit, and in one process.

    .venv/bin/python benchmarks/shards.py [--rows 20000000] [--out benchmarks/shards.json]

Float32 latents of 32 dimensions lie in 16 `.npy` shards of different size below --folder (2.4 GiB,
deleted afterwards), of which the page cache holds as much as it likes. Workers are processes of one
thread and 2 GiB each, where Dask stops them; "peak_mib" is the most that any of them held, looked
at every 20 ms, pages of mapped files included. Weights are made and left with the workers, as
training over shards would read them. One and two workers and one process (both cores; the shards
as one array in memory) take turns after a first one that nobody counts; seconds are medians, the
efficiency is that of neighbouring turns. "start" is how long a cluster takes to start.
"""

import argparse
import json
import logging
import os
import platform
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dask
import distributed
import numba
import numpy as np
import psutil
from distributed import Client, LocalCluster

import debias

WIDTH, DIRECTIONS, SHARDS, LIMIT = 32, 4, 16, "2GiB"


def piece(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Four directions above noise, and a twentieth of the samples apart from the others."""
    hidden = generator.standard_normal((rows, DIRECTIONS), dtype=np.float32)
    hidden[: rows // 20] += 3
    loadings = np.random.default_rng(1).standard_normal((DIRECTIONS, WIDTH), dtype=np.float32)
    return hidden @ loadings + generator.standard_normal((rows, WIDTH), dtype=np.float32)


def write(folder: Path, rows: int) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    cuts = np.sort(generator.choice(rows - 1, SHARDS - 1, replace=False) + 1)
    for place, size in enumerate(np.diff([0, *cuts, rows])):
        np.save(folder / f"latents-{place:02}.npy", piece(generator, int(size)))


@contextmanager
def peak(cluster: LocalCluster) -> Iterator[list[float]]:
    """The most memory of each worker, in bytes."""
    workers = [psutil.Process(one.pid) for one in cluster.workers.values()]
    found, over = [0.0] * len(workers), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for place, one in enumerate(workers):
                found[place] = max(found[place], one.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    yield found
    over.set()
    looking.join()


def one_process(folder: Path) -> tuple[float, np.ndarray]:
    z = np.concatenate([np.load(file) for file in sorted(folder.glob("*.npy"))])
    start = time.perf_counter()
    weight = debias.latent_weights(z).weight
    return time.perf_counter() - start, weight


def measured(folder: Path, turns: int) -> dict[str, object]:
    seconds: dict[str, list[float]] = {"one_worker": [], "two_workers": [], "one_process": []}
    most: dict[str, float] = {"one_worker": 0.0, "two_workers": 0.0}
    apart = 0.0
    clusters, started = {}, {}
    for number, name in ((1, "one_worker"), (2, "two_workers")):
        begun = time.perf_counter()
        cluster = LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            memory_limit=LIMIT,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )
        clusters[name] = cluster, Client(cluster, set_as_default=False)
        started[name] = round(time.perf_counter() - begun, 1)
    for turn in range(turns + 1):
        once, weight = one_process(folder)
        for name, (cluster, client) in clusters.items():
            with peak(cluster) as found:
                begun = time.perf_counter()
                made = debias.shard_weights(folder, client=client)
                once_here = time.perf_counter() - begun
            most[name] = max(most[name], *found)
            if turn:
                seconds[name].append(once_here)
            apart = max(
                apart, float(np.abs(client.compute(made.weight).result() / weight - 1).max())
            )
        if turn:
            seconds["one_process"].append(once)
    for cluster, client in clusters.values():
        client.close()
        cluster.close()
    pairs = zip(seconds["one_worker"], seconds["two_workers"], strict=True)
    return {
        "seconds": {name: round(statistics.median(times), 2) for name, times in seconds.items()},
        "of_each_turn": {name: [round(one, 2) for one in times] for name, times in seconds.items()},
        "efficiency": round(statistics.median(one / (2 * two) for one, two in pairs), 3),
        "start": started,
        "peak_mib": {name: round(most / 2**20) for name, most in most.items()},
        "limit_mib": 2048,
        "largest_relative_difference_of_a_weight": apart,
        "directions": made.origin["factors"],
        "ess": round(made.ess, 6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/shards-of-a-benchmark"))
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    try:
        write(arguments.folder, arguments.rows)
        found = measured(arguments.folder, arguments.turns)
    finally:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    versions = {one.__name__: one.__version__ for one in (np, numba, dask, distributed)}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average": [load, round(os.getloadavg()[0], 1)],
        "versions": {"python": platform.python_version(), **versions},
        "rows": arguments.rows,
        "dimensions": WIDTH,
        "shards": SHARDS,
        "turns": arguments.turns,
        **found,
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
