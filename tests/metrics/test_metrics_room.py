import subprocess
import sys
from pathlib import Path

import debias.metrics

ROOM = Path(debias.metrics.__file__).parent


def test_all_is_exact():
    public = {
        name
        for name, value in vars(debias.metrics).items()
        if not name.startswith("_") and not hasattr(value, "__path__") and name not in _files()
    }
    assert public == set(debias.metrics.__all__)


def test_the_room_works_without_torch_and_without_fairlearn():
    code = (
        "import sys, debias.metrics\n"
        "loaded = {'torch', 'fairlearn', 'mlflow', 'prefect'} & set(sys.modules)\n"
        "sys.exit(repr(loaded) if loaded else 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def _files():
    return {file.stem for file in ROOM.glob("*.py")}
