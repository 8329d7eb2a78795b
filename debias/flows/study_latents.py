"""A study of representations as a Prefect flow, with or without a server.

    python -m debias.flows.study_latents my.yaml
    prefect deployment run study-latents --param recipe=my.yaml

Stages that are finished in the folder are found there by their content; see debias_faces.py.
"""

from pathlib import Path
from typing import cast

from prefect import flow

from debias.flows.summary import study_as_markdown
from debias.flows.tasks import main, named, plainly, show, study_recipe, walked
from debias.pipeline import STUDY
from debias.pipeline.study_recipe import StudyConfig
from debias.report.study_document import Study
from debias.report.study_page import headline


@flow(name="study-latents", flow_run_name=named(study_recipe, StudyConfig), persist_result=False)
@plainly
def study_latents(
    recipe: str = "", changes: str = "", config: StudyConfig | None = None, out: str = ""
) -> str:
    """Judge several representations of one data set side by side; the page lies in the folder.

    Args:
        recipe: Path of a recipe with `spaces` on the worker, read at every run.
        changes: Settings to change, one `section.key=value` a line, such as `seeds=5`.
        config: A whole recipe instead of a file.
        out: Folder; empty: runs/NAME below the working directory of the worker.
    """
    chosen = study_recipe(recipe, changes, config)
    document = cast(Study, walked(STUDY, chosen, out or str(Path("runs") / chosen.name)))
    show(chosen.name, study_as_markdown(document), "Side by side")
    return headline(document)


if __name__ == "__main__":
    main(study_latents)
