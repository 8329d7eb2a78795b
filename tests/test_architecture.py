"""Who may import whom (the rules of the architecture), read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import debias

ROOT = Path(debias.__file__).parent
ROOMS = {
    "datasets", "decoding", "ingest", "models", "density", "weighting", "metrics", "report",
    "stages", "purging", "doctor", "audit",
}  # fmt: skip
# A floor below all rooms: what they may all import, and what imports none of them.
BELOW = "statistics"
FILES = sorted(ROOT.rglob("*.py"))
TORCH = {
    "models", "training.py", "encoding.py", "sampling.py", "seeding.py", "artifacts.py",
    "generation.py", "device.py", "augmentation.py", "batches.py", "discriminator.py",
}  # fmt: skip


def imports(file: Path) -> set[str]:
    """Every module that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(file: Path) -> str:
    return file.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_only_named_files_import_prefect_mlflow_and_torch(file):
    roots = {name.partition(".")[0] for name in imports(file)}
    assert "prefect" not in roots or top(file) == "flows"
    assert "mlflow" not in roots or file.name == "mlflow_tracker.py"
    assert not roots & {"torch", "torchvision"} or top(file) in TORCH


@pytest.mark.parametrize(
    "file",
    [f for f in FILES if top(f) in ROOMS - {"stages"}],
    ids=lambda f: str(f.relative_to(ROOT)),
)
def test_no_room_imports_a_sibling_room(file):
    others = ROOMS - {top(file)}
    used = {name.split(".")[1] for name in imports(file) if name.startswith("debias.")}
    assert not used & others
    assert "config" not in used


@pytest.mark.parametrize("file", [f for f in FILES if top(f) == BELOW], ids=lambda f: f.name)
def test_groups_and_chance_know_no_other_room(file):
    used = {name.split(".")[1] for name in imports(file) if name.startswith("debias.")}
    assert used <= {BELOW, "errors"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_in_the_library_imports_flows_or_the_command_line(file):
    if top(file) not in {"commands", "__main__.py", "flows"}:
        forbidden = ("debias.flows", "debias.commands")
        assert not {name for name in imports(file) if name.startswith(forbidden)}


def test_flow_modules_evaluate_their_annotations():
    for file in (ROOT / "flows").glob("*.py"):
        assert "__future__.annotations" not in imports(file), file


def test_the_command_line_and_the_numeric_rooms_load_nothing_heavy():
    code = (
        "import sys, debias, debias.commands, debias.density, debias.weighting, debias.metrics;"
        "print([m for m in ('torch', 'mlflow', 'prefect') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
