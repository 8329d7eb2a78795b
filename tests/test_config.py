from pathlib import Path

import pytest

from debias.datasets import UTKFace
from debias.density import HistogramDensity
from debias.errors import ConfigError
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load
from debias.pipeline.study_recipe import StudyConfig
from debias.plugins import dump

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_recipe_is_valid_and_survives_a_round_trip(path):
    kind = StudyConfig if path.name.startswith("study") else RunConfig
    config = load(kind, path)
    assert kind.model_validate(dump(config)) == config


@pytest.mark.parametrize(
    ("image_size", "side", "seen"),
    [(64, None, 64), (64, 32, 32), (96, 32, 32), (48, 32, 48), (16, 32, 16), (100, 32, 50)],
)
def test_a_representation_sees_whole_blocks_while_enough_pixels_are_left(image_size, side, seen):
    recipe = {"model": {"name": "pca"}, "side": side}
    assert RunConfig(image_size=image_size, representation=recipe).seen_side == seen


def test_the_defaults_are_the_demo():
    assert load(RunConfig, CONFIGS[0].parent / "demo.yaml") == RunConfig()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("densty.bins=3", "densty: unknown key (did you mean 'density'?)"),
        ("sedes=3", "sedes: unknown key (did you mean 'seeds'?)"),
        ("data.n_trian=3", "did you mean 'data.n_train'?"),
        ("test_fraction=0.3", "did you mean 'selection.test_fraction'?"),
        ("epochs=3", "'representation.training.epochs' or 'classifier.training.epochs'"),
        ("arms.latent.es=1", "did you mean 'arms.latent.ess'?"),
        ("arms.lates.ess=0.3", "did you mean 'arms.latent'?"),
        ("zzz=1", "zzz: unknown key"),
        ("density.bin=3", "density.bin: unknown key (did you mean 'density.bins'?)"),
        ("density=histgram", "unknown density 'histgram' (did you mean 'histogram'?); known: "),
        ("density={bins: 3}", "density needs a name; known: aggregate"),
        ("density.bins=1", "greater than or equal to 2"),
        ("arms.latent={name: latent_rarity, ess: 1.5}", "ess must lie in (0, 1]"),
        ("arms.latent={name: latent_rarity, combine: sum}", "'product' or 'max'"),
        ("arms={}", "at least 1 item"),
        ("tracking.uri='http://me:secret@host'", "must not hold a user name or password"),
        ("tracking.uri='http://host/?token=secret'", "nor a question (? and what is behind it)"),
        ("classifier.training.learning_rate=1000", "less than or equal to 1"),
        ("representation.training.weight_decay=.inf", "a finite number, got inf"),
        ("seeds=0", "greater than or equal to 1"),
        ("name=../up", "should match pattern"),
        ("seeds", "--set needs section.key=value, got 'seeds'"),
        ("seeds.x=1", "seeds"),
    ],
)  # fmt: skip
def test_a_wrong_setting_says_what_is_wrong(override, message):
    with pytest.raises(ConfigError) as error:
        load(RunConfig, CONFIGS[0].parent / "demo.yaml", [override])
    assert message in str(error.value)
    assert "secret" not in str(error.value) or "uri" not in override


def test_all_problems_are_listed_at_once():
    with pytest.raises(ConfigError, match=r"image_size.*; seeds"):
        load(RunConfig, None, ["seeds=0", "image_size=1"])


def test_an_override_reaches_into_a_short_form():
    config = load(RunConfig, None, ["density=histogram", "density.bins=7"])
    assert config.density == HistogramDensity(bins=7)


def test_an_override_without_a_recipe_changes_the_demo_and_nothing_else():
    changed = load(RunConfig, None, ["classifier.model.width=4", "arms.latent.ess=0.3"])
    assert changed.classifier.model.width == 4
    assert changed.arms["latent"].ess == 0.3
    restored = load(RunConfig, None, ["classifier.model.width=8", "arms.latent.ess=0.5"])
    assert restored == RunConfig()
    partly = RunConfig.model_validate({"classifier": {"training": {"epochs": 3}}})
    assert partly.classifier.augmentation == RunConfig().classifier.augmentation


