"""Who may import whom: an ordered list of floors, read from the source."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import debias

ROOT = Path(debias.__file__).parent
# A file imports its own room and lower floors: never a higher one, never a neighbour's room.
FLOORS = (
    ("errors", "plugins", "own", "processes", "seeding", "stopping", "loops", "shown", "types"),
    ("statistics", "tracking", "storage", "decoding"),
    ("density", "training", "metrics"),
    ("models", "datasets", "report"),
    ("ingesting", "weighting"),
    ("auditing",),
    ("pipeline",),
    ("commands", "flows", "notebook"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {"__init__", "__main__"}  # above all floors: what a user imports or runs
LOOSE = {f"{name}.py" for name in (*FLOORS[0], *DOORS)}
# Flows are how `debias schedule` reaches Prefect; nothing else of a floor may meet its neighbour.
MEETINGS = {("commands/schedule.py", "flows")}
FILES = sorted(ROOT.rglob("*.py"))
TORCH = {
    "seeding.py", "storage/artifacts.py", "weighting/sampling.py", "weighting/image_ratio.py",
    "weighting/matching.py", "pipeline/task.py",
}  # fmt: skip
DASK = {"pipeline/workers.py", "weighting/blocks.py"}
TORCH_ROOMS = {"models", "training"}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def imports(file: Path) -> frozenset[str]:
    """Every module that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def rooms_used(file: Path) -> set[str]:
    parts = (name.split(".") for name in imports(file))
    return {part[1] for part in parts if part[0] == "debias" and len(part) > 1 and part[1] in FLOOR}


def test_the_house_has_these_rooms_and_no_other():
    there = {room_of(file) for file in FILES} - DOORS
    assert there == set(FLOOR)
    assert {file.name for file in ROOT.glob("*.py")} == LOOSE


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_arrow_points_up(file):
    room = room_of(file)
    if room in DOORS:
        return
    others = {used for used in rooms_used(file) if used != room}
    up = {used for used in others if FLOOR[used] > FLOOR[room]}
    sideways = {
        used
        for used in others
        if FLOOR[used] == FLOOR[room] > 0 and (name_of(file), used) not in MEETINGS
    }
    assert not up
    assert not sideways


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_named_files_import_prefect_mlflow_and_torch(file):
    roots = {name.partition(".")[0] for name in imports(file)}
    assert "prefect" not in roots or room_of(file) == "flows"
    assert "mlflow" not in roots or name_of(file) == "tracking/mlflow_tracker.py"
    assert not {"dask", "distributed"} & roots or name_of(file) in DASK
    if roots & {"torch", "torchvision"}:
        assert room_of(file) in TORCH_ROOMS or name_of(file) in TORCH


def test_loose_files_make_no_circle():
    used = {name: rooms_used(ROOT / f"{name}.py") & set(FLOORS[0]) - {name} for name in FLOORS[0]}
    while used:
        free = {name for name, others in used.items() if not others & set(used)}
        assert free, used
        used = {name: others for name, others in used.items() if name not in free}


def test_flow_modules_evaluate_their_annotations():
    for file in [*(ROOT / "flows").glob("*.py"), *(ROOT.parent / "flows").glob("*.py")]:
        assert "__future__.annotations" not in imports(file), file


LIGHT = {  # what is run, and what it must not load
    "import debias": "numpy pandas torch sklearn numba imblearn",
    "import debias; debias.latent_weights([[1.0], [2.0]])": "torch imblearn matplotlib",
    "import debias.commands, debias.density, debias.weighting": "torch mlflow prefect",
    "import debias.metrics, debias.report": "torch mlflow prefect fairlearn matplotlib.pyplot",
    "import debias.decoding.worker": "pandas pydantic torch PIL.TiffImagePlugin",
    "from debias.commands.machine import *; [*examine_machine(Path())]": "torch pandas numpy",
}


@pytest.mark.parametrize("code", LIGHT)
def test_what_must_be_quick_loads_nothing_heavy(code):
    asked = f"import sys; print(*{set(LIGHT[code].split())} & set(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", f"{code}\n{asked}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.strip() == ""
