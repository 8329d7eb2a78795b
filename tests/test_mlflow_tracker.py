import base64
import json
import logging
import multiprocessing
import socket
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.utils.validation import _validate_metric_name, _validate_param_name
from recording_tracking import RecordingTracking
from torch import nn

from debias.commands.doctor import examine_folder
from debias.errors import ConfigError, TrackingError
from debias.pipeline.recipe import SpaceRecipe, load
from debias.processes import identity
from debias.tracking import mlflow_tracker, servers
from debias.tracking.mlflow_tracker import (
    FILE_NAMES,
    NAMES,
    MlflowTracker,
    MlflowTracking,
    slug,
)
from debias.tracking.tracker import NullTracking, Tracking

KEY = "demo-1/classifier/latent/0"
TAGS = {"debias.stage": "classifier", "debias.arm": "latent", "debias.comparison": "demo-1"}
TABLE = pd.DataFrame({"group": ["a", "b"], "accuracy": [0.5, float("nan")], "n": [4, 0]})
IMAGE = np.full((4, 6, 3), 7, dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One store for all tests, which keep to experiments of their own: making one takes 2 s."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def tracking(folder, request) -> MlflowTracking:
    return MlflowTracking(servers.local_store(folder), request.node.name)


@pytest.fixture
def client(tracking) -> MlflowClient:
    return MlflowClient(tracking.uri)


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))


def publish(tracking: Tracking, folder: Path, key: str = KEY) -> None:
    """Everything a stage may tell a tracker."""
    file = folder / "network.safetensors"
    file.write_bytes(b"weights")
    with tracking.open(key, "latent seed 0", TAGS) as tracker:
        tracker.params({"arm": "latent", "optimizer": {"lr": 0.001, "name": "adam"}})
        for step in range(3):
            tracker.metrics({"train/loss": 1.0 / (step + 1), "val/loss": 2.0}, step)
        tracker.metrics({"accuracy/overall": 0.9, "fairness/undefined": float("nan")})
        tracker.tags({"note": "synthetic"})
        tracker.note("# For whom\n[all](artifact:tables/by_group.json)")
        tracker.dataset("faces", 64 * "a")
        tracker.image("reconstructions", IMAGE, 2)
        tracker.image("traversals/first", IMAGE)
        tracker.table("by_group", TABLE)
        tracker.artifact(file, "network")
        tracker.figure("latents", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        tracker.model("classifier", net(), np.ones((1, 3, 16, 16), dtype=np.float32))


def run_ids(tracking: MlflowTracking) -> list[str]:
    """Ids of the stored runs, oldest first."""
    oldest_first = ["attributes.start_time ASC"]
    found = MlflowClient(tracking.uri).search_runs([tracking.experiment_id], order_by=oldest_first)
    return [run.info.run_id for run in found]


def only_run(client: MlflowClient, tracking: MlflowTracking):
    (run_id,) = run_ids(tracking)
    return client.get_run(run_id)


def files(client: MlflowClient, run_id: str, folder: str | None = None) -> list[str]:
    found = client.list_artifacts(run_id, folder)
    return [f for e in found for f in (files(client, run_id, e.path) if e.is_dir else [e.path])]


def test_every_tracking_takes_the_same_calls(tmp_path):
    """As the one of MLflow does below."""
    for tracking in (NullTracking(), RecordingTracking()):
        publish(tracking, tmp_path)
        assert tracking.finished(KEY)
        assert isinstance(tracking.link(), str | None)


def test_a_run_holds_what_the_tracker_was_told_once(tracking, client, folder, tmp_path):
    publish(tracking, tmp_path)
    assert tracking.finished(KEY)
    run = only_run(client, tracking)
    assert run.info.run_name == "latent seed 0"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"arm": "latent", "optimizer.lr": "0.001", "optimizer.name": "adam"}
    assert run.data.metrics == {"train/loss": 0.333333, "val/loss": 2.0, "accuracy/overall": 0.9}
    assert run.data.tags.items() >= {**TAGS, "note": "synthetic", "debias.run_key": KEY}.items()
    assert run.data.tags["debias.owner"] == identity()
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in losses] == [(0, 1.0), (1, 0.5), (2, 0.333333)]
    stored = files(client, run.info.run_id)
    assert {"network/network.safetensors", "figures/latents.svg"} <= set(stored)
    assert "mlflow.parentRunId" not in run.data.tags  # nested runs are collapsed in the pages
    page = f"#/experiments/{tracking.experiment_id}/runs/{run.info.run_id}"
    expected = f"# For whom\n[all]({page}/artifacts/tables/by_group.json)"
    assert run.data.tags["mlflow.note.content"] == expected
    assert list((folder / "mlartifacts").rglob("network.safetensors"))
    assert tracking.link() == str(folder / "mlflow.db")

    # The same again, then from another process: nothing is stored twice.
    for attempt in ("2", "3"):
        publish(tracking, tmp_path)
        run = only_run(client, tracking)
        assert run.data.tags["debias.attempt"] == attempt
        assert run.info.status == "FINISHED"
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 3
        assert files(client, run.info.run_id) == stored
        assert len(client.search_logged_models([tracking.experiment_id])) == 1
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("faces", 36 * "a")
        tracking = MlflowTracking(tracking.uri, tracking.experiment)
    table = Path(client.download_artifacts(run.info.run_id, "tables/by_group.json")).read_text()
    assert len(pd.read_json(StringIO(table), orient="split")) == len(TABLE)


