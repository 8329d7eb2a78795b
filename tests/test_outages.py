"""A tracking server that fails half-way: what that costs, and that later all is there, once."""

import re
import threading
import time

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.server import app as mlflow_app
from mlflow.server import constants
from typer.testing import CliRunner
from werkzeug.serving import make_server

from debias.commands import app
from debias.errors import TrackingError
from debias.tracking import mlflow_tracker, servers

SLOW = ["refuse", "hang", "429", "500", "503", "html"]
KINDS = ["drip", *[pytest.param(how, marks=pytest.mark.slow) for how in SLOW]]
TRAINING = {"epochs": 1, "batch_size": 16, "learning_rate": 0.005}
RECIPE = {
    "name": "small", "image_size": 16, "device": "cpu", "precision": "float32", "seeds": 1,
    "data": {"name": "synthetic", "n_train": 160, "n_validation": 48, "n_test": 60},
    "attributes": ["skin_tone_group"], "density": {"name": "histogram", "components": 1},
    "arms": {"uniform": "uniform"},
    "representation": {"model": {"name": "pca", "latent_dim": 2}},
    "classifier": {"model": {"name": "conv", "width": 2}, "training": TRAINING},
}  # fmt: skip


class Server:
    """MLflow's own server in this process, which fails in some way from some request on."""

    def __init__(self, folder) -> None:
        self.port, self.store = servers.free_port(), servers.local_store(folder)
        self.heard, self.sound, self.how = 0, 10**9, ""
        self.awake = threading.Event()
        self.listener = None

    def __enter__(self):
        self.listener = make_server("127.0.0.1", self.port, self, threaded=True)
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.awake.set()
        self.listener.shutdown()
        self.listener.server_close()

    def __call__(self, environ, start_response):
        self.heard += 1
        if self.heard <= self.sound:
            return mlflow_app.wsgi_app(environ, start_response)
        if self.how == "refuse":  # whoever is answered already
            threading.Thread(target=self.__exit__).start()
        if self.how in ("refuse", "hang"):
            self.awake.wait(30)
        status = self.how if self.how.isdecimal() else "200"
        start_response(f"{status} so", [("Content-Type", "text/html"), ("Retry-After", "60")])
        return self.dripping() if self.how == "drip" else [b"<html>Welcome</html>"]

    def dripping(self):
        while not self.awake.wait(0.2):
            yield b"{"

    def fail(self, how, after):
        """From now on be sound for so many requests; then fail."""
        self.awake.clear()
        self.heard, self.sound, self.how = 0, after, how

    def recover(self):
        closed = self.how == "refuse"
        self.awake.set()
        self.fail("", 10**9)
        if closed:
            self.__enter__()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    artifacts = servers.local_artifacts(folder).as_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(constants.BACKEND_STORE_URI_ENV_VAR, servers.local_store(folder))
        patch.setenv(constants.ARTIFACT_ROOT_ENV_VAR, "mlflow-artifacts:/")
        patch.setenv(constants.ARTIFACTS_DESTINATION_ENV_VAR, artifacts)
        patch.setenv(constants.SERVE_ARTIFACTS_ENV_VAR, "true")
        made = Server(folder)
        MlflowClient(made.store).search_experiments()  # makes the database, which takes a while
        with made:
            yield made


def typed(*arguments, code=0):
    """Seconds that a command took, and what it said."""
    begun = time.monotonic()
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == code, done.output
    return time.monotonic() - begun, " ".join(done.output.split())


def published(server):
    """Everything that the server has, in an order that does not depend on when it came.

    The experiment makes room for the next one.
    """
    client = MlflowClient(server.store)
    known = client.get_experiment_by_name("debias")
    runs = client.search_runs([known.experiment_id])
    models = client.search_logged_models([known.experiment_id])
    address = MlflowClient(f"http://127.0.0.1:{server.port}")
    made = sorted(
        (
            run.data.tags["debias.key"], run.info.status, sorted(run.data.params.items()),
            sorted((k, v) for k, v in run.data.metrics.items() if "time" not in k),
            sorted(timeless(one.path) for one in below(address, run.info.run_id)),
        )
        for run in runs
    )  # fmt: skip
    client.rename_experiment(known.experiment_id, f"was {known.experiment_id}")
    return made, sorted(str(model.status) for model in models)


def timeless(path):
    """Without the time and the random number in the name of an image."""
    return re.sub(r"\+timestamp\+\d+\+[0-9a-f-]{36}", "", path)


def below(client, run, path=None):
    for one in client.list_artifacts(run, path):
        yield from below(client, run, one.path) if one.is_dir and path is None else [one]


@pytest.fixture(scope="module")
def finished(server, tmp_path_factory):
    """Folder of a run that is published, number of requests that takes, seconds, all it has."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "small.yaml"
    # The server names its own store in the environment.
    tracking = {"uri": f"http://127.0.0.1:{server.port}"}
    recipe.write_text(yaml.safe_dump(RECIPE | {"tracking": tracking}))
    server.fail("", 10**9)
    typed("run", recipe, "--out", folder / "small")
    requests, whole = server.heard, published(server)
    server.fail("", 10**9)
    seconds, _ = typed("publish", folder / "small")
    again = published(server)
    for one, other in zip(again[0], whole[0], strict=True):
        assert one == other
    assert again == whole
    return folder / "small", requests, seconds, whole


@pytest.fixture
def impatient(monkeypatch):
    """A tenth of the patience that we have."""
    monkeypatch.setattr(mlflow_tracker, "PATIENCE", 0.9)
    monkeypatch.setattr(mlflow_tracker, "MOMENT", 0.1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    return monkeypatch


@pytest.mark.parametrize("how", KINDS)
def test_what_a_server_that_fails_half_way_lacks_is_published_later_once(
    how, server, finished, impatient
):
    folder, requests, undisturbed, whole = finished
    server.fail(how, requests // 2)
    seconds, said = typed("publish", folder, code=TrackingError.exit_code)
    print(f"{how}: {seconds:.1f} s, undisturbed {undisturbed:.1f} s")  # noqa: T201
    assert seconds < undisturbed + 3
    assert "MLflow has not all of this run" in said
    server.recover()
    impatient.undo()
    assert "MLflow has everything" in typed("publish", folder)[1]
    assert published(server) == whole


@pytest.mark.parametrize("how", KINDS)
def test_a_run_goes_on_when_its_server_fails_half_way(how, server, finished, impatient, tmp_path):
    """It ends well, says what is lacking, and all is published later, once."""
    folder, requests, _, whole = finished
    recipe, out = folder.with_name("small.yaml"), tmp_path / "small"
    server.fail(how, requests // 2)
    seconds, said = typed("run", recipe, "--out", out)
    server.recover()
    impatient.undo()
    assert "debias publish" in said
    assert "MLflow has everything" in typed("publish", out)[1]
    assert published(server) == whole
    undisturbed, _ = typed("run", recipe, "--out", tmp_path / "again")
    published(server)
    print(f"{how}: {seconds:.1f} s, undisturbed {undisturbed:.1f} s")  # noqa: T201
    assert seconds < undisturbed + 3
