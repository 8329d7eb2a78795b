"""Flow runs whose process, worker or server is killed: how each ends, after how many seconds."""

import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image
from station import Station, station, until

from debias.tracking import servers

RECIPE = {
    "name": "long", "image_size": 32, "seeds": 1, "device": "cpu", "precision": "float32",
    "data": {"name": "synthetic", "n_train": 1500, "n_validation": 60, "n_test": 80},
    "representation": {
        "model": {"name": "conv_vae", "latent_dim": 4, "width": 8, "hidden": 32},
        "training": {"epochs": 150, "batch_size": 16, "learning_rate": 0.003},
    },
    "density": {"name": "histogram", "components": 2}, "arms": {"uniform": "uniform"},
    "classifier": {
        "model": {"name": "conv", "width": 4}, "training": {"epochs": 1, "batch_size": 16}
    },
}  # fmt: skip


def parents():
    """Of every living process its parent, and what it was started with."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            command = (place / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(place.name)] = (int(fields[1]), command)
    return found


def below(number):
    """Processes that one has started, and so on."""
    own = [one for one, (parent, _) in parents().items() if parent == number]
    return own + [more for one in own for more in below(one)]


def started_as(module, number):
    return [one for one in below(number) if module in parents().get(one, (0, ""))[1]]


class Disturbed:
    """A station at which one long training is interrupted in every way, and always goes on."""

    def __init__(self, at: Station) -> None:
        self.at, self.begun = at, time.monotonic()
        self.out = at.folder / "out"
        self.rows: list[str] = []

    def start_worker(self):
        self.at.start_worker()
        self.worker = self.at.processes["worker"]

    def submit(self, **given):
        return self.at.submit("debias-faces/long", **{"out": str(self.out)} | given)

    def flow(self):
        """Number of the process of the flow run at work."""
        return until(lambda: started_as("prefect.engine", self.worker.pid))[0]

    def training(self):
        """Wait until a checkpoint is written from now on."""
        since = time.time()
        until(lambda: [one for one in self.out.glob("representation/*.checkpoint")
                       if one.stat().st_mtime > since])  # fmt: skip

    def kill(self, *numbers):
        self.begun = time.monotonic()
        for number in numbers:
            os.kill(number, signal.SIGKILL)

    def ended(self, what, run):
        found = self.at.ended(run, 900)
        seconds = time.monotonic() - self.begun
        state = found["state"]
        self.rows.append(f"| {what} | {state['name']} | {seconds:.0f} | {state['message']} |")
        print(self.rows[-1], flush=True)  # noqa: T201 (the table of docs/schedule.md)
        return state["type"], state["message"] or "", seconds

    def logged(self, run):
        asked = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
        return "\n".join(one["message"] for one in self.at.ask("/logs/filter", asked))


@pytest.mark.slow
@pytest.mark.server
def test_every_disturbance_ends_soon_and_the_next_run_goes_on(tmp_path):
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(RECIPE))
    with station(tmp_path) as at:
        at.schedule(tmp_path / "long.yaml")
        servers.stop(at.processes["schedule"])  # its worker, too: others are killed here
        one = Disturbed(at)
        one.start_worker()
        refused_and_retried(one)
        killed_and_cancelled(one)
        worker_killed(one)
        server_killed(one)
    assert not [command for _, command in parents().values() if str(tmp_path) in command]


def images(folder):
    return f"data={{name: image_folder, root: {folder}}}\nlabel=class\nattributes=[]"


def refused_and_retried(one):
    one.begun = time.monotonic()
    state, said, _ = one.ended("bad setting", one.submit(changes="seeds=0"))
    assert state == "FAILED"
    assert said.startswith("ConfigError: ")
    folder = one.at.folder / "faces"
    folder.mkdir()
    one.begun = time.monotonic()
    state, said, _ = one.ended("folder without images", one.submit(changes=images(folder)))
    assert state == "FAILED"
    assert said.startswith("EmptyDatasetError: "), said
    in_the_way = one.at.folder / "in the way"
    in_the_way.touch()
    one.begun = time.monotonic()
    run = one.submit(out=str(in_the_way / "run"))
    state, said, _ = one.ended("storage that fails three times", run)
    assert state == "FAILED"


def killed_and_cancelled(one):
    run = one.submit()
    one.training()
    one.kill(one.flow())
    state, _, seconds = one.ended("flow killed", run)
    assert state == "CRASHED"
    assert seconds < 60
    run = one.submit()
    one.training()
    one.begun, started = time.monotonic(), [one.flow(), *below(one.flow())]
    assert "An interrupted training goes on from its last checkpoint." in one.logged(run)
    cancelled(one, "cancelled in a training", run, started)
    cancelled_while_decoding(one)


def cancelled(one, what, run, started):
    one.at.ask(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
    until(lambda: not set(started) & set(parents()), 60)
    gone = time.monotonic() - one.begun
    assert one.ended(f"{what}; gone after {gone:.0f} s", run)[0] == "CANCELLED"


def cancelled_while_decoding(one):
    folder = one.at.folder / "many"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(5000):
            Image.effect_noise((96, 96), 60).save(folder / name / f"{number}.png")
    run = one.submit(changes=images(folder), out=str(one.at.folder / "decoded"))
    started = until(lambda: started_as("debias.decoding", one.flow()))
    one.begun = time.monotonic()
    cancelled(one, "cancelled while decoding", run, [one.flow(), *started])


def worker_killed(one):
    run = one.submit()
    one.training()
    one.kill(one.worker.pid)
    state, said, seconds = one.ended("worker killed", run)
    assert state == "CRASHED"
    assert said.startswith("The worker that started this run is gone")
    assert seconds < 60
    one.start_worker()
    run = one.submit()
    one.training()
    one.kill(one.worker.pid, one.flow())
    one.start_worker()
    waiting = one.submit()
    time.sleep(60)
    assert one.at.ask(f"/flow_runs/{waiting['id']}")["state"]["type"] == "SCHEDULED"
    state, said, seconds = one.ended("worker and flow killed", run)
    assert state == "CRASHED"
    assert said.startswith("No heartbeat for 180 s")
    assert seconds < 600
    one.training()
    one.kill(one.flow())
    assert one.ended("the one that waited meanwhile, then killed, too", waiting)[0] == "CRASHED"


def server_killed(one):
    at = one.at
    port = int(at.env[servers.PREFECT].rsplit(":", 1)[1].split("/")[0])

    def restart():
        server = at.start(servers.prefect_command(port), "prefect")
        servers.wait_until_ready(f"{at.env[servers.PREFECT]}/health", 120.0, server)

    run = one.submit()
    one.training()
    one.kill(*below(at.processes["prefect"].pid), at.processes["prefect"].pid)
    time.sleep(20)
    restart()
    one.training()  # it went on
    assert at.ask(f"/flow_runs/{run['id']}")["state"]["type"] == "RUNNING"
    flow = one.flow()
    one.kill(*below(at.processes["prefect"].pid), at.processes["prefect"].pid)
    until((one.out / "report.json").exists)
    made = time.monotonic()
    until(lambda: flow not in parents())
    lasted = time.monotonic() - made
    print(f"ended {lasted:.0f} s after its report", flush=True)  # noqa: T201
    assert lasted < 180
    restart()
    one.begun = time.monotonic()
    one.ended("server killed until after the end", run)
    run = one.submit()
    one.begun = time.monotonic()
    assert one.ended("the same again", run)[0] == "COMPLETED"
