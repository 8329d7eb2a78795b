"""Speed and memory of an evaluation by group, against fairlearn's bootstrap.

    .venv/bin/python benchmarks/evaluate.py [--out benchmarks/evaluate.json]

Speed: 100,000 images in 20 groups, five rates. "people" draws the 25,000 people behind the images
2,000 times with replacement, within groups; "images" does the same with every image as a person of
its own; "exact" is the same report when nobody says who is shown, which needs no replicates. Each
is the whole of `debias.evaluate`: checks, intervals, all pairs with adjusted intervals, curves.
"fairlearn" is `MetricFrame` with the same five rates, 100 replicates of all rows, and quantiles;
it can neither draw people nor compare pairs, and takes minutes. The sides take turns, so that a
change in the machine's load meets all; each ratio is the median over neighbouring turns.

Memory: one million images in 200 groups, in a process of its own. "at_rest" is its size with the
data, before the evaluation; "peak" is the largest after it.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import fairlearn
import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, precision_score
from turns import ratio, take_turns

from debias import evaluate

IMAGES_OF_A_PERSON = 4
FAIRLEARN_REPLICATES = 100
RATES = {
    "accuracy": accuracy_score,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "selection_rate": selection_rate,
    "precision": precision_score,
}


def data(rows: int, groups: int) -> dict[str, object]:
    """Predictions with scores; the images of a person lie in one group and are alike."""
    generator = np.random.default_rng(0)
    subject = np.arange(rows) // IMAGES_OF_A_PERSON
    people = subject[-1] + 1
    group = np.array([f"g{i:03d}" for i in range(groups)])[generator.integers(0, groups, people)]
    y_true = generator.integers(0, 2, people)[subject]
    right = generator.random(rows) < generator.beta(9, 1, people)[subject]
    y_pred = np.where(right, y_true, 1 - y_true)
    score = np.clip(0.5 * generator.random(rows) + 0.5 * y_pred, 0, 1)
    return {
        "y_true": y_true,
        "y_pred": y_pred,
        "score": score,
        "groups": pd.DataFrame({"tone": group[subject]}),
        "subject_id": subject,
    }


def fairlearn_intervals(columns: dict[str, object]) -> object:
    frame = MetricFrame(
        metrics=RATES,
        y_true=columns["y_true"],
        y_pred=columns["y_pred"],
        sensitive_features=columns["groups"],
        n_boot=FAIRLEARN_REPLICATES,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    return frame.by_group_ci


def speed(turns: int) -> dict[str, object]:
    columns = data(100_000, 20)
    alone = {**columns, "subject_id": np.arange(100_000)}
    unnamed = {**columns, "subject_id": None}
    evaluate(**data(1000, 2))  # imports
    seconds = take_turns(
        {
            "fairlearn": lambda: fairlearn_intervals(columns),
            "people": lambda: evaluate(**columns),
            "images": lambda: evaluate(**alone),
            "exact": lambda: evaluate(**unnamed),
        },
        turns,
    )
    return {
        "rows": 100_000,
        "groups": 20,
        "rates": len(RATES),
        "replicates": {"fairlearn": FAIRLEARN_REPLICATES, "people": 2000, "images": 2000},
        "seconds": {name: round(statistics.median(times), 3) for name, times in seconds.items()},
        "times_faster_than_fairlearn": {
            name: ratio(seconds["fairlearn"], seconds[name])
            for name in seconds
            if name != "fairlearn"
        },
    }


def large(with_people: bool) -> None:
    """Evaluate a million rows in this process, and print what it took as JSON."""
    columns = data(1_000_000, 200)
    if not with_people:
        columns["subject_id"] = None
    at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    evaluate(**columns)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "megabytes_at_rest": at_rest // 1024,
                "megabytes_at_peak": peak // 1024,
            }
        )
    )


def memory() -> dict[str, object]:
    found: dict[str, object] = {"rows": 1_000_000, "groups": 200}
    for name in ("people", "exact"):
        command = [sys.executable, __file__, "--large", name]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found[name] = json.loads(answer.stdout)
    return found


def table(result: dict[str, object]) -> str:
    quick, big = result["speed"], result["memory"]
    lines = [f"{'':10} {'replicates':>10} {'seconds':>8} {'times faster':>12}"]
    for name, seconds in quick["seconds"].items():
        faster = quick["times_faster_than_fairlearn"].get(name, "")
        lines.append(f"{name:10} {quick['replicates'].get(name, 0):10} {seconds:8} {faster:>12}")
    for name in ("people", "exact"):
        one = big[name]
        lines.append(
            f"1,000,000 rows x 200 groups, {name}: {one['seconds']} s, "
            f"{one['megabytes_at_rest']} MB before, {one['megabytes_at_peak']} MB at peak"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    parser.add_argument("--large", choices=["people", "exact"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.large:
        large(arguments.large == "people")
        return
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average_before": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, pd, fairlearn)},
        },
        "turns": arguments.turns,
        "speed": speed(arguments.turns),
        "memory": memory(),
    }
    print(table(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
