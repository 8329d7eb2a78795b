"""What a job leaves when it is done: page, numbers, tracked runs, and what is missing of them."""

import errno
import json
import threading
from dataclasses import replace

import pytest
from counting import Counting
from recording_tracking import RecordingTracking

from debias.errors import ArtifactCorruptError, ArtifactError, DataError, StorageFullError
from debias.pipeline.delivery import deliver, delivered
from debias.pipeline.fairness import read_run
from debias.pipeline.job import Job, reopen
from debias.pipeline.recipe import SpaceRecipe, load
from debias.pipeline.step import Step
from debias.storage.artifacts import RunFolder
from debias.storage.sealed import read_checked
from debias.training.device import choose


class Losing(RecordingTracking):
    lost = ""


@pytest.fixture
def job(tmp_path):
    config = load(SpaceRecipe, None, ["device=cpu"])
    folder = RunFolder(tmp_path / "a run")
    folder.open({})
    compute = choose(config.device, config.precision)
    return Job(config, folder, compute, "1", tracking=Losing(), progress=Counting())


def deliver_to(job, document, tell=lambda charts: None):
    pages = []

    def draw(page):
        pages.append(document["run"].get("unpublished", ""))
        page.write_text(f"<p>{document['accuracy']}{pages[-1]}</p>")
        return {"chart": b"<svg/>"}

    deliver(job, "report", document, draw, tell)
    return pages


def test_what_was_altered_afterwards_is_not_used_again(job):
    document, told = {"accuracy": 0.5, "run": {}}, []
    assert deliver_to(job, document, told.append) == [""]
    assert told == [{"chart": b"<svg/>"}]
    folder = job.folder.path
    assert delivered(folder, "report") == document
    assert delivered(folder, "audit") is None
    page, numbers = folder / "report.html", folder / "report.json"
    before = page.read_text(), numbers.read_text()
    page.write_text("<p>0.9</p>")
    assert delivered(folder, "report") is None
    page.write_text(before[0])
    assert delivered(folder, "report") == document
    numbers.write_text(before[1].replace("0.5", "0.9"))
    assert delivered(folder, "report") is None
    with pytest.raises(ArtifactCorruptError, match=r"report\.json differs from the checksum in it"):
        read_run(folder)
    for damaged in ("{", "[]", '"x"', "{" * 100_000, "\0"):
        numbers.write_text(damaged)
        assert delivered(folder, "report") is None
        with pytest.raises(ArtifactCorruptError, match=r"report\.json is damaged.*delete it"):
            read_run(folder)
    (folder / "run.json").write_text("{")
    with pytest.raises(ArtifactCorruptError, match=r"run\.json is damaged.*delete it"):
        job.folder.open({})


def test_what_the_tracker_lacks_stands_on_the_page_and_in_the_numbers(job):
    document = {"accuracy": 0.5, "run": {"unpublished": job.unpublished()}}

    def tell(charts):
        job.tracking.lost = "too many 503 error responses"

    first, second = deliver_to(job, document, tell)
    assert first == ""
    assert "MLflow has not all of this run (too many 503 error responses)" in second
    assert second.endswith(f"goes there with: debias publish '{job.folder.path}'")
    assert read_checked(job.folder.path / "report.json")["run"]["unpublished"] == second
    assert second in (job.folder.path / "report.html").read_text()


def test_a_full_disk_is_told_as_one(job):
    def full(page):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFullError, match="make space, or choose another folder"):
        deliver(job, "report", {"run": {}}, full, lambda charts: None)


def test_the_second_writer_of_one_tracked_run_waits(job):
    order, other = [], replace(job, progress=Counting())

    def second():
        with other.tracked("classifier", "key", "latent"):
            order.append("second")

    with job.tracked("classifier", "key", "latent"):
        thread = threading.Thread(target=second)
        thread.start()
        with other.tracked("classifier", "another key", "latent"):
            order.append("another")
        thread.join(0.5)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["another", "first", "second"]
    (note,) = other.progress.notes
    assert note.startswith("Waiting for process ")
    assert [path.name for path in job.folder.path.iterdir()] == ["run.json"]


def test_publishing_makes_nothing(job):
    step = Step("stage", lambda work: {}, lambda work, tracker: {"a.json": {"x": 1}})
    with pytest.raises(ArtifactError, match=r"Stage is not finished in .*a run"):
        step.make(replace(job, finished_only=True))
    made = step.make(job)
    assert step.make(replace(job, finished_only=True)).key == made.key
    with pytest.raises(DataError, match=r"nothing has finished in .*a run"):
        next(reopen(job.folder.path, job.progress))
    numbers = {
        "run": {"config": json.loads(job.config.model_dump_json()), "command": "debias audit"}
    }
    (job.folder.path / "audit.json").write_text(json.dumps({"name": job.config.name, **numbers}))
    (again,) = reopen(job.folder.path, job.progress)
    assert (again.finished_only, again.command) == (True, "debias audit")
    assert again.config == job.config
