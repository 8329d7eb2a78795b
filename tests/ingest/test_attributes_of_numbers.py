"""Ages and other numbers as attributes of a recipe."""

import pandas as pd
import pytest

from debias.errors import GroupSchemaError
from debias.ingesting.decoded import list_recipe
from debias.ingesting.labels import encoded
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.source import options

AGES = ["5", "17", "18", "", "70"]


def recipe(tmp_path, attributes, **more):
    names = [f"{n}.png" for n in range(len(AGES))]
    pd.DataFrame({"path": names, "age": AGES}).to_csv(tmp_path / "t.csv", index=False)
    data = {"name": "folder", "root": str(tmp_path), "table": str(tmp_path / "t.csv")}
    return FacesRecipe.model_validate({"data": data, "attributes": attributes, **more})


def test_ranges_make_groups_of_an_attribute(tmp_path):
    """As the option writes them, as a list of YAML, or in a section of their own."""
    asked = options({"attributes": "age:0-17,18-39,40-"})["recipe"]["attributes"]
    section = {"ranges": {"age": ["0-17", "18-39", "40-"]}}
    for attributes, more in ((asked, {}), (["age:0-17,18-39,40-"], {}), (["age"], section)):
        made = recipe(tmp_path, attributes, **more)
        assert made.attributes == ("age",)
        assert FacesRecipe.model_validate(made.model_dump()) == made
        by_path = list_recipe(made).samples.set_index("path")["age"]
        found = [by_path[f"{tmp_path}/{n}.png"] for n in range(len(AGES))]
        assert found[:3] + found[4:] == ["0-17", "0-17", "18-39", "40-"]
        assert pd.isna(found[3])


def test_a_filter_counts_the_numbers(tmp_path):
    filters = {"filters": {"age": {"min": 10, "max": 60}}}
    made = recipe(tmp_path, ["age:0-17,18-39"], selection=filters)
    assert sorted(list_recipe(made).samples["age"]) == ["0-17", "18-39"]


def test_a_number_outside_of_all_ranges_is_refused(tmp_path):
    with pytest.raises(GroupSchemaError, match="lie in none of 0-17, 18-39, first '70'"):
        list_recipe(recipe(tmp_path, ["age:0-17,18-39"]))
    with pytest.raises(GroupSchemaError, match="attributes: there is no column 'years'"):
        list_recipe(recipe(tmp_path, ["years:0-17"]))


def test_numbers_of_which_each_would_be_a_group_are_refused_with_ranges():
    samples = pd.DataFrame({"sample_id": map(str, range(40)), "age": range(1, 41)})
    with pytest.raises(GroupSchemaError, match="such as age:1-10,11-20,21-30,31- in place of age"):
        encoded(samples, None, ("a",), ["age"])
    few = samples.assign(age=samples["age"] % 5)
    assert sorted(set(encoded(few, None, ("a",), ["age"])["age"])) == ["0", "1", "2", "3", "4"]
