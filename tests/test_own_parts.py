"""Parts of others: objects in place of names, entry points of packages, as docs/parts.md says."""

import importlib
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from debias import own
from debias.density import DENSITIES
from debias.errors import ConfigError, DataError
from debias.models.own import OwnClassifier, OwnRepresentation
from debias.notebook.functions import audit_folder, run
from debias.pipeline.recipe import RunConfig, load
from debias.plugins import Registry, Settings
from debias.tracking.tracker import Silence
from debias.types import TrainingTable
from debias.weighting.rule import OwnWeighting

TEXT = (Path(__file__).parents[1] / "docs" / "parts.md").read_text()
BLOCKS = re.findall(r"^```python (\S+)=(\S+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
OBJECTS = {place: code for kind, place, code in BLOCKS if kind == "object"}
PARTS = {name: code for kind, name, code in BLOCKS if kind == "part"}
POINTS = tomllib.loads(re.search(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)[1])

SMALL = {
    "image_size": 32, "seeds": 1, "device": "cpu", "precision": "float32",
    "data": {"name": "synthetic", "n_train": 160, "n_validation": 24, "n_test": 80},
    "representation.training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.01},
    "classifier.training": {"epochs": 1, "batch_size": 16},
    "arms": {"uniform": "uniform", "latent": {"name": "latent_rarity", "allow_degenerate": True}},
    "density": {"name": "histogram", "components": 2},
}  # fmt: skip
QUICK_VAE = {
    "representation.model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 32}
}
HEADER = """
    from typing import ClassVar, Literal
    import numpy as np, pandas as pd, torch
    from debias.density.joint import FittedJoint
    from debias.models import Classifier, Representation
    from debias.plugins import Settings
    from debias.training.objectives import Objective
    from debias.types import Collection
    from debias.weighting.rule import Rule
    from debias.weighting.weights import SamplingWeights
"""


def python(code, path):
    found = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": found}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def package(root, name, points, code=""):
    """What pip leaves of a package with entry points."""
    (root / f"{name}.py").write_text(textwrap.dedent(code))
    about = root / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items())
        for group, found in points.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


class Wide(Settings):
    name: Literal["wide"] = "wide"

    def fit(self, z): ...


def registry():
    return Registry("density", {"wide": Wide}, group="debias.densities", asks=("fit",))


SETTINGS = """
    from typing import Literal
    from debias.plugins import Settings

    class {0}(Settings):
        name: Literal["{1}"] = "{1}"
        def fit(self, z): ...
"""


