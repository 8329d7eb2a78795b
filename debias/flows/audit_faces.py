"""An audit as a Prefect flow, with or without a server.

    python -m debias.flows.audit_faces my.yaml
    prefect deployment run audit-faces --param recipe=my.yaml

Stages that are finished in the folder are found there by their content; see debias_faces.py.
"""

from pathlib import Path
from typing import cast

from prefect import flow

from debias.flows.summary import audit_as_markdown
from debias.flows.tasks import (
    AuditedRecipe,
    audit_recipe,
    main,
    named,
    plainly,
    show,
    walked,
)
from debias.pipeline import AUDIT
from debias.report.audit_document import Document


@flow(name="audit-faces", flow_run_name=named(audit_recipe, AuditedRecipe), persist_result=False)
@plainly
def audit_faces(
    recipe: str = "", changes: str = "", config: AuditedRecipe | None = None, out: str = ""
) -> list[str]:
    """Say who is missing from a collection of faces; the page lies in the folder.

    Args:
        recipe: Path of a recipe on the worker, of an audit or a run, read at every run; empty:
            drawn faces.
        changes: Settings to change, one `section.key=value` a line, such as `image_size=96`.
        config: A whole recipe instead of a file.
        out: Folder; empty: runs/NAME below the working directory of the worker. In the folder of
            a run of the same recipe, its decoded faces and its autoencoder are used.
    """
    chosen = audit_recipe(recipe, changes, config)
    made = walked(AUDIT, chosen, out or str(Path("runs") / chosen.name))
    document = cast(Document, made)
    show(chosen.name, audit_as_markdown(document), "Who is missing")
    return [verdict["sentence"] for verdict in document["verdicts"]]


if __name__ == "__main__":
    main(audit_faces)
