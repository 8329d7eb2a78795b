"""Sides of a benchmark take turns, so that a change in the machine's load meets all of them."""

import statistics
import time
from collections.abc import Callable


def take_turns(sides: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds of each side, turn by turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    return round(statistics.median(s / f for s, f in zip(slow, fast, strict=True)), 2)