class TestEntryPoints:
    @pytest.mark.parametrize("backport", [False, True])
    def test_a_part_of_another_package_is_found_by_name(self, packages, backport):
        if backport:  # from now on it answers in place of the standard library
            pytest.importorskip("importlib_metadata")
        points = {"debias.densities": {"tall": "tall_part:Tall"}}
        package(packages, "tall_part", points, SETTINGS.format("Tall", "tall"))
        known = registry()
        assert list(known) == ["wide", "tall"]
        assert known["tall"].__name__ == "Tall"
        assert known["wide"] is Wide
        assert set(known.usable()) == {"wide", "tall"}
        with pytest.raises(KeyError):
            known["other"]

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("raise OSError('no disk')", r"OSError: no disk.*mend or uninstall"),
            ("Tall = 3", r"expected a class derived from debias.plugins.Settings, got 3"),
            (SETTINGS.format("Tall", "other"), r"field 'name' must have the default 'tall'"),
            (SETTINGS.format("Tall", "tall").replace("fit", "fix"), r"it has no fit"),
            ("", r"AttributeError"),
        ],
    )
    def test_a_broken_one_is_named_when_it_is_asked_for_and_costs_nobody_else(
        self, packages, code, words, monkeypatch
    ):
        monkeypatch.delitem(sys.modules, "broken_part", raising=False)
        package(packages, "broken_part", {"debias.densities": {"tall": "broken_part:Tall"}}, code)
        known = registry()
        assert set(known.usable()) == {"wide"}
        assert known["wide"] is Wide
        whose = (
            r"entry point 'tall' \(debias.densities: broken_part:Tall\) of package 'broken_part'"
        )
        with pytest.raises(ConfigError, match=f"(?s){whose}.*{words}"):
            known["tall"]

    def test_a_name_that_exists_is_refused(self, packages):
        for name in ("one_part", "two_part"):
            points = {"debias.densities": {"wide": f"{name}:Tall", "tall": f"{name}:Tall"}}
            package(packages, name, points, SETTINGS.format("Tall", "tall"))
        known = registry()
        with pytest.warns(UserWarning, match="'wide'.* is ignored: debias has a density of that"):
            assert "tall" in known
        assert known["wide"] is Wide
        with pytest.raises(
            ConfigError, match=r"'one_part' and .*'two_part' claim the same density"
        ):
            known["tall"]

    @pytest.mark.slow
    def test_the_parts_of_the_documentation_run_together(self, tmp_path):
        code = textwrap.dedent(HEADER) + "\n\n".join(PARTS.values())
        package(tmp_path, "my_parts", POINTS["project"]["entry-points"], code)
        recipe = {
            **SMALL, "data": "noise", "attributes": [], "label": "smiling",
            "representation.model": "corner", "classifier.model": "flat", "density": "gauss",
            "arms": {"uniform": "uniform", "mine": "steep"}, "objectives": {"other": "smooth"},
        }  # fmt: skip
        found = python(
            f"import debias; from debias.pipeline.recipe import RunConfig\n"
            f"result = debias.run(changes={recipe!r}, out={str(tmp_path / 'run')!r})\n"
            "print(sorted(result.report['arms']), result.report['representation'])\n"
            "schema = str(RunConfig.model_json_schema())\n"
            f"print([name for name in {list(PARTS)} if repr(name) not in schema])",
            tmp_path,
        )
        assert found.returncode == 0, found.stderr
        arms, left = found.stdout.splitlines()[-2:]
        assert arms.startswith("['mine', 'other', 'uniform']")
        assert "'trained': False" in arms
        assert left == "[]"

    def test_the_documentation_shows_one_of_each_kind(self):
        groups = POINTS["project"]["entry-points"]
        assert sorted(PARTS) == sorted(name for found in groups.values() for name in found)
        assert DENSITIES.group in groups


