"""How often the whole demo ends with a verdict: drawn, trained and judged anew with other seeds.

python benchmarks/demo_verdicts.py --seeds 10 --folder runs/verdicts --set workers=2 --set seeds=8

The same folder again with fewer seeds judges trainings that are there.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

RECIPE = Path(__file__).parents[1] / "configs" / "demo.yaml"


def answered(seed: int, folder: Path, changes: list[str]) -> dict:
    """The first primary question of the arm `latent`, of a run of the demo."""
    given = [f"seed={seed}", "tracking.enabled=false", *changes]
    settings = [word for one in given for word in ("--set", one)]
    start, out = time.monotonic(), folder / str(seed)
    command = [sys.executable, "-m", "debias", "run", str(RECIPE), "--out", str(out), *settings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    document = json.loads((out / "report.json").read_text(encoding="utf-8"))
    first = document["comparisons"]["latent"]["primary"][0]
    told = ("quantity", "reading", "before", "after", "change", "low", "high", "p_adjusted")
    spent = round(time.monotonic() - start)
    return {"seed": seed, **{name: first[name] for name in told},
            "trainings": document["run"]["seeds"], "seconds": spent}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("runs/verdicts"))
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    parser.add_argument("--out", type=Path, default=Path("demo_verdicts.json"))
    given = parser.parse_args()
    rows = []
    for seed in range(given.seeds):
        rows.append(answered(seed, given.folder, given.set))
        print(json.dumps(rows[-1]), flush=True)
        given.out.write_text(json.dumps(rows, indent=1) + "\n")
    found = sum(row["reading"] == "difference_found" for row in rows)
    print(f"A difference is found in {found} of {len(rows)} demos; numbers: {given.out}")


if __name__ == "__main__":
    main()
