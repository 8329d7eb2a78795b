"""Every mitigation on UTKFace with a planted correlation: a table of finished runs.

    debias run configs/utkface-biased.yaml --set data.root=FOLDER --out runs/race
    debias run configs/utkface-biased.yaml --set data.root=FOLDER ... --out runs/age
    python benchmarks/methods.py runs/race runs/age --out benchmarks/methods.json

(the second with the settings for age that stand in the recipe). Rates are means over trainings;
each change from plain training is a primary question of all arms together, over other images and
other trainings. "rare": the cells that are rare in training.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from debias.metrics.documents import PrimaryChange
from debias.pipeline.reports import compare_places

RARE, MEAN = "accuracy/tie:conflicting", "accuracy"


KEPT = ("before", "after", "change", "low", "high", "reading", "p_adjusted")


def change(one: PrimaryChange) -> dict[str, object]:
    return {name: value for name, value in one.items() if name in KEPT}


def table(run: Path) -> dict[str, object]:
    document = json.loads((run / "report.json").read_text())
    settings = {"reference": None, "margin": None, "level": 0.95, "primary": [RARE, MEAN]}
    about = {row["arm"]: row["group_labels"] for row in document["methods"]}
    rows: list[dict[str, Any]] = []
    for arm, found in compare_places(str(run), None, settings).items():
        rare, mean = map(change, found.primary)
        rows.append({"arm": arm, "group_labels": about[arm], "rare": rare, "mean": mean,
                     "harms": len(found.verdict["harms"])})  # fmt: skip
    rows.sort(key=lambda row: -row["rare"]["after"])
    return {"name": document["name"], "seeds": document["run"]["seeds"],
            "n": document["data"]["n"], "rows": rows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("methods.json"))
    given = parser.parse_args()
    given.out.write_text(json.dumps([table(run) for run in given.runs], indent=1) + "\n")
    print(f"Numbers: {given.out}")


if __name__ == "__main__":
    main()