def test_a_new_name_drops_what_nobody_asked_for_and_keeps_what_was_given():
    for order in (["data.root=x", "data.name=utkface"], ["data.name=utkface", "data.root=x"]):
        assert load(RunConfig, None, order).data == UTKFace(root=Path("x"))
    same = load(RunConfig, None, ["data.name=synthetic", "data.n_train=70"]).data
    assert same.population == RunConfig().data.population
    with pytest.raises(ConfigError, match=r"n_train: unknown key"):  # a person wrote it
        load(RunConfig, CONFIGS[0].parent / "demo.yaml", ["data.name=utkface", "data.root=x"])


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load(RunConfig, tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(RunConfig, broken)
    broken.write_text("- 1")
    with pytest.raises(ConfigError, match="mapping of settings, got list"):
        load(RunConfig, broken)
    broken.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes that are no text \(at byte 6\); a recipe is a"):
        load(RunConfig, broken)


def test_a_setting_that_was_typed_is_not_blamed_on_the_source():
    tree = {"name": "mine", "seed": -3}
    with pytest.raises(ConfigError, match=r"^photos: seed: .*got -3; --set: seeds: .*got -1$"):
        load(RunConfig, tree, ["seeds=-1"], called="photos")


def test_a_density_that_does_not_suit_the_arms_is_refused():
    with pytest.raises(ConfigError, match="density 'ratio' compares with a reference"):
        load(RunConfig, None, ["density=ratio"])
    with pytest.raises(ConfigError, match=r"needs the posterior variance.*'colour'"):
        load(RunConfig, None, ["density=aggregate", "arms.latent.views=[latents, colour]"])


@pytest.fixture
def recipe(tmp_path):
    def read(text: str, *overrides: str, kind: type = RunConfig):
        (tmp_path / "r.yaml").write_text(text)
        return load(kind, tmp_path / "r.yaml", overrides)

    return read


def test_what_yaml_takes_for_numbers_and_truth_is_text_where_text_is_wanted(recipe):
    for written in ("yes", "off", "1", "007", "1.50", "1e3", "2020-01-02", "12:30", "-1"):
        assert recipe(f"positive: {written}").positive == written
        assert recipe("seeds: 2", f"positive={written}").positive == written
    found = recipe("selection: {filters: {Male: [-1, 1], smile: [yes, no]}, test_fraction: 3e-1}")
    assert found.selection.filters == {"Male": ["-1", "1"], "smile": ["yes", "no"]}
    assert found.selection.test_fraction == 0.3
    found = recipe("audit: {shares: {veil: {yes: 0.25, 1: 0.75}}}\nreport: {show_faces: yes}")
    assert found.audit.shares == {"veil": {"yes": 0.25, "1": 0.75}}
    assert found.report.show_faces is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selection: {leaks: drop}\nseeds: 2\nselection: {}", "line 3: 'selection' stands there "
         "twice, first in line 1; keep one"),
        ("positive: true", "positive: text is wanted here, so put it in quotes: 'true'"),
        ("attributes: a, b", "a list is wanted here, so put it in brackets: [a, b]"),
        ("selection: {filters: {Male: -1}}", "so put it in brackets: [-1]"),
        ("x: b: c", "is not valid YAML: line 1: mapping values are not allowed here"),
        ("{a: " * 500 + "1" + "}" * 500, "is not valid YAML: it is nested too deeply"),
        ("seeds: !!timestamp x", "is not valid YAML: a value does not suit its tag"),
        ("seeds: !!python/object:os.system {}", "could not determine a constructor for the tag"),
        ("{[a]: 1}", "a key must be text"),
        ("a\0", "unacceptable character #x0000"),
    ],
)  # fmt: skip
def test_a_damaged_recipe_is_refused_in_one_sentence(recipe, text, message):
    with pytest.raises(ConfigError) as error:
        recipe(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_merge_keys_may_say_something_anew(recipe):
    shared = "selection: &one {leaks: drop, test_fraction: 0.5}\n"
    both = recipe(shared + "classifier:\n  training: &t {epochs: 4}\nrepresentation:\n"
                  "  training: {<<: *t, epochs: 7}")  # fmt: skip
    assert (both.classifier.training.epochs, both.representation.training.epochs) == (4, 7)


def test_a_setting_of_a_section_that_a_recipe_leaves_out_is_changed_beside_its_defaults(recipe):
    text = "data: {name: synthetic}\nrepresentation: {training: {epochs: 3}}"
    for kind in (RunConfig, SpaceRecipe):
        changes = ["representation.model.latent_dim=8", "density.bins=9"]
        found = recipe(text, *changes, kind=kind)
        assert dump(found.representation)["model"]["latent_dim"] == 8
        assert found.representation.training.epochs == 3
        assert found.density == HistogramDensity(bins=9)
        assert recipe(text, "density.name=knn", kind=kind).density.name == "knn"
    arms = recipe(text, "arms.latent.ess=0.25").arms
    assert list(arms) == ["uniform", "latent", "groups"]
    assert dump(arms["latent"])["ess"] == 0.25
