"""``debias ui``."""

from pathlib import Path

from debias.commands.options import Options, command, option
from debias.commands.screen import say


class Ui(Options):
    """What it takes."""

    folder: Path = option(
        "Folder that holds mlflow.db, as `debias run` made it.", default=Path("runs")
    )
    experiment: str = option("MLflow experiment to link to.", default="debias")
    port: int = option("Port of the MLflow server.", default=5055)
    prefect: bool = option("Start Prefect's server too.", default=False)
    prefect_port: int = option("Its port, unless PREFECT_API_URL names a server.", default=4200)


@command
def ui(given: Ui) -> None:
    """Start the local MLflow server and print the links that open the right pages.

    A server that runs already is used as it is.
    """
    from debias.tracking.ui import Place, serve

    prefect_port = given.prefect_port if given.prefect else None
    serve(Place(given.folder, given.experiment, given.port, prefect_port), say)
