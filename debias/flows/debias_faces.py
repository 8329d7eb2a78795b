"""The main job as a Prefect flow, with or without a server.

    python -m debias.flows.debias_faces my.yaml
    prefect deployment run debias-faces --param recipe=my.yaml

A stage that is finished in the run folder is found there by its content, so a retried or repeated
flow run continues where the last one stopped; Prefect's own result cache is off.
"""

from pathlib import Path
from typing import Any

from prefect import flow

from debias.flows.summary import as_markdown
from debias.flows.tasks import main, named, plainly, run_recipe, show, walked
from debias.pipeline import RUN
from debias.pipeline.recipe import RunConfig


@flow(name="debias-faces", flow_run_name=named(run_recipe, RunConfig), persist_result=False)
@plainly
def debias_faces(
    recipe: str = "", changes: str = "", config: RunConfig | None = None, out: str = ""
) -> dict[str, Any]:
    """Train, weigh, retrain and compare; the report lies in the run folder.

    Args:
        recipe: Path of a recipe on the worker, read at every run; empty: the built-in demo.
        changes: Settings to change, one `section.key=value` a line, such as `seeds=5`.
        config: A whole recipe instead of a file.
        out: Run folder; empty: runs/NAME below the working directory of the worker.
    """
    chosen = run_recipe(recipe, changes, config)
    document = walked(RUN, chosen, out or str(Path("runs") / chosen.name))
    show(chosen.name, as_markdown(document), "Comparison")
    return {arm: found["mean"]["accuracy"] for arm, found in document["arms"].items()}


if __name__ == "__main__":
    main(debias_faces)
