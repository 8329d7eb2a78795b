"""What ``debias ui`` takes and prints."""

from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import explained, say


def ui(
    folder: Annotated[
        Path, typer.Option(help="Folder that holds mlflow.db, as `debias run` made it.")
    ] = Path("runs"),
    experiment: Annotated[str, typer.Option(help="MLflow experiment to link to.")] = "debias",
    port: Annotated[int, typer.Option(help="Port of the MLflow server.")] = 5055,
    prefect: Annotated[bool, typer.Option("--prefect", help="Start Prefect's server too.")] = False,
    prefect_port: Annotated[
        int, typer.Option(help="Its port, unless PREFECT_API_URL names a server.")
    ] = 4200,
) -> None:
    """Start the local MLflow server and print the links that open the right pages.

    A server that runs already is used as it is.
    """
    with explained():
        from debias.tracking.ui import Place, serve

        serve(Place(folder, experiment, port, prefect_port if prefect else None), say)
