"""What ``debias schedule`` refuses; that it schedules is tested with a server in tests/flows."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from debias.commands import app
from debias.tracking.servers import free_port


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndata: synthetic\n")
    return path


def refused(*arguments, server=None):
    with temporary_settings({PREFECT_API_URL: server}):
        done = CliRunner().invoke(app, ["schedule", *map(str, arguments)])
    assert done.exit_code in (1, 2)
    return " ".join(done.output.split())


def test_without_a_server_it_says_how_to_start_one(recipe):
    text = refused(recipe)
    assert "no Prefect server is named" in text
    assert "debias ui --prefect" in text
    assert "PREFECT_API_URL" in text


def test_a_server_that_does_not_answer_is_named(recipe):
    address = f"http://127.0.0.1:{free_port()}/api"
    assert f"the Prefect server at {address} does not do its part" in refused(
        recipe, server=address
    )


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
