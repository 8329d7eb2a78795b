"""Runs, audits and studies that are killed or asked to end, and started again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_store import folder, noise
from typer.testing import CliRunner

from debias.commands import app

TIMES = max(2, int(os.environ.get("DEBIAS_KILLS", "0")) // 3)  # of each kind of job
SCRIPT = Path(__file__).with_name("disturbed_runs.py")
VOLATILE = {
    "id", "created", "opened", "seconds", "folder", "finished", "mlflow", "relative_seconds",
    "process", "page", "checksum",
}  # fmt: skip
TRAINING = {"epochs": 6, "batch_size": 16, "learning_rate": 0.005}
VAE = {"model": {"name": "conv_vae", "latent_dim": 2, "width": 4, "hidden": 32, "beta": 0.01},
       "training": TRAINING}  # fmt: skip
COMMON = {
    "name": "small", "image_size": 16, "device": "cpu", "precision": "float32",
    "data": {"name": "synthetic", "n_train": 160, "n_validation": 48, "n_test": 60,
             "population": {"dark_share": 0.3}},
    "attributes": ["skin_tone_group"],
}  # fmt: skip
RECIPES = {
    "run": COMMON | {
        "seeds": 1, "density": {"name": "histogram", "components": 1},
        "arms": {"uniform": "uniform", "groups": {"name": "group_balance",
                                                  "allow_degenerate": True}},
        "representation": VAE,
        "classifier": {"model": {"name": "conv", "width": 2}, "training": TRAINING},
    },
    "audit": COMMON | {"representation": VAE},
    "study": COMMON | {
        "spaces": {"pca": {"model": {"name": "pca", "latent_dim": 2}}, "vae": VAE},
        "factors": ["yaw", "smile"], "label": "smiling",
        "judge": {"model": {"name": "conv", "width": 2}, "training": TRAINING},
        "looks": {"images": 40, "samples": 60, "bound_images": 4, "bound_samples": 4, "trials": 10,
                  "mapped": 60, "known": 120, "votes": 40},
    },
}  # fmt: skip
# In its fourth batch a training says so, and takes its time.
SLOWLY = """
import sys, time
from debias.training import loop
step, count = loop._step, []
def slowly(*given):
    count.append(1)
    if len(count) == 4:
        print("training", file=sys.stderr, flush=True)
    if len(count) >= 4:
        time.sleep(0.3)
    return step(*given)
loop._step = slowly
from debias.commands import app
app(sys.argv[1:])
"""


def written(folder, kind):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPES[kind]))
    return path


def contents(folder):
    """What was made, by file, without what says when and how long it took."""
    made = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".html" and path.name != ".lock"
    }
    for name in [name for name in made if name.endswith("manifest.json")] + ["run.json"]:
        del made[name]
    for name in [name for name in made if name.endswith(".json")]:  # some name the folder
        made[name] = scrubbed(json.loads(made[name].replace(bytes(folder), b"")))
    return made


def scrubbed(value):
    if isinstance(value, dict):
        return {name: scrubbed(one) for name, one in value.items() if name not in VOLATILE}
    return [scrubbed(one) for one in value] if isinstance(value, list) else value


def tracked(store):
    """Status of every tracked run by its key, and all that was measured."""
    with sqlite3.connect(store) as database:
        runs = database.execute(
            "SELECT tags.value, status FROM runs JOIN tags USING (run_uuid) "
            "WHERE tags.key = 'debias.key'"
        ).fetchall()
        metrics = database.execute(
            "SELECT tags.value, metrics.key, metrics.value, step FROM metrics "
            "JOIN tags USING (run_uuid) WHERE tags.key = 'debias.key' "
            "AND metrics.key NOT LIKE 'time/%' AND metrics.key NOT LIKE '%seconds%'"
        ).fetchall()
    return sorted(runs), sorted(metrics)


def store_of(folder):
    (store,) = folder.glob("*.db")
    return store


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(RECIPES))
def test_killed_at_any_time_it_ends_as_if_undisturbed(kind, tmp_path):
    command = [sys.executable, SCRIPT, written(tmp_path, kind), tmp_path, str(TIMES), "0", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["codes"]) <= {-signal.SIGKILL, 128 + signal.SIGTERM}
    assert found["slowest"] < 10  # seconds from the signal to the end
    expected, undisturbed = contents(tmp_path / "0" / "it"), tracked(store_of(tmp_path / "0"))
    for number in range(1, found["places"]):
        place = tmp_path / str(number)
        assert contents(place / "it") == expected
        assert tracked(store_of(place)) == undisturbed


def test_sigterm_in_a_training_says_what_is_kept_and_the_same_command_goes_on(tmp_path):
    recipe, out = written(tmp_path, "run"), tmp_path / "1" / "it"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "run", recipe, "--out", out],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if "training" in line:
            break
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=10)[1]
    assert process.returncode == 143
    assert said == (
        "Interrupted: finished steps are kept, and so is a training up to its last checkpoint; "
        "run the same command again to go on.\n"
    )
    assert len(list(out.glob("representation/*.checkpoint"))) == 1
    assert [status for _, status in tracked(store_of(out.parent))[0]] == ["KILLED"]
    for place in ("0", "1"):
        shown = CliRunner().invoke(app, ["run", str(recipe), "--out", str(tmp_path / place / "it")])
        assert shown.exit_code == 0, shown.output
    assert "An interrupted training goes on from its last checkpoint." in shown.output
    assert contents(out) == contents(tmp_path / "0" / "it")
    assert tracked(store_of(out.parent)) == tracked(store_of(tmp_path / "0"))


@pytest.mark.slow
def test_asked_to_end_while_it_decodes_publishes_or_writes_the_report(tmp_path):
    """Within seconds, with the exit code of the signal; a second signal does not wait."""
    for name, light in (("a", 0), ("b", 120)):
        (tmp_path / "faces").mkdir(exist_ok=True)
        folder(tmp_path / "faces" / name, noise([light] * 60, 16, light))
        (tmp_path / "faces" / name / "table.csv").unlink()
    recipe = tmp_path / "recipe.yaml"
    images = {"name": "image_folder", "root": str(tmp_path / "faces")}
    own = {"data": images, "label": "class", "attributes": [], "arms": {"uniform": "uniform"}}
    recipe.write_text(yaml.safe_dump(RECIPES["run"] | own))
    out = tmp_path / "runs" / "it"
    command = [sys.executable, SCRIPT.with_name("stopped_runs.py"), recipe, out]
    places = os.pathsep.join(map(str, [SCRIPT.parents[1], SCRIPT.parents[2]]))
    env = {**os.environ, "PYTHONPATH": places}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    codes = {"SIGINT": 130, "SIGTERM": 143}
    for one in found:
        first, *second = one["signals"]
        # The second one ends the process as signals do by themselves.
        assert one["code"] == (-signal.Signals[second[0]] if second else codes[first]), one
        assert one["seconds"] < 5, one
        assert one["decoders"][1] == 0
        assert (one["decoders"][0] > 0) == (one["place"] == "decoding")
        assert "RUNNING" not in one["states"]
    assert [one["states"] for one in found if one["place"] == "publishing"] == [["KILLED"]] * 2
    assert len(found) == 7
    shown = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert {state for _, state in tracked(store_of(out.parent))[0]} == {"FINISHED"}
