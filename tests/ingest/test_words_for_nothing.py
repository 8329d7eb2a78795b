"""Text by which tools say that nothing is known, in every table that a data set is read from."""

import numpy as np
import pandas as pd

from debias.ingesting.decoded import list_recipe
from debias.ingesting.labels import without_words
from debias.ingesting.quarantine import QuarantineLimits
from debias.ingesting.rules import FacesRecipe


def test_words_for_nothing_are_no_groups_and_nobody_and_are_told():
    samples = pd.DataFrame(
        {
            "sample_id": ["NA", "b", "c"], "path": ["nan", "b.png", "c.png"],
            "race": ["NA", "x", " nan "], "subject_id": ["None", "p", "p"], "age": [1.0, np.nan, 2],
            "note": ["", "Nan Lee", "na na"],
        }
    )  # fmt: skip
    found, words = without_words(samples)
    assert found["race"].isna().tolist() == [True, False, True]
    assert found["subject_id"].isna().tolist() == [True, False, False]
    assert words == "race, subject_id"
    same = ["sample_id", "path", "age", "note"]
    pd.testing.assert_frame_equal(found[same], samples[same])


def test_a_listing_says_so_and_its_filters_count_what_is_written(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    table = pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "race": ["NA", "x", "nan"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    data = {"name": "folder", "root": str(tmp_path), "table": str(tmp_path / "t.csv")}
    made = FacesRecipe.model_validate({"data": data, "attributes": ["race"]})
    listed = list_recipe(made)
    assert listed.samples["race"].isna().sum() == 2
    assert listed.collection.remarks[-1] == (
        "race: text such as NA, None or nan counts as missing; write a group otherwise."
    )
    filters = {"filters": {"race": ["NA"]}}
    assert (
        len(
            list_recipe(
                made.model_copy(update={"selection": made.selection.model_validate(filters)})
            ).samples
        )
        == 1
    )


def test_a_loss_that_was_allowed_is_told_by_the_usual_limits():
    allowed = QuarantineLimits(most_rejected=0.5, most_group_ratio=9)
    assert (allowed.told.most_rejected, allowed.told.most_group_ratio) == (0.01, 2.0)
    strict = QuarantineLimits(most_rejected=0.001, most_group_ratio=1.5)
    assert (strict.told.most_rejected, strict.told.most_group_ratio) == (0.001, 1.5)
