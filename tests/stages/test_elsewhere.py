"""Groups that are annotated in another collection, in a whole run on drawn faces."""

import pytest
from test_targets import QUICK

from debias.errors import ConfigError, DataError
from debias.pipeline import mitigate, open_run
from debias.pipeline.faces import make_elsewhere, make_faces
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.step import load_weights
from debias.storage.sealed import sealed_in

OTHERS = (
    "elsewhere={data: {name: synthetic, n_train: 240, n_validation: 8, n_test: 8, "
    "population: {dark_share: 0.5}}, groups: skin_tone_group}"
)
ARMS = "arms={uniform: uniform, elsewhere: {name: elsewhere, ess: 0.3, allow_degenerate: true}}"


def run_of(folder, *overrides):
    return open_run(load(RunConfig, None, [*QUICK, *overrides]), folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    longer = "discriminator.training={epochs: 12, batch_size: 32, learning_rate: 0.003}"
    return folder, mitigate(run_of(folder, OTHERS, ARMS, longer)), longer


def test_a_group_that_is_annotated_elsewhere_alone_is_drawn_more_often(finished):
    folder, document, _ = finished
    figures = document["weights"]["elsewhere"]
    share = figures["share_by_group"]["skin_tone_group:dark"]
    assert share["after"] > 1.5 * share["before"]
    assert figures["uses_groups"] is False
    found = figures["elsewhere"]
    assert (found["column"], found["images"]) == ("skin_tone_group", 240)
    dark = found["shares"]["dark"]
    assert dark["low"] <= dark["share"] <= dark["high"]
    assert sum(one["share"] for one in found["shares"].values()) == pytest.approx(1)
    (row,) = (row for row in document["methods"] if row["arm"] == "elsewhere")
    assert row["group_labels"] == "no"
    page = (folder / "report.html").read_text()
    assert "</data> images of another collection in which it is annotated" in page
    assert "annotated here" in page
    assert "Groups annotated elsewhere" in page


def test_no_annotation_of_an_image_here_is_read(finished):
    """The same weights, bit for bit, where other attributes are named, or none."""
    folder, document, longer = finished
    run = run_of(folder, OTHERS, ARMS, longer, "attributes=[]")
    blind = mitigate(run)
    assert (
        blind["weights"]["elsewhere"]["elsewhere"] == document["weights"]["elsewhere"]["elsewhere"]
    )
    found = [
        load_weights(run.folder.find("weights", path.name))
        for path in sealed_in(folder / "weights")
    ]
    uneven = [one.probability.tolist() for one in found if one.origin["rule"] == "elsewhere"]
    assert len(uneven) == 2
    assert uneven[0] == uneven[1]


def test_a_collection_that_teaches_no_groups_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="arm 'elsewhere' needs a second data set under 'elsewh"):
        load(RunConfig, None, [*QUICK, ARMS])
    for changed, said in (
        (OTHERS.replace("skin_tone_group}", "tone}"), "elsewhere.groups: there is no column 'to"),
        (OTHERS.replace("groups:", "filters: {skin_tone_group: [dark]}, groups:"),
         "at least 2 groups are needed"),
        (OTHERS.replace("dark_share: 0.5", "dark_share: 0.02"), "fewer than the 30"),
    ):  # fmt: skip
        run = run_of(tmp_path, changed, ARMS)
        with pytest.raises(DataError, match=said):
            make_elsewhere(run, make_faces(run))