def test_floating_point_residue_is_not_shown(tracking, client):
    values = {"gap": 0.04400000000000004, "n": 1234567.0, "variance": 6.1234567e-5}
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.metrics(values)
    shown = {"gap": 0.044, "n": 1234567.0, "variance": 6.12346e-5}
    assert only_run(client, tracking).data.metrics == shown


def test_a_continued_run_takes_the_name_of_the_last_attempt(tracking, client):
    for name in ("latent seed 0", "tiny: Latent weights (latent), seed 0"):
        with tracking.open(KEY, name, {}):
            pass
    assert only_run(client, tracking).info.run_name == name


def test_the_place_below_the_working_directory_is_not_told(tracking, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert tracking.link() == f"{folder.name}/mlflow.db"


def test_undefined_metrics_are_named_and_not_stored(tracking, client):
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.metrics({"b": float("nan"), "a": float("inf"), "c": 0.0})
        tracker.metrics({"d": float("nan"), "b": float("nan")})
    run = only_run(client, tracking)
    assert run.data.metrics == {"c": 0.0}
    assert run.data.tags["debias.not_estimable"] == "a,b,d"
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.metrics({"b": 1.0})
    assert "debias.not_estimable" not in only_run(client, tracking).data.tags


def test_more_metrics_than_one_call_takes(tracking, client):
    values = {f"group/{number}": float(number) for number in range(1203)}
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.metrics(values)
        tracker.params({f"p{number}": number for number in range(203)})
    run = only_run(client, tracking)
    assert run.data.metrics == values
    assert len(run.data.params) == 203


def test_a_changed_parameter_keeps_the_first_value_and_is_reported(tracking, client, caplog):
    for value in ("first", "second"):
        with tracking.open(KEY, "run", {}) as tracker:
            tracker.params({"rule": value, "long": "x" * 7000})
    run = only_run(client, tracking)
    assert run.data.params == {"rule": "first", "long": "x" * 6000}
    assert run.info.status == "FINISHED"
    assert "parameter rule is first in MLflow and stays so; this attempt has second" in caplog.text


def test_names_that_mlflow_refuses_are_replaced_and_listed(tracking, client):
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.metrics({"group_accuracy/skin=dark": 0.5, "größe": 1.0, "gruße": 2.0})
    run = only_run(client, tracking)
    shown = json.loads(run.data.tags["debias.metric_names"])
    assert shown["group_accuracy/skin:dark"] == "group_accuracy/skin=dark"
    assert sorted(shown.values()) == ["group_accuracy/skin=dark", "gruße", "größe"]
    assert {shown.get(name): v for name, v in run.data.metrics.items()} == {
        "group_accuracy/skin=dark": 0.5,
        "größe": 1.0,
        "gruße": 2.0,
    }


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("accuracy/worst_group", "accuracy/worst_group"),
        ("skin=dark x sex=f", "skin:dark x sex:f"),
        ("a" * 250, "a" * 250),
    ],
)
def test_names_that_mlflow_takes_stay_readable(name, accepted):
    assert slug(name, NAMES) == accepted


@given(st.text(max_size=300))
def test_every_name_becomes_one_that_mlflow_takes(name):
    accepted = slug(name, NAMES)
    _validate_metric_name(accepted)
    _validate_param_name(accepted)
    assert len(accepted) <= 250
    assert not FILE_NAMES.search(slug(name, FILE_NAMES))


