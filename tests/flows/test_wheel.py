"""What somebody has who installed a wheel: outside the repository, beside a ``flows`` of theirs."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import replace

import pytest
from drawn_layouts import FEW, GROUPS, SHORT_RUN
from station import ROOT, call, station

PARTS = ("debias", "configs", "pyproject.toml", "prefect.yaml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, folder / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    call(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."], os.environ, folder
    )
    (found,) = (folder / "dist").glob("*.whl")
    return found


@pytest.mark.slow
def test_recipes_and_deployments_are_in_it_and_nothing_beside_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"debias"}
    shipped = {f"debias/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert shipped | {"debias/prefect.yaml", "debias/flows/scheduling.py"} <= set(names)


@pytest.mark.slow
@pytest.mark.server
def test_a_recipe_is_scheduled_and_run_beside_another_package_called_flows(wheel, tmp_path):
    python = installed(wheel, tmp_path / "venv")
    own = tmp_path / "own"
    (own / "flows").mkdir(parents=True)
    (own / "flows" / "__init__.py").write_text("WHOSE = 'mine'\n")
    (own / "pyproject.toml").write_text("[tool.prefect.plugins]\nenabled = true\n")
    package = tmp_path / "venv" / site_packages() / "debias"
    shipped = (package / "configs" / "demo.yaml").read_text()
    (own / "mine.yaml").write_text(shipped.replace("name: demo", "name: mine"))
    settings = [text for line in [*FEW, *SHORT_RUN, GROUPS] for text in ("--set", line)]
    with station(tmp_path, python=python, cwd=own) as made:
        at = replace(made, env={k: v for k, v in made.env.items() if k != "PYTHONPATH"})
        place = "import debias, flows; print(debias.__path__[0], flows.WHOSE)"
        assert call([python, "-c", place], at.env, own).split() == [
            str(package), "mine",
        ]  # fmt: skip
        at.schedule("mine.yaml", *settings)
        shown = at.typed("prefect", "deployment", "run", "debias-faces/mine", "--watch")
        assert "finished successfully" in shown, shown
    assert json.loads((own / "runs" / "mine" / "report.json").read_text())["name"] == "mine"
    assert "Failed to" not in (own / "runs" / "worker.log").read_text()


def site_packages():
    return f"lib/python{sysconfig.get_python_version()}/site-packages"


def installed(wheel, venv):
    """A Python that has the wheel and, of everything else, what this one has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    call([*pip, "install", "--no-deps", "--no-index", str(wheel)], alone)
    shared = sysconfig.get_paths()["purelib"]
    (venv / site_packages() / "shared.pth").write_text(f"{shared}\n")
    return python
