"""Time and memory of everything ingest does to a table, for a million samples without pixels.

    .venv/bin/python benchmarks/ingest_table.py [--rows 1000000] [--turns 3]

The table: a text id and a path for each sample, 140,000 people of very unequal size (a tenth of
the samples are of nobody in particular), one sample in 25 in a pair of near duplicates, of which
a seventh ties two people together, a label, three text attributes, a numeric column. 5,000 samples
failed to decode and 2,000 are exact copies.

Each step runs in a child process of its own, on the table read from Parquet. Seconds are the median
of the turns; memory is the largest resident set during the step (Linux counts it), less that before
it. "loaded" is the process with the table before any step. "drawn" splits by shares, "counted" by
equal numbers for each group and a cap.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from debias.ingesting import splitting
from debias.ingesting.labels import classes_of, encoded
from debias.ingesting.quarantine import summarise
from debias.ingesting.selection import Caps, Range, Selection, drawn_evenly, keep
from debias.ingesting.splitting import require_no_leak, units
from debias.types import Rejected

ATTRIBUTES = ["race", "perceived_gender", "age_group"]
MIB = 2**20
FILTERS = {"race": ["A", "B", "C"], "age": Range(min=18), "smiling": ["yes", "no"]}
COUNTED = Selection(test_per_group=500, caps=Caps(column="race", most={"A": 100_000}))


def make(rows: int) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    people = max(10, int(0.14 * rows))
    person = (people * generator.random(rows) ** 2).astype(np.int64)
    cluster = np.full(rows, -1)
    by_person = np.argsort(person, kind="stable")
    pairs = generator.choice(rows // 2, rows // 50, replace=False) * 2
    cluster[by_person[pairs]] = cluster[by_person[pairs + 1]] = np.arange(len(pairs))
    table = pd.DataFrame(
        {
            "sample_id": [f"image-{row:09d}" for row in generator.permutation(rows)],
            "path": [f"/data/faces/{row // 1000:04d}/{row:09d}.jpg" for row in range(rows)],
            "subject_id": [f"person-{one:07d}" for one in person],
            "duplicate_cluster": cluster,
            "sha256": [f"{row:064x}" for row in range(rows)],
            "race": generator.choice(list("ABCDE"), people, p=[0.5, 0.2, 0.15, 0.1, 0.05])[person],
            "perceived_gender": generator.choice(["female", "male"], people)[person],
            "age": generator.integers(0, 90, rows),
            "smiling": generator.choice(["yes", "no"], rows),
        }
    )
    table["subject_id"] = table["subject_id"].where(generator.random(rows) > 0.1)
    table["age_group"] = pd.cut(table["age"], [-1, 18, 40, 60, 90]).astype(str)
    table["label"] = (table["smiling"] == "yes").astype(np.int64)
    table["side"] = np.array(["train", "validation", "test"])[units(table) % 3]
    return table


def set_aside(table: pd.DataFrame) -> list[Rejected]:
    few = table.sample(min(7000, len(table) // 10), random_state=0)
    named = enumerate(zip(few["sample_id"], few["path"], strict=True))
    return [
        Rejected(
            sample_id=name,
            path=path,
            reason="exact duplicate" if row % 7 < 2 else "not decodable",
            detail="cut off",
        )
        for row, (name, path) in named
    ]


def split(table: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    return splitting.split(table, selection, ATTRIBUTES, np.random.default_rng(0))


STEPS: dict[str, Callable[[pd.DataFrame], object]] = {
    "loaded": lambda table: None,
    "keep": lambda table: keep(table, FILTERS),
    "classes_of": lambda table: classes_of(table, "smiling", None),
    "encoded": lambda table: encoded(table, "smiling", ("no", "yes"), ATTRIBUTES),
    "units": units,
    "split, drawn": lambda table: split(table, Selection()),
    "split, counted": lambda table: split(table, COUNTED),
    "drawn_evenly": lambda table: drawn_evenly(table, ATTRIBUTES, None, np.random.default_rng(0)),
    "require_no_leak": lambda table: require_no_leak(table.rename(columns={"side": "split"})),
    "summarise": lambda table: summarise(set_aside(table), table, ATTRIBUTES),
}


def resident(field: str) -> int:
    """Bytes: VmRSS now, VmHWM at the largest since the count was reset."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def one_step(name: str, file: Path) -> None:
    """In the child: prints seconds, bytes before, and bytes beyond them."""
    table = pd.read_parquet(file)
    units(table.head())  # imports are not the step
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    start = time.perf_counter()
    STEPS[name](table)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, before, max(0, resident("VmHWM") - before)]))


def measured(name: str, file: Path, turns: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--step", name, "--table", str(file)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(turns)
    ]
    seconds, before, beyond = (list(column) for column in zip(*runs, strict=True))
    if name == "loaded":
        return {"MiB": round(max(before) / MIB)}
    return {"seconds": round(statistics.median(seconds), 2), "MiB": round(max(beyond) / MIB)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        one_step(arguments.step, arguments.table)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "table.parquet")
        make(arguments.rows).to_parquet(file, index=False)
        steps = {name: measured(name, file, arguments.turns) for name in STEPS}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, pd, pa)},
        },
        "rows": arguments.rows,
        "turns": arguments.turns,
        "steps": steps,
        "seconds_in_all": round(sum(step.get("seconds", 0) for step in steps.values()), 1),
    }
    print(json.dumps(result, indent=2))
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
