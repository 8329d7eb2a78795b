"""The commands as functions, and values that show themselves; the notebook in ``docs`` runs."""

import inspect
import json
import pydoc
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_store import folder, noise

import debias
from debias.errors import ConfigError, DataError, EvaluationError, StorageError
from debias.ingesting.rules import FacesRecipe
from debias.notebook.functions import _recipe
from debias.pipeline.recipe import RunConfig, SpaceRecipe
from debias.tracking.tracker import Silence
from debias.types import FaceStore

ROOT = Path(debias.__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
TINY = {
    "image_size": 32,
    "seeds": 1,
    "data.n_train": 240,
    "data.n_validation": 40,
    "data.n_test": 160,
    "data.population.dark_share": 0.2,
    "representation.model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 32},
    "representation.training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.003},
    "density": {"name": "histogram", "components": 2},
    "arms.latent": {"name": "latent_rarity", "allow_degenerate": True},
    "arms.groups": {"name": "group_balance", "allow_degenerate": True},
    "classifier.model": {"name": "conv", "width": 4},
    "classifier.training": {"epochs": 2, "batch_size": 16},
    "tracking.enabled": False,
}
SPACE = {
    "representation.model": TINY["representation.model"],
    "representation.training": {"epochs": 15, "batch_size": 8, "learning_rate": 0.003},
}
QUICK = debias.AuditRules(map_method="PCA", permutations=199, clusters=4)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return debias.run(changes=TINY, out=folder / "demo", progress=Silence())


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder of noise, one half brighter, and a table that says which."""
    root, row = tmp_path_factory.mktemp("faces"), np.arange(80)
    columns = {
        "smiling": np.where(row % 3, "yes", "no"),
        "tone": np.where(row % 2, "light", "dark"),
    }
    folder(root, noise(100 * (row % 2)), **columns)
    return root


def reports():
    truth = np.tile([0, 1], 300)
    tone = np.repeat(["dark", "light"], 300)
    bad = np.where(np.arange(600) < 60, 1 - truth, truth)
    return [
        debias.evaluate(truth, y_pred, groups={"tone": tone}, name=name)
        for name, y_pred in (("before", bad), ("after", truth))
    ]


class TestNames:
    def test_only_public_names_are_listed(self):
        assert set(dir(debias)) == set(debias.__all__)

    @pytest.mark.parametrize("name", ["audit", "ingest"])
    def test_a_room_does_not_hide_the_function_of_its_name(self, name):
        found = getattr(debias, name)
        assert inspect.isfunction(found)
        assert "source" in str(inspect.signature(found)) or "store" in str(inspect.signature(found))
        assert "Args:" in pydoc.render_doc(found)


class TestRun:
    def test_a_run_gives_its_report_and_its_parts_by_arm(self, result):
        assert result.folder.joinpath("report.html").exists()
        assert list(result.fairness) == list(result.weights) == ["uniform", "latent", "groups"]
        assert list(result.comparisons) == ["latent", "groups"]
        again = debias.compare(result.fairness["uniform"], result.fairness["latent"])
        assert again.n == result.comparisons["latent"].n == 160
        assert result.weights["latent"].weight.mean() == pytest.approx(1)
        assert result.report["concluded"][0] in repr(result)

    def test_the_latents_of_a_run_are_those_of_its_autoencoder(self, result):
        before = (result.folder / "run.json").read_bytes()
        latents = debias.encode(result.folder, progress=Silence())
        assert latents.mean.shape == (440, 4)
        same = debias.encode(result.store, progress=Silence())
        np.testing.assert_array_equal(same.mean, latents.mean)
        sealed = np.load(next(result.folder.glob("representation/*/mean.npy")))
        np.testing.assert_allclose(latents.mean[result.store.rows("train")], sealed, atol=1e-5)
        assert (result.folder / "run.json").read_bytes() == before

    def test_a_store_in_memory_is_placed_by_a_run(self, result):
        known = {name: getattr(result.store, name) for name in FaceStore.__dataclass_fields__}
        loose = FaceStore(**known)
        placed = debias.encode(loose, run=result.folder, progress=Silence())
        assert placed.mean.shape == (440, 4)
        with pytest.raises(ConfigError, match=r"lies in no folder.*run="):
            debias.encode(loose)

    def test_a_trained_folder_takes_no_changes(self, result):
        with pytest.raises(ConfigError, match=r"has a trained representation.*leave out"):
            debias.encode(result.folder, changes={"seed": 1})


class TestFolder:
    def test_a_folder_becomes_a_store_latents_and_an_audit(self, result, faces, tmp_path):
        store = debias.ingest(
            faces, table=faces / "table.csv", label="smiling", attributes="tone", size=32,
            changes={"ingest.near_duplicates": False}, out=tmp_path / "store", progress=Silence(),
        )  # fmt: skip
        assert (store.folder, store.attributes) == (tmp_path / "store", ("tone",))
        assert "80 images of 32 pixels, label smiling, attributes tone" in repr(store)
        latents = debias.encode(store, changes=SPACE, out=tmp_path / "z", progress=Silence())
        assert latents.sample_ids.tolist() == store.samples["sample_id"].tolist()
        report = debias.audit(store, latents, rules=QUICK)
        assert repr(report).startswith("AuditReport of 80 images: ")
        page = report.save_html(tmp_path / "pages" / "audit.html").read_text(encoding="utf-8")
        assert "Who is missing from this collection?" in page
        assert "data:image/png" not in page  # no photograph
        assert isinstance(report.plot(), Figure)
        other = debias.ingest(store, size=16, out=tmp_path / "small", progress=Silence())
        with pytest.raises(DataError, match="16 pixels, the run was trained on 32"):
            debias.encode(other, run=result.folder)

    def test_an_audit_in_a_folder_can_be_exported(self, faces, tmp_path):
        rules = {f"audit.{name}": getattr(QUICK, name) for name in ("map_method", "permutations")}
        changes = SPACE | rules | {"image_size": 32, "tracking.enabled": False}
        found = debias.audit_folder(
            faces, table=faces / "table.csv", attributes=["tone"], changes=changes,
            out=tmp_path / "audit", progress=Silence(),
        )  # fmt: skip
        assert found.verdicts[0] in repr(found)
        assert len(found.images) == len(found.latents.mean) == len(found.store.samples) == 80
        assert found._repr_html_().startswith("<iframe srcdoc=")
        written = debias.export(found, out=tmp_path / "weights.csv")
        assert written.manifest.exists()
        assert len(repr(written)) < 1000
        np.testing.assert_array_equal(
            debias.encode(found.folder, progress=Silence()).mean, found.latents.mean
        )

    def test_what_is_no_store_is_refused(self, faces):
        with pytest.raises(DataError, match=r"is no store.*debias\.ingest"):
            debias.encode(faces)


class TestSources:
    @pytest.mark.parametrize("kind", [RunConfig, SpaceRecipe, FacesRecipe])
    def test_a_recipe_may_be_a_file_a_mapping_or_a_value(self, kind):
        file = ROOT / "configs" / "demo.yaml"
        named = _recipe(kind, file, {}, {"seed": 3})
        value = _recipe(kind, _recipe(RunConfig, file), {}, {"seed": 3})
        mapping = _recipe(kind, value.model_dump(mode="json", serialize_as_any=True))
        assert named.seed == value.seed == mapping.seed == 3
        assert named == value == mapping

    def test_small_numbers_stay_numbers(self):
        found = _recipe(RunConfig, None, {}, {"classifier.training.learning_rate": 1e-5})
        assert found.classifier.training.learning_rate == 1e-5

    def test_options_that_do_not_belong_are_refused(self, faces):
        with pytest.raises(ConfigError, match=r"says itself what label, image_size are.*changes="):
            debias.run({"label": "smiling"}, label="smiling", size=32)
        with pytest.raises(ConfigError, match="what a classifier is to predict"):
            debias.run(faces)


class TestShown:
    def test_reports_are_said_in_a_line_and_shown_as_their_page(self, tmp_path):
        before, after = reports()
        change = debias.compare(before, after)
        weights = debias.latent_weights(np.random.default_rng(0).normal(size=(3000, 4)))
        for shown in (before, change, weights):
            assert len(repr(shown)) < 700
            page = shown.save_html(tmp_path / "page.html").read_text(encoding="utf-8")
            assert page.startswith("<!doctype html>")
            assert 'srcdoc="&lt;!doctype' in shown._repr_html_()
            assert " sandbox " in shown._repr_html_()
            for name in shown.charts[:1]:
                assert shown.plot(name)._repr_svg_().startswith("<?xml")
        assert "Difference found" in repr(before)
        assert "3,000 samples, worth 1,500 (50%)" in repr(weights)

    def test_the_page_is_that_of_the_command(self, tmp_path):
        from debias.report import write_fairness

        before, _ = reports()
        write_fairness(tmp_path / "command.html", before.to_dict())
        before.save_html(tmp_path / "own.html")
        assert (tmp_path / "own.html").read_bytes() == (tmp_path / "command.html").read_bytes()

    def test_tables_hold_what_a_person_asks_first(self):
        before, after = reports()
        table = before.table()
        assert list(table) == ["attribute", "group", "n", "rate", "low", "high", "state"]
        assert table["group"].tolist() == ["dark", "light"]
        assert table["rate"].tolist() == [0.8, 1.0]
        changes = debias.compare(before, after).table("accuracy")
        assert changes.set_index("group").loc["dark", "change"] == pytest.approx(0.2)
        with pytest.raises(EvaluationError, match="did you mean 'accuracy'"):
            before.table("acuracy")

    def test_a_chart_that_is_not_there_is_refused(self):
        before, _ = reports()
        with pytest.raises(ConfigError, match="did you mean 'confusion'"):
            before.plot("confusio")
        even = debias.SamplingWeights(sample_ids=np.arange(4), probability=np.full(4, 0.25))
        with pytest.raises(DataError, match="SamplingWeights has nothing to draw"):
            even.plot()
        assert "this is plain sampling" in even._repr_html_()

    def test_a_page_that_cannot_be_written_says_so(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError):
            reports()[0].save_html(tmp_path / "file" / "page.html")

    def test_a_sampler_says_what_it_draws(self):
        weights = debias.SamplingWeights(sample_ids=np.arange(4), probability=np.full(4, 0.25))
        assert repr(debias.WeightedSampler(weights, 8, seed=1)) == (
            "WeightedSampler of 8 draws from 4 rows, seed 1, in epoch 0"
        )


class TestNotebook:
    def cells(self):
        return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

    def test_it_is_kept_without_outputs(self):
        assert not any(cell.get("outputs") for cell in self.cells())

    @pytest.mark.slow
    def test_every_cell_runs(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        names: dict[str, object] = {}
        for cell in self.cells():
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
        assert names["result"].folder.joinpath("report.html").exists()
        assert names["written"].manifest.exists()
