"""The same run by this process and by Dask workers, some of which die."""

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from hashlib import sha256

import psutil
import pytest
import yaml
from counting import Counting

from debias.errors import ArtifactCorruptError, ConfigError, WorkerError
from debias.pipeline import mitigate, open_run
from debias.pipeline.plans import Stop, walk
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.workers import Pool, hired
from debias.tracking.tracker import TrackingOptions, choose_tracking
from debias.weighting import WEIGHTINGS

pytest.importorskip("distributed", reason="the extra debias[workers] is not installed")

KILLS = max(2, int(os.environ.get("DEBIAS_KILLS", "0")) // 20)  # of workers here, and elsewhere
TRAINING = "{epochs: 4, batch_size: 16, learning_rate: 0.003}"
SETTINGS = [
    "image_size=16", "seeds=2", "data.n_train=160", "data.n_validation=24", "data.n_test=80",
    "data.population.dark_share=0.4",
    "arms={uniform: uniform, groups: {name: group_balance, allow_degenerate: true}, "
    "latent: {name: latent_rarity, ess: 0.5, allow_degenerate: true}}",
    "representation={model: {name: pca, latent_dim: 2}}",
    "density={name: histogram, components: 1}",
    f"classifier.training={TRAINING}", "classifier.model={name: conv, width: 2}",
    "device=cpu", "precision=float32",
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The last bits of a training depend on its threads, and workers share those there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def workers_of_this_process():
    below = psutil.Process().children(recursive=True)
    return [one for one in below if "spawn_main" in " ".join(one.cmdline())]


def opened(out, *more, progress=None):
    return open_run(load(RunConfig, None, [*SETTINGS, *more]), out, progress=progress)


def run(out, *more, progress=None):
    job = opened(out / "run", *more, progress=progress)
    mitigate(job.with_tracking(choose_tracking(TrackingOptions(), out)))
    return out


def made(out):
    """Every file that decides, by its content; and the tracked metrics."""
    found = {
        str(file.relative_to(out)): sha256(file.read_bytes()).hexdigest()
        for pattern in ("*.npy", "*.safetensors", "*.parquet")
        for file in out.rglob(pattern)
        if "mlartifacts" not in file.parts and "mlruns" not in file.parts
    }
    with sqlite3.connect(out / "mlflow.db") as store:
        runs = store.execute("select name, status from runs order by name").fetchall()
        metrics = store.execute(
            "select r.name, m.key, m.step, m.value from metrics m join runs r using (run_uuid) "
            "where m.key not like 'time/%' order by 1, 2, 3, 4"
        ).fetchall()
    report = json.loads((out / "run" / "report.json").read_text())
    return found, runs, metrics, report["arms"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone"))


class Killing(Counting):
    """Kills the worker that begins the first training of an arm."""

    def __init__(self):
        super().__init__()
        self.killed, self.notes = 0, []

    def start(self, title, total):
        if title == "Classifier groups, seed 0" and not self.killed:
            self.killed = max(workers_of_this_process(), key=lambda one: one.cpu_times().user).pid
            os.kill(self.killed, signal.SIGKILL)
        return super().start(title, total)

    def note(self, text):
        self.notes.append(text)


def test_two_workers_of_which_one_is_killed_make_what_one_process_makes(tmp_path, undisturbed):
    """To the last byte: its piece begins again elsewhere, and is tracked once."""
    progress = Killing()
    environment = dict(os.environ)
    assert made(run(tmp_path, "workers=2", progress=progress)) == made(undisturbed)
    assert workers_of_this_process() == []
    assert dict(os.environ) == environment
    assert progress.killed
    assert sum("A worker is gone" in note for note in progress.notes) == 1


def dies(job, **inputs):
    os.kill(os.getpid(), signal.SIGKILL)


def refuses(job, **inputs):
    raise ArtifactCorruptError("a file is not as sealed", "delete it")


def sleeps(job, **inputs):
    time.sleep(60)


def assert_tells_nobody(connections):
    """Who has no certificate is told nothing, and only on this machine."""
    at = {one.laddr for one in connections if one.status == psutil.CONN_LISTEN}
    assert {host for host, _ in at} == {"127.0.0.1"}
    for _, port in at:
        with pytest.raises(OSError, match=r"404|disconnected|reset|closed|EOF|timed out"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/info/main/workers.html", timeout=2)


def test_what_ends_a_piece_ends_the_run_and_says_so(tmp_path):
    with Pool(opened(tmp_path, "workers=2")) as pool:
        refused, waiting = pool.do(refuses, "faces", {}), pool.do(sleeps, "weights groups", {})
        with pytest.raises(ArtifactCorruptError, match="a file is not as sealed; delete it"):
            pool.result(waiting)
        assert_tells_nobody(psutil.Process().net_connections("tcp"))
        died = pool.do(dies, "weights latent", {})
        with pytest.raises(WorkerError, match="weights latent was begun 2 times, and its worker"):
            pool.alone(died)
        assert refused.status == "error"


@pytest.fixture(scope="module")
def cluster():
    """Two workers that somebody else started."""
    import dask
    from distributed import LocalCluster

    threads = {"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}}
    with (
        dask.config.set(threads),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


@pytest.mark.slow
def test_workers_behind_an_address_are_used_and_left_alone(tmp_path, undisturbed, cluster):
    address = cluster.scheduler_address
    assert made(run(tmp_path, f"workers={address}")) == made(undisturbed)
    assert len(cluster.scheduler.workers) == 2


@contextmanager
def killing(chance, longest):
    """Kills a worker at some time of a run; yields what it killed."""
    killed, over = [], threading.Event()

    def kill():
        over.wait(chance.uniform(0, longest))
        while not over.is_set():
            if there := workers_of_this_process():
                killed.append(chance.choice(there).pid)
                os.kill(killed[0], signal.SIGKILL)
                return
            over.wait(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "behind an address"])
def test_workers_that_are_killed_at_any_time_change_nothing(where, tmp_path, undisturbed, request):
    workers = "2" if where == "here" else request.getfixturevalue("cluster").scheduler_address
    chance, longest, kills, expected = random.Random(where), 20.0, 0, made(undisturbed)
    for number in itertools.count():
        begun = time.monotonic()
        with killing(chance, longest) as killed:
            assert made(run(tmp_path / str(number), f"workers={workers}")) == expected
        longest, kills = min(longest, time.monotonic() - begun), kills + len(killed)
        if kills >= KILLS:
            break


@pytest.mark.parametrize(
    ("workers", "said"),
    [("tcp://127.0.0.1:9", "no Dask scheduler answers at workers='tcp://127.0.0.1:9'"),
     ("tls://127.0.0.1:9", "wants a certificate, and Dask was given none"),
     ("0", "workers: a number of workers, 1 to 256, or the address .* is needed, got 0"),
     ("many", "is needed, got 'many'"), ("tcp://here:port", "is needed"),
     ("tcp://here/x", "is needed"), ("-1", "is needed"), ("257", "is needed")],
)  # fmt: skip
def test_a_wrong_number_or_address_is_one_paragraph(tmp_path, workers, said, monkeypatch):
    monkeypatch.setattr("debias.pipeline.workers.PATIENCE", 1)
    with pytest.raises(ConfigError, match=said):
        run(tmp_path, f"workers={workers}")


@pytest.mark.slow
def test_ctrl_c_ends_all_workers_within_seconds_and_the_rest_is_made_later(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(load_tree("classifier.training.epochs=200")))
    command = [sys.executable, "-m", "debias", "run", str(recipe), "--workers", "2", "--out",
               str(tmp_path / "out" / "run")]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )  # fmt: skip
    while not list((tmp_path / "out").glob("run/weights/*/manifest.json")):
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(3)
    below = psutil.Process(process.pid).children(recursive=True)
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert time.monotonic() - asked < 15
    assert "Interrupted: finished steps are kept" in said
    assert "Traceback" not in said
    psutil.wait_procs(below, timeout=5)
    assert not [one for one in below if one.is_running() and one.status() != "zombie"]
    assert list((tmp_path / "out" / "run" / "classifier").glob("*checkpoint*"))


@pytest.mark.slow
def test_a_run_that_is_cancelled_at_any_time_is_finished_by_the_same_command(tmp_path, undisturbed):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(load_tree()))
    chance, longest, cancelled, expected = random.Random(0), 25.0, 0, made(undisturbed)
    for number in itertools.count():
        out = tmp_path / str(number)
        command = [sys.executable, "-m", "debias", "run", str(recipe), "--workers", "2", "--out",
                   str(out / "run")]  # fmt: skip
        told = tmp_path / f"{number}.txt"
        given = {"env": os.environ | {"OMP_NUM_THREADS": "1"}, "stderr": told.open("w")}
        begun = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True, **given)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, longest))
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGINT)
            # The second before it has begun.
            assert process.wait(30) in {130, -signal.SIGINT}, told.read_text()
            psutil.wait_procs(below, timeout=5)
            assert not [one for one in below if one.is_running() and one.status() != "zombie"]
            subprocess.run(command, check=True, **given)
            cancelled += 1
        assert process.returncode in {0, 130, -signal.SIGINT}
        longest = min(longest, time.monotonic() - begun)
        assert made(out) == expected
        if cancelled >= max(1, KILLS // 2):
            break


def load_tree(*more):
    from debias.plugins import dump

    return dump(load(RunConfig, None, [*SETTINGS, *more]))


def test_a_plan_is_walked_with_what_is_not_there_yet():
    """Pieces take what stands for the results; looking at one waits for it."""
    waited, first = [], Stop("first", None)

    def each(config, made):
        yield ("a",)
        waited.append(made["second/a"])
        yield ("b",)

    second = Stop("second", None, needs=("first",), each=each)
    third = Stop("third", None, needs=("first", "second*"), spared=lambda config, which: ("first",))

    def do(stop, which, inputs):
        return "later", "/".join((stop.name, *which)), inputs

    name, last, inputs = walk((first, second, third), None, do, lambda made: ("now", *made[1:]))
    assert (name, last) == ("now", "third")
    assert [one[:2] for one in waited] == [("now", "second/a")]
    assert {key: one[:2] for key, one in inputs.items()} == {
        "second/a": ("later", "second/a"), "second/b": ("later", "second/b"),
    }  # fmt: skip


def test_rules_that_look_at_no_latents_say_so():
    rules = {name: WEIGHTINGS[name]() for name in ("uniform", "latent_rarity", "elsewhere")}
    rules["on_latents"] = WEIGHTINGS["group_balance"](estimate_on="latents")
    rules["groups"] = WEIGHTINGS["group_balance"]()
    assert {name for name, rule in rules.items() if rule.blind} == {
        "uniform", "elsewhere", "groups",
    }  # fmt: skip


def test_one_worker_is_this_process(tmp_path):
    job = opened(tmp_path)
    with hired(job) as hands:
        assert hands.do(lambda job, **inputs: os.getpid(), "x", {}) == os.getpid()


def test_the_number_of_workers_stands_in_no_key():
    assert "workers" not in load_tree("workers=2")
