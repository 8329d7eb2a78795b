"""A person is taken out of a finished audit: its page, its numbers and what was kept of it."""

import pytest
from test_purging import bytes_with, real_folder

from debias import pipeline as stages
from debias.pipeline.purging import purge
from debias.pipeline.recipe import SpaceRecipe, load
from debias.tracking.mlflow_tracker import MlflowTracking
from debias.tracking.servers import local_store

QUICK = [
    "name=small", "image_size=16", "attributes=[group]", "report.show_faces=true",
    "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 16}",
    "representation.training={epochs: 8, batch_size: 8, learning_rate: 0.01}",
    "density={name: histogram, components: 2}",
    "audit={map_method: PCA, permutations: 199, cells: 8, clusters: 2}",
    "device=cpu", "precision=float32",
]  # fmt: skip


def audited(place, source):
    job = stages.open_job(load(SpaceRecipe, {}, [*QUICK, source]), place)
    return stages.examine(job.with_tracking(MlflowTracking(local_store(place.parent), "debias")))


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return real_folder(tmp_path / "source")


@pytest.mark.slow
def test_an_audit_forgets_an_image_and_can_be_made_again(tmp_path, source):
    runs, place = tmp_path / "runs", tmp_path / "runs" / "one"
    before = audited(place, source)
    (sealed,) = (place / "audit").glob("*/images.parquet")
    gone = before["extremes"]["least"][0]  # an image that the page shows
    pages = {"audit.html", "audit.json"}
    assert pages <= {path.name for path in place.iterdir()}
    assert len(list((runs / "mlartifacts").rglob("audit.*"))) == 2

    result = purge(gone, [place], sample=True)
    assert result.complete
    assert result.pages
    assert any("debias audit" in line for line in result.lines() if line.startswith("Next:"))
    assert any("debias export" in text for text in result.unreached)
    assert bytes_with(runs, gone) == []
    assert not pages & {path.name for path in runs.rglob("*")}  # neither here nor in the tracker
    assert not sealed.exists()

    after = audited(place, source)
    assert after["data"]["images"] == before["data"]["images"] - 1
    assert bytes_with(runs, gone) == []
    assert len(list((runs / "mlartifacts").rglob("audit.*"))) == 2
