"""What ``debias schedule`` says, and refuses; that it schedules is tested in tests/flows."""

from pathlib import Path

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from debias.commands import app
from debias.commands.schedule import unit
from debias.flows.scheduling import ENVIRONMENT, POOL, TAG, crash_silent_runs
from debias.tracking.servers import free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndata: synthetic\n")
    return path


def typed(*arguments, server=None):
    with temporary_settings({PREFECT_API_URL: server}):
        done = CliRunner().invoke(app, ["schedule", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def refused(*arguments, server=None):
    code, said = typed(*arguments, server=server)
    assert code in (1, 2)
    return said


def test_it_says_what_it_would_do_and_does_nothing(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    code, said = typed(recipe, "--cron", "0 3 * * *", "--dry-run", "--prefect-port", port)
    assert code == 0
    assert f"Prefect's server at http://127.0.0.1:{port}/api: would be started." in said
    assert f"debias-faces/mine, which runs {recipe} at '0 3 * * *', UTC, from {tmp_path}" in said
    assert said.endswith("Nothing was done.")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_server_that_does_not_answer_is_named(recipe):
    address = f"http://127.0.0.1:{free_port()}/api"
    said = refused(recipe, server=address)
    assert f"PREFECT_API_URL names {address}, where no Prefect answers" in said


def test_a_unit_of_systemd_gives_the_same_command_in_the_same_folder(tmp_path, monkeypatch):
    folder = tmp_path / "50% dark"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = unit(["schedule", "my recipe.yaml", "--systemd", "--cron", "0 3 * * *"], "")
    assert f"WorkingDirectory={tmp_path}/50%% dark\n" in text
    assert "-m debias schedule 'my recipe.yaml' --cron '0 3 * * *'\n" in text
    assert "PREFECT_API_URL" not in text
    there = unit(["schedule"], "http://me:secret@there:4200/api")
    assert 'Environment="PREFECT_API_URL=http://there:4200/api"\nExecStart=' in there


def test_runs_without_a_heartbeat_end_as_crashed_and_only_our_own():
    made = crash_silent_runs().model_dump(mode="json")
    trigger, (action,) = made["trigger"], made["actions"]
    assert trigger["posture"] == "Proactive"
    assert trigger["within"] == 180
    assert trigger["match_related"]["prefect.resource.id"] == "prefect.tag.debias"
    assert int(ENVIRONMENT["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) * 3 <= trigger["within"]
    assert (action["state"], action["name"]) == ("CRASHED", "Crashed")
    shipped = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for one in shipped:
        assert one["work_pool"] == {"name": POOL, "job_variables": {"env": ENVIRONMENT}}
        assert one["tags"] == [TAG]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cron", "0 3 * *"], 'Invalid cron string: "0 3 * *"'),
        (["--cron", "0 3 * * *", "--timezone", "Berlin"], 'Invalid timezone: "Berlin"'),
        (["--set", "sedes=3"], "sedes: unknown key"),
    ],
)
def test_what_cannot_run_is_not_scheduled(recipe, options, said):
    assert said in refused(recipe, *options)


def test_a_folder_is_no_recipe(tmp_path):
    assert "is a folder, and a schedule needs a recipe" in refused(tmp_path)