def test_similar_names_stay_apart():
    assert len({slug(name, NAMES) for name in ("a|b", "a?b", "a_b", "a" * 251, "a" * 252)}) == 5


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_an_interrupted_run_says_so_and_can_be_finished(tracking, client, error, status):
    def interrupted() -> None:
        with tracking.open(KEY, "run", {}) as tracker:
            tracker.metrics({"a": 1.0}, 0)
            assert only_run(client, tracking).info.status == "RUNNING"
            raise error

    with pytest.raises(error):
        interrupted()
    assert only_run(client, tracking).info.status == status
    assert not tracking.finished(KEY)
    with tracking.open(KEY, "run", {}):
        pass
    assert tracking.finished(KEY)
    assert only_run(client, tracking).info.status == "FINISHED"


def test_only_finished_keys_are_finished(tracking):
    assert not tracking.finished(KEY)
    with tracking.open(KEY, "run", {}):
        assert not tracking.finished(KEY)
    assert tracking.finished(KEY)
    assert not tracking.finished(KEY + "/other")


def test_a_missing_file_is_the_callers_mistake(tracking, tmp_path):
    with tracking.open(KEY, "run", {}) as tracker, pytest.raises(FileNotFoundError, match="absent"):
        tracker.artifact(tmp_path / "absent")


