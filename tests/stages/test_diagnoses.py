"""Which kind of trouble training faces have, as the report of a run says it."""

from dataclasses import replace

import numpy as np
import pytest
from small_store import make_store, noise

from debias.pipeline.diagnoses import diagnoses
from debias.report.words import TIMES
from debias.types import Latents, ShardedImages

FACES = make_store(2000, side=16)  # half of them for training
ROW, LABEL = FACES.samples.index.to_numpy(), FACES.samples["label"].to_numpy()
LATENT = {"rule": "latent_rarity", "objective": "erm", "group_labels": "no"}
JTT = {"rule": "uniform", "objective": "jtt", "group_labels": "no"}


def faces_of(**columns):
    samples = FACES.samples.assign(**columns)
    return replace(FACES, samples=samples, attributes=tuple(columns))


def change(attribute="group", metric="accuracy", change=0.1, **more):
    row = {"attribute": attribute, "group": f"{attribute}:a", "metric": metric, "change": change,
           "p_adjusted": 0.001, "verdict": "difference_found", "harm": False}  # fmt: skip
    return {**row, **more}


def compared(*rows):
    return {"groups": list(rows), "level": 0.95}


def only(faces, weights=None, comparisons=None, below=1):
    """Of the only column; the latents beside it know nothing."""
    found, blind = told(faces, np.ones((1000, 2)), weights, comparisons, below)
    assert (blind["attribute"], blind["reading"]) == ("", "cannot_tell")
    return found


def told(faces, points, weights=None, comparisons=None, below=1):
    latents = Latents(sample_ids=faces.ids(faces.rows("train")), mean=points)
    return diagnoses(faces, latents, weights or {}, comparisons or {}, below=below, seed=0)


RARE = faces_of(group=np.where(ROW % 50 < 2, "a", "b"))
TIED = faces_of(group=np.where((LABEL == 1) ^ (ROW % 20 < 2), "a", "b"))


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        (RARE, "Group: rarity. Less than 25.0% of a class, half an even share: a (4.0%). Whether "
         "the label goes with it stays open: there are too few training images."),
        (faces_of(group=np.where(ROW % 4 < 2, "a", "b")),
         "Group: neither. No group is rare, and brightness does not go with it."),
        (faces_of(group=np.where(LABEL == 1, "a", "b")),
         "Group: cannot tell, because every group stands with one label, so it says what the "
         "label says, and no training image tells the two apart."),
        (faces_of(group=np.where(ROW % 3 > 0, "a", None)),
         "Group: cannot tell, because too many training images have no group."),
    ],
)  # fmt: skip
def test_a_sentence_a_column(faces, said):
    assert only(faces)["sentence"] == said


def test_a_correlation_names_what_is_missing_most():
    found = only(TIED)
    assert found["reading"] == "correlation"
    assert found["sentence"] == (
        f"Group: correlation. Brightness goes with it (V {found['cramers_v']:.2f}, "
        f"{found['low']:.2f} to {found['high']:.2f}); what is missing most is dark {TIMES} a."
    )


def test_numbers_that_give_a_small_count_away_are_left_out():
    """Of 1,000 training images 40 are of the group, 20 in each class."""
    shown, hidden = only(RARE, below=20), only(RARE, below=21)
    assert shown["groups"][0]["share"] == pytest.approx(0.04)
    assert hidden["groups"][0] == {
        "group": "group:a", "share": None, "low": None, "high": None, "rare": True,
    }  # fmt: skip
    assert hidden["cramers_v"] is hidden["low"] is hidden["high"] is None
    assert "%)" not in hidden["sentence"]
    assert hidden["reading"] == shown["reading"] == "rarity"


def test_people_with_many_images_are_counted_once():
    column = {"group": np.where(ROW % 4 < 2, "a", "b")}
    assert only(faces_of(**column))["reading"] == "neither"
    few = replace(faces_of(**column, subject_id=ROW // 200), attributes=("group",))
    assert only(few)["reading"] == "cannot_tell"


def remedy(found, method):
    return [one for one in found["remedies"] if one["method"] == method]


def test_remedies_are_those_against_what_was_found_with_their_sources():
    rarity, correlation = only(RARE), only(TIED)
    assert remedy(rarity, "latent_rarity")[0]["source"] == "Amini et al. 2019"
    assert not remedy(correlation, "latent_rarity")
    (jtt,) = remedy(correlation, "jtt")
    assert (jtt["source"], jtt["group_labels"], jtt["arm"]) == ("Liu et al. 2021", "no", None)
    assert not remedy(rarity, "jtt")
    assert {one["against"] for one in correlation["remedies"]} == {"correlation"}
    assert only(faces_of(group=np.where(ROW % 4 < 2, "a", "b")))["remedies"] == []


@pytest.mark.parametrize(
    ("rows", "here"),
    [
        ([change()], "helped a group"),
        ([change(verdict="cannot_tell")], "perhaps helped a group"),
        ([change(p_adjusted=0.2, verdict="cannot_tell")], "no sure difference"),
        ([change(change=-0.1, harm=True)], "harmed a group"),
        ([change(), change(change=-0.1, harm=True)], "harmed a group, helped a group"),
        ([change(metric="false_positive_rate")], "no sure difference"),
        ([change(metric="selection_rate")], "no sure difference"),
        ([change(attribute="other")], "no sure difference"),
    ],
)
def test_what_an_arm_of_this_run_did_stands_beside_its_method(rows, here):
    found = only(TIED, {"mine": JTT}, {"mine": compared(*rows)})
    assert [(one["arm"], one["here"]) for one in remedy(found, "jtt")] == [("mine", here)]


def test_an_arm_that_helped_here_is_named_though_nobody_else_found_it():
    found = only(TIED, {"latent": LATENT}, {"latent": compared(change())})
    assert remedy(found, "latent_rarity") == [{
        "method": "latent_rarity", "against": "", "source": "", "group_labels": "no",
        "arm": "latent", "here": "helped a group",
    }]  # fmt: skip
    assert not remedy(only(TIED, {"latent": LATENT}, {"latent": compared()}), "latent_rarity")


def test_latents_are_asked_without_annotation():
    """A tenth of each class stands with the look of the other, which alone is shown."""
    generator = np.random.default_rng(0)
    look = np.where((LABEL == 1) ^ (ROW // 2 % 10 == 0), 4.0, -4.0)[:1000]
    dark = ShardedImages([noise(np.zeros(2000), 16)])
    points = np.column_stack([look, np.zeros(1000)]) + generator.standard_normal((1000, 2))
    arms = {"mine": JTT, "groups": {**JTT, "objective": "group_dro"}}
    found = told(
        replace(faces_of(), images=dark), points, arms, dict.fromkeys(arms, compared(change()))
    )[-1]
    assert found["attribute"] == ""
    assert found["reading"] == "correlation"
    assert found["errors"]["share"] > 3 * found["errors"]["chance"]
    assert found["sentence"].startswith("Without annotation: correlation. The ")
    assert remedy(found, "jtt")[0]["here"] == "helped a group"
    assert {one["group_labels"] for one in found["remedies"]} == {"no"}
