"""What a flow run works on, what the server is told it may be given, and what it then says."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import State
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from debias.errors import ConfigError, WeightError
from debias.flows import tasks
from debias.flows.audit_faces import audit_faces
from debias.flows.debias_faces import debias_faces
from debias.flows.study_latents import study_latents
from debias.flows.tasks import AuditedRecipe, artifact_key, audit_recipe, named, plainly, run_recipe
from debias.pipeline.recipe import RunConfig

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
STUDIES = [path for path in SHIPPED if path.stem.startswith("study")]
FLOWS = [debias_faces, audit_faces, study_latents]


@pytest.fixture(scope="module")
def published():
    """By flow, the JSON schema by which a server accepts or refuses parameters."""
    return {one.name: parameter_schema(one).model_dump(exclude_unset=True) for one in FLOWS}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_accepted_by_its_flows(path, published):
    flows = ["study-latents"] if path in STUDIES else ["debias-faces", "audit-faces"]
    for flow in flows:
        validate({"config": yaml.safe_load(path.read_text())}, published[flow], raise_on_error=True)


@pytest.mark.parametrize("flow", [one.name for one in FLOWS])
@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"density": "knnn"}, "'knnn' is not valid"),
        ({"data": "folder"}, "'folder' is not valid"),  # more than its name is needed
        ({"data": "synthetic", "density": {"name": "knn", "neighbours": 0}}, "config.density"),
        ({"data": "synthetic", "sedes": 3}, "sedes"),
    ],
)
def test_what_no_recipe_may_say_is_refused_before_a_run_exists(flow, tree, said, published):
    with pytest.raises(ValidationError, match=said):
        validate({"config": tree}, published[flow], raise_on_error=True)


def test_the_form_begins_with_recipe_and_changes_and_folds_the_rest(published):
    for schema in published.values():
        fields = sorted(schema["properties"].items(), key=lambda item: item[1]["position"])
        assert [name for name, _ in fields] == ["recipe", "changes", "config", "out"]
        assert schema["properties"]["config"]["default"] is None
        assert all(field["description"] for _, field in fields)


def test_a_file_is_read_with_its_changes_applied(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nseeds: 2\ndensity: knn\n")
    chosen = run_recipe(str(path), "seeds=4\n\n  density.neighbours=7 \n")
    assert (chosen.name, chosen.seeds, chosen.density.neighbours) == ("mine", 4, 7)
    assert run_recipe(changes="seeds=1").name == "demo"
    assert run_recipe() == RunConfig()


def test_a_whole_recipe_still_works_and_takes_changes_too():
    config = RunConfig(name="whole", density="knn", arms={"uniform": "uniform"})
    assert run_recipe(config=config) == config
    assert run_recipe(config=config, changes="seeds=9").seeds == 9


def test_an_audit_leaves_alone_what_only_a_run_needs(tmp_path):
    tree = {"data": "synthetic", "label": "smiling", "arms": {"uniform": "uniform"}, "seeds": 2}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    from_file = audit_recipe(str(path))
    whole = audit_recipe(config=AuditedRecipe.model_validate(tree | {"name": "mine"}))
    assert from_file == whole
    assert not hasattr(whole, "arms")
    assert audit_recipe().name == "audit-demo"


@pytest.mark.parametrize("chosen", [run_recipe, audit_recipe])
def test_a_file_and_a_whole_recipe_contradict_each_other(chosen):
    with pytest.raises(ConfigError, match=r"both recipe \(a.yaml\) and config"):
        chosen("a.yaml", config=RunConfig())


def test_a_recipe_that_is_not_there_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=str(tmp_path / "mine.yaml")):
        run_recipe("mine.yaml")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"changes": "name=other"}, "other"),
        ({"config": {"name": "raw"}}, "raw"),
        ({"config": RunConfig(name="checked")}, "checked"),
        ({"recipe": "lost/mine.yaml"}, "mine"),
        ({"config": {"sedes": 1}}, "debias-faces"),
        ({}, "demo"),
    ],
)
def test_a_run_is_called_like_its_recipe_even_when_it_cannot_be_read(given, name, monkeypatch):
    running = SimpleNamespace(parameters=given | {"out": "x"}, flow_name="debias-faces")
    monkeypatch.setattr(tasks, "flow_run", running)
    assert named(run_recipe, RunConfig)() == name


def test_a_failed_run_says_what_was_wrong_in_the_words_of_the_error():
    @plainly
    def flow():
        raise WeightError("too few")

    state = flow()
    assert isinstance(state, State)
    assert state.is_failed()
    assert state.message == "WeightError: too few"
    assert plainly(lambda: 3)() == 3


@pytest.mark.parametrize(
    ("recipe", "key"), [("demo", "f-demo"), ("My.faces_2024", "f-my-faces-2024"), ("a-", "f-a")]
)
def test_artifacts_of_a_recipe_share_a_key_that_prefect_accepts(recipe, key):
    assert artifact_key("f", recipe) == key


@pytest.mark.parametrize(
    ("name", "changes", "command"),
    [
        (None, "", ""),
        ("mine", "", "prefect deployment run debias-faces/mine"),
        ("mine", "seeds=5", "prefect deployment run debias-faces/mine --param changes=seeds=5"),
    ],
)
def test_a_flow_run_knows_the_command_of_its_deployment(monkeypatch, name, changes, command):
    run = SimpleNamespace(flow_name="debias-faces", parameters={"changes": changes})
    monkeypatch.setattr(tasks, "flow_run", run)
    monkeypatch.setattr(tasks, "deployment", SimpleNamespace(name=name))
    assert tasks.typed() == command


def test_what_is_wrong_is_one_paragraph_where_a_flow_is_typed(tmp_path, monkeypatch, capsys):
    def typed(error):
        def flow(recipe):
            assert recipe == "bad.yaml"
            raise error

        with pytest.raises(SystemExit) as ended:
            tasks.main(flow)
        return ended.value.code, capsys.readouterr().err

    monkeypatch.setattr("sys.argv", ["flow", "bad.yaml"])
    assert typed(ConfigError("bad.yaml: seeds")) == (2, "ConfigError: bad.yaml: seeds\n")
    gone = RuntimeError("Failed to reach API at http://127.0.0.1:1/api/")
    with pytest.raises(RuntimeError):
        typed(gone)  # no server was named, so none is gone
    with temporary_settings({PREFECT_API_URL: "http://me:secret@127.0.0.1:1/api"}):
        code, said = typed(gone)
    assert code == 1
    assert "Prefect does not answer at http://127.0.0.1:1/api: start it" in said

    @plainly
    def short():
        raise MemoryError

    state = short()
    assert state.message.startswith("OutOfMemoryError: there was not enough memory")
