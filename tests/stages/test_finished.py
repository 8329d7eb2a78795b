"""No report of one recipe beside another."""

import json

import pytest
from counting import Counting

from debias.errors import ConfigError, LabelError
from debias.pipeline import open_job, open_run
from debias.pipeline.recipe import RunConfig, load
from debias.plugins import dump


@pytest.fixture
def finished(tmp_path):
    """A folder in which the demo has finished and was audited."""
    config = load(RunConfig, None, ["device=cpu"])
    open_run(config, tmp_path)
    for kind in ("report", "audit"):
        document = {"name": config.name, "run": {"config": dump(config)}}
        (tmp_path / f"{kind}.json").write_text(json.dumps(document))
        (tmp_path / f"{kind}.html").write_text("page")
    return tmp_path


def opened(folder, *overrides, open_=open_run, **more):
    progress = Counting()
    open_(load(RunConfig, None, ["device=cpu", *overrides]), folder, progress=progress, **more)
    return progress.notes


def pages(folder):
    return sorted(path.name for path in folder.glob("*.html"))


def test_the_same_recipe_goes_on(finished):
    before = json.loads((finished / "run.json").read_text())["id"]
    assert opened(finished) == []
    assert pages(finished) == ["audit.html", "report.html"]
    assert json.loads((finished / "run.json").read_text())["id"] == before


def test_a_changed_setting_goes_on_without_the_old_report(finished):
    (note,) = opened(finished, "seeds=4")
    assert "other settings (seeds) and is deleted" in note
    assert pages(finished) == ["audit.html"]
    assert not (finished / "report.json").exists()


def test_a_recipe_that_does_not_fit_its_data_deletes_nothing(finished):
    before = (finished / "run.json").read_text()
    with pytest.raises(LabelError, match="no column 'smilling'"):
        opened(finished, "label=smilling")
    assert pages(finished) == ["audit.html", "report.html"]
    assert (finished / "run.json").read_text() == before


def test_an_audit_leaves_the_report_of_the_run(finished):
    (note,) = opened(finished, "image_size=32", open_=open_job)
    assert "The audit in" in note
    assert pages(finished) == ["report.html"]


def test_another_recipe_is_refused_and_replaces_only_by_name(finished):
    before = (finished / "run.json").read_text()
    with pytest.raises(ConfigError, match=r"another recipe, 'demo'.*--out, or give --replace"):
        opened(finished, "name=other")
    assert (finished / "run.json").read_text() == before
    assert pages(finished) == ["audit.html", "report.html"]
    assert len(opened(finished, "name=other", replace=True)) == 2
    assert pages(finished) == []


def test_a_folder_in_which_nothing_finished_may_be_used(tmp_path):
    opened(tmp_path)
    assert opened(tmp_path, "name=other") == []