@pytest.mark.slow
def test_objects_of_the_documentation_run_and_are_found_again(tmp_path):
    lines = ["import sys, numpy as np, torch, debias"]
    for place, code in OBJECTS.items():
        small = dict(SMALL) if place == "representation.model" else SMALL | QUICK_VAE
        if place == "arms.mine":  # a mapping cannot be changed in two places at once
            del small["arms"]
        lines += [
            f"small, folder = {small!r}, {place!r}",
            f"sys.stderr.write('in {place}\\n')",
            code,
        ]
    (tmp_path / "script.py").write_text("\n".join(lines))
    stages = ("Representation", "Classifier uniform,? seed 0", "Weights mine")
    for ending in (" ...", ": found finished"):
        found = subprocess.run(
            [sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert found.returncode == 0, found.stderr
        assert "will be found again" not in found.stderr
        told = dict(
            re.findall(r"^in (\S+)\n(.*?)(?=^in |\Z)", found.stderr, re.DOTALL | re.MULTILINE)
        )
        for place, stage in zip(OBJECTS, stages, strict=True):
            assert re.search(f"^{stage}{ending}$", told[place], re.MULTILINE), told[place]


class Dead(torch.nn.Module):
    """Has a loss to minimise, and puts every image at the same place."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(1))

    def encode(self, images):
        return 0 * images.flatten(1)[:, :2], 0 * images.flatten(1)[:, :2]

    def loss(self, batch):
        return (self.level - batch.image.mean()).square().sum()


@pytest.mark.slow
def test_a_representation_that_learns_nothing_costs_the_arms_that_need_it_and_no_other(tmp_path):
    watched = Watched()
    changes = SMALL | {"representation.model": Dead, "seeds": 2}
    found = run(changes=changes, out=tmp_path / "run", progress=watched)
    assert list(found.fairness) == ["uniform"]
    told = "\n".join(watched.notes)
    assert "0 of 2 latent dimensions are active: they say nothing about the images" in told
    assert "--set representation.model.beta=0.5" in told
    assert "Arm 'latent' is left out: none of 2 latent dimensions varies" in told
    assert (tmp_path / "run" / "report.html").exists()
    with pytest.raises(DataError, match="the latents say nothing about the images"):
        audit_folder(
            changes={"representation.model": Dead, "representation.training": {"epochs": 1}}
            | {name: SMALL[name] for name in ("image_size", "device", "data")},
            out=tmp_path / "audit",
        )


class Watched(Silence):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def scale(values):
    return 2 * values


class Module(torch.nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer, self.width = torch.nn.Linear(2, width), width

    def forward(self, x):
        return scale(self.layer(x))


class TestDigest:
    def test_it_is_that_of_code_parameters_and_attributes(self, monkeypatch):
        torch.manual_seed(0)
        module = Module()
        before = own.adopted(module)
        assert before["called"] == "Module"
        assert own.adopted(module) == before
        changed = [Module(), Module(4), Module]
        with torch.no_grad():
            module.layer.bias[0] += 1
        changed.append(module)
        digests = {own.adopted(one)["digest"] for one in changed} | {before["digest"]}
        assert len(digests) == 5
        monkeypatch.setitem(globals(), "scale", torch.relu)
        assert own.adopted(Module)["digest"] not in digests

    def test_modules_of_ones_own_count_with_what_they_import(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(str(tmp_path))

        def rule(table):
            return helper.weights(table)  # noqa: F821 (set below)

        digests = set()
        for number in range(2):
            (tmp_path / f"inner{number}.py").write_text(f"def weights(table): return {number}")
            name = f"outer{number}"
            (tmp_path / f"{name}.py").write_text(f"from inner{number} import weights\n")
            monkeypatch.setitem(globals(), "helper", importlib.import_module(name))
            digests.add(own.adopted(rule)["digest"])
        assert len(digests) == 2

    def test_what_is_given_stays_as_it_was(self):
        module = Module()
        stands = own.Own.of(module)
        first = module.layer.bias.clone()
        with torch.no_grad():
            module.layer.bias += 1
        torch.testing.assert_close(stands.fresh().layer.bias, first)
        assert stands.fresh() is not stands.fresh()

    def test_code_without_source_is_never_found_again(self):
        made = {}
        exec("def rule(table):\n    return table", made)
        with pytest.warns(UserWarning, match="will be found again"):
            digests = {own.adopted(made["rule"])["digest"] for _ in range(2)}
        assert len(digests) == 2

    def test_a_recipe_that_was_written_down_asks_for_the_object(self):
        lost = {"name": "own", "called": "Net", "digest": "0" * 64}
        with pytest.raises(ConfigError, match=r"classifier.model.digest: this part was an object"):
            load(RunConfig, {"classifier": {"model": lost}})


class TestRefusals:
    def table(self):
        return TrainingTable(sample_ids=np.arange(100), labels=np.zeros(100, dtype=np.int64))

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            (lambda table: np.ones(3), r"weights of shape \(100,\), got \(3,\)"),
            (lambda table: np.zeros(100), "its weights sum to 0"),
        ],
    )
    def test_weights_that_are_none(self, rule, words):
        with pytest.raises(ConfigError, match=words):
            OwnWeighting.of(rule).weights(self.table())

    def test_weights_are_brought_to_sum_1(self):
        found = OwnWeighting.of(lambda table: 1.0 + np.arange(100)).weights(self.table())
        assert found.probability.sum() == pytest.approx(1)
        assert found.probability[99] == pytest.approx(100 / 5050)

    def test_networks_that_are_none(self):
        with pytest.raises(
            ConfigError, match="'Linear' cannot be used: it must be a torch module with"
        ):
            OwnRepresentation.of(torch.nn.Linear(2, 3)).build(32)
        with pytest.raises(ConfigError, match=r"'list' .*: it must be a torch module, got list"):
            OwnClassifier.of(list).build(2)
        with pytest.raises(ConfigError, match="cannot be used: give lazy layers"):
            OwnClassifier.of(lambda: torch.nn.LazyLinear(2)).build(2)

    def test_needs_that_nobody_knows(self):
        def rule(table): ...

        rule.needs = {"race"}
        with pytest.raises(ConfigError, match=r"its needs \['race'\] are unknown; known: "):
            _ = OwnWeighting.of(rule).needs
