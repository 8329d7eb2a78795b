"""The whole job at the smallest size that still exercises every stage."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from counting import Counting
from documents import misfits
from recording_tracking import RecordingTracking
from small_store import folder, noise

from debias.errors import EvaluationError
from debias.ingesting.decoded import Listed
from debias.ingesting.rules import IngestRules
from debias.pipeline import mitigate, open_run, planning
from debias.pipeline.delivery import delivered
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.reports import compare_places
from debias.pipeline.step import load_predictions
from debias.report.documents import PlanDocument, RunDocument
from debias.storage.artifacts import Artifact
from debias.storage.documents import plain
from debias.types import Collection

SMALL = [
    "image_size=32", "seeds=2", "data.n_train=240", "data.n_validation=40", "data.n_test=160",
    "data.population.dark_share=0.2",
    "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 32}",
    "representation.training={epochs: 3, batch_size: 16, learning_rate: 0.003}",
    "density={name: histogram, components: 2}",
    "arms.latent={name: latent_rarity, allow_degenerate: true}",
    "arms.groups={name: group_balance, allow_degenerate: true}",
    "classifier.model={name: conv, width: 4}",
    "classifier.training={epochs: 2, batch_size: 16}",
    "device=cpu", "precision=float32",
]  # fmt: skip


def small_run(folder, *overrides, tracking=None):
    progress = Counting()
    run = open_run(load(RunConfig, None, [*SMALL, *overrides]), folder, progress=progress)
    if tracking is not None:
        run = run.with_tracking(tracking)
    return run, progress


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder, tracking = tmp_path_factory.mktemp("run"), RecordingTracking()
    run, progress = small_run(folder, tracking=tracking)
    return folder, mitigate(run), tracking, progress


def test_the_report_holds_what_it_promises(finished):
    folder, document, _, _ = finished
    assert delivered(folder, "report") == json.loads(json.dumps(document))
    assert misfits(document, RunDocument) == []
    for arm in ("uniform", "latent", "groups"):
        found = document["arms"][arm]
        assert [one["seed"] for one in found["seeds"]] == [0, 1]
        for figures in [*found["seeds"], found["mean"]]:
            accuracy = figures["accuracy"]
            assert 0 <= accuracy["worst_group"] <= accuracy["overall"] <= 1
            assert accuracy["gap"] >= 0
        row = next(r for r in document["fairness"][arm]["by_group"] if r["metric"] == "accuracy")
        assert row["low"] <= row["value"] <= row["high"]
        assert row["numerator"] <= row["denominator"]
        weights = document["weights"][arm]
        for share in weights["share_by_group"].values():
            assert 0 <= share["after"] <= 1
        assert weights["dropped_dimensions"] == [] or arm == "latent"
    assert document["weights"]["uniform"]["ess"] == pytest.approx(1)
    assert document["weights"]["latent"]["ess"] == pytest.approx(0.5, rel=0.01)
    assert document["weights"]["latent"]["tau"] > 0
    assert document["weights"]["latent"]["alpha"] == 0.01
    shares = document["weights"]["groups"]["share_by_group"]
    assert shares["skin_tone_group:dark"]["after"] == pytest.approx(0.5)
    assert document["fidelity"]["images"] == document["data"]["n"]["validation"]
    resting = {arm: weights["uses_latents"] for arm, weights in document["weights"].items()}
    assert resting == {"uniform": False, "latent": True, "groups": False}


def test_the_report_begins_with_an_opening_and_knows_what_each_arm_learned(finished):
    _, document, _, _ = finished
    assert document["opening"]["sentences"][0].startswith("The classifier guesses smiling")
    assert "seeds=5" in [step["setting"] for step in document["opening"]["next"]] or any(
        not skill["learned"] for skill in document["skill"].values()
    )
    for arm, skill in document["skill"].items():
        accuracy = document["arms"][arm]["mean"]["accuracy"]["overall"]
        assert skill["accuracy"] == pytest.approx(accuracy)
        assert skill["auroc"] == pytest.approx(document["arms"][arm]["mean"]["auroc"])
        assert skill["trainings"] == 2


def test_a_finished_run_is_a_pilot_of_the_next(finished, tmp_path):
    folder, document, _, _ = finished
    page, numbers = planning.write(planning.plan(planning.recipe_of(folder), folder), tmp_path)
    planned = json.loads(numbers.read_text())
    assert misfits(planned, PlanDocument) == []
    assert f"is estimated from the run {folder}" in page.read_text()
    assert [one["arm"] for one in planned["planned"]] == ["latent", "groups"]
    for one in planned["planned"]:
        asked = document["comparisons"][one["arm"]]["primary"][0]
        assert (one["quantity"], one["trainings"]) == (asked["quantity"], 2)
        shown = 2 * asked["se_trainings"] ** 2 - one["variance_both"] / one["images"]
        assert one["sd_trainings"] ** 2 == pytest.approx(max(shown, 0), abs=1e-9)
        assert [row["trainings"] for row in one["rows"]] == [2, 3, 5, 10, 20]
        assert {row["level"] for row in one["rows"]} == {0.975}
    with pytest.raises(EvaluationError, match="change = 5: must lie between 0 and 1"):
        planning.plan(planning.recipe_of(folder), folder, change=5)


def test_a_comparison_of_a_run_asks_what_its_recipe_asks(finished):
    folder, document, _, _ = finished
    again = compare_places(str(folder), None, {})
    for arm, found in again.items():
        assert plain(found.primary) == document["comparisons"][arm]["primary"]
        assert not any("chosen after results" in note for note in found.notes)
    group = "accuracy/skin_tone_group:dark"
    for found in compare_places(str(folder), None, {"primary": [group]}).values():
        assert [one["quantity"] for one in found.primary] == [group]
        assert found.notes[0].startswith(f"Primary questions chosen after results: {group}.")


def test_arms_are_listed_as_methods_here_and_where_runs_are_tracked(finished):
    folder, document, tracking, _ = finished
    seconds = {arm: [] for arm in document["arms"]}
    for path in (folder / "classifier").iterdir():
        one = load_predictions(Artifact("classifier", path.name, path))
        seconds[one.arm].append(json.loads((path / "manifest.json").read_text())["seconds"])
    rows = {row["arm"]: row for row in document["methods"]}
    assert [row["method"] for row in rows.values()] == ["erm", "latent_rarity", "group_balance"]
    assert [row["group_labels"] for row in rows.values()] == ["no", "no", "training"]
    for arm, row in rows.items():
        ratio = np.mean(seconds[arm]) / np.mean(seconds["uniform"])
        assert row["relative_seconds"] == pytest.approx(ratio, abs=1e-3)
    (compared,) = (one for one in tracking.runs.values() if "methods" in one.logged_tables)
    assert compared.logged_tables["methods"].to_dict("records") == document["methods"]
    for tracker in tracking.runs.values():
        tags = tracker.logged_tags
        if tags["debias.stage"] == "method":
            row = rows.pop(tags["debias.arm"])
            for name in ("method", "group_labels", "verdict"):
                assert tags[f"debias.{name}"] == row[name]
            assert tags["debias.comparison"] == document["key"]
            assert {name: value for name, value, _ in tracker.logged_metrics} == {
                "accuracy/overall": row["accuracy"], "accuracy/worst_group": row["worst_group"],
                "accuracy/gap": row["gap"], "time/seconds": row["seconds"],
                "time/relative_to_plain": row["relative_seconds"],
            }  # fmt: skip
    assert not rows


def test_figures_agree_with_the_stored_predictions(finished):
    folder, document, _, _ = finished
    for path in (folder / "classifier").glob("*/predictions.json"):
        artifact = Artifact("classifier", path.parent.name, path.parent)
        predictions = load_predictions(artifact)
        expected = (predictions.y_pred == predictions.y_true).mean()
        found = document["arms"][predictions.arm]["seeds"][predictions.seed]["accuracy"]["overall"]
        assert found == pytest.approx(expected)
        assert len(predictions.y_true) == 160


def test_the_report_page_stands_alone(finished):
    page = (finished[0] / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "skin_tone_group:dark" in page


def test_every_arm_and_seed_is_a_tracked_run_of_its_own(finished):
    _, document, tracking, _ = finished
    by_stage = {}
    for tracker in tracking.runs.values():
        by_stage.setdefault(tracker.logged_tags["debias.stage"], []).append(tracker)
    sizes = {stage: len(trackers) for stage, trackers in by_stage.items()}
    assert sizes == {"representation": 1, "weights": 3, "classifier": 6, "method": 3,
                     "comparison": 1}  # fmt: skip
    for tracker in by_stage["classifier"]:
        names = {name for name, _, _ in tracker.logged_metrics}
        assert {"accuracy/overall", "accuracy/worst_group", "accuracy/gap", "train/loss",
                "val/loss", "fairness/equalized_odds_difference",
                "accuracy by group/skin_tone_group:dark_low"} <= names  # fmt: skip
        steps = [step for name, _, step in tracker.logged_metrics if name == "train/loss"]
        assert steps == [0, 1]
        assert tracker.logged_models == ["classifier"]
        assert "by_group" in tracker.logged_tables
        arm, seed = tracker.logged_params["arm"], tracker.logged_params["seed"]
        logged = {name: value for name, value, _ in tracker.logged_metrics}
        expected = document["arms"][arm]["seeds"][seed]["accuracy"]["overall"]
        assert logged["accuracy/overall"] == expected
    images = {name for name, _ in by_stage["representation"][0].logged_images}
    assert images == {"reconstructions", "traversals"}
    assert by_stage["representation"][0].logged_models == ["encoder"]


def test_a_second_run_reuses_everything_and_says_the_same(finished):
    folder, document, tracking, first = finished
    run, progress = small_run(folder, tracking=tracking)
    again = mitigate(run)
    assert progress.started == []
    assert len(progress.kept) == len(first.started)
    assert again == document


def test_one_changed_setting_rebuilds_only_what_depends_on_it(finished, tmp_path):
    copy = tmp_path / "copy"  # a run folder can be copied and continued
    shutil.copytree(finished[0], copy)
    run, progress = small_run(copy, "arms.latent.ess=0.6")
    mitigate(run)
    assert progress.started == [
        "Weights latent", "Classifier latent, seed 0", "Classifier latent, seed 1", "Report",
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_numbers_bit_by_bit(finished, tmp_path):
    document = finished[1]
    run, _ = small_run(tmp_path)
    again = mitigate(run)
    assert again["arms"] == document["arms"]
    assert again["weights"] == document["weights"]


def test_real_faces_are_shown_only_on_request(tmp_path):
    row = np.arange(120)
    columns = {"bright": row % 2, "group": np.where(row % 3, "a", "b")}
    folder(tmp_path, noise(120 * (row % 2)), **columns)
    source = f"data={{name: folder, root: {tmp_path}, table: {tmp_path}/table.csv}}"
    # The synthetic settings do not belong to a folder: start from the others alone.
    settings = [setting for setting in SMALL if not setting.startswith("data.")]
    settings += [source, "label=bright", "attributes=[group]", "seeds=1", "arms={uniform: uniform}"]
    for shown in (False, True):
        config = load(RunConfig, None, [*settings, f"report.show_faces={shown}".lower()])
        tracking = RecordingTracking()
        place = tmp_path / f"run-{shown}"
        mitigate(open_run(config, place).with_tracking(tracking))
        images = [name for run in tracking.runs.values() for name, _ in run.logged_images]
        assert bool(images) == shown
        assert ("data:image/webp" in (place / "report.html").read_text()) == shown


def test_a_column_with_another_name_is_another_data_set():
    """Swapped headers or a newly named subject column must never find the old store."""
    table = pd.DataFrame({"sample_id": ["a", "b"], "smile": ["y", "n"], "glasses": ["n", "n"]})
    swapped = table.rename(columns={"smile": "glasses", "glasses": "smile"})
    turned = table.iloc[::-1]
    moved = table.assign(path=["/x/a", "/x/b"])
    known = content(table)
    assert content(moved) == known
    assert len({known, content(swapped), content(turned), content(table, "v2")}) == 4


def content(table, fingerprint=""):
    return Listed(
        collection=Collection(samples=table, fingerprint=fingerprint),
        table=table, samples=table, rejected=[], size=32, rules=IngestRules(),
    ).content  # fmt: skip