def test_a_folder_is_stored_with_its_name(tracking, client, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<html></html>")
    with tracking.open(KEY, "run", {}) as tracker:
        tracker.artifact(tmp_path / "report")
    assert files(client, only_run(client, tracking).info.run_id) == ["report/report.html"]


class TestModel:
    @pytest.fixture
    def log(self, tracking, client):
        def log(module: nn.Module) -> str:
            example = np.ones((1, 3, 16, 16), dtype=np.float32)
            with tracking.open(KEY, "run", {}) as tracker:
                tracker.model("classifier", module, example)
            (model,) = client.search_logged_models([tracking.experiment_id])
            return model.model_id

        mlflow.set_tracking_uri(tracking.uri)
        yield log
        mlflow.set_tracking_uri(None)

    def test_it_loads_without_a_pixel_and_computes_the_same_for_any_batch(
        self, log, tracking, client
    ):
        module = net().train()
        where = client.get_logged_model(log(module)).artifact_location.removeprefix("file://")
        assert module.training  # left as it was
        batch = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        expected = module.eval()(batch).detach().numpy()
        uri = f"runs:/{run_ids(tracking)[0]}/classifier"
        loaded = mlflow.pytorch.load_model(uri)
        np.testing.assert_allclose(loaded(batch).detach().numpy(), expected, atol=1e-5)
        predicted = mlflow.pyfunc.load_model(uri).predict(batch.numpy())
        np.testing.assert_allclose(predicted, expected, atol=1e-5)
        stored = np.asarray(json.loads(Path(where, "input_example.json").read_text()))
        assert stored.shape == (2, 3, 16, 16)
        assert not stored.any()
        stated = Path(where, "requirements.txt").read_text().splitlines()
        assert [line.split("==")[0] for line in stated] == ["mlflow", "numpy", "torch"]
        assert "+" not in "".join(stated)  # anybody can install them

    def test_the_same_weights_are_stored_once_and_others_replace_them(self, log):
        module = net()
        first = log(module)
        assert log(module) == first
        with torch.no_grad():
            module[-1].bias += 1
        assert log(module) != first

    def test_the_active_run_of_the_thread_is_not_touched(self, log, tracking):
        other = mlflow.set_experiment(experiment_id=tracking.experiment_id)
        with mlflow.start_run(experiment_id=other.experiment_id) as mine:
            log(net())
            assert mlflow.active_run().info.run_id == mine.info.run_id
            assert MlflowClient(tracking.uri).get_run(mine.info.run_id).outputs.model_outputs == []


class TestOutage:
    def test_a_server_that_is_not_there_costs_seconds_and_one_warning(self, tmp_path, caplog):
        start = time.monotonic()
        with caplog.at_level(logging.WARNING, "debias"):
            away = MlflowTracking(f"http://127.0.0.1:{servers.free_port()}", "faces")
            publish(away, tmp_path)
            away.provision_views()
        assert time.monotonic() - start < 5
        assert not away.finished(KEY)
        assert away.reconcile() == []
        assert away.link() is None
        assert away.links("http://127.0.0.1:1") == {}
        ours = [r.getMessage() for r in caplog.records if r.name.startswith("debias")]
        assert len(ours) == 1
        assert "cannot be reached" in ours[0]
        assert "Connection refused" in away.lost

    def test_a_server_that_hangs_costs_two_waits(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(8)
            start = time.monotonic()
            publish(MlflowTracking(f"http://127.0.0.1:{silent.getsockname()[1]}", "x"), tmp_path)
        assert time.monotonic() - start < 4

    @pytest.mark.parametrize("error", [ConnectionError("gone"), MlflowException("500")])
    def test_an_outage_in_mid_run_is_made_up_for_later(
        self, tracking, client, tmp_path, monkeypatch, error
    ):
        calls = []

        def away(*arguments, **keywords):
            calls.append(arguments)
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(MlflowClient, "log_image", away)
            publish(tracking, tmp_path)
        assert len(calls) == 1
        assert not tracking.finished(KEY)
        again = MlflowTracking(tracking.uri, tracking.experiment)
        assert only_run(client, again).info.status == "RUNNING"
        assert not again.finished(KEY)
        publish(again, tmp_path)
        run = only_run(client, again)
        assert run.info.status == "FINISHED"
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 3
        assert len(files(client, run.info.run_id, "images")) == 4

    @staticmethod
    def publish_with_a_refusal(tracking, monkeypatch, refusal):
        """A picture that is refused, and a number that is not."""

        def refuse(*arguments, **keywords):
            raise refusal

        with tracking.open(KEY, "run", {}) as tracker:
            with monkeypatch.context() as picky:
                picky.setattr(MlflowClient, "log_image", refuse)
                tracker.image("face", IMAGE)
            tracker.metrics({"a": 1.0})

    def test_a_refused_value_is_left_out_alone(self, tracking, client, monkeypatch, caplog):
        refusal = MlflowException.invalid_parameter_value("not like this")
        self.publish_with_a_refusal(tracking, monkeypatch, refusal)
        assert only_run(client, tracking).data.metrics == {"a": 1.0}
        assert "MLflow refused a value, which is left out: not like this" in caplog.text
        assert tracking.finished(KEY)
        assert tracking.lost == ""

    def test_one_refused_call_is_no_outage_but_the_run_is_not_complete(
        self, tracking, client, monkeypatch
    ):
        """Another process has deleted what this one was about to use."""
        gone = MlflowException("no such model", error_code=RESOURCE_DOES_NOT_EXIST)
        self.publish_with_a_refusal(tracking, monkeypatch, gone)
        assert only_run(client, tracking).data.metrics == {"a": 1.0}
        assert not tracking.finished(KEY)
        assert tracking.lost == "no such model"
        with tracking.open(KEY, "run", {}) as tracker:
            tracker.image("face", IMAGE)
        assert tracking.finished(KEY)

    def test_a_run_says_whose_it_is_from_the_moment_it_exists(self, tracking, monkeypatch):
        """A kill right after its creation leaves nothing that nobody would end."""
        monkeypatch.setattr(MlflowTracker, "__init__", lambda *arguments: 1 / 0)
        with tracking.open(KEY, "run", TAGS):
            pass
        run = only_run(MlflowClient(tracking.uri), tracking)
        assert run.data.tags.items() >= {**TAGS, "debias.owner": identity()}.items()
        assert "division by zero" in tracking.lost

    def test_a_database_without_its_driver_stops_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pymysql", None)
        away = MlflowTracking("mysql+pymysql://127.0.0.1/x", "faces")
        publish(away, tmp_path)
        assert "pymysql" in away.lost

    @pytest.mark.parametrize(
        "answer", ["refuse", "hang", "drip", "401", "429", "500", "503", "html"]
    )
    def test_no_failing_server_costs_more_than_its_share(self, tmp_path, monkeypatch, answer):
        """At most 10 s; here with every patience a tenth of that."""
        monkeypatch.setattr(mlflow_tracker, "PATIENCE", 0.9)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        with failing(answer) as address:
            begun = time.monotonic()
            away = MlflowTracking(address, "faces")
            publish(away, tmp_path)
            away.provision_views()
            assert away.reconcile() == []
        assert time.monotonic() - begun < 2.5
        assert away.lost

    def test_a_secret_in_the_address_is_told_nowhere(self, tmp_path, caplog):
        with failing("500") as address:
            away = MlflowTracking(f"{address}/?token=S3CRET", "faces")
            publish(away, tmp_path)
        assert away.lost
        assert "S3CRET" not in f"{caplog.text}{away.lost}{away.link()}{away.links(address)}"
        for uri in (f"{address}/?token=S3CRET", f"{address}/#S3CRET", "http://me:S3CRET@host/"):
            with pytest.raises(ConfigError, match=r"tracking\.uri.*MLFLOW_TRACKING_URI") as raised:
                load(SpaceRecipe, None, [f"tracking.uri={uri}"])
            assert "S3CRET" not in str(raised.value)

    def test_warnings_are_heard_after_a_model_was_published(self, tracking, tmp_path):
        before = logging.root.level
        publish(tracking, tmp_path)
        assert logging.root.level == before


@contextmanager
def failing(answer: str):
    """Address of a server that fails in this way."""
    if answer == "refuse":
        yield f"http://127.0.0.1:{servers.free_port()}"
        return
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if answer == "hang":
                done.wait(30)
                return
            status = int(answer) if answer.isdecimal() else 200
            self.send_response(status)
            self.send_header("Retry-After", "60")
            self.end_headers()
            while answer == "drip" and not done.wait(0.2):
                self.wfile.write(b"{")
                self.wfile.flush()
            self.wfile.write(b"<html>Welcome</html>")

        do_POST = do_PUT = do_PATCH = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        done.set()
        server.shutdown()
        server.server_close()


class TestConfiguration:
    @pytest.mark.parametrize(
        "uri",
        ["ftp://host/x", "file:///tmp/mlruns", "mlruns", "", "sqlite://", "sqlite:///:memory:"],
    )
    def test_an_address_that_cannot_work_is_refused(self, uri):
        with pytest.raises(TrackingError, match="tracking address"):
            MlflowTracking(uri, "faces")

    def test_a_password_is_not_repeated(self):
        with pytest.raises(TrackingError) as raised:
            MlflowTracking("ftp://me:secret@host/x", "faces")
        assert "secret" not in str(raised.value)

    def test_a_store_in_a_place_that_is_no_folder_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(TrackingError, match="cannot be used"):
            MlflowTracking(f"sqlite:///{tmp_path}/file/mlflow.db", "faces")

    def test_a_file_that_is_no_database_is_refused(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at" * 9)
        with pytest.raises(TrackingError, match="cannot be used"):
            MlflowTracking(servers.local_store(tmp_path), "faces")

    def test_a_deleted_experiment_stays_deleted_and_the_next_takes_its_place(
        self, tracking, client, caplog
    ):
        client.delete_experiment(tracking.experiment_id)
        second = MlflowTracking(tracking.uri, tracking.experiment)
        assert second.experiment == f"{tracking.experiment}-2"
        assert f"this run is recorded in '{second.experiment}'" in caplog.text
        again = MlflowTracking(tracking.uri, tracking.experiment)
        assert again.experiment_id == second.experiment_id
        client.delete_experiment(second.experiment_id)
        third = MlflowTracking(tracking.uri, tracking.experiment)
        assert third.experiment == f"{tracking.experiment}-3"
        with third.open("k", "run", {}) as tracker:
            tracker.metrics({"x": 1.0})
        assert third.finished("k")
        assert client.get_experiment(tracking.experiment_id).lifecycle_stage == "deleted"

    def test_an_experiment_whose_files_a_server_keeps_is_refused(self, tracking, client):
        client.create_experiment("served", "mlflow-artifacts:/7")
        with pytest.raises(TrackingError, match="belong to an MLflow server"):
            MlflowTracking(tracking.uri, "served")

    def test_quotes_in_a_key_are_refused(self, tracking):
        with pytest.raises(ValueError, match="quotes"):
            tracking.finished("it's")


def race(uri: str, key: str, start, told) -> None:
    start.wait()
    try:
        with MlflowTracking(uri, "faces").open(key, "run", {}) as tracker:
            tracker.metrics({"a": 1.0})
        told.put("")
    except Exception as error:
        told.put(repr(error))


def test_four_processes_may_start_on_an_empty_store_at_once(tmp_path):
    uri = servers.local_store(tmp_path / "made later")
    forked = multiprocessing.get_context("fork")
    start, told = forked.Barrier(4), forked.Queue()
    racers = [forked.Process(target=race, args=(uri, f"key/{n}", start, told)) for n in range(4)]
    for racer in racers:
        racer.start()
    assert [told.get(timeout=60) for _ in racers] == ["", "", "", ""]
    for racer in racers:
        racer.join()
    tracking = MlflowTracking(uri, "faces")
    assert len(run_ids(tracking)) == 4
    assert all(tracking.finished(f"key/{n}") for n in range(4))


def test_runs_of_dead_processes_are_ended(tracking, client, folder):
    """By number and start: a number is given away again. Strange owners are left alone."""
    number, start, machine = identity().split("-")
    owners = {
        "dead": f"999999999-1-{machine}",
        "replaced": f"{number}-{int(start) - 1}-{machine}",
        "alive": identity(),
        "elsewhere": f"999999999-1-{'0' * 8}",
        "strange": f"me:you-{machine}",
    }
    runs = {
        name: client.create_run(tracking.experiment_id, tags={"debias.owner": owner}).info.run_id
        for name, owner in owners.items()
    }
    gone = {runs["dead"], runs["replaced"]}
    (found,) = [one for one in examine_folder(folder) if one.area == "tracking"]
    assert found.state == "warning"
    assert found.text.startswith("2 tracked runs of dead processes still RUNNING")
    assert set(tracking.reconcile()) == gone
    status = {name: client.get_run(run_id).info.status for name, run_id in runs.items()}
    assert [name for name in status if status[name] == "KILLED"] == ["dead", "replaced"]
    assert tracking.reconcile() == []
    assert tracking.lost == ""


class TestPages:
    def test_links_open_the_latest_report_of_each_recipe(self, tracking):
        runs = {}
        for recipe, stage in [
            ("a", "comparison"), ("b", "comparison"), ("a", "audit"), ("a", "comparison"),
        ]:  # fmt: skip
            tags = {"debias.stage": stage, "debias.name": recipe}
            with tracking.open(f"key/{len(runs)}", stage, tags) as tracker:
                runs[recipe, stage] = tracker.run_id
        links = tracking.links("http://127.0.0.1:5001/")
        page = f"http://127.0.0.1:5001/#/experiments/{tracking.experiment_id}/runs"
        by_arm = "viewStateShareKey=classifier-bias-by-arm&compareRunsMode=CHART"
        assert links == {
            "a, report": f"{page}/{runs['a', 'comparison']}/artifacts/report.html",
            "a, for whom": f"{page}/{runs['a', 'comparison']}/artifacts/for_whom.html",
            "b, report": f"{page}/{runs['b', 'comparison']}/artifacts/report.html",
            "b, for whom": f"{page}/{runs['b', 'comparison']}/artifacts/for_whom.html",
            "a, audit": f"{page}/{runs['a', 'audit']}/artifacts/audit.html",
            "methods": f"{page}?workflowType=machine_learning&viewStateShareKey=methods",
            "by arm": f"{page}?workflowType=machine_learning&{by_arm}",
            "each training": f"{page}?workflowType=machine_learning&"
            "viewStateShareKey=classifier-bias",
            "everything": f"{page}?workflowType=machine_learning",
        }
        assert max(map(len, links.values())) < 150

    def test_every_linked_view_is_saved_and_begins_with_the_groups(self, tracking, client):
        rates = {"accuracy by group/race:a": 0.9, "accuracy by group/race:b": 0.7, "val/loss": 1.0}
        limits = {f"accuracy by group/race:a_{end}": 0.5 for end in ("low", "high")}
        with tracking.open(KEY, "run", TAGS) as tracker:
            tracker.metrics(rates | limits)
        for key, arm in (("seed 1", "latent"), ("other", "groups")):  # b: 0.6, then another arm's
            with tracking.open(key, key, {"debias.arm": arm}) as tracker:
                tracker.metrics({"accuracy by group/race:b": 0.5 if arm == "latent" else 1.0})
        tracking.provision_views("flow-1", [KEY, "seed 1", "other"])
        tags = client.get_experiment(tracking.experiment_id).tags
        views = {name: self.unpacked(tags, name) for name in self.linked(tracking)}
        assert set(views) == {"classifier-bias", "classifier-bias-by-arm", "methods"}
        state = views.pop("methods")
        asked = "tags.`debias.stage` = 'method' AND tags.`debias.comparison` = 'flow-1'"
        assert (state["searchFilter"], state["groupBy"]) == (asked, None)
        assert state["selectedColumns"] == [
            *(f"metrics.`accuracy/{name}`" for name in ("overall", "worst_group", "gap")),
            "metrics.`time/relative_to_plain`",
            *(f"tags.`debias.{name}`" for name in ("method", "group_labels", "verdict")),
        ]
        state = views["classifier-bias-by-arm"]
        assert "tags.`debias.comparison` = 'flow-1'" in state["searchFilter"]
        assert state["orderByKey"] == "metrics.`accuracy/worst_group`"
        assert "metrics.`fairness/equalized_odds_difference`" in state["selectedColumns"]
        (by,) = state["groupBy"]["groupByKeys"]
        assert by == {"mode": "tag", "groupByData": "debias.arm_title"}
        for view in views.values():
            shown = [one["name"] for one in view["compareRunSections"]]
            assert shown == ["accuracy by group", "classifier bias"]
            charts = [c["metricKey"] for c in view["compareRunCharts"] if not c["deleted"]]
            assert charts[:2] == ["accuracy by group/race:b", "accuracy by group/race:a"]
            assert charts[2:3] == ["accuracy/worst_group"]

    def linked(self, tracking) -> set[str]:
        links = tracking.links("http://127.0.0.1:5001").values()
        asked = [part for link in links for part in link.partition("?")[2].split("&")]
        mark = "viewStateShareKey="
        return {part.removeprefix(mark) for part in asked if part.startswith(mark)}

    def unpacked(self, tags, name: str) -> dict[str, object]:
        view = json.loads(tags[f"mlflow.sharedViewState.{name}"])
        method, packed = view["state"].split(";")
        assert method == "deflate"
        return json.loads(zlib.decompress(base64.b64decode(packed)))


class Served:
    """An MLflow server of this test, which can be away for a while."""

    def __init__(self, folder: Path) -> None:
        self.port = servers.free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.start()

    def start(self) -> None:
        command = servers.mlflow_command(self.folder, self.port)
        settings, log = servers.server_environment(), self.folder / "log"
        self.process = servers.start(command, settings, log)
        servers.wait_until_ready(f"{self.address}/health", 300.0, self.process)

    def stop(self) -> None:
        servers.stop(self.process)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.stop()


@pytest.mark.server
class TestServer:
    def test_everything_is_found_there(self, served, tmp_path):
        tracking, client = MlflowTracking(served.address, "faces"), MlflowClient(served.address)
        publish(tracking, tmp_path)
        assert tracking.finished(KEY)
        run = only_run(client, tracking)
        assert run.data.metrics["accuracy/overall"] == 0.9
        assert run.inputs.dataset_inputs[0].dataset.name == "faces"
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 3
        assert len(files(client, run.info.run_id, "images")) == 4
        assert "tables/by_group.json" in files(client, run.info.run_id)
        assert tracking.link() == tracking.links(served.address)["by arm"]
        page = f"{served.address}/#/experiments/{tracking.experiment_id}/runs/{run.info.run_id}"
        assert tracking.link(KEY) == page

    def test_the_model_loads_from_there(self, served):
        client = MlflowClient(served.address)
        experiment = client.get_experiment_by_name("faces").experiment_id
        (model,) = client.search_logged_models([experiment])
        assert (model.name, str(model.status)) == ("classifier", "READY")
        mlflow.set_tracking_uri(served.address)
        loaded = mlflow.pytorch.load_model(f"models:/{model.model_id}")
        mlflow.set_tracking_uri(None)
        batch = torch.zeros(3, 3, 16, 16)
        expected = net().eval()(batch).detach().numpy()
        np.testing.assert_allclose(loaded(batch).detach().numpy(), expected, atol=1e-5)

    def test_what_an_outage_left_out_is_made_up_for(self, served):
        before = MlflowTracking(served.address, "faces")
        with before.open("key/2", "run", {}) as tracker:
            tracker.metrics({"a": 1.0}, 0)
            served.stop()
            tracker.metrics({"a": 2.0}, 1)
        assert not before.finished(KEY)  # nobody can tell while it is away
        served.start()
        after = MlflowTracking(served.address, "faces")
        assert after.finished(KEY)
        assert not after.finished("key/2")
        with after.open("key/2", "run", {}) as tracker:
            tracker.metrics({"a": 1.0}, 0)
            tracker.metrics({"a": 2.0}, 1)
        assert after.finished("key/2")
        again = run_ids(after)[-1]
        history = MlflowClient(served.address).get_metric_history(again, "a")
        assert [(m.step, m.value) for m in history] == [(0, 1.0), (1, 2.0)]
