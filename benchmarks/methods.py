"""Every mitigation on UTKFace: a table of finished runs.

    debias run configs/utkface-biased.yaml --set data.root=FOLDER --out runs/race
    debias run configs/utkface-biased.yaml --set data.root=FOLDER ... --out runs/age
    python benchmarks/methods.py runs/race runs/age --out benchmarks/methods.json

(the second with the settings for age that stand in the recipe). Rates are means over trainings;
each change from plain training is a primary question of all arms together, over other images and
other trainings: the recipe's own two, or the worst group and all images.
"""

import argparse
import json
from pathlib import Path
from typing import Any

KEPT = ("quantity", "before", "after", "change", "low", "high", "reading", "p_adjusted")


def change(one: dict[str, object]) -> dict[str, object]:
    return {name: one[name] for name in KEPT}


def table(run: Path) -> dict[str, object]:
    document = json.loads((run / "report.json").read_text())
    about = {row["arm"]: row["group_labels"] for row in document["methods"]}
    rows: list[dict[str, Any]] = []
    for arm, found in document["comparisons"].items():
        first, second = map(change, found["primary"])
        rows.append({"arm": arm, "group_labels": about[arm], "first": first, "second": second,
                     "harms": len(found["verdict"]["harms"])})  # fmt: skip
    rows.sort(key=lambda row: -row["first"]["after"])
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
