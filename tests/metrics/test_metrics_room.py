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


def _files():
    return {file.stem for file in ROOM.glob("*.py")}
